"""The documentation is held to what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from intermodel.engines.library import SHIPPED_FILE
from tests.process import up

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
ROUTE = """
[deployments.vllm]
base_url = "http://127.0.0.1:9/v1"
[routes.fast]
candidates = ["vllm", "intermodel/pebble"]
"""


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_every_error_code_is_documented() -> None:
    told = (ROOT / "docs" / "api.md").read_text()
    known: set[str] = set()
    for source in (ROOT / "src" / "intermodel").rglob("*.py"):
        if source.parts[-2] in ("gateway", "providers", "web", "api"):
            known |= set(re.findall(r'code="([a-z_]+)"', source.read_text()))
    undocumented = {code for code in known if f"`{code}`" not in told}
    assert undocumented <= {"port_in_use", "unknown_provider", "telemetry_not_installed"}, "told at start"


def test_the_examples_of_the_api_run(tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(api\(\).*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    with up(tmp_path / "data", config="[engines]\nshipped = false\n") as node:
        environ = os.environ | {"NODE": node.said["url"], "TOKEN": node.token}
        done = subprocess.run(
            ["bash", "-euc", block], env=environ, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"fit":true' in done.stdout


@pytest.mark.skipif(not SHIPPED_FILE.exists(), reason="the model that ships is not built")
@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path) -> None:
    with up(tmp_path / "data", config=ROUTE) as node:
        environ = os.environ | {"OPENAI_BASE_URL": node.api, "OPENAI_API_KEY": node.token}
        blocks = python_blocks(ROOT / "docs" / "tutorial.md")
        readme = python_blocks(ROOT / "README.md")[0]
        blocks.append(readme.replace("http://127.0.0.1:8080/v1", node.api).replace("im_...", node.token))
        said = []
        for block in blocks:
            done = subprocess.run(
                [sys.executable, "-c", block], env=environ, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout.strip())
    assert "Paris" in said[0]
    assert said[1] == "{'name': 'Anna', 'age': 31}"
    assert said[2].startswith("get_weather {")
    assert said[3].startswith("intermodel/pebble answered:")
    assert said[4]
