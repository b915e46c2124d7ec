"""The same counts for several processes, in Redis: one script (`limits.lua`) asks and counts in one step.

Calls in progress are kept by process, and each process says every second that it lives: what a killed one had
in progress stops counting after LEASE_S. A Redis that is gone is asked again every second; what changed meanwhile is
made good then, but for tokens that were to be given back: those leave with their minute.

The library `limits` has no part in this: it keeps one list item for each single token, cannot give any back, asks one
limit after the other, and goes by the clocks of its processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, cast

from intermodel.core import Invalid

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger(__name__)

PREFIX = "{intermodel}:rate"
"""Of all keys; what is in braces puts them onto one node of a cluster, as one script needs."""
LEASE_S = 20
"""How long a process counts as alive after it was last heard of."""
BEAT_S = 1.0
"""Between two signs of life, and between two attempts to find a Redis that is gone."""
ANSWER_S = 1.0
"""Longest wait for Redis before it counts as gone."""
CONNECTIONS = 16
BACKLOG = 10_000
"""Most corrections that wait to be sent; further ones are dropped, and their calls stay counted as admitted."""

BATCH = 500

_Waiting = tuple[list[str], list[Any]]
"""Keys and arguments of the script."""
Kind = Literal["requests", "tokens", "at_once"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One limit that binds a call, and the key of its counts."""

    key: str
    requests: int | None
    tokens: int | None
    at_once: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """`refused`: index of the limit, what of it, seconds until it fits (or infinity); empty where the call is in.

    `counts`: of each limit, requests, tokens and seconds until none of them counts any more.
    """

    id: str
    refused: tuple[tuple[int, Kind, float], ...]
    counts: tuple[tuple[int, int, float], ...]


class Shared:
    """The counts of all processes. `running` tells the calls in progress in this one, by key."""

    def __init__(self, url: str, running: Callable[[], dict[str, int]]) -> None:
        self._redis = _connected(url)
        self._script = self._redis.register_script(files(__package__).joinpath("limits.lua").read_text())
        self._running = running
        self._process = secrets.token_hex(8)
        self._ids = itertools.count()
        self._waiting: asyncio.Queue[_Waiting | None] = asyncio.Queue(BACKLOG)
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._is_here = True
        self._is_known = False
        self._beating = asyncio.Lock()
        self._asked: set[asyncio.Task[Answer | None]] = set()

    async def admit(self, subjects: Sequence[Subject], tokens: int) -> Answer | None:
        """Count a call if all limits let it in. None: Redis is gone."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._send())]
        if not self._is_here:
            return None
        asked = asyncio.create_task(self._admit(subjects, tokens))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(lambda done: self._undo(done, subjects, tokens))
            raise

    def corrected(self, call: str, keys: Sequence[str], more: int) -> None:
        """The call used so many tokens more, or fewer, than it was admitted with."""
        self._later(keys, ["correct", self._process, call, more])

    def ended(self, call: str, keys: Sequence[str]) -> None:
        """The call is no longer in progress."""
        self._later(keys, ["end", self._process, call])

    async def close(self) -> None:
        """Send what waits, and take this process's calls off the counts."""
        self._closing = True
        if self._tasks:
            beating, sending = self._tasks
            beating.cancel()
            await self._waiting.put(None)
            await asyncio.gather(beating, sending, *self._asked, return_exceptions=True)
        with contextlib.suppress(*_gone()):
            if self._is_here and self._tasks:
                await self._redis.zrem(f"{PREFIX}:alive", self._process)
        with contextlib.suppress(*_gone()):
            await self._redis.aclose()

    async def _admit(self, subjects: Sequence[Subject], tokens: int) -> Answer | None:
        call = f"q{self._process}:{next(self._ids)}"
        arguments: list[Any] = ["admit", self._process, call, tokens]
        for subject in subjects:
            arguments += [-1 if n is None else n for n in (subject.requests, subject.tokens, subject.at_once)]
        try:
            if not self._is_known:
                await self._say(force=False)
            refused, counts = await self._run([subject.key for subject in subjects], arguments)
        except _gone() as error:
            self._lost(error)
            return None
        return Answer(
            call,
            tuple((index, cast(Kind, kind.decode()), math.inf if us < 0 else us / 1e6) for index, kind, us in refused),
            tuple((requests, used, us / 1e6) for requests, used, us in counts),
        )

    def _undo(self, done: asyncio.Task[Answer | None], subjects: Sequence[Subject], tokens: int) -> None:
        """Nobody waits for this call any more, but Redis may have let it in."""
        if done.cancelled() or done.exception():
            return
        answer = done.result()
        if answer is not None and not answer.refused:
            keys = [subject.key for subject in subjects]
            self.corrected(answer.id, keys, -tokens)
            self.ended(answer.id, keys)

    def _later(self, keys: Sequence[str], arguments: list[Any]) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._waiting.put_nowait((list(keys), arguments))

    async def _run(self, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return await self._script(_full(keys), arguments)

    async def _say(self, *, force: bool) -> None:
        """Say that this process lives; where it was away for long, or `force`, also what it has in progress."""
        async with self._beating:
            running = self._running()
            await self._run(list(running), ["beat", self._process, LEASE_S, int(force), *running.values()])
            self._is_known = True

    async def _beat(self) -> None:
        while not self._closing:  # the client can lose a cancellation that comes while it waits for an answer
            await asyncio.sleep(BEAT_S)
            try:
                await self._say(force=not self._is_here)
            except _gone() as error:
                self._lost(error)
                continue
            if not self._is_here:
                self._is_here = True
                log.warning("Redis is back: rate limits hold over all processes again")

    async def _send(self) -> None:
        while True:
            waiting = [await self._waiting.get()]
            while len(waiting) < BATCH and not self._waiting.empty():
                waiting.append(self._waiting.get_nowait())
            batch = [one for one in waiting if one is not None]
            try:
                if self._is_here:  # if not, its calls in progress are told as a whole when it is back
                    await self._send_all(batch)
            except _gone() as error:
                self._lost(error)
            if len(batch) < len(waiting):
                return

    async def _send_all(self, waiting: list[_Waiting]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for keys, arguments in waiting:
                await self._script(_full(keys), arguments, client=pipeline)
            await pipeline.execute()

    def _lost(self, error: BaseException) -> None:
        if self._is_here:
            log.warning("Redis is gone (%s): until it is back, rate limits hold in each process by itself", error)
        self._is_here = False


def _full(keys: Sequence[str]) -> list[str]:
    full = [f"{PREFIX}:{part}:{key}" for key in keys for part in ("entries", "amounts", "running")]
    return [*full, f"{PREFIX}:alive"]


def _connected(url: str) -> Redis:
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise Invalid(
            "The setting 'redis' needs the package redis, which is not installed.",
            hint="pip install 'intermodel[redis]'",
        ) from None
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=ANSWER_S,
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


def _gone() -> tuple[type[BaseException], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError, TimeoutError)
