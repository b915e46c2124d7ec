"""One model's engine: what phase it is in, who uses it, how often it crashed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from intermodel.core import Upstream
from intermodel.engines import crashes
from intermodel.engines.facts import Model
from intermodel.engines.plan import Loaded, Parameters
from intermodel.engines.process import Ended, Process, connections
from intermodel.settings import Engines as Settings
from intermodel.storage import digest_of


class Phase(StrEnum):
    """Where an engine stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a leased engine answers: HTTP on `socket`, with `context_length` tokens for each of `slots` answers."""

    model: Model
    socket: Path
    slots: int
    context_length: int


@dataclass(frozen=True, slots=True)
class State:
    """An engine as pages, metrics and `doctor` show it."""

    address: str
    phase: Phase
    since: datetime
    """When the phase began."""
    pid: int | None
    rss_bytes: int
    estimated_bytes: int
    """What it is taken to need when room is made."""
    slots: int
    context_length: int
    users: int
    waiting: int
    restarts: int
    """Starts after a crash."""
    reason: str
    """Of the last crash; empty if there was none."""
    log: Path


class Engine:
    """One model's engine. The supervisor decides when it starts and ends; this keeps the account."""

    def __init__(self, model: Model, wanted: Parameters, settings: Settings, log: Path) -> None:
        self.model = model
        self.wanted = wanted
        self.log = log
        self.permits = asyncio.Semaphore(connections(wanted.slots))
        self.process: Process | None = None
        self.starting: asyncio.Task[None] | None = None
        self.caring: asyncio.Task[None] | None = None
        self.stopping: asyncio.Task[None] | None = None
        self.users = 0
        self.waiting = 0
        self.awaiting = 0
        """Those of the waiting who wait for the start in progress: it is not unloaded before they had it."""
        self.last_used = time.monotonic()
        self.held_bytes = 0
        self.is_draining = False
        """Another model waits for its memory: who comes now waits behind that model."""
        self._settings = settings
        self._phase = Phase.STOPPED
        self._since = datetime.now(UTC)
        self._crashes: tuple[float, ...] = ()
        self._restarts = 0
        self._reason = ""
        self._stamp: tuple[int, ...] = ()

    @property
    def phase(self) -> Phase:
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        if phase is not self._phase:
            self._phase, self._since = phase, datetime.now(UTC)

    @property
    def is_idle(self) -> bool:
        return self.users == 0 and self.waiting == 0

    @property
    def endpoint(self) -> Endpoint:
        assert self.process
        return Endpoint(self.model, self.process.socket, self.wanted.slots, self.wanted.context)

    @property
    def loaded(self) -> Loaded:
        can_go = self.phase is Phase.READY and self.users == 0 and self.awaiting == 0
        return Loaded(id(self), self.held_bytes, self.last_used, in_use=not can_go)

    def state(self) -> State:
        return State(
            address=self.model.address,
            phase=self.phase,
            since=self._since,
            pid=self.process.pid if self.process else None,
            rss_bytes=self.process.rss_bytes if self.process else 0,
            estimated_bytes=self.wanted.bytes,
            slots=self.wanted.slots,
            context_length=self.wanted.context,
            users=self.users,
            waiting=self.waiting,
            restarts=self._restarts,
            reason=self._reason,
            log=self.log,
        )

    def check_not_given_up(self) -> None:
        """Raise `Upstream` if it crashed too often; a file that has changed since gets a new chance."""
        if self.phase is not Phase.FAILED:
            return
        if self._file_stamp() != self._stamp:
            self._crashes = ()
            self.phase = Phase.STOPPED
            return
        raise Upstream(
            f"The engine of '{self.model.address}' was given up after {self._settings.crash_limit} crashes. "
            f"The last one: {self._reason}.",
            code="engine_given_up",
            hint=f"Its log is {self.log}. Mend or replace the file, or start the node again.",
        )

    async def start(self) -> None:
        """Load the model. Raises `Upstream` if that fails; the crash is counted then."""
        self.phase = Phase.STARTING
        try:
            self.process = await Process.start(
                self.model, self.wanted, log=self.log, timeout_s=self._settings.start_timeout_s
            )
        except Ended as error:
            self.crashed(str(error))
            raise Upstream(
                f"The engine of '{self.model.address}' did not start: {error}.",
                code="engine_failed",
                hint=f"Its log is {self.log}.",
            ) from None
        if self._crashes:
            self._restarts += 1
        self.phase = Phase.READY

    def back_off_s(self) -> float:
        """How long to wait before the next start."""
        return crashes.delay_s(
            self._crashes,
            time.monotonic(),
            window_s=self._settings.crash_window_s,
            jitter=random.random(),  # noqa: S311 - spreads restarts, guards nothing
        )

    def crashed(self, reason: str) -> None:
        """Count a crash; the engine is stopped, or given up."""
        now = time.monotonic()
        self._crashes = (*crashes.recent(self._crashes, now, self._settings.crash_window_s), now)
        self._reason = reason
        self._stamp = self._file_stamp()
        self.process = None
        self.held_bytes = 0
        given_up = crashes.is_given_up(
            self._crashes, now, limit=self._settings.crash_limit, window_s=self._settings.crash_window_s
        )
        self.phase = Phase.FAILED if given_up else Phase.STOPPED

    async def verify(self, progress: Callable[[int], None] | None = None) -> None:
        """Compare the file with its recorded digest: llama.cpp loads damaged weights without a word.

        Raises `Upstream` if they differ, or the file is gone.
        """
        again = (
            f"It was changed or damaged. Add a good copy again: `intermodel models add FILE --as {self.model.address}`."
        )
        try:
            found = await asyncio.to_thread(digest_of, self.model.path, progress)
        except OSError as error:
            raise Upstream(
                f"The file of '{self.model.address}' cannot be read: {error.strerror}: {self.model.path}.",
                code="model_file_unreadable",
                hint="Bring it back, or run `intermodel models add` with the new place.",
            ) from None
        if found != self.model.digest:
            raise Upstream(
                f"The file of '{self.model.address}' is not the one that was added: "
                f"expected {self.model.digest}, found {found}.",
                code="digest_mismatch",
                hint=again,
            )

    def _file_stamp(self) -> tuple[int, ...]:
        try:
            found = self.model.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns
