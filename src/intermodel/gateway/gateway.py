"""Calling a model: candidates in order, the next one tried until a first token is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intermodel.core import Call, IntermodelError, Invalid, NotFound, Unavailable, Upstream
from intermodel.gateway.begin import Beginning, begin, choices_of
from intermodel.gateway.catalog import Catalog
from intermodel.gateway.choose import Target, choose
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.stream import Tail
from intermodel.providers import Provider
from intermodel.settings import Limits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate that was tried and failed."""

    address: str
    error: IntermodelError
    seconds: float


class Reply:
    """An answer that has begun. Read it to its end, and close it whatever happens."""

    def __init__(self, gateway: Gateway, call: Call, address: str, beginning: Beginning, started: float) -> None:
        self.address = address
        self._gateway = gateway
        self._answer = beginning.answer
        self._head = beginning.head
        self._usage = beginning.usage
        self._started = started
        self._request_id = call.request_id
        self._tail = Tail(choices_of(call)) if call.stream else None
        self._outcome = "left"
        self._over = False
        gateway.metrics.of(address).first.observe(time.monotonic() - started)

    @property
    def streamed(self) -> bool:
        return self._tail is not None

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises `Upstream` where the answer breaks off, `Unavailable` on shutdown."""
        if self._over:
            return b""
        try:
            with self._gateway.interruptible:
                chunk = self._head or (await self._answer.read() if self._tail else b"")
            self._head = b""
            if self._tail is None:
                self._over = not chunk
            elif chunk:
                self._tail.watch(chunk)
            else:
                self._over = True
                chunk = self._tail.end(self.address)
                self._usage = self._tail.usage
        except IntermodelError:
            self._outcome = "broken"
            raise
        if self._over:
            self._outcome = "broken" if self._tail and self._tail.failed else "ok"
        return chunk

    async def close(self) -> None:
        """Stop the work upstream if it is not over, and settle the account. May be called twice."""
        if self._outcome == "closed":
            return
        outcome, self._outcome = self._outcome, "closed"
        if outcome == "broken":
            log.warning("answer broke off", extra={"model": self.address, "request": self._request_id})
        self._gateway.settle(self.address, outcome, self._started, self._usage)
        await self._answer.close()


class Gateway:
    """Calls models for callers who are known. One for the node; `await stop()` ends what still runs."""

    def __init__(self, catalog: Catalog, providers: Mapping[str, Provider], limits: Limits, metrics: Metrics) -> None:
        self.catalog = catalog
        self.metrics = metrics
        self._providers = providers
        self._limits = limits
        self._running: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self.interruptible = _Interruptible(self)
        """A block in which a cancellation by `stop` surfaces as `Unavailable`; any other goes through."""
        metrics.running.set_function(lambda: len(self._running))

    async def call(self, call: Call) -> Reply:
        """The answer of the first candidate that gives a first token (or, not streamed, a whole answer).

        The calling task belongs to this call until the reply is closed and it ends. Raises `NotFound`, `Invalid`,
        `Upstream` (of the last candidate, naming all attempts) or `Unavailable` when too many calls run.
        """
        self._admit()
        started = time.monotonic()
        failed: list[Attempt] = []
        for candidate in choose(call, await self.catalog.directory(call.model)):
            if not candidate.fit:
                break
            address, tried = candidate.target.address, time.monotonic()
            log.debug("candidate", extra={"model": address, "why": candidate.reason, "request": call.request_id})
            try:
                beginning = await self._begin(call, candidate.target)
            except asyncio.CancelledError:
                self.metrics.of(address).ended["left"].inc()
                raise
            except IntermodelError as error:
                failed.append(Attempt(address, error, time.monotonic() - tried))
                self._note(failed[-1], call.request_id)
                if self._stopping or not _another_may_answer(error):
                    break
            else:
                return Reply(self, call, address, beginning, started)
        last = failed[-1]
        self.metrics.of(last.address).ended["refused" if _is_callers(last.error) else "failed"].inc()
        raise _told(failed)

    async def _begin(self, call: Call, target: Target) -> Beginning:
        try:
            with self.interruptible:
                async with asyncio.timeout(self._limits.first_token_s):
                    answer = await self._providers[target.provider].call(call, target.upstream)
                    try:
                        return await begin(answer, call, target.address)
                    except BaseException:
                        await answer.close()
                        raise
        except TimeoutError:
            raise Upstream(
                f"'{target.address}' gave no answer within {self._limits.first_token_s:g} s.",
                code="upstream_timeout",
                hint="`limits.first_token_s` sets how long a candidate may take.",
            ) from None

    def _note(self, attempt: Attempt, request_id: str) -> None:
        """Count and log a failed attempt: by its code alone, for an upstream's words may quote the prompt."""
        error = attempt.error
        code = f"status_{error.status}" if isinstance(error, Upstream) and error.status else error.code
        self.metrics.attempts_failed.labels(attempt.address, code).inc()
        level = logging.INFO if isinstance(error, Invalid) else logging.WARNING
        log.log(level, "attempt failed", extra={"model": attempt.address, "code": code, "request": request_id})

    def _admit(self) -> None:
        if self._stopping:
            raise _stopping()
        if len(self._running) >= self._limits.concurrent_calls:
            raise Unavailable(
                f"{len(self._running)} calls are in progress, as many as this node takes at once.",
                hint="Try again in a moment; `limits.concurrent_calls` sets the number.",
                code="overloaded",
            )
        task = asyncio.current_task()
        assert task is not None
        if task not in self._running:
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def settle(self, address: str, outcome: str, started: float, usage: dict[str, Any] | None) -> None:
        """Account for a call that is over."""
        counted = self.metrics.of(address)
        counted.ended[outcome].inc()
        counted.duration.observe(time.monotonic() - started)
        for kind, counter in counted.tokens.items():
            amount = (usage or {}).get(kind)
            if isinstance(amount, int):
                counter.inc(amount)

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, let those in progress end within `grace_s`, then end them with an error."""
        self._stopping = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace_s)
        left = set(self._running)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=2)


class _Interruptible:
    __slots__ = ("_gateway",)

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError) and self._gateway.stopping:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            raise _stopping() from None


MODELS_OWN = frozenset({"context_length_exceeded", "unsupported_content"})
"""Codes of requests that are wrong for one model and may be right for the next."""


def _another_may_answer(error: IntermodelError) -> bool:
    if isinstance(error, Upstream):
        return error.retryable or error.code in MODELS_OWN
    return isinstance(error, Unavailable | NotFound) or error.code in MODELS_OWN


def _is_callers(error: IntermodelError) -> bool:
    """Whether the request is at fault, and not who was to answer it."""
    return isinstance(error, Invalid) or (isinstance(error, Upstream) and not error.retryable)


def _stopping() -> Unavailable:
    return Unavailable("The node is stopping.", hint="Ask again when it is back.", code="node_stopping")


def _told(failed: list[Attempt]) -> IntermodelError:
    """The last error; where there were several attempts, its hint tells them all."""
    last = failed[-1].error
    if len(failed) > 1:
        tried = "; ".join(f"{a.address} after {a.seconds:.1f} s: {a.error.message}" for a in failed)
        last.hint = f"{last.hint} Tried {tried}".strip()
    return last
