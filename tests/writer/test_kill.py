"""The command, killed after each of its calls in turn: it ends with the same post, and calls nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.writer.journal import FILE, Journal
from tests.process import COMMAND, Up, intermodel, up
from tests.writer.script import EDITED, PAGES, TOPIC, script

CALLS = 9
DELAY_S = 0.15


def config(folder: Path, delay_s: float = 0.0, **changed: list[dict[str, Any]]) -> str:
    """Settings of a node whose model follows the script, with the pages as a folder of documents."""
    (folder / "documents").mkdir(exist_ok=True)
    for url, text in PAGES.items():
        (folder / "documents" / f"{url.rpartition('/')[2]}.md").write_text(f"# {url.rpartition('/')[2]}\n\n{text}\n")
    file = folder / "script.json"
    file.write_text(json.dumps([entry | {"delay_s": delay_s} for entry in script(**changed)]))
    return (
        f'[engines]\nshipped = false\n[writer]\nfolder = "{folder / "documents"}"\n'
        f'[deployments.scripted]\nprovider = "echo"\nscript = "{file}"\nprice = {{input = 1, output = 100}}\n'
    )


@contextmanager
def served(folder: Path, delay_s: float = 0.0, **changed: list[dict[str, Any]]) -> Iterator[Up]:
    with up(folder / "data", config=config(folder, delay_s, **changed)) as node:
        yield node


def arguments(node: Up) -> list[str]:
    data = Path(node.said["data"])
    return ["--data", str(data), "--config", str(data.parent / f"{data.name}.toml")]


def began(node: Up, folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [*COMMAND, "write", TOPIC, "--out", str(folder), "--model", "scripted", "--words", "20", "--yes", *words]
    return subprocess.Popen(
        [*command, *arguments(node)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def resumed(node: Up, folder: Path) -> dict[str, Any]:
    done = intermodel("write", "--resume", folder, "--json", *arguments(node))
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until so many answers are kept."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it was killed"
        if (folder / FILE).exists():
            journal = Journal(folder)
            try:
                if journal.brief() and len(journal.calls()) >= count and any(t.kind == "step" for t in journal.told()):
                    return
            finally:
                journal.close()
        time.sleep(0.01)
    raise AssertionError("nothing happened")


def calls(folder: Path) -> list[tuple[str, str, int, bool]]:
    journal = Journal(folder)
    try:
        return [(one.role, one.receipt, one.output, one.void) for one in journal.calls()]
    finally:
        journal.close()


def listed(node: Up, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx2.get(f"{node.said['url']}/api/v1/{path}", headers=node.headers).json()["data"]
    return found


def valid_tokens(node: Up) -> list[str]:
    named = [one for one in listed(node, "tokens") if one["state"] == "valid"]
    return [one["name"] for one in named if one["name"].startswith("writer ")]


def spent_on(node: Up) -> dict[str, int]:
    """All receipts of the node."""
    found = listed(node, "receipts?limit=200")
    assert len(found) < 200
    return {one["id"]: one["spent"] for one in found}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_after_each_step_in_turn(tmp_path: Path) -> None:
    with served(tmp_path, DELAY_S) as node:
        texts = set()
        for count in range(CALLS):
            folder, before = tmp_path / f"run-{count}", spent_on(node)
            process = began(node, folder)
            wait_for(folder, count, process)
            process.kill()
            process.communicate(timeout=10)
            state = resumed(node, folder)
            assert (state["standing"], state["ending"]) == ("finished", "accepted")
            answered = [one for one in calls(folder) if not one[3]]
            assert len(answered) == len({receipt for _, receipt, _, _ in answered}) == CALLS
            lost = [one for one in calls(folder) if one[3]]
            assert len(lost) <= 1  # the call in which it was killed
            receipts = {one: nano for one, nano in spent_on(node).items() if one not in before}
            assert sum(receipts.values()) == round(float(state["dollars"]) * 1e9)
            assert {receipt for _, receipt, _, _ in calls(folder)} >= {one for one, nano in receipts.items() if nano}
            article = json.loads((folder / "article.json").read_bytes())
            texts.add(article["best"]["draft"])
        assert texts == {EDITED}
        assert valid_tokens(node) == []
        assert listed(node, "budgets") == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_a_signal(tmp_path: Path, number: int) -> None:
    with served(tmp_path, DELAY_S) as node:
        folder = tmp_path / "run"
        process = began(node, folder)
        wait_for(folder, 2, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130, said
        assert f"intermodel write --resume {folder}" in said.replace("\n", "")
        assert "Traceback" not in said
        assert not [one for one in folder.iterdir() if one.name.endswith(".new")]
        assert valid_tokens(node) == []
        assert resumed(node, folder)["ending"] == "accepted"


@pytest.mark.slow
def test_the_cap_holds_over_kill_and_resume(tmp_path: Path) -> None:
    with served(tmp_path, DELAY_S) as node:
        folder = tmp_path / "run"
        cap = 0.262  # the second review no longer fits
        process = began(node, folder, "--budget", str(cap), "--accept", "10")
        wait_for(folder, 5, process)
        process.kill()
        process.communicate(timeout=10)
        for _ in range(2):
            done = intermodel("write", "--resume", folder, "--json", *arguments(node))
            told = json.loads(done.stdout)
            assert (told["ending"], done.returncode) == ("budget", 0)
            assert sum(spent_on(node).values()) <= cap * 1e9
        done = intermodel("write", "--resume", folder, "--budget", "3", "--accept", "8", "--json", *arguments(node))
        assert json.loads(done.stdout)["ending"] == "accepted", done.stdout
