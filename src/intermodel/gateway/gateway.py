"""Calling a model: candidates in order, each paid for, the next one tried until a first token is there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from intermodel.accounts import Accounts, Payer, RateLimits, new_id
from intermodel.core import Call, Capability, Fault, IntermodelError, Unavailable, Upstream, Usage
from intermodel.gateway import money
from intermodel.gateway.account import Account, Attempt, is_refusal
from intermodel.gateway.asking import Asked, Resuming
from intermodel.gateway.attempts import DRAIN_S, LOST, Attempts, Failed
from intermodel.gateway.cache import Cache
from intermodel.gateway.catalog import Catalog
from intermodel.gateway.choose import Candidate, Directory, Target, choose, none_fit
from intermodel.gateway.content import Content
from intermodel.gateway.failover import Failover, Place, fault_of, most_telling
from intermodel.gateway.gauges import Gauges
from intermodel.gateway.health import Health, Standing, are_closed
from intermodel.gateway.health import Place as PlaceHealth
from intermodel.gateway.live import progress_of
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.race import first_to_succeed
from intermodel.gateway.receipt import receipt_of
from intermodel.gateway.registry import Registry
from intermodel.gateway.replay import Replay
from intermodel.gateway.reply import Reply
from intermodel.gateway.resume import KEPT_BYTES, continuable, continued, told_so_far
from intermodel.gateway.scorers import Scorer, judged
from intermodel.gateway.screen import Guards, Screen, refuse_unseen, screened
from intermodel.gateway.sharing import Sharing
from intermodel.governance import Caller
from intermodel.providers import Provider
from intermodel.settings import Limits, Route

log = logging.getLogger(__name__)

DIRECT = Route(candidates=("direct",), attempts=2)
"""What holds for a model that is called by its own address."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many tokens a request has, and whether that is only an estimate; `headers` tell what limits leave."""

    tokens: int
    is_estimated: bool
    headers: tuple[tuple[bytes, bytes], ...]


PAYERS = 4096
"""Most payers that are remembered."""

LONG_BYTES = 64 * 1024
"""A request of more bytes than this is looked at by guards in a thread."""

CHOICES = 4096
"""Most choices that are remembered, of models and what is needed of them."""


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
        scorers: Mapping[str, Scorer],
        limits: Limits,
        cache: Cache,
        metrics: Metrics,
        *,
        keeps_content: bool = False,
    ) -> None:
        """`keeps_content`: receipts hold what was asked and answered."""
        self.catalog = catalog
        self.registry = registry
        self.metrics = metrics
        self.accounts = accounts
        self._attempts = Attempts(registry, local, accounts, rate_limits, metrics, self.later)
        self._rates = rate_limits
        self._guards = guards
        self._scorers = scorers
        self._limits = limits
        self._keeps_content = keeps_content
        self._chosen_from = Directory()
        self._choices: dict[tuple[str, frozenset[Capability]], tuple[tuple[Candidate, ...], list[PlaceHealth]]] = {}
        self._random = random.Random()  # noqa: S311 - draws lots between candidates
        self._running: set[asyncio.Task[Any]] = set()
        self._after: set[asyncio.Task[Any]] = set()
        self._live: dict[str, tuple[Account, Reply | None]] = {}
        self.cache = cache
        self._sharing = Sharing(self, cache, registry, self._attempts.deployment)
        self._payers: dict[str, tuple[Caller, Payer]] = {}
        self._stopping = False
        registry.forgets += [self._attempts.health.forget, metrics.forget, accounts.prices.forget, self._rechoose]
        metrics.running.set_function(lambda: len(self._running))
        self.gauges = Gauges(self.standing, catalog, accounts, rate_limits, cache)
        metrics.registry.register(self.gauges)

    # Taking a call on

    async def call(self, call: Call, caller: Caller) -> Reply | Replay:
        """The answer of the first candidate that gives a first token (or, not streamed, a whole answer).

        The calling task belongs to this call until the reply is closed and it ends. Raises `NotFound`, `Invalid`,
        `Refused`, `OverBudget`, `Limited`, `Upstream` (the most telling one) or `Unavailable`; each has the id of its
        receipt and the attempts in `told`.
        """
        self._admit()
        self.accounts.receipts.admit()
        account = Account(new_id(), call, caller, self._payer(caller), self.over)
        if self._keeps_content:
            account.content = Content()
        self._live[account.id] = account, None
        try:
            return await self._answer(account)
        except asyncio.CancelledError:
            error = self.interrupted()
            if not account.draining:
                await self.over(account, "failed" if error else "left", error)
            if error is not None:
                raise error from None
            raise
        except IntermodelError as error:
            await self.over(account, "refused" if _is_callers(error) else "failed", error)
            raise
        except Exception:
            await self.over(account, "failed", IntermodelError("A mistake of this node."))
            raise

    def _payer(self, caller: Caller) -> Payer:
        """Whom budgets and limits bind. The same caller comes again and again, so it is made once."""
        known = self._payers.get(caller.token_id)
        if known is None or known[0] is not caller:
            if len(self._payers) >= PAYERS:
                self._payers.clear()
            payer = Payer(caller.token_id, caller.name, caller.user, caller.organisation)
            known = self._payers[caller.token_id] = caller, payer
        return known[1]

    def live(self) -> list[dict[str, Any]]:
        """The calls in progress in this process, the longest first."""
        return [progress_of(account, reply) for account, reply in self._live.values()]

    async def _answer(self, account: Account) -> Reply | Replay:
        call = account.call
        account.likely = money.likely(call)
        account.admission = await self._rates.admit(account.payer, account.likely)
        directory = await self.catalog.directory(call.model)
        account.route = directory.routes.get(call.model)
        account.candidates = self._chosen(call, directory)
        if not account.candidates[0].fit:
            raise self._none_fit(account)
        route = account.route or DIRECT
        if route.guards:
            if self._looking(route, "answer"):
                refuse_unseen(call)
            account.findings = Counter()
            account.call = await self._screened(call, route, account.findings)
        if account.content is not None:
            account.content.ask(account.call)
        if route.cache_s:
            return await self._sharing.answer(account, route, directory)
        return await self.first(account, route)

    async def _screened(self, call: Call, route: Route, findings: Counter[str]) -> Call:
        """The call as the route's guards let it pass. Raises `Refused`."""
        guards = self._looking(route, "request")
        if not guards:
            return call
        if call.size > LONG_BYTES:  # too long to look at while others wait
            return replace(call, body=await asyncio.to_thread(screened, call, guards, findings))
        return replace(call, body=screened(call, guards, findings))

    async def count_tokens(self, call: Call, caller: Caller) -> Counted:
        """How many tokens the first candidate would read for `call`.

        It is free, so it has no receipt; its caller's limits count it as a request, and the route's guards look at it.
        Raises as `call` does where nobody may answer, or who is asked fails.
        """
        self._admit()
        try:
            admission = await self._rates.admit(self._payer(caller), 0)
            try:
                return Counted(*await self._counted(call), admission.headers)
            finally:
                admission.close()
        except asyncio.CancelledError:
            if (stopped := self.interrupted()) is not None:
                raise stopped from None
            raise

    async def _counted(self, call: Call) -> tuple[int, bool]:
        directory = await self.catalog.directory(call.model)
        candidates = self._chosen(call, directory)
        if not candidates[0].fit:
            raise none_fit(call, candidates)
        route = directory.routes.get(call.model) or DIRECT
        call = await self._screened(call, route, Counter())
        within_s = route.first_token_s or self._limits.first_token_s
        counted = await self._attempts.count_tokens(candidates[0].target, call, within_s)
        return (money.about_read(call), True) if counted is None else (counted, False)

    def _chosen(self, call: Call, directory: Directory) -> tuple[Candidate, ...]:
        """What `choose` says. While all is well and nothing is measured or drawn, it says the same again and again."""
        if directory is not self._chosen_from:
            self._chosen_from, self._choices = directory, {}
        known = self._choices.get((call.model, call.needs))
        if known is not None and are_closed(known[1]):
            return known[0]
        chosen = choose(call, directory, self.standing, self._random)
        route = directory.routes.get(call.model)
        settled = route is None or route.order in ("fixed", "cheapest")
        if settled and all(c.fit for c in chosen) and len(self._choices) < CHOICES:
            self._choices[call.model, call.needs] = chosen, self._attempts.places([c.target for c in chosen])
        return chosen

    def _rechoose(self, _deployment: str) -> None:
        self._choices = {}

    def _none_fit(self, account: Account) -> IntermodelError:
        error = none_fit(account.call, account.candidates)
        if isinstance(error, Unavailable):
            rests = [self.standing(c.target.address).rests_s for c in account.candidates]
            error.retry_after_s = max(1.0, min((r for r in rests if r), default=1.0))
            error.hint = f"Try again in {math.ceil(error.retry_after_s)} s."
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

    async def first(self, account: Account, route: Route) -> Reply:
        """The reply of the first place that answers. Raises the most telling error of all attempts."""
        failover = Failover(route, account.candidates, self._attempts.keys, self._random.random)
        ends = account.started + min(route.within_s, route.total_s or self._limits.call_s)
        while (place := failover.next(time.monotonic(), ends, self._attempts.may)) is not None:
            if (place.wait_s or place.asked) and not await self._rested(place):
                continue
            try:
                if route.hedge is None:
                    asked, attempt = await self._ask(account, route, place, ends)
                else:
                    late_s = self.health.of(place.target.address, place.key).first_token(route.hedge)
                    asked, attempt = await self._hedged(account, route, failover, place, ends, late_s)
            except Failed as failure:
                if self._stopping or not failover.failed(failure.place, failure.error, time.monotonic()):
                    break
            else:
                return self._reply(account, route, asked, attempt)
        raise self._told(account, failover.errors)

    async def _rested(self, place: Place) -> bool:
        """Wait as long as the place needs; whether it may be tried then."""
        if not place.asked:
            try:
                await asyncio.sleep(place.wait_s)
            except asyncio.CancelledError:
                self._attempts.forgo(place)
                raise
            return True
        rests_s = self.health.of(place.target.address, place.key).standing().rests_s
        if rests_s > place.wait_s * 1.25:  # it failed before, and rests for longer than it asked for
            return False
        await asyncio.sleep(max(place.wait_s, rests_s))
        return self._attempts.may(place)

    async def _hedged(
        self, account: Account, route: Route, failover: Failover, place: Place, ends: float, late_s: float | None
    ) -> tuple[Asked, Attempt]:
        """The place's answer; where it takes longer than `late_s`, that of a second place if it comes first."""
        if late_s is None:
            return await self._ask(account, route, place, ends)
        first = asyncio.create_task(self._ask(account, route, place, ends))
        tasks = {first}
        try:
            await asyncio.wait(tasks, timeout=late_s)
            other = None if first.done() else failover.rival(place, time.monotonic(), ends, self._attempts.may)
            if other is not None:
                tasks.add(asyncio.create_task(self._ask(account, route, other, ends, hedge=True)))
            winner = await first_to_succeed(tasks, lambda f: failover.failed(f.place, f.error, time.monotonic()))
            await self._attempts.call_off(account, tasks - {winner}, LOST)
        except asyncio.CancelledError:  # it may come when one has won already
            await self._attempts.call_off(account, tasks, "left")
            raise
        except Exception:  # a failure may end the race although another still runs; so does a mistake of ours
            await self._attempts.call_off(account, tasks, LOST)
            raise
        return winner.result()

    async def _ask(
        self, account: Account, route: Route, place: Place, ends: float, *, hedge: bool = False
    ) -> tuple[Asked, Attempt]:
        within_s = min(route.first_token_s or self._limits.first_token_s, ends - time.monotonic())
        return await self._attempts.ask(account, place, within_s, screen=self._screen(account, route), hedge=hedge)

    def _screen(self, account: Account, route: Route) -> Screen | None:
        guards = self._looking(route, "answer") if route.guards else None
        return Screen(guards, account.findings) if guards and account.findings is not None else None

    # Giving the answer

    def _reply(self, account: Account, route: Route, asked: Asked, attempt: Attempt) -> Reply:
        account.answered = attempt
        attempt.usage = asked.usage
        reply = Reply(self, account, asked)
        reply.survives = self._attempts.drains(attempt.target)
        self._live[account.id] = account, reply
        if account.admission is not None:
            reply.headers = account.admission.headers
        if asked.pipe is not None:
            loop = asyncio.get_running_loop()
            total_s = (route.total_s or self._limits.call_s) - (time.monotonic() - account.started)
            reply.bound(loop.time() + total_s, route.silence_s)
            goes_on = route.continues and continuable(account.call)
            if route.scorers or (goes_on and any(_continues(c.target) for c in account.candidates)):
                reply.sent = []
        self.metrics.first_token(attempt.target.address, time.monotonic() - account.started)
        return reply

    async def settle(self, reply: Reply, outcome: str, error: IntermodelError | None = None) -> None:
        """Close the account of an answer that is over, and write its receipt. Raises `Unavailable` if it cannot be."""
        account, attempt = reply.account, reply.account.answered
        assert attempt is not None
        reply.settled = True
        reply.unbound()
        try:
            if error is not None and not attempt.code:
                attempt.code = error.code
                if isinstance(error, Upstream):
                    self._attempts.failed(attempt, error)
                elif is_refusal(error):  # a guard, or the end of the money: no fault of who answered
                    outcome = "refused"
            self._attempts.close(attempt, outcome, _used(reply, attempt))
        except Exception:  # a mistake of ours costs neither the receipt nor the ceiling
            log.exception("an answer was not accounted for: what was set aside is charged")
            self._attempts.close_blindly(attempt)
        if outcome == "ok" and account.route is not None and account.route.scorers:
            self.later(self._judge(account, attempt, reply))
        if outcome == "broken":
            log.warning("answer broke off", extra={"model": reply.address, "request": account.call.request_id})
        await self.over(account, outcome, None)

    async def _judge(self, account: Account, attempt: Attempt, reply: Reply) -> None:
        """Have the route's scorers judge a whole answer, in a thread: its caller has it."""
        assert account.route is not None
        scorers = [self._scorers[name] for name in account.route.scorers]
        answer, spoken = (reply.sent, reply.spoken) if reply.pipe is not None else ([reply.head], account.call.kind)
        if answer is not None and sum(map(len, answer)) <= KEPT_BYTES:
            quality = await asyncio.to_thread(judged, scorers, account.call, spoken, answer)
            if quality is not None:
                self.health.judged(attempt.target.address, quality)

    async def abandon(self, reply: Reply) -> None:
        """The caller is gone before the end: stop the work upstream, or read on for the bill."""
        if reply.pipe is not None and self._is_wanted(reply) and not self._stopping:
            self.later(self._drain(reply))
        else:
            await reply.drop()

    def _is_wanted(self, reply: Reply) -> bool:
        """Whether an answer whose caller is gone is read on: for equal calls, or for the bill."""
        answered = reply.account.answered
        return reply.wanted_by_others or (answered is not None and self._attempts.drains(answered.target))

    async def _drain(self, reply: Reply) -> None:
        """Read an answer to its end, whose caller is gone."""
        reply.taken_over()
        with contextlib.suppress(IntermodelError, TimeoutError):  # the receipt tells
            try:
                async with asyncio.timeout(DRAIN_S):
                    while self._is_wanted(reply) and await reply.read():
                        pass
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
        await reply.stop()
        self._attempts.failed(broken, error)
        self._attempts.close(broken, "broken", _used(reply, broken))
        others = [c.target for c in account.candidates if c.fit and _continues(c.target)]
        rest = continued(account.call, so_far)
        route = account.route or DIRECT
        first_token_s = route.first_token_s or self._limits.first_token_s
        ends = account.started + (route.total_s or self._limits.call_s)
        for target in sorted(others, key=lambda t: t.address == broken.target.address):
            place, within_s = Place(target, 0), min(first_token_s, ends - time.monotonic())
            if within_s <= 0 or len(account.attempts) >= route.attempts or not self._attempts.may(place):
                continue
            rest_of = rest, Resuming(account.call, so_far.resumed, reply.pipe)
            try:
                asked, attempt = await self._attempts.ask(account, place, within_s, rest_of=rest_of)
            except Failed:
                continue
            except asyncio.CancelledError:
                if (stopped := self.interrupted()) is not None:
                    raise stopped from None
                raise
            account.answered = attempt
            reply.go_on(asked)
            return True
        account.answered = broken
        return False

    # Money and receipts

    async def over(self, account: Account, outcome: str, error: IntermodelError | None) -> None:
        """End a call: count it and write its receipt."""
        self._live.pop(account.id, None)
        account.outcome = outcome
        if error is not None:
            account.code = error.code
            error.told = account.told()
        if account.admission is not None:
            account.admission.settle(account.tokens)
            account.admission.close()
        costs = account.costs()
        self.metrics.ended(account, costs)
        try:
            await self.accounts.receipts.record(receipt_of(account, costs))
        except Unavailable as unwritten:
            if error is None:
                unwritten.told = account.told()
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

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` go on behind the calls; `stop` waits for it."""
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
        ends = time.monotonic() + 2
        while (left := self._running | self._after) and (remaining_s := ends - time.monotonic()) > 0:
            for task in left:  # one that ends may leave an answer to be drained, which is ended then
                task.cancel()
            await asyncio.wait(left, timeout=remaining_s)


def _used(reply: Reply, attempt: Attempt) -> Usage | None:
    """What an answer used, as reported, or by what has gone by of it."""
    call = attempt.call or reply.account.call
    if reply.pipe is None:
        return money.used(call, attempt.usage, len(reply.head) // 4, whole=True)
    return money.used(call, reply.pipe.usage, reply.received, whole=reply.pipe.finished)


def _continues(target: Target) -> bool:
    return Capability.CONTINUES in target.capabilities


def _is_callers(error: IntermodelError) -> bool:
    """Whether the request is at fault, and not who was to answer it."""
    if isinstance(error, Upstream):
        return fault_of(error) in (Fault.WRONG, Fault.FILTERED, Fault.TOO_LONG)
    return not isinstance(error, Unavailable)


def _stopping() -> Unavailable:
    return Unavailable("The node is stopping.", hint="Ask again when it is back.", code="node_stopping")
