"""What a caller sees of an answer that was kept."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from intermodel.settings import Deployment, Route
from tests.support import running, settings_for


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_was_kept_says_so(tmp_path: Path, stream: bool) -> None:
    settings = settings_for(
        tmp_path / "data",
        deployments={"echo": Deployment(provider="echo")},
        routes={"kept": Route(candidates=("echo",), cache_s=60)},
    )
    body = {"model": "kept", "messages": [{"role": "user", "content": "once more"}], "stream": stream}
    with running(settings) as node:
        first, second = (httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers) for _ in range(2))
    assert "x-intermodel-cache" not in first.headers
    assert second.headers["x-intermodel-cache"] == "hit"
    assert second.content == first.content
    assert second.headers["x-intermodel-receipt"] != first.headers["x-intermodel-receipt"]
