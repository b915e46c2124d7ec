"""The OpenAPI document of /api/v1 is held to what it says, by schemathesis with all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from intermodel.settings import Deployment, Route
from tests.support import running, settings_for

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_document_is_true(tmp_path: Path) -> None:
    given = settings_for(
        tmp_path / "data",
        deployments={"echo": Deployment(provider="echo")},
        routes={"fast": Route(candidates=("echo",))},
    )
    with running(given) as node:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers).raise_for_status()
        options = (
            *("--checks", "all", "--max-examples", "20", "--seed", "1", "--no-color"),
            *("-H", f"Authorization: {node.headers['Authorization']}"),
        )
        done = subprocess.run(
            [SCHEMATHESIS, "run", f"{node.url}/api/v1/openapi.json", *options],
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.protocol.api_hooks", "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert httpx2.get(f"{node.url}/api/v1/tokens", headers=node.headers).status_code == 200, "the token still works"
    assert done.returncode == 0, done.stdout
