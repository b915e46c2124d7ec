"""Calling a model: candidates in order, each paid for, the next one tried until a first token is there."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from intermodel.accounts import Accounts, Payer, RateLimits, new_id
from intermodel.core import Call, Capability, Fault, IntermodelError, Unavailable, Upstream
from intermodel.gateway import money
from intermodel.gateway.account import Account, Attempt
from intermodel.gateway.asking import Asked, Resuming
from intermodel.gateway.attempts import DRAIN_S, LOST, Attempts, Failed
from intermodel.gateway.cache import Cache, Kept, key_of
from intermodel.gateway.catalog import Catalog
from intermodel.gateway.choose import Target, choose, none_fit
from intermodel.gateway.failover import Failover, Place, fault_of, most_telling
from intermodel.gateway.health import Health, Standing
from intermodel.gateway.live import progress_of
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.receipt import receipt_of
from intermodel.gateway.registry import Registry
from intermodel.gateway.replay import Replay
from intermodel.gateway.reply import Reply
from intermodel.gateway.resume import continuable, continued, told_so_far
from intermodel.gateway.screen import Guards, Screen, screened
from intermodel.governance import Caller
from intermodel.providers import Provider
from intermodel.settings import Limits, Route

log = logging.getLogger(__name__)

DIRECT = Route(candidates=("direct",), attempts=2)
"""What holds for a model that is called by its own address."""


class Gateway:
    """Calls models for callers who are known. One for the node; `await stop()` ends what still runs."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        local: Provider,
        accounts: Accounts,
        rate_limits: RateLimits,
        guards: Mapping[str, tuple[Any, Any]],
        limits: Limits,
        cache: Cache,
        metrics: Metrics,
    ) -> None:
        self.catalog = catalog
        self.registry = registry
        self.metrics = metrics
        self.accounts = accounts
        self._attempts = Attempts(registry, local, accounts, rate_limits, metrics, self._later)
        self._rates = rate_limits
        self._guards = guards
        self._limits = limits
        self._cache = cache
        self._random = random.Random()  # noqa: S311 - draws lots between candidates
        self._running: set[asyncio.Task[Any]] = set()
        self._after: set[asyncio.Task[Any]] = set()
        self._live: dict[str, tuple[Account, Reply | None]] = {}
        self._stopping = False
        metrics.running.set_function(lambda: len(self._running))

    # Taking a call on

    async def call(self, call: Call, caller: Caller) -> Reply | Replay:
        """The answer of the first candidate that gives a first token (or, not streamed, a whole answer).

        The calling task belongs to this call until the reply is closed and it ends. Raises `NotFound`, `Invalid`,
        `Refused`, `OverBudget`, `Limited`, `Upstream` (the most telling one) or `Unavailable`; each has the id of its
        receipt and the attempts in `told`.
        """
        self._admit()
        self.accounts.receipts.admit()
        payer = Payer(caller.token_id, caller.name, caller.user, caller.organisation)
        account = Account(new_id(), call, caller, payer, self._over)
        self._live[account.id] = account, None
        try:
            return await self._answer(account)
        except asyncio.CancelledError:
            error = self.interrupted()
            if not account.drained:
                await self._over(account, "failed" if error else "left", error)
            if error is not None:
                raise error from None
            raise
        except IntermodelError as error:
            await self._over(account, "refused" if _is_callers(error) else "failed", error)
            raise
        except Exception:
            self._live.pop(account.id, None)
            raise

    def live(self) -> list[dict[str, Any]]:
        """The calls in progress in this process, the longest first."""
        return [progress_of(account, reply) for account, reply in self._live.values()]

    async def _answer(self, account: Account) -> Reply | Replay:
        call = account.call
        directory = await self.catalog.directory(call.model)
        account.route = directory.routes.get(call.model)
        account.candidates = choose(call, directory, self.standing, self._random)
        if not account.candidates[0].fit:
            raise self._none_fit(account)
        account.admission = await self._rates.admit(account.payer, money.likely(call))
        route = account.route or DIRECT
        if route.guards and (guards := self._looking(route, "request")):
            account.call = replace(call, body=screened(call, guards, account.findings))
        if route.cache_s:
            return await self._kept_or_asked(account, route)
        return await self._first(account, route)

    def _none_fit(self, account: Account) -> IntermodelError:
        error = none_fit(account.call, account.candidates)
        if isinstance(error, Unavailable):
            rests = [self.standing(c.target.address).rests_s for c in account.candidates]
            error.retry_after_s = max(1.0, min((r for r in rests if r), default=1.0))
        return error

    @property
    def health(self) -> Health:
        """How every place stands, and how well it did."""
        return self._attempts.health

    def standing(self, address: str) -> Standing:
        """How the deployment at `address` stands."""
        return self._attempts.standing(address)

    def _looking(self, route: Route, on: str) -> Guards:
        return {name: guard for name in route.guards for guard, at in [self._guards[name]] if on in at}

    # Trying candidates

    async def _first(self, account: Account, route: Route) -> Reply:
        """The reply of the first place that answers. Raises the most telling error of all attempts."""
        failover = Failover(route, account.candidates, self._attempts.keys, self._random.random)
        ends = time.monotonic() + route.within_s
        failed: list[IntermodelError] = []
        while (place := failover.next(time.monotonic(), ends, self._attempts.may)) is not None:
            if place.wait_s:
                await self._pause(place)
            try:
                asked, attempt = await self._hedged(account, route, failover, place, ends)
            except Failed as failure:
                failed.append(failure.error)
                if self._stopping or not failover.failed(failure.place, failure.error, time.monotonic()):
                    break
            else:
                return self._reply(account, route, asked, attempt)
        raise self._told(account, failed)

    async def _pause(self, place: Place) -> None:
        try:
            await asyncio.sleep(place.wait_s)
        except asyncio.CancelledError:
            self._attempts.forgo(place)
            raise

    async def _hedged(
        self, account: Account, route: Route, failover: Failover, place: Place, ends: float
    ) -> tuple[Asked, Attempt]:
        """The place's answer; where the route hedges and it is late, that of a second place if it comes first."""
        late = self.health.of(place.target.address, place.key).first_token(route.hedge) if route.hedge else None
        if late is None:
            return await self._ask(account, route, place, ends)
        first = asyncio.create_task(self._ask(account, route, place, ends))
        tasks = {first}
        try:
            await asyncio.wait(tasks, timeout=late)
            other = None if first.done() else failover.next(time.monotonic(), ends, self._attempts.may)
            if other is not None:
                tasks.add(asyncio.create_task(self._ask(account, route, other, ends, hedge=True)))
            return await _first_to_succeed(tasks, lambda f: failover.failed(f.place, f.error, time.monotonic()))
        finally:
            losers = [task for task in tasks if not task.done()]
            for task in losers:
                task.cancel(LOST)
            if losers:
                await asyncio.wait(losers)

    async def _ask(
        self, account: Account, route: Route, place: Place, ends: float, *, hedge: bool = False
    ) -> tuple[Asked, Attempt]:
        within_s = min(route.first_token_s or self._limits.first_token_s, ends - time.monotonic())
        return await self._attempts.ask(account, place, within_s, screen=self._screen(account, route), hedge=hedge)

    def _screen(self, account: Account, route: Route) -> Screen | None:
        guards = self._looking(route, "answer") if route.guards else None
        return Screen(guards, account.findings) if guards else None

    # Giving the answer

    def _reply(self, account: Account, route: Route, asked: Asked, attempt: Attempt) -> Reply:
        account.answered = attempt
        attempt.usage = asked.usage
        reply = Reply(self, account, asked)
        self._live[account.id] = account, reply
        if account.admission is not None:
            reply.headers = account.admission.headers
        if asked.pipe is not None:
            loop = asyncio.get_running_loop()
            total_s = (route.total_s or self._limits.call_s) - (time.monotonic() - account.started)
            reply.bound(loop.time() + total_s, route.silence_s)
            if route.continues and continuable(account.call) and any(_continues(c.target) for c in account.candidates):
                reply.sent = []
        self.metrics.of(attempt.target.address).first.observe(time.monotonic() - account.started)
        return reply

    async def settle(self, reply: Reply, outcome: str) -> None:
        """Close the account of an answer that is over, and write its receipt. Raises `Unavailable` if it cannot be."""
        account, attempt = reply.account, reply.account.answered
        assert attempt is not None
        reply.settled = True
        reply.unbound()
        usage = (reply.pipe.usage if reply.pipe is not None else attempt.usage) or None
        if usage is None and account.call.kind in money.COUNTED:
            usage = money.estimated(account.call, reply.received)
        self._attempts.close(attempt, outcome, usage)
        if outcome == "broken":
            log.warning("answer broke off", extra={"model": reply.address, "request": account.call.request_id})
        await self._over(account, outcome, None)

    async def abandon(self, reply: Reply) -> None:
        """The caller is gone before the end: stop the work upstream, or read on for the bill."""
        answered = reply.account.answered
        wanted = reply.wanted_by_others or (answered is not None and self._attempts.drains(answered.target))
        if reply.pipe is not None and wanted and not self._stopping:
            self._later(self._drain(reply))
        else:
            await reply.drop()

    async def _drain(self, reply: Reply) -> None:
        """Read an answer to its end, whose caller is gone."""
        try:
            async with asyncio.timeout(DRAIN_S):
                while await reply.read():
                    pass
        except (IntermodelError, TimeoutError):
            pass  # the receipt tells
        finally:
            await reply.drop()

    async def resume(self, reply: Reply, error: IntermodelError) -> bool:
        """Go on with another candidate where one broke off in plain text; whether that could be done."""
        account, broken = reply.account, reply.account.answered
        if (
            not isinstance(error, Upstream)
            or reply.sent is None
            or reply.pipe is None
            or broken is None
            or self._stopping
        ):
            return False
        so_far = told_so_far(reply.spoken, reply.sent)
        reply.sent = None
        if so_far is None:
            return False
        await reply.answer.close()
        self._attempts.failed(broken, error)
        self._attempts.close(broken, "broken", money.estimated(account.call, reply.received))
        others = [c.target for c in account.candidates if c.fit and _continues(c.target)]
        rest = continued(account.call, so_far)
        for target in sorted(others, key=lambda t: t.address == broken.target.address):
            place = Place(target, 0)
            if not self._attempts.may(place):
                continue
            rest_of = rest, Resuming(account.call, so_far.resumed, reply.pipe)
            try:
                asked, attempt = await self._attempts.ask(account, place, self._limits.first_token_s, rest_of=rest_of)
            except Failed:
                continue
            account.answered = attempt
            reply.go_on(asked)
            return True
        account.answered = broken
        return False

    # Money and receipts

    async def _over(self, account: Account, outcome: str, error: IntermodelError | None) -> None:
        """End a call: count it and write its receipt."""
        self._live.pop(account.id, None)
        account.outcome = outcome
        if error is not None:
            account.code = error.code
            error.told = {"receipt": account.id, "attempts": [attempt.told() for attempt in account.attempts]}
        if account.admission is not None:
            used = sum(a.usage.input + a.usage.output for a in account.attempts if a.usage is not None)
            account.admission.settle(used)
            account.admission.close()
        self.metrics.ended(account)
        try:
            await self.accounts.receipts.record(receipt_of(account))
        except Unavailable:
            if error is None:
                raise

    def _told(self, account: Account, failed: list[IntermodelError]) -> IntermodelError:
        """The most telling error; where there were several attempts, its hint tells them all."""
        if not failed:
            return self._none_fit(account)
        error = most_telling(failed)
        if len(account.attempts) > 1:
            tried = "; ".join(
                f"{a.target.address} after {a.seconds:.1f} s: {a.said or a.outcome}" for a in account.attempts
            )
            error.hint = f"{error.hint} Tried {tried}".strip()
        return error

    # Answers that are kept

    async def _kept_or_asked(self, account: Account, route: Route) -> Reply | Replay:
        key = key_of(account.call, account.caller, account.call.model)
        while (kept := self._cache.find(key)) is not None:
            kept.readers += 1
            try:
                await kept.more(0)
            finally:
                kept.readers -= 1
            if kept.error is not None:
                raise kept.error
            if not kept.given_up:
                account.cached = kept.receipt
                return Replay(self, account, kept)
        kept = self._cache.begin(key, account.id, route.cache_s or 0)
        try:
            reply = await self._first(account, route)
        except BaseException as error:
            self._cache.failed(key, kept, error if isinstance(error, Upstream) else None)
            raise
        reply.keep(self._cache, key, kept)
        return reply

    async def replayed(self, account: Account, kept: Kept, outcome: str) -> None:
        """Close the account of an answer that was given again, which costs nothing."""
        await self._over(account, outcome, None)

    # The life of the gateway

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

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._after.add(task)
        task.add_done_callback(self._after.discard)

    def interrupted(self) -> IntermodelError | None:
        """What a cancellation of the current task means: an error where the node stops, None where the caller left."""
        if not self._stopping:
            return None
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return _stopping()

    @property
    def stopping(self) -> bool:
        return self._stopping

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, let those in progress end within `grace_s`, then end them with an error."""
        self._stopping = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace_s)
        left = self._running | self._after
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=2)


async def _first_to_succeed(
    tasks: set[asyncio.Task[tuple[Asked, Attempt]]], failed: Callable[[Failed], object]
) -> tuple[Asked, Attempt]:
    """The result of the task that ends first without an error. Raises the last error where none does."""
    waiting = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is None:
                return task.result()
            if not waiting or not isinstance(error, Failed):
                raise error
            failed(error)


def _continues(target: Target) -> bool:
    return Capability.CONTINUES in target.capabilities


def _is_callers(error: IntermodelError) -> bool:
    """Whether the request is at fault, and not who was to answer it."""
    if isinstance(error, Upstream):
        return fault_of(error) in (Fault.WRONG, Fault.FILTERED, Fault.TOO_LONG)
    return not isinstance(error, Unavailable)


def _stopping() -> Unavailable:
    return Unavailable("The node is stopping.", hint="Ask again when it is back.", code="node_stopping")
