"""Simon Willison's `llm` command, unmodified, against a node that listens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Running


@pytest.mark.slow
def test_llm_talks_to_a_node(server: Running, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: node-echo\n  model_name: echo\n  api_base: {server.api}\n  api_key_name: intermodel\n"
    )
    llm = Path(sys.executable).with_name("llm")
    environ = os.environ | {"LLM_USER_PATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(llm), *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    assert run("keys", "set", "intermodel", "--value", server.token).returncode == 0
    for extra in ((), ("--no-stream",)):
        done = run("-m", "node-echo", "good morning", *extra)
        assert (done.returncode, done.stdout.strip()) == (0, "good morning"), done.stderr
