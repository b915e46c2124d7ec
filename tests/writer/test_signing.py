"""The signed statement of a run stands in the ledger once, wherever the process was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intermodel.cli.door import Door
from intermodel.ledger import Entry, verify
from intermodel.writer import export
from intermodel.writer.journal import Called, Journal
from intermodel.writer.run import go_on
from intermodel.writer.state import state_of
from tests.support import TOKEN, Running
from tests.writer.script import Web
from tests.writer.test_run import BRIEF, node_with, write


class Killed(BaseException):
    pass


class Falling(Door):
    """Has it signed, and never tells."""

    async def sign(self, name: str, digest: str, said: Mapping[str, Any]) -> bytes:
        await super().sign(name, digest, said)
        raise Killed


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with node_with(tmp_path_factory.mktemp("node")) as served:
        yield served


def signed(node: Running, folder: Path) -> list[Entry]:
    """The entries about the post."""
    digest = export.digest_of((folder / export.MARKDOWN).read_bytes())
    return asyncio.run_coroutine_threadsafe(node.node.ledger.about(digest), node.loop).result(10)


def test_killed_between_the_signature_and_the_note_of_it(node: Running, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        asyncio.run(go_on(tmp_path, BRIEF, Falling(node.node.settings, node.url), [Web()], Web()))
    [entry] = signed(node, tmp_path)
    assert state_of(tmp_path).standing == "stopped"
    with closing(Journal(tmp_path)) as journal:  # a call that is found only now is no reason for another statement
        journal.keep_call("late", Called("editor", "lost", "scripted", b"", "", 1, 1, void=True))
    assert write(node, tmp_path).standing == "finished"
    assert signed(node, tmp_path) == [entry]
    assert verify((tmp_path / export.BUNDLE).read_bytes(), [node.node.ledger.verifier]).good


def test_a_bundle_that_was_lost_is_had_again_without_another_entry(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    before = signed(node, tmp_path)
    (tmp_path / export.BUNDLE).unlink()
    write(node, tmp_path)
    assert signed(node, tmp_path) == before
    assert (tmp_path / export.BUNDLE).is_file()


def test_a_post_that_comes_back_is_not_signed_again(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    before, post = signed(node, tmp_path), (tmp_path / export.MARKDOWN).read_bytes()
    write(node, tmp_path, replace(BRIEF, rounds=1))
    assert (tmp_path / export.MARKDOWN).read_bytes() != post
    write(node, tmp_path)
    assert (tmp_path / export.MARKDOWN).read_bytes() == post
    assert signed(node, tmp_path) == before
    assert verify((tmp_path / export.BUNDLE).read_bytes(), [node.node.ledger.verifier]).good


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from pydantic import SecretStr
from intermodel.cli.door import Door
from intermodel.settings import Settings
from intermodel.writer.run import go_on
from tests.writer.script import Web
from tests.writer.test_run import BRIEF

class Falling(Door):
    async def sign(self, *args):
        await super().sign(*args)
        os.kill(os.getpid(), signal.SIGKILL)

folder, data, url, token = sys.argv[1:]
settings = Settings(data=Path(data), token=SecretStr(token))
asyncio.run(go_on(Path(folder), BRIEF, Falling(settings, url), [Web()], Web()))
"""


@pytest.mark.slow
def test_killed_for_good(node: Running, tmp_path: Path) -> None:
    words = [str(tmp_path), str(node.node.settings.data), node.url, TOKEN]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words], capture_output=True, text=True, timeout=120, check=False,
        cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    [entry] = signed(node, tmp_path)
    assert write(node, tmp_path).standing == "finished"
    assert signed(node, tmp_path) == [entry]
