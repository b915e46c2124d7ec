"""`intermodel top`: what it makes of the node's answers, and how it looks in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from intermodel.cli.top import UNKNOWN, View, _Fitted, screen, view
from tests.process import COMMAND, intermodel, up
from tests.support import Running, running
from tests.traffic import call, calling, settings_with_traffic

NOW = datetime(2026, 11, 20, 11, 8, 3, tzinfo=UTC)
DOLLAR = 10**9


def live(number: int = 0, **given: Any) -> dict[str, Any]:
    caller = {"token": "t", "name": "app", "user": "", "organisation": ""}
    told = {"id": f"call-{number}", "model": "fast", "answering": "a/b", "caller": caller, "seconds": 3.0, "tokens": 40}
    return told | {"first_token_s": 1.0} | given


def spent(key: str, calls: int = 1, made: int = 60, nano: int | None = DOLLAR, unknown: int = 0) -> dict[str, Any]:
    cost = None if nano is None else {"nano": nano, "dollars": ""}
    told = {"key": key, "calls": calls, "input_tokens": 1, "output_tokens": made}
    return told | {"cost": cost, "unknown_calls": unknown}


def did(address: str, attempts: int = 10, **failed: int) -> dict[str, Any]:
    return {"address": address, "attempts": attempts, "failed": failed, "first_token_p50_s": 0.25}


def budget(name: str, ceiling: int = 10, used: int = 5) -> dict[str, Any]:
    amounts = {"ceiling": ceiling, "spent": used, "held": 0}
    return {"name": name, "begins_anew": None} | {key: {"nano": value * DOLLAR} for key, value in amounts.items()}


def printed(seen: View, width: int, height: int | None) -> list[str]:
    told = StringIO()
    Console(file=told, width=width, force_terminal=False).print(screen(seen, width, height))
    return told.getvalue().splitlines()


def test_what_the_node_answered_is_put_together() -> None:
    seen = view(
        "http://n",
        NOW,
        [live(), live(1, answering="", first_token_s=None, tokens=0)],
        [spent("a/b", calls=7, made=90)],
        [did("a/b", 10, failed=1, broken=1, left=3), did("c/d")],
        [spent("a/b", nano=3 * DOLLAR), spent("")],
        [budget("half"), budget("full", used=10)],
    )
    first, second = seen.models
    assert (first.address, first.running, first.calls_per_minute, first.tokens_per_second) == ("a/b", 1, 7, 1.5)
    assert (first.failed, first.spent_today_nano, first.first_token_p50_s) == (0.2, 3 * DOLLAR, 0.25)
    assert (second.address, second.failed, second.spent_today_nano) == ("c/d", 0, 0)
    assert [one.tokens_per_second for one in seen.calls] == [20, None]
    assert [one.name for one in seen.budgets] == ["full", "half"]
    assert seen.at == "2026-11-20T11:08:03Z"


def test_what_nobody_knows_is_not_told_as_nothing() -> None:
    unknown = spent("own", nano=None, unknown=1)
    alone = printed(view("http://n", NOW, [], [], [], [unknown], []), 100, None)
    assert f"{UNKNOWN} today without 1 call of unknown cost" in alone[1]
    assert next(line for line in alone if line.startswith("own")).rstrip().endswith(UNKNOWN)
    seen = view("http://n", NOW, [], [], [], [unknown, spent("free", nano=0)], [])
    assert {one.address: one.spent_today_nano for one in seen.models} == {"own": None, "free": 0}
    assert "≥ $0 today without 1 call" in printed(seen, 100, None)[1]
    both = view("http://n", NOW, [], [], [], [unknown, spent("dear", calls=5, unknown=2)], [])
    lines = printed(both, 100, None)
    assert "≥ $1.00 today without 3 calls of unknown cost" in lines[1]
    assert next(line for line in lines if "dear" in line).rstrip().endswith("≥ $1.00")
    assert [one.unknown_calls_today for one in both.models] == [2, 1]
    free = printed(view("http://n", NOW, [], [], [], [spent("free", nano=0)], []), 100, None)
    assert free[1].rstrip().endswith("$0 today")


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (200, 60), (60, 16)])
@pytest.mark.parametrize("much", [0, 1, 40])
def test_it_fits_the_window(size: tuple[int, int], much: int) -> None:
    names = [f"owner/model-with-quite-a-long-name-{i}" for i in range(much)]
    seen = view(
        "http://127.0.0.1:8080",
        NOW,
        [live(i, model="路由" * 30) for i in range(much)],
        [spent(name, nano=10**15) for name in names],
        [did(name, failed=3) for name in names],
        [spent(name) for name in names],
        [budget(f"budget-{i}", used=i % 11) for i in range(much)],
    )
    lines = printed(seen, *size)
    assert len(lines) <= size[1]
    text = "\n".join(lines)
    assert "MODELS" in text
    assert "CALLS IN PROGRESS" in text
    assert ("BUDGETS" in text) == bool(much)
    if much == 40:
        assert " of 40)" in text
    if not much:
        assert "Nothing was called in the last hour" in text


def test_lines_that_break_do_not_make_it_higher() -> None:
    fitted = _Fitted(Text("a word and another\n" * 9), 5)
    told = StringIO()
    Console(file=told, width=10, force_terminal=False).print(fitted)
    assert told.getvalue().splitlines() == ["a word and", "another"] * 2 + ["a word and"]


def test_what_callers_wrote_is_no_command_and_no_markup() -> None:
    odd = "[/foo]\x1b[2J"
    caller = {"token": "t", "name": odd, "user": "", "organisation": ""}
    calls = [live(model=odd, answering=f"{odd}!", caller=caller)]
    seen = view("http://n", NOW, calls, [spent(odd)], [], [spent(odd)], [budget(odd)])
    text = "\n".join(printed(seen, 200, None))
    assert text.count("[/foo]\\x1b[2J") == 6
    assert "\x1b" not in text


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_with_traffic(tmp_path_factory.mktemp("top"))) as served:
        call(served, "acme/small")
        call(served, "other/breaking", stream=True)
        yield served


def test_once_for_scripts_and_for_people(node: Running, tmp_path: Path) -> None:
    environ = os.environ | {"INTERMODEL_TOKEN": node.token, "INTERMODEL_DATA": str(tmp_path / "data")}
    with calling(node, "acme/slow"):
        told = intermodel("top", "--once", "--json", "--url", node.url, env=environ)
        shown = intermodel("top", "--once", "--url", node.url, env=environ)
    assert told.returncode == 0, told.stderr
    seen = json.loads(told.stdout)
    assert {one["address"] for one in seen["models"]} == {"acme/slow", "acme/small", "other/breaking"}
    assert seen["calls"][0]["model"] == "acme/slow"
    assert {one["name"] for one in seen["budgets"]} == {"node", "tests"}
    assert shown.returncode == 0
    assert "acme/slow" in shown.stdout
    assert "100%" in shown.stdout
    assert "q ends" not in shown.stdout


@pytest.mark.slow
def test_a_node_of_this_machine_needs_no_token(tmp_path: Path) -> None:
    config = '[engines]\nshipped = false\n[deployments.echo]\nprovider = "echo"\n'
    with up(tmp_path / "data", config=config):
        told = intermodel("top", "--json", "--data", tmp_path / "data")
        assert json.loads(told.stdout)["models"] == []
    gone = intermodel("top", "--json", "--data", tmp_path / "data")
    assert gone.returncode == 5


@contextlib.contextmanager
def terminal(*arguments: str, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The verb in a terminal of 80 by 24."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        os.close(ours)


def read_until(terminal: int, wanted: bytes) -> bytes:
    said, end = b"", time.monotonic() + 60
    while wanted not in said:
        assert time.monotonic() < end, said[-2000:]
        if select.select([terminal], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                said += os.read(terminal, 65536)
    return said


@pytest.mark.parametrize("leave", ["q", pytest.param("ctrl-c", marks=pytest.mark.slow)])
def test_it_refreshes_until_it_is_told_to_end(node: Running, tmp_path: Path, leave: str) -> None:
    environ = os.environ | {"INTERMODEL_TOKEN": node.token, "INTERMODEL_DATA": str(tmp_path), "TERM": "xterm-256color"}
    with terminal("top", "--url", node.url, environ=environ) as (process, screen_of):
        read_until(screen_of, b"acme/small")
        call(node, "acme/large")
        read_until(screen_of, b"acme/large")
        before = termios.tcgetattr(screen_of)
        if leave == "q":
            os.write(screen_of, b"q")
        else:
            process.send_signal(signal.SIGINT)
        read_until(screen_of, b"\x1b[?1049l")
        assert process.wait(30) == (0 if leave == "q" else 130)
        assert not before[3] & termios.ICANON
        assert termios.tcgetattr(screen_of)[3] & termios.ICANON, "the terminal is as it was"


@pytest.mark.slow
def test_a_node_that_goes_away_is_told_of(tmp_path: Path) -> None:
    config = '[engines]\nshipped = false\n[deployments.echo]\nprovider = "echo"\n'
    environ = os.environ | {"INTERMODEL_DATA": str(tmp_path / "data"), "TERM": "xterm-256color"}
    with up(tmp_path / "data", config=config) as node, terminal("top", environ=environ) as (_, screen_of):
        read_until(screen_of, b"None at this moment")
        node.stop()
        read_until(screen_of, b"cannot be reached")
        os.write(screen_of, b"q")
        read_until(screen_of, b"\x1b[?1049l")
