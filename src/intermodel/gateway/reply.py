"""An answer that has begun, on its way to the caller."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from intermodel.core import IntermodelError, Upstream
from intermodel.gateway.account import Account
from intermodel.gateway.asking import Asked
from intermodel.gateway.cache import Cache, Kept
from intermodel.gateway.pipe import Pipe, told_inside
from intermodel.gateway.said import Said
from intermodel.providers.answer import EVENTS

LINGER_S = 0.2
"""How long an upstream may take to close its stream after the answer's end; then its connection is dropped."""


class Course(Protocol):
    """What a reply needs of the gateway: to settle, and to go on with another candidate."""

    async def settle(self, reply: Reply, outcome: str, error: IntermodelError | None = None) -> None: ...

    async def abandon(self, reply: Reply) -> None: ...

    async def resume(self, reply: Reply, error: IntermodelError) -> bool: ...

    def interrupted(self) -> IntermodelError | None: ...


class Reply:
    """Read it to its end, and close it whatever happens.

    `id` is the receipt's, `address` who answers, `media_type` of what `read` gives.
    """

    def __init__(self, course: Course, account: Account, asked: Asked) -> None:
        """`account.answered` is the attempt that gave the answer."""
        assert account.answered is not None
        self.id = account.id
        self.address = account.answered.target.address
        self.media_type = asked.media_type
        self.account = account
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.go_on(asked)
        self.left = False
        """Whether the caller has gone, and the answer is read for others or for the bill."""
        self.sent: list[bytes] | None = None
        """What the upstream sent so far, where it may have to be continued."""
        self.settled = False
        self.survives = False
        """Whether the answer may be read on when its caller has left."""
        self._course = course
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._silence_s: float | None = None
        self._reading = False
        self._lingers = 0.0
        """Until when the upstream may close, once its answer is whole."""
        self._keeping: tuple[Cache, bytes, Kept] | None = None

    def go_on(self, asked: Asked) -> None:
        """What is read from here on: the answer, or another's rest of it."""
        self.answer = asked.answer
        self.pipe = asked.pipe
        self.spoken = asked.spoken
        self.head = asked.head
        self._pending: asyncio.Future[bytes] | None = None
        self._late = ""
        self._said = Said(asked.spoken)
        self._meter = asked.meter
        self._waits = False
        """Whether the clock runs until the next event."""

    @property
    def received(self) -> int:
        """About how many tokens came from it."""
        return self._said.tokens

    @property
    def streamed(self) -> bool:
        return self.pipe is not None

    def keep(self, cache: Cache, key: bytes, kept: Kept) -> None:
        """Give a copy of the answer to `kept`, from which equal calls are answered."""
        kept.address, kept.media_type, kept.streamed = self.address, self.media_type, self.streamed
        if self.pipe is None:  # it is here: nobody has to wait for its caller
            cache.give(key, kept, self.head)
        else:
            self._keeping = cache, key, kept
            self.survives = True

    @property
    def wanted_by_others(self) -> bool:
        """Whether equal calls wait for this answer."""
        return self._keeping is not None and self._keeping[2].readers > 0

    def bound(self, ends: float, silence_s: float | None) -> None:
        """End the answer at `ends` (of the loop's clock), or after a silence of `silence_s` between two pieces."""
        self._silence_s = silence_s
        self._ends = ends
        self.taken_over()
        self._timer = asyncio.get_running_loop().call_at(ends, self._expire)

    def taken_over(self) -> None:
        """The current task reads from here on."""
        self._task = asyncio.current_task()

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. The receipt is safe before the last of them are given.

        Raises `Upstream` where the answer breaks off, `OverBudget` where the money ends, `Refused` where a guard ends
        it, `Unavailable` on shutdown or where no receipt can be written.
        """
        if self._over:
            return b""
        try:
            given = await self._piece()
        except IntermodelError as error:
            self._over = True
            self.account.code = error.code
            self._kept(None, error)
            await self._settle("broken", error)
            raise
        self._kept(given, None)
        return given

    async def _piece(self) -> bytes:
        if self.pipe is None:
            self._over = True
            self.account.gives(self.head)
            await self._settle("ok")
            return self.head
        while True:
            try:
                given = await self._next(self.pipe)
            except IntermodelError as error:
                if not await self._course.resume(self, error):
                    raise
            else:
                if given or self._over:
                    return given

    def _kept(self, given: bytes | None, error: IntermodelError | None) -> None:
        """Pass a piece on to those who wait for the same answer; the end, and a failure, too."""
        if self._keeping is None:
            return
        cache, key, kept = self._keeping
        if given and not cache.add(key, kept, given):
            self._keeping = None
            return
        if error is not None or (self.settled and self.failed):
            self._keeping = None
            cache.failed(key, kept, error)
        elif self._over or self.settled:
            self._keeping = None
            cache.done(key, kept)

    @property
    def failed(self) -> bool:
        """Whether the upstream told of an error inside its stream."""
        return self.pipe is not None and self.pipe.failed

    async def _settle(self, outcome: str, error: IntermodelError | None = None) -> None:
        if not self.settled:
            await self._course.settle(self, "left" if self.left and outcome == "ok" else outcome, error)

    async def _next(self, pipe: Pipe) -> bytes:
        if pipe.broken is not None:
            raise pipe.broken
        data = self.head or await self._read()
        self.head = b""
        if not data:
            given = pipe.end()
            self._over = True
        else:
            self._count(data)
            if self.sent is not None:
                self.sent.append(data)
            if self._meter is not None:
                await self._meter.pay(data)
            given = pipe.feed(data, raises=self.sent is not None)
        self.account.gives(given)
        if pipe.broken is not None:
            return given
        if pipe.failed and (pipe.done or self._over):
            await self._settle("broken", told_inside())
        elif pipe.done or self._over:
            await self._settle("ok")
        return given

    def _count(self, data: bytes) -> None:
        """Note what `data` says, and whether the wait for an event is over."""
        if self._said.feed(data) or self.media_type != EVENTS:
            self._waits = False

    async def _read(self) -> bytes:
        if self.settled:
            return await self._linger()
        if self._late:
            raise self._too_late()
        if self._silence_s is not None and not self._waits:
            self._rearm(self._silence_s)
        self._reading = True
        try:
            return await self._received()
        except asyncio.CancelledError:
            if self._late and self._task is not None:
                self._task.uncancel()
                raise self._too_late() from None
            if (error := self._course.interrupted()) is not None:
                raise error from None
            raise
        finally:
            self._reading = False

    async def _received(self) -> bytes:
        """A piece of the answer. Where it survives its caller, it goes on being read when they leave just now."""
        if not self.survives:
            return await self.answer.read()
        reading = self._pending = self._pending or asyncio.ensure_future(self.answer.read())
        try:
            return await asyncio.shield(reading)
        finally:
            if reading.done():
                self._pending = None

    async def stop(self) -> None:
        """End the work upstream."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])
            if not self._pending.cancelled():
                self._pending.exception()  # it ended by itself just now: nobody wants to know how
            self._pending = None
        await self.answer.close()

    async def _linger(self) -> bytes:
        """The end of a connection whose answer is whole already; what goes wrong there is nobody's loss."""
        with contextlib.suppress(IntermodelError, TimeoutError):
            loop = asyncio.get_running_loop()
            self._lingers = self._lingers or loop.time() + LINGER_S
            async with asyncio.timeout_at(self._lingers):
                return await self.answer.read()
        await self.stop()
        return b""

    def _rearm(self, silence_s: float) -> None:
        """Begin to wait for the next event."""
        assert self._timer is not None
        self._timer.cancel()
        self._waits = True
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(min(self._ends, loop.time() + silence_s), self._expire)

    def _expire(self) -> None:
        is_over = asyncio.get_running_loop().time() >= self._ends
        if self._reading or is_over:
            self._late = "took too long as a whole" if is_over else "fell silent"
        self._waits = False  # the silence was the caller's own, who has not read yet
        if self._reading and self._task is not None:
            self._task.cancel()

    def _too_late(self) -> Upstream:
        return Upstream(f"'{self.address}' {self._late}.", code="upstream_timeout")

    def unbound(self) -> None:
        """End the watch over time."""
        if self._timer is not None:
            self._timer.cancel()

    def failure(self, error: IntermodelError) -> bytes:
        """The event that tells of `error` in a stream whose protocol numbers its events; b"" for the others."""
        return self.pipe.failure(str(error), error.code) if self.pipe is not None else b""

    async def close(self) -> None:
        """Stop the work upstream if it is not over (or let it drain), and settle the account. May be called twice."""
        if self.settled:
            self._keep_no_more()  # it was left while its receipt was written
            await self.stop()
        elif not self.left:
            self.left = True
            await self._course.abandon(self)

    async def drop(self) -> None:
        """Stop the work upstream, for nobody reads on."""
        await self.stop()
        self._keep_no_more()
        await self._settle("left")

    def _keep_no_more(self) -> None:
        """Those who wait for the same answer are not to wait any longer."""
        if self._keeping is not None:
            cache, key, kept = self._keeping
            self._keeping = None
            cache.failed(key, kept, None)
