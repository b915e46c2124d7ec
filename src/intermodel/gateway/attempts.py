"""One attempt at one place: admitted, paid for, asked, and its account closed, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from intermodel.accounts import Accounts, Busy, Price, RateLimits
from intermodel.accounts.prices import USUAL_TIERS
from intermodel.core import Call, Fault, IntermodelError, OverBudget, Refused, Unavailable, Upstream, Usage
from intermodel.gateway import money
from intermodel.gateway.account import Account, Attempt, told_code
from intermodel.gateway.asking import Asked, Resuming, ask, named
from intermodel.gateway.choose import Target
from intermodel.gateway.deadline import Deadline
from intermodel.gateway.failover import Place
from intermodel.gateway.health import Health, Standing
from intermodel.gateway.health import Place as PlaceHealth
from intermodel.gateway.meter import Meter
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.receipt import opened_of
from intermodel.gateway.registry import Registry
from intermodel.gateway.said import Said, Seen
from intermodel.gateway.screen import Screen
from intermodel.providers import CountsTokens, Provider
from intermodel.settings import Deployment

log = logging.getLogger(__name__)

HERE = Deployment(provider="echo")
"""What holds for a model of this machine, which no table declares: it costs nothing and has no limit."""

LOST = "lost the race"
"""With this word an attempt is cancelled whose rival was faster."""

DRAIN_S = 300.0
"""Longest time in which an answer is read to its end for nobody but the bill."""

LEAST_TOKENS = 64
"""A stream begins under a budget if there is money for this many tokens; it is ended where there is no more."""


class Failed(Exception):
    """An attempt that failed, with its place."""

    def __init__(self, place: Place, error: IntermodelError) -> None:
        super().__init__(error.message)
        self.place = place
        self.error = error


class Attempts:
    """Makes attempts, and knows how the places stand that they were made at.

    `later` takes work that goes on when the call it belongs to is over.
    """

    def __init__(
        self,
        registry: Registry,
        local: Provider,
        accounts: Accounts,
        rate_limits: RateLimits,
        metrics: Metrics,
        later: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.health = Health()
        self._registry = registry
        self._local = (local,)
        self._accounts = accounts
        self._rates = rate_limits
        self._metrics = metrics
        self._later = later

    def keys(self, address: str) -> int:
        """How many keys the deployment at `address` has; a model of this machine counts as one."""
        return len(self._registry.declared.connections.get(address) or self._local)

    def standing(self, address: str) -> Standing:
        """How the deployment at `address` stands."""
        return self.health.standing(address, self.keys(address))

    def places(self, targets: Iterable[Target]) -> list[PlaceHealth]:
        """The health of every key of the targets."""
        return [self.health.of(one.address, key) for one in targets for key in range(self.keys(one.address))]

    def may(self, place: Place) -> bool:
        """Whether the place's circuit lets it be tried. A yes is followed by `ask`, or by `forgo`."""
        return self.health.of(place.target.address, place.key).may()

    def forgo(self, place: Place) -> None:
        """The place is not tried after all."""
        self.health.of(place.target.address, place.key).left()

    def deployment(self, target: Target) -> Deployment:
        """What is declared of a target."""
        return HERE if target.local else self._registry.declared.deployments.get(target.address, HERE)

    def drains(self, target: Target) -> bool:
        """Whether its answers are read to their end when the caller leaves."""
        return self.deployment(target).when_client_leaves == "drain"

    async def ask(
        self,
        account: Account,
        place: Place,
        within_s: float,
        *,
        screen: Screen | None = None,
        rest_of: tuple[Call, Resuming] | None = None,
        hedge: bool = False,
    ) -> tuple[Asked, Attempt]:
        """The beginning of the place's answer. Raises `Failed`, or `CancelledError` when the caller leaves.

        `rest_of` asks for the rest of an answer: the call to make, and what the caller has of it.
        """
        target = place.target
        deployment = self.deployment(target)
        call, resuming = rest_of or (account.call, None)
        listed = self._accounts.prices.price_of(target.address, deployment)
        attempt = account.begin(target, place.key, listed)
        attempt.tier = tier = money.tier_asked(call)
        attempt.price = money.price_at(listed, tier)
        attempt.hedge, attempt.resumed, attempt.call = hedge, rest_of is not None, call
        if target.local:
            attempt.measure = self._accounts.power.begin(target.address)
        else:
            attempt.host = deployment.host
        seen = Seen()
        try:
            most = await self._granted(account, call, attempt, deployment)
            attempt.begun = True
            asking = ask(
                self._provider(place),
                target,
                call,
                within_s=within_s,
                screen=screen,
                most_tokens=most,
                resuming=resuming,
                seen=seen,
            )
            if self.drains(target):
                attempt.asking = asyncio.create_task(asking)
                asked = await asyncio.shield(attempt.asking)
            else:
                asked = await asking
        except asyncio.CancelledError as cancelled:
            self._cancelled(account, attempt, lost=LOST in cancelled.args)
            raise
        except IntermodelError as error:
            self.failed(attempt, error)
            self.close(attempt, "failed", _used_in_vain(attempt, call, error, seen))
            raise Failed(place, error) from error
        except Exception:  # a mistake of ours holds no money, no probe and no place in a limit
            self.forgo(place)
            self.close_blindly(attempt)
            raise
        attempt.first_token_s = attempt.elapsed
        self.health.of(target.address, place.key).first()
        asked.meter = _meter(attempt, call, asked)
        return asked, attempt

    async def count_tokens(self, target: Target, call: Call, within_s: float) -> int | None:
        """How many tokens the target would read for `call`; None where only answering it would tell."""
        provider = self._provider(Place(target, 0))
        if not isinstance(provider, CountsTokens):
            return None
        try:
            with Deadline(within_s):
                return await provider.count_tokens(call, target.upstream)
        except TimeoutError:
            raise Upstream(f"'{target.address}' did not count in {within_s:g} s.", code="upstream_timeout") from None
        except IntermodelError as error:
            raise named(error, target) from error.__cause__

    def _provider(self, place: Place) -> Provider:
        target = place.target
        connections = self._local if target.local else self._registry.declared.connections.get(target.provider)
        if not connections:
            raise Unavailable(f"The deployment '{target.address}' was just taken away.", hint="Ask again.")
        return connections[min(place.key, len(connections) - 1)]

    async def _granted(self, account: Account, call: Call, attempt: Attempt, deployment: Deployment) -> int | None:
        """Have the attempt admitted and paid for; the number of tokens that it is held to, where a budget binds it."""
        target = attempt.target
        admission = await self._rates.try_admit(target.address, deployment.rate, account.likely)
        if isinstance(admission, Busy):
            raise Upstream(
                f"'{target.address}' is at the limit that this node sets it.",
                code="deployment_limited",
                fault=Fault.TIRED,
                retry_after_s=admission.retry_after_s,
            )
        attempt.admission = admission
        if not self._accounts.budgets.binds(account.payer):
            return None
        if attempt.listed is None:
            raise OverBudget(
                f"'{target.address}' has no known price, and a budget binds this token.",
                hint=f"Give the deployment a price: [deployments.{target.address}.price], input and output.",
                code="unpriced_model",
            )
        if field := money.unbounded(call, attempt.price):
            raise OverBudget(
                f"A budget binds this token, and nothing bounds what '{target.address}' may charge for '{field}'.",
                hint="What can be granted: a price by the request alone ([deployments.NAME.price] request), and a "
                "service tier with a price of its own ([deployments.NAME.price.tiers.TIER]).",
                code="unbounded_under_budget",
            )
        assert attempt.price is not None
        return await self._reserved(account, call, attempt, attempt.price)

    async def _reserved(self, account: Account, call: Call, attempt: Attempt, price: Price) -> int:
        """Have the money set aside; the number of tokens that may be made for it, fewer only in a stream."""
        if price.for_an_hour is not price and money.keeps_an_hour(call):
            attempt.price = price = price.for_an_hour
        read, tokens = money.most_read(call), money.limited(call, attempt.target)
        attempt.worst = price.bound(read, tokens)
        few = min(tokens, LEAST_TOKENS * money.answers(call))
        least = price.bound(read, few) if call.stream else attempt.worst
        opened = opened_of(account, attempt.target.address)
        attempt.reservation = await self._accounts.budgets.reserve(account.payer, attempt.worst, opened, at_least=least)
        if attempt.reservation is None or attempt.reservation.amount >= attempt.worst:
            return tokens
        return min(tokens, price.buys(read, attempt.reservation.amount))

    async def call_off(self, account: Account, tasks: set[asyncio.Task[tuple[Asked, Attempt]]], why: str) -> None:
        """End what `tasks` ask for, and wait until each has ended; also those that have just got their answer."""
        for task in tasks:
            task.cancel(why)
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                asked, attempt = task.result()
                await asked.answer.close()
                usage = money.used(account.call, asked.usage, 0, whole=True)
                self.close(attempt, "lost" if why == LOST else "left", usage)

    def _cancelled(self, account: Account, attempt: Attempt, *, lost: bool) -> None:
        """The loser of a race is stopped at once, also where the answers of callers who leave are drained."""
        self.health.of(attempt.target.address, attempt.key).left()
        if attempt.asking is not None and not lost:
            account.draining += 1
            self._later(self._drain(account, attempt))
            return
        if attempt.asking is not None:
            self._later(_called_off(attempt.asking))
        usage = money.estimated(account.call, 0) if attempt.begun else None
        self.close(attempt, "lost" if lost else "left", usage)

    async def _drain(self, account: Account, attempt: Attempt) -> None:
        """Wait for an answer that nobody waits for any more: its end tells the exact bill."""
        usage: Usage | None = money.estimated(account.call, 0)
        outcome, call = "left", attempt.call or account.call
        account.answered = attempt
        assert attempt.asking is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                asked = await attempt.asking
                usage, said = asked.usage or usage, Said(asked.spoken)
                meter = _meter(attempt, call, asked)
                try:
                    while asked.pipe is not None and (data := asked.head or await asked.answer.read()):
                        asked.head = b""
                        said.feed(data)
                        if meter is not None:
                            await meter.pay(data)
                        asked.pipe.feed(data)
                finally:
                    if asked.pipe is not None:
                        usage = money.used(call, asked.pipe.usage, said.tokens, whole=asked.pipe.finished)
                    await asked.answer.close()
        except IntermodelError as error:
            if not attempt.asking.done() or attempt.asking.exception() is not None:  # it never began
                self.failed(attempt, error)
                outcome, usage = "failed", _used_in_vain(attempt, call, error, Seen())
        except TimeoutError:
            pass  # the estimate stands
        finally:
            self.close(attempt, outcome, usage)
            account.draining -= 1
            if not account.draining:
                with contextlib.suppress(Unavailable):  # it is written as soon as that is possible
                    await account.over("left")

    def failed(self, attempt: Attempt, error: IntermodelError) -> None:
        """Learn from, count and log a failure: by its code alone, for an upstream's words may quote the prompt."""
        target = attempt.target
        attempt.failed(named(error, target))
        health = self.health.of(target.address, attempt.key)
        if isinstance(error, Upstream) and error.code != "deployment_limited":
            health.failed(error.fault, error.retry_after_s)
        else:
            health.left()
        code = f"status_{error.status}" if isinstance(error, Upstream) and error.status else told_code(error.code)
        about = {"model": target.address, "code": code, "request": attempt.call.request_id if attempt.call else ""}
        if attempt.outcome == "refused":
            log.info("attempt refused", extra=about)
        else:
            self._metrics.attempt_failed(target.address, code)
            log.warning("attempt failed", extra=about)

    def close(self, attempt: Attempt, outcome: str, usage: Usage | None) -> None:
        """End an attempt, once: what it used, what that costs, what is given back."""
        if attempt.closed:
            return
        attempt.closed = True
        attempt.seconds = attempt.elapsed
        if attempt.outcome == "running" or outcome != "failed":
            attempt.outcome = outcome
        attempt.usage = usage
        held = attempt.reservation.amount if attempt.reservation is not None else None
        attempt.cost, charge = None, held or 0  # should the next line fail
        try:
            charge = _bill(attempt, outcome, held)
        finally:
            self._let_go(attempt, charge)
        self._power(attempt, usage.output if usage is not None else 0)
        if outcome == "ok":
            health = self.health.of(attempt.target.address, attempt.key)
            health.ok(attempt.first_token_s or attempt.seconds, usage.output if usage else 0, attempt.seconds)
        elif outcome == "left" and attempt.first_token_s is not None:
            self.health.of(attempt.target.address, attempt.key).left()

    def close_blindly(self, attempt: Attempt) -> None:
        """End an attempt of which nobody knows what it came to: what was set aside for it is charged."""
        if attempt.closed:
            return
        attempt.closed, attempt.outcome, attempt.seconds = True, "failed", attempt.elapsed
        charge = 0
        if attempt.begun:
            attempt.cost = None
            charge = attempt.reservation.amount if attempt.reservation is not None else 0
        self._let_go(attempt, charge)

    def _let_go(self, attempt: Attempt, charge: int) -> None:
        """Spend what the attempt came to, and give back the rest and its place in the limits."""
        usage = attempt.usage
        if attempt.reservation is not None and attempt.reservation.spent is None:
            attempt.reservation.settle(charge)
        if attempt.admission is not None:
            attempt.admission.settle(usage.input + usage.output if usage is not None else 0)
            attempt.admission.close()

    def _power(self, attempt: Attempt, output_tokens: int) -> None:
        """Note what an attempt used of electricity, or learn what its deployment does."""
        power, target = self._accounts.power, attempt.target
        if attempt.measure is not None:
            attempt.energy = power.end(attempt.measure, target.address, output_tokens)
        elif attempt.outcome == "ok" and attempt.host:
            power.learn(target.address, attempt.host, target.upstream, output_tokens, attempt.seconds)


PAID_IN_VAIN = frozenset(
    {"upstream_timeout", "upstream_broken", "upstream_too_large", "upstream_protocol", "upstream_empty"}
)
"""Failures after which the vendor may bill the call all the same: it took it, and did not refuse it itself."""


def _used_in_vain(attempt: Attempt, call: Call, error: IntermodelError, seen: Seen) -> Usage | None:
    """What an attempt is charged that gave no answer; None where the upstream was not reached, or refused itself."""
    if not attempt.begun:
        return None
    if isinstance(error, Refused):  # by a guard of ours, of an answer that was paid for
        return money.used(call, seen.usage, seen.bytes // 4, whole=True)
    if isinstance(error, Upstream) and error.status is None and error.code in PAID_IN_VAIN:
        return money.used(call, seen.usage, seen.bytes // 4, whole=True)
    return None


def _bill(attempt: Attempt, outcome: str, held: int | None) -> int:
    """Note what an attempt cost; what budgets are charged for it, also where nobody knows what it cost.

    `held` is what was set aside; None where no budget binds.
    """
    usage, tier = attempt.usage, attempt.tier
    if usage is None and (not attempt.begun or outcome == "failed"):
        attempt.cost = 0
        return 0
    if usage is not None and usage.tier:
        attempt.tier = tier = "" if usage.tier in USUAL_TIERS else usage.tier
    assert attempt.call is not None
    attempt.cost, charge, attempt.price = money.billed(attempt.listed, tier, attempt.call, usage, held)
    return charge


def _meter(attempt: Attempt, call: Call, asked: Asked) -> Meter | None:
    """What ends a stream that began with less money than it may cost."""
    if asked.pipe is None or attempt.reservation is None or attempt.reservation.amount >= attempt.worst:
        return None
    assert attempt.price is not None
    return Meter(attempt.price, attempt.reservation, money.most_read(call), asked.spoken)


async def _called_off(asking: asyncio.Task[Asked]) -> None:
    """End an attempt's work, whether or not its answer has begun by now."""
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError, IntermodelError):
        await (await asking).answer.close()
