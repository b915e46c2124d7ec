"""The runs of a node: a folder and a process each, begun once, ended with the node."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from intermodel.core import Conflict, Invalid, NotFound, Unavailable
from intermodel.web.pages.writing import shown
from intermodel.writer import listed
from intermodel.writer.journal import Journal
from intermodel.writer.listed import list_at, names, new_id
from intermodel.writer.reader import plan_of
from intermodel.writer.runs import Run, Runs
from intermodel.writer.state import state_of
from intermodel.writer.values import MOST_TOPIC, Brief

VERB = """
import os, sys, time
from pathlib import Path
from intermodel.writer.journal import Journal
folder = Path(sys.argv[sys.argv.index("--resume") + 1])
if (folder.parent / "broken").exists():
    raise RuntimeError("no such luck")
if (folder.parent / "refused").exists():
    print('{"error": {"code": "x", "message": "No node runs.", "hint": "Start one."}}')
    sys.exit(5)
journal = Journal.there(folder)
with journal.held():
    journal.tell("started", process=os.getpid())
    while not (folder / "end").exists():
        time.sleep(0.02)
    journal.tell("finished", ending="accepted", why="")
"""
BRIEF = Brief("What an open licence allows", "some/model")


@asynccontextmanager
async def runs_in(folder: Path, at_once: int = 2) -> AsyncIterator[Runs]:
    runs = Runs(folder, [sys.executable, "-c", VERB], at_once)
    try:
        yield runs
    finally:
        await runs.close()


async def until(look: Callable[[], Awaitable[Run]], *standings: str) -> Run:
    async with asyncio.timeout(30):
        while (run := await look()).standing not in standings or run.state is None or not _told(run):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)
    return run


def _told(run: Run) -> bool:
    """Whether the process has said that it works."""
    return run.standing != "running" or (run.state is not None and run.state.last > 0)


def end(run: Run) -> None:
    (run.folder / "end").touch()


def test_names_sort_by_time_and_are_not_guessed() -> None:
    names = [new_id() for _ in range(50)]
    assert len({name[12:] for name in names}) == 50
    assert [name[:12] for name in names] == sorted(name[:12] for name in names)


async def test_a_run_goes_from_begun_to_finished(tmp_path: Path) -> None:
    async with runs_in(tmp_path / "writer") as runs:
        assert await runs.newest(10) == []
        name = await runs.new(BRIEF)
        run = await until(lambda: runs.get(name), "running")
        assert (run.going, run.stoppable) == (True, True)
        with pytest.raises(Conflict, match="going on"):
            await runs.remove(name)
        with pytest.raises(Conflict, match="going on"):
            await runs.choose(name, "accept", "", 1)
        end(run)
        run = await until(lambda: runs.get(name), "finished")
        assert [one.id for one in await runs.newest(10)] == [name]
        await runs.remove(name)
        assert await runs.newest(10) == []
        assert not run.folder.exists()


async def test_two_clicks_are_one_run(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        name = new_id()
        assert set(await asyncio.gather(runs.new(BRIEF, name), runs.new(BRIEF, name))) == {name}
        await asyncio.gather(runs.start(name), runs.start(name))
        run = await until(lambda: runs.get(name), "running")
        assert len(await runs.newest(10)) == 1
        end(run)
        await until(lambda: runs.get(name), "finished")
        journal = Journal(run.folder)
        assert [one.kind for one in journal.told()] == ["started", "finished"]
        journal.close()


async def test_others_wait_for_their_turn(tmp_path: Path) -> None:
    async with runs_in(tmp_path, at_once=1) as runs:
        first = await runs.new(BRIEF)
        await until(lambda: runs.get(first), "running")
        second, third = await runs.new(BRIEF), await runs.new(BRIEF)
        assert [(await runs.get(name)).standing for name in (second, third)] == ["queued", "queued"]
        await runs.stop(third)
        assert (await runs.get(third)).standing == "new"
        end(await runs.get(first))
        await until(lambda: runs.get(second), "running")


async def test_a_run_is_stopped_and_gone_on_with(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        name = await runs.new(BRIEF)
        await until(lambda: runs.get(name), "running")
        await runs.stop(name)
        await runs.stop(name)
        run = await until(lambda: runs.get(name), "stopped")
        assert run.trouble == ""
        await runs.start(name)
        end(await until(lambda: runs.get(name), "running"))
        await until(lambda: runs.get(name), "finished")


async def test_processes_end_with_the_node(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        name = await runs.new(BRIEF)
        run = await until(lambda: runs.get(name), "running")
    journal = Journal(run.folder)
    assert not journal.is_held()
    journal.close()
    async with runs_in(tmp_path) as runs:
        assert (await runs.get(name)).standing == "stopped"


async def test_a_run_that_another_process_goes_on_with_is_left_alone(tmp_path: Path) -> None:
    """As after a kill -9 of the node, whose process lives on for a while."""
    async with runs_in(tmp_path) as runs, runs_in(tmp_path) as others:
        name = await others.new(BRIEF)
        run = await until(lambda: others.get(name), "running")
        assert (await until(lambda: runs.get(name), "running")).stoppable is False
        for act in (runs.start(name), runs.stop(name), runs.remove(name)):
            with pytest.raises(Conflict, match="Another process"):
                await act
        end(run)


async def test_a_killed_process_leaves_a_stopped_run(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        name = await runs.new(BRIEF)
        run = await until(lambda: runs.get(name), "running")
        journal = Journal(run.folder)
        os.kill(journal.told()[0].data["process"], signal.SIGKILL)
        journal.close()
        await until(lambda: runs.get(name), "stopped")


@pytest.mark.parametrize(
    ("sign", "said"),
    [("broken", "Its process broke: RuntimeError: no such luck"), ("refused", "No node runs. Start one.")],
)
async def test_what_kept_a_process_from_beginning_is_told(tmp_path: Path, sign: str, said: str) -> None:
    (tmp_path / sign).touch()
    async with runs_in(tmp_path) as runs:
        name = await runs.new(BRIEF)
        run = await until(lambda: runs.get(name), "new")
        assert run.trouble == said


@pytest.mark.parametrize("name", ["", "..", "../secret", "a" * 32 + "/..", "A" * 32, "a" * 31, "ab" * 16 + "\n"])
async def test_only_a_name_leads_to_a_run(tmp_path: Path, name: str) -> None:
    async with runs_in(tmp_path) as runs:
        for act in (runs.get(name), runs.start(name), runs.stop(name), runs.remove(name), runs.edit_plan(name, b"{}")):
            with pytest.raises(NotFound, match="There is no run"):
                await act
        if name:
            with pytest.raises(Invalid):
                await runs.new(BRIEF, name)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("topic", ["", "  \n", "x" * (MOST_TOPIC + 1), "bell \a"])
async def test_a_topic_that_is_none_makes_no_run(tmp_path: Path, topic: str) -> None:
    async with runs_in(tmp_path) as runs:
        with pytest.raises(Invalid):
            await runs.new(Brief(topic, "m"))
        assert await runs.newest(1) == []


def begun(folder: Path) -> Path:
    """A run that somebody began in a terminal."""
    folder.mkdir()
    journal = Journal(folder)
    journal.begin(BRIEF)
    journal.close()
    return folder


async def test_a_run_of_a_terminal_is_listed_gone_on_with_and_taken_off_the_list(tmp_path: Path) -> None:
    folder = begun(tmp_path / "my post")
    name = list_at(tmp_path / "writer", folder)
    assert list_at(tmp_path / "writer", tmp_path / "writer" / name) == name, "it is listed once"
    async with runs_in(tmp_path / "writer") as runs:
        [run] = await runs.newest(10)
        assert (run.id, run.standing, run.elsewhere) == (name, "new", str(folder))
        await runs.start(name)
        end(await until(lambda: runs.get(name), "running"))
        await until(lambda: runs.get(name), "finished")
        own = {"journal.sqlite3", ".lock", "end"}
        assert {one.name for one in folder.iterdir()} <= own | {f"journal.sqlite3-{kind}" for kind in ("wal", "shm")}
        await runs.remove(name)
        assert await runs.newest(10) == []
    assert state_of(folder).standing == "finished"
    assert list((tmp_path / "writer").iterdir()) == []


async def test_a_run_whose_folder_is_gone_is_not_listed(tmp_path: Path) -> None:
    folder = begun(tmp_path / "post")
    name = list_at(tmp_path / "writer", folder)
    folder.rename(tmp_path / "moved")
    async with runs_in(tmp_path / "writer") as runs:
        assert await runs.newest(10) == []
        assert list_at(tmp_path / "writer", tmp_path / "moved") != name
        assert [run.elsewhere for run in await runs.newest(10)] == [str(tmp_path / "moved")]
        own = await runs.new(BRIEF)
        assert list_at(tmp_path / "writer", tmp_path / "writer" / own) == own, "it is there already"


async def test_taking_a_run_of_a_terminal_off_the_list_leaves_its_budget(tmp_path: Path) -> None:
    post, forgotten = begun(tmp_path / "post"), list[str]()
    name = list_at(tmp_path / "writer", post)
    journal = Journal(post)
    journal.tell("named", name="abc")
    journal.close()

    async def forget(one: str) -> None:
        forgotten.append(one)

    runs = Runs(tmp_path / "writer", ("false",), forget=forget)
    await runs.remove(name)
    assert await runs.newest(10) == []
    assert forgotten == []


async def test_a_folder_that_cannot_be_looked_into_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    name = list_at(tmp_path / "writer", begun(tmp_path / "post"))
    (tmp_path / "post").rename(tmp_path / "moved")
    # a name that is too long for the system, as root may look into everything else
    (tmp_path / "writer" / name).unlink()
    (tmp_path / "writer" / name).symlink_to(tmp_path / ("x" * 300))
    async with runs_in(tmp_path / "writer") as runs:
        own = await runs.new(BRIEF)
        told = {run.id: run for run in await runs.newest(10)}
        assert told.keys() == {own, name}
        assert (told[name].standing, told[name].elsewhere) == ("broken", str(tmp_path / ("x" * 300)))
        for act in (runs.start(name), runs.stop(name), runs.choose(name, "accept", "", 1)):
            with pytest.raises(Invalid, match="cannot be used"):
                await act
        assert shown(await runs.get(name)).files == {}, "its page has the button that removes it"
        await runs.remove(name)
        assert [run.id for run in await runs.newest(10)] == [own]
        end(await until(lambda: runs.get(own), "running"))
        await until(lambda: runs.get(own), "finished")


def test_folders_that_are_gone_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "MOST", 2)
    for number in range(5):
        folder = begun(tmp_path / f"post{number}")
        name = list_at(tmp_path / "writer", folder)
        listed.beside(tmp_path / "writer", name, "errors.txt").touch()
        folder.rename(tmp_path / f"moved{number}")
    assert len(list((tmp_path / "writer").iterdir())) <= 4, "two links at most, and a file beside each"
    for number in (0, 1):
        list_at(tmp_path / "writer", tmp_path / f"moved{number}")
    with pytest.raises(Conflict, match="as many as a node keeps"):
        list_at(tmp_path / "writer", tmp_path / "moved2")


def test_a_run_is_listed_before_its_folder_is_made(tmp_path: Path) -> None:
    first = list_at(tmp_path / "writer", tmp_path / "first")
    second = list_at(tmp_path / "writer", begun(tmp_path / "second"))
    begun(tmp_path / "first")
    assert names(tmp_path / "writer") == [second, first]


async def test_a_link_that_leads_to_itself_is_shown_and_removed(tmp_path: Path) -> None:
    (tmp_path / "post").symlink_to(tmp_path / "post")
    name = list_at(tmp_path / "writer", tmp_path / "post")
    assert list_at(tmp_path / "writer", tmp_path / "post") == name
    async with runs_in(tmp_path / "writer") as runs:
        assert [run.standing for run in await runs.newest(10)] == ["broken"]
        await runs.remove(name)
    assert list((tmp_path / "writer").iterdir()) == []


async def test_a_folder_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    name = list_at(tmp_path / "writer", begun(tmp_path / os.fsdecode(b"caf\xe9")))
    async with runs_in(tmp_path / "writer") as runs:
        assert (await runs.get(name)).elsewhere == str(tmp_path / "caf\ufffd")


def test_starts_at_once_list_a_folder_once(tmp_path: Path) -> None:
    folder = begun(tmp_path / "post")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: list_at(tmp_path / "writer", folder), range(64)))
    assert len(found) == 1


def test_a_folder_among_the_runs_with_a_name_of_its_own_is_listed(tmp_path: Path) -> None:
    (tmp_path / "writer").mkdir()
    name = list_at(tmp_path / "writer", begun(tmp_path / "writer" / "post"))
    assert names(tmp_path / "writer") == [name]


def test_what_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "writer").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        list_at(tmp_path / "writer", tmp_path)


WITHOUT = """
import sys
for name in ("pydantic_ai", "openai", "trafilatura"):
    sys.modules[name] = None
import intermodel.node
from intermodel.writer.runs import missing
print(missing())
"""


def test_a_node_without_the_extra_runs_and_knows_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "pydantic_ai\n"


def spoil(journal: Path, first: int = 8) -> None:
    """Overwrite a journal from that page on, as a disk may."""
    data = bytearray(journal.read_bytes())
    data[4096 * first : len(data) - 4096] = b"\x5a" * (len(data) - 4096 * (first + 1))
    journal.write_bytes(data)


async def test_a_journal_of_which_a_part_is_damaged_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        names = sorted(new_id() for _ in range(2))
        for name in names:
            (tmp_path / name).mkdir()
            journal = Journal(tmp_path / name)
            journal.begin(BRIEF)
            for number in range(300):
                journal.tell("page", what=f"{number} " + "x" * 200, why="")
            journal.close()
        spoil(tmp_path / names[0] / "journal.sqlite3")
        assert [run.standing for run in await runs.newest(10)] == ["new", "broken"]
        for work in (plan_of, state_of):
            with pytest.raises(Invalid, match="cannot be used") as told:
                work(tmp_path / names[0])
            assert told.value.code == "bad_journal"
        await runs.remove(names[0])
        assert [run.id for run in await runs.newest(10)] == [names[1]]


async def test_a_run_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        name, before = new_id(), resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
        try:
            with pytest.raises(Invalid, match="cannot be used"):
                await runs.new(BRIEF, name)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert list(tmp_path.iterdir()) == []
        assert await runs.new(BRIEF, name) == name


async def test_a_journal_that_cannot_be_read_is_shown_and_removed(tmp_path: Path) -> None:
    async with runs_in(tmp_path) as runs:
        folder = tmp_path / new_id()
        folder.mkdir()
        (folder / "journal.sqlite3").write_bytes(b"rubbish" * 1000)
        (run,) = await runs.newest(10)
        assert (run.standing, run.state) == ("broken", None)
        assert "cannot be read" in run.trouble
        await runs.remove(run.id)
        assert not folder.exists()
