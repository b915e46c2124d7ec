"""The runs of a node: a folder for each in the node's data folder, and a process for each that goes on.

A run is what `intermodel write` makes, and goes on as that very verb in a process of its own, so that nothing of it
stays in the node's memory. What a run has reached is in its folder; a node that ended goes on with none by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson

from intermodel.core import Conflict, IntermodelError, Invalid, Unavailable
from intermodel.writer import reader
from intermodel.writer.journal import Journal
from intermodel.writer.listed import ID, MOST, beside, delete, elsewhere, names, new_id, there
from intermodel.writer.state import RunState, Standing, state_of
from intermodel.writer.topic import check_topic
from intermodel.writer.values import Brief

log = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""So long a process that was told to stop may take, before it is killed."""
PARTING_S = 4.0
"""The same where the node ends, which then answers it no more."""
_NEEDED = ("pydantic_ai", "openai", "markdown_it", "trafilatura")
_OUTCOME, _ERRORS = "outcome.json", "errors.txt"
_TAIL = 4000
_HINTS = {
    "no_rounds": "Allow another round in its settings, or take what there is.",
    "no_round": "Load the page again.",
    "no_plan": "It is made once the sources were read: go on first.",
    "run_in_progress": "Wait until it ends, or stop it first.",
}
UNREADABLE = (IntermodelError, OSError, ValueError, KeyError, TypeError, AttributeError)
"""What reading a journal raises that is damaged, or that holds what this version does not know."""
T = TypeVar("T")
Forget = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands. `queued` waits for its turn, `stopping` was told to end; what is `broken` has no
    `state`."""

    id: str
    folder: Path
    state: RunState | None
    standing: Standing | Literal["queued", "stopping", "broken"]
    trouble: str = ""
    """What kept its process from going on, where the run itself does not say."""
    stoppable: bool = False
    elsewhere: str = ""
    """Where its folder lies, if not in the data folder."""

    @property
    def going(self) -> bool:
        return self.standing in ("queued", "running", "stopping")


def broken(name: str, folder: Path, error: Exception) -> Run:
    """One that cannot be read, and why."""
    return Run(name, folder, None, "broken", f"It cannot be read: {error}", elsewhere=elsewhere(folder))


def missing() -> str:
    """A package that the writer needs and that is not installed; "" where all are."""
    return next((name for name in _NEEDED if importlib.util.find_spec(name) is None), "")


async def _nothing(_name: str) -> None: ...


class Runs:
    """`command` is the verb and its settings, to which the run's folder is added. `at_once` go on at the same time;
    others wait for their turn. `forget` is given the name under which a run that is removed had tokens and a budget."""

    def __init__(self, folder: Path, command: Sequence[str], at_once: int = 2, forget: Forget = _nothing) -> None:
        self._folder = folder
        self._command = tuple(command)
        self._turns = asyncio.Semaphore(at_once)
        self._forget = forget
        self._lock = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._started: set[str] = set()
        self._closing = False

    async def close(self) -> None:
        """End every process; their runs can be gone on with."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # What there is

    async def newest(self, limit: int, before: str = "") -> list[Run]:
        """The newest first; `before` is the last of those already had."""
        listed = await asyncio.to_thread(names, self._folder)
        wanted = [name for name in listed if not before or name < before][:limit]
        return [await self._run(name) for name in wanted]

    async def get(self, name: str) -> Run:
        """Raises `NotFound`."""
        await self._place(name)
        return await self._run(name)

    async def _place(self, name: str) -> Path:
        return await asyncio.to_thread(there, self._folder, name)  # a disk elsewhere may keep one waiting

    async def _run(self, name: str) -> Run:
        return await asyncio.to_thread(self._read, name, self._now(name))

    def _now(self, name: str) -> Literal["queued", "running", "stopping"] | None:
        """What this node has to do with it; None where it does nothing."""
        task = self._tasks.get(name)
        if task is None:
            return None
        return "stopping" if task.cancelling() else "running" if name in self._started else "queued"

    def _read(self, name: str, now: Literal["queued", "running", "stopping"] | None) -> Run:
        folder = self._folder / name
        try:
            state = state_of(folder)
        except UNREADABLE as error:
            return broken(name, folder, error)
        standing = now or state.standing
        trouble = self._trouble(name) if standing in ("new", "stopped") else ""
        return Run(name, folder, state, standing, trouble, now in ("queued", "running"), elsewhere(folder))

    # What is done with them

    async def new(self, brief: Brief, name: str = "") -> str:
        """Make a run, and begin it. A `name` that was made before is the same wish, sent twice: it is made once."""
        check_installed()
        clean = check_topic(brief.topic)
        if name and not ID.fullmatch(name):
            raise Invalid("The form names no run.", hint="Load the page again.")
        name = name or new_id()
        async with self._lock:
            if await asyncio.to_thread(self._make, name, clean, brief):
                self._start(name)
        return name

    def _make(self, name: str, topic: str, brief: Brief) -> bool:
        if len(names(self._folder)) >= MOST:
            raise Conflict(f"There are {MOST} runs, as many as a node keeps.", hint="Remove some.")
        folder = self._folder / name
        try:
            folder.mkdir(parents=True, mode=0o700)
        except FileExistsError:
            return False
        except OSError as error:
            raise Unavailable(f"{folder} cannot be made: {error.strerror}.", hint="Is the disk full?") from None
        try:
            _with(folder, lambda journal: journal.begin(replace(brief, topic=topic)), made=True)
        except Invalid:  # the same name may then be made later
            delete(self._folder, name)
            raise
        return True

    async def start(self, name: str, brief: Brief | None = None) -> None:
        """Go on with a run; with another `brief` of the same topic where one is given. Twice is once."""
        check_installed()
        folder = await self._place(name)
        async with self._lock:
            if name in self._tasks:
                return
            await asyncio.to_thread(_idle, folder)
            if brief is not None:
                await asyncio.to_thread(_with, folder, lambda journal: journal.begin(brief))
            self._start(name)

    async def stop(self, name: str) -> None:
        """Have its process end; the run can be gone on with. Nothing happens where none goes on."""
        folder = await self._place(name)
        task = self._tasks.get(name)
        if task is None:
            await asyncio.to_thread(_idle, folder)
            return
        if not task.cancelling():  # a second word would kill it
            task.cancel()
        await asyncio.wait({task}, timeout=2)

    async def choose(self, name: str, action: Literal["accept", "revise", "stop"], note: str, number: int) -> None:
        """What the reader says of round `number`, and go on. Raises as `reader.choose` does."""
        await self._tell(name, lambda folder: reader.choose(folder, action, note, number))

    async def edit_plan(self, name: str, told: bytes) -> None:
        """Write by this plan, and go on. Raises as `reader.edit_plan` does."""
        await self._tell(name, lambda folder: reader.edit_plan(folder, told))

    async def _tell(self, name: str, tell: Callable[[Path], object]) -> None:
        check_installed()
        folder = await self._place(name)
        async with self._lock:
            self._not_going(name)
            try:
                await asyncio.to_thread(tell, folder)
            except Conflict as error:  # its hints are those of the verb
                raise Conflict(error.message, hint=_HINTS.get(error.code, ""), code=error.code) from None
            self._start(name)

    async def remove(self, name: str) -> None:
        """Delete a run and all that it made, its budget and its tokens. One that lies elsewhere is no longer listed,
        and that is all: it can be gone on with there, and what was spent on it stays spent."""
        folder = await self._place(name)
        async with self._lock:
            self._not_going(name)
            if folder.is_symlink():
                await asyncio.to_thread(delete, self._folder, name)
                return
            with contextlib.suppress(Invalid):  # a journal that cannot be read keeps nobody
                await asyncio.to_thread(_idle, folder)
            named = ""
            with contextlib.suppress(*UNREADABLE):
                named = await asyncio.to_thread(_with, folder, lambda journal: journal.name())
            await asyncio.to_thread(delete, self._folder, name)
            if named:
                await self._forget(named)

    def _not_going(self, name: str) -> None:
        if name in self._tasks:
            raise Conflict("The run is going on.", hint="Wait until it ends, or stop it first.", code="run_in_progress")

    # Its process

    def _start(self, name: str) -> None:
        if self._closing:
            raise Unavailable("The node is ending.")
        task = asyncio.create_task(self._play(name), name=f"write {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._over(name, done))

    def _over(self, name: str, done: asyncio.Task[None]) -> None:
        self._tasks.pop(name, None)
        self._started.discard(name)
        if not done.cancelled() and (error := done.exception()):
            log.error("a run of the writer could not be gone on with: %s", error)

    async def _play(self, name: str) -> None:
        """From its turn to the end of its process, which ends with this."""
        async with self._turns:
            self._started.add(name)
            process = await self._spawn(name)
            try:
                await process.wait()
            except asyncio.CancelledError:
                await _end(process, PARTING_S if self._closing else PATIENCE_S)
                raise

    async def _spawn(self, name: str) -> asyncio.subprocess.Process:
        with self._output(name, _OUTCOME).open("wb") as outcome, self._output(name, _ERRORS).open("wb") as errors:
            return await asyncio.create_subprocess_exec(
                *self._command, "--resume", str(self._folder / name), "--yes", "--json",
                stdin=asyncio.subprocess.DEVNULL, stdout=outcome, stderr=errors,
                start_new_session=True,  # what ends the node at a terminal is the node's to pass on
            )  # fmt: skip

    def _output(self, name: str, kind: str) -> Path:
        """What its process says."""
        return beside(self._folder, name, kind)

    def _trouble(self, name: str) -> str:
        """What its process said where it ended before the run could be told of it."""
        try:
            told: Any = orjson.loads(self._output(name, _OUTCOME).read_bytes() or b"{}")
            error = told.get("error") or {}
            if error:
                return f"{error['message']} {error.get('hint') or ''}".strip()
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            pass
        try:
            said = self._output(name, _ERRORS).read_bytes()[-_TAIL:].decode(errors="replace")
        except OSError:
            return ""
        return "Its process broke: " + said.strip().splitlines()[-1][:400] if "Traceback" in said else ""


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    waiting = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait_for(asyncio.shield(waiting), patience_s)
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await waiting


def check_installed() -> None:
    """Raises `Unavailable` where what the agents need is not installed."""
    if name := missing():
        raise Unavailable(
            f"The writer is not installed: '{name}' is missing.",
            hint="`make writer`, in the source folder; else `pip install 'intermodel[writer]'`.",
            code="not_installed",
        )


def _with(folder: Path, work: Callable[[Journal], T], *, made: bool = False) -> T:
    journal = Journal(folder) if made else Journal.there(folder)
    try:
        return work(journal)
    finally:
        journal.close()


def _idle(folder: Path) -> None:
    if _with(folder, lambda journal: journal.is_held()):
        raise Conflict(
            "Another process goes on with this run.",
            hint="It was started in a terminal, or by a node that was killed: stop it there, or wait.",
            code="run_in_progress",
        )
