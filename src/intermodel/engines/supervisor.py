"""Keeps the engines: starts one when it is needed, unloads one when room is, brings back one that fell."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import os
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from intermodel.core import IntermodelError, Unavailable, Upstream
from intermodel.engines import plan, sockets
from intermodel.engines.engine import Endpoint, Engine, Phase, State
from intermodel.engines.facts import Model
from intermodel.engines.process import Process, is_healthy, trim
from intermodel.engines.schemas import Schemas
from intermodel.settings import Engines as Settings

log = logging.getLogger(__name__)

PULSE_S = 5.0
"""Between two looks at a running engine, and the longest wait for its answer to one."""
STRIKES = 2
"""Looks without an answer after which an engine counts as hung."""
SETTLE_STEPS, SETTLE_STEP_S = 50, 0.02


class Engines:
    """The engines of this machine. `await close()` at the end."""

    def __init__(self, settings: Settings, logs: Path, *, pulse_s: float = PULSE_S) -> None:
        self._settings = settings
        self._logs = logs
        self._pulse_s = pulse_s
        self.memory_bytes = settings.memory_bytes or machine_bytes() * 3 // 4
        self.schemas = Schemas()
        self._engines: dict[str, Engine] = {}
        self._retired: set[Engine] = set()
        self._room = asyncio.Lock()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swept = False
        self._closed = False

    @contextlib.asynccontextmanager
    async def lease(self, model: Model) -> AsyncIterator[Endpoint]:
        """A running engine for `model`, kept loaded until the block ends; callers of one engine are served in order.

        Raises `Upstream` where the file changed (`digest_mismatch`), does not load (`engine_failed`) or crashed
        too often (`engine_given_up`) or can never fit here (`model_too_large`), and `Unavailable` where there is no
        memory for it now.
        """
        engine = self._engine(model)
        engine.waiting += 1
        try:
            await engine.permits.acquire()
            try:
                await self._until_ready(engine)
            except BaseException:
                engine.permits.release()
                raise
            engine.users += 1
        finally:
            engine.waiting -= 1
            self._let_go_if_retired(engine)
        try:
            yield engine.endpoint
        finally:
            engine.users -= 1
            engine.last_used = time.monotonic()
            engine.permits.release()
            self._changed.set()
            self._let_go_if_retired(engine)

    def context_length(self, model: Model) -> int:
        """Tokens that fit into one call of the model here, which may be fewer than its header says."""
        return self._wanted(model).context

    def slots(self, model: Model) -> int:
        """How many answers the model's engine works on at once, or would."""
        return self._engine(model).wanted.slots

    def cpu_seconds(self, address: str) -> float | None:
        """Processor time that the model's running engine has used since it started; None where none runs."""
        engine = self._engines.get(address)
        return engine.process.cpu_seconds if engine and engine.process else None

    async def settle(self, endpoint: Endpoint) -> None:
        """After a call of a leased engine failed: return once its end has been noticed, or it answers after all."""
        for _ in range(SETTLE_STEPS):
            engine = self._engines.get(endpoint.model.address)
            if engine is None or engine.process is None or engine.process.socket != endpoint.socket:
                return
            if engine.process.is_alive and await is_healthy(endpoint.socket, timeout_s=1.0):
                return
            await asyncio.sleep(SETTLE_STEP_S)

    def states(self) -> list[State]:
        """Every engine that was asked for since the node started."""
        return [engine.state() for engine in (*self._engines.values(), *self._retired)]

    async def unload(self, address: str) -> None:
        """Let go of a model's engine, at once or as soon as the calls in progress have ended."""
        engine = self._engines.pop(address, None)
        if engine is None:
            return
        self._retired.add(engine)
        self._let_go_if_retired(engine)
        if engine.stopping:
            await asyncio.shield(engine.stopping)

    async def close(self) -> None:
        """End every engine. Takes a few seconds at most."""
        self._closed = True
        engines = [*self._engines.values(), *self._retired]
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                if task not in [engine.stopping for engine in engines]:
                    task.cancel()
            await asyncio.wait(tasks)
        await asyncio.gather(*(engine.process.stop() for engine in engines if engine.process))
        for engine in engines:
            engine.process = None
            engine.phase = Phase.STOPPED
        await self.schemas.close()

    def _wanted(self, model: Model) -> plan.Parameters:
        return plan.parameters(model.facts, model.size, self._settings, _cores(), self.memory_bytes)

    def _engine(self, model: Model) -> Engine:
        """The engine of this very file: a new digest or place under the same address gets a new engine."""
        if self._closed:
            raise _stopping()
        engine = self._engines.get(model.address)
        if engine and (engine.model.digest, engine.model.path) == (model.digest, model.path):
            return engine
        if engine:
            self._retired.add(engine)
            self._let_go_if_retired(engine)
        wanted = self._wanted(model)
        path = self._logs / f"engine-{model.address.replace('/', '+')}.log"  # no address holds a plus
        engine = self._engines[model.address] = Engine(model, wanted, self._settings, path)
        return engine

    async def _until_ready(self, engine: Engine) -> None:
        while engine.phase is not Phase.READY or engine.is_draining:
            if engine.is_draining:
                async with self._room:
                    continue  # our turn has come: those who waited for its memory have been served
            if self._closed:
                raise _stopping()
            engine.check_not_given_up()
            starting = engine.starting or self._start(engine)
            engine.awaiting += 1
            try:
                await asyncio.wait({starting})
            finally:
                engine.awaiting -= 1
                self._changed.set()
            if starting.cancelled():
                raise _stopping()
            if error := starting.exception():
                raise copy.copy(error)  # callers share one start, and each needs a traceback of its own
            if engine.phase is Phase.READY:
                return  # it was started for this caller, whoever has begun to wait for its memory by now

    def _start(self, engine: Engine) -> asyncio.Task[None]:
        engine.starting = self._task(self._bring_up(engine))
        return engine.starting

    async def _bring_up(self, engine: Engine) -> None:
        try:
            if engine.stopping:
                await engine.stopping
            engine.phase = Phase.STARTING
            await asyncio.sleep(engine.back_off_s())
            await self._sweep_once()
            await engine.verify()
            async with self._room:
                await self._make_room(engine)
                engine.held_bytes = engine.wanted.bytes
            await engine.start()
        finally:
            engine.starting = None
            if engine.phase is not Phase.READY:
                engine.held_bytes = 0
            if engine.phase is Phase.STARTING:
                engine.phase = Phase.STOPPED
            if engine.process:
                engine.caring = self._task(self._care(engine, engine.process))
            self._changed.set()
            self._let_go_if_retired(engine)

    async def _sweep_once(self) -> None:
        if not self._swept:
            self._swept = True
            await asyncio.to_thread(sockets.sweep)

    async def _make_room(self, engine: Engine) -> None:
        """Unload what is idle, or wait for what is in use, until `engine` fits."""
        need = engine.wanted.bytes
        if need > self.memory_bytes:
            raise Upstream(
                f"'{engine.model.address}' needs about {_gib(need)} of memory; "
                f"engines may use {_gib(self.memory_bytes)}.",
                code="model_too_large",
                hint="Take a smaller quantisation, or raise 'memory_bytes' in [engines].",
            )
        waited_for: set[Engine] = set()
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                while (room := plan.room(self._loaded(), need, self.memory_bytes)).wait_for:
                    for other in self._named(room.wait_for):
                        other.is_draining = True
                        waited_for.add(other)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Unavailable(
                f"There was no memory for '{engine.model.address}' within {self._settings.start_timeout_s:.0f} s: "
                "the models in use fill it.",
                code="no_memory",
                hint="Try again later, or raise 'memory_bytes' in [engines].",
            ) from None
        finally:
            for other in waited_for:
                other.is_draining = False
        for other in self._named(room.unload):
            self._unload(other)
        await asyncio.gather(*(e.stopping for e in self._all() if e.stopping and not e.stopping.done()))

    def _all(self) -> list[Engine]:
        return [*self._engines.values(), *self._retired]

    def _loaded(self) -> list[plan.Loaded]:
        return [engine.loaded for engine in self._all() if engine.held_bytes]

    def _named(self, keys: tuple[int, ...]) -> list[Engine]:
        return [engine for engine in self._all() if id(engine) in keys]

    def _let_go_if_retired(self, engine: Engine) -> None:
        if engine in self._retired and engine.is_idle:
            self._unload(engine)

    def _unload(self, engine: Engine) -> None:
        """Begin to end an engine that nobody uses; its memory counts as held until it is gone."""
        if engine.process is None:
            if engine.starting is None and engine.stopping is None:
                self._retired.discard(engine)
            return
        if engine.caring and engine.caring is not asyncio.current_task():
            engine.caring.cancel()
        process, engine.process = engine.process, None
        engine.phase = Phase.STOPPED
        engine.stopping = self._task(self._stop(engine, process))

    async def _stop(self, engine: Engine, process: Process) -> None:
        await process.stop()
        engine.held_bytes = 0
        engine.stopping = None
        self._retired.discard(engine)
        self._changed.set()

    async def _care(self, engine: Engine, process: Process) -> None:
        """Look after a running engine until it ends or has been idle for long; start it again if it crashed."""
        ended = asyncio.ensure_future(process.ended())
        try:
            reason = await self._watch(engine, process, ended)
        finally:
            ended.cancel()
        if reason is None:
            log.info("%s is unloaded after %.0f s without a call", engine.model.address, self._settings.idle_unload_s)
            self._unload(engine)
            return
        engine.crashed(reason)
        self._changed.set()
        log.warning("the engine of %s crashed: %s", engine.model.address, reason)
        if engine.phase is Phase.FAILED:
            log.error("the engine of %s is given up; its log is %s", engine.model.address, engine.log)
        elif engine not in self._retired:
            self._start(engine)
        self._let_go_if_retired(engine)

    async def _watch(self, engine: Engine, process: Process, ended: asyncio.Future[str]) -> str | None:
        """Why the engine ended; None if it has been idle for so long that it may go."""
        strikes = 0
        while not (await asyncio.wait({ended}, timeout=self._pulse_s))[0]:
            trim(engine.log)
            strikes = 0 if await is_healthy(process.socket, self._pulse_s) else strikes + 1
            if strikes >= STRIKES:
                process.kill()
                await ended
                return "it did not answer any more and was killed"
            if self._is_idle_for_long(engine) and not ended.done():
                return None
        return ended.result()

    def _is_idle_for_long(self, engine: Engine) -> bool:
        limit = self._settings.idle_unload_s
        return limit > 0 and engine.is_idle and time.monotonic() - engine.last_used >= limit

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, IntermodelError):  # those have reached, or been counted for, their callers
            log.error("an engine's task failed", exc_info=error)


def _stopping() -> Unavailable:
    return Unavailable("The node is stopping.", hint="Ask again when it is back.", code="node_stopping")


def machine_bytes() -> int:
    """The memory of this machine, or of the container around it where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return machine


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gib(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
