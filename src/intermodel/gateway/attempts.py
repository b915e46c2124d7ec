"""One attempt at one place: admitted, paid for, asked, and its account closed, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from intermodel.accounts import Accounts, Busy, RateLimits
from intermodel.core import Call, Fault, IntermodelError, Invalid, OverBudget, Unavailable, Upstream, Usage
from intermodel.gateway import money
from intermodel.gateway.account import Account, Attempt, told_code
from intermodel.gateway.asking import Asked, Resuming, ask, named
from intermodel.gateway.catalog import LOCAL
from intermodel.gateway.choose import Target
from intermodel.gateway.failover import Place
from intermodel.gateway.health import Health, Standing
from intermodel.gateway.meter import Meter
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.receipt import opened_of
from intermodel.gateway.registry import Registry
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

    def is_well(self, target: Target) -> bool:
        """Whether every circuit before the target is closed."""
        return all(self.health.of(target.address, key).is_closed for key in range(self.keys(target.address)))

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
        attempt = account.begin(target, place.key, self._accounts.prices.price_of(target.address, deployment))
        attempt.hedge, attempt.resumed = hedge, rest_of is not None
        if target.local:
            attempt.measure = self._accounts.power.begin(target.address)
        else:
            attempt.host = deployment.host
        call, resuming = rest_of or (account.call, None)
        try:
            most = await self._granted(account, attempt, deployment)
            attempt.begun = True
            asking = ask(
                self._provider(place),
                target,
                call,
                within_s=within_s,
                screen=screen,
                most_tokens=most,
                resuming=resuming,
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
            self.close(attempt, "failed", None)
            raise Failed(place, error) from error
        except Exception:  # a mistake of ours holds no money, no probe and no place in a limit
            self.forgo(place)
            self.close(attempt, "failed", None)
            raise
        attempt.first_token_s = attempt.elapsed
        self.health.of(target.address, place.key).first()
        if asked.pipe is not None and attempt.reservation is not None and attempt.reservation.amount < attempt.worst:
            assert attempt.price is not None
            asked.meter = Meter(attempt.price, attempt.reservation, money.most_read(call), asked.spoken)
        return asked, attempt

    async def count_tokens(self, target: Target, call: Call) -> int | None:
        """How many tokens the target would read for `call`; None where only answering it would tell."""
        provider = self._provider(Place(target, 0))
        return await provider.count_tokens(call, target.upstream) if isinstance(provider, CountsTokens) else None

    def _provider(self, place: Place) -> Provider:
        target = place.target
        connections = self._registry.declared.connections.get(target.provider)
        if target.provider == LOCAL:
            connections = self._local
        if not connections:
            raise Unavailable(f"The deployment '{target.address}' was just taken away.", hint="Ask again.")
        return connections[min(place.key, len(connections) - 1)]

    async def _granted(self, account: Account, attempt: Attempt, deployment: Deployment) -> int | None:
        """Have the attempt admitted and paid for; the number of tokens that it is held to, where a budget binds it."""
        call, target = account.call, attempt.target
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
        if attempt.price is None:
            raise OverBudget(
                f"'{target.address}' has no known price, and a budget binds this token.",
                hint=f"Give the deployment a price: [deployments.{target.address}.price], input and output.",
                code="unpriced_model",
            )
        read, tokens = money.most_read(call), money.limited(call, target)
        attempt.worst = attempt.price.bound(read, tokens)
        least = attempt.price.bound(read, min(tokens, LEAST_TOKENS)) if call.stream else attempt.worst
        opened = opened_of(account, target.address)
        attempt.reservation = await self._accounts.budgets.reserve(account.payer, attempt.worst, opened, at_least=least)
        return tokens

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
                self.close(attempt, "lost" if why == LOST else "left", money.estimated(account.call, 0))

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
        outcome = "left"
        account.answered = attempt
        assert attempt.asking is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                asked = await attempt.asking
                try:
                    while asked.pipe is not None and (data := asked.head or await asked.answer.read()):
                        asked.head = b""
                        asked.pipe.feed(data)
                finally:
                    await asked.answer.close()
            usage = asked.usage or (asked.pipe and asked.pipe.usage) or usage
        except IntermodelError as error:
            if not attempt.asking.done() or attempt.asking.exception() is not None:  # it never began: it costs nothing
                self.failed(attempt, error)
                outcome, usage = "failed", None
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
        self._metrics.attempt_failed(target.address, code)
        level = logging.INFO if isinstance(error, Invalid) else logging.WARNING
        log.log(level, "attempt failed", extra={"model": target.address, "code": code})

    def close(self, attempt: Attempt, outcome: str, usage: Usage | None) -> None:
        """End an attempt, once: what it used, what that costs, what is given back."""
        if attempt.closed:
            return
        attempt.closed = True
        attempt.seconds = attempt.elapsed
        if attempt.outcome == "running" or outcome != "failed":
            attempt.outcome = outcome
        attempt.usage = usage
        attempt.cost = money.cost_of(attempt.price, usage) if usage is not None else 0
        if attempt.reservation is not None:
            if usage is not None and usage.estimated:
                attempt.cost = min(attempt.cost, attempt.reservation.amount)
            attempt.reservation.settle(attempt.cost)
        if attempt.admission is not None:
            attempt.admission.settle(usage.input + usage.output if usage is not None else 0)
            attempt.admission.close()
        self._power(attempt, usage.output if usage is not None else 0)
        if outcome == "ok":
            health = self.health.of(attempt.target.address, attempt.key)
            health.ok(attempt.first_token_s or attempt.seconds, usage.output if usage else 0, attempt.seconds)
        elif outcome == "left" and attempt.first_token_s is not None:
            self.health.of(attempt.target.address, attempt.key).left()

    def _power(self, attempt: Attempt, output_tokens: int) -> None:
        """Note what an attempt used of electricity, or learn what its deployment does."""
        power, target = self._accounts.power, attempt.target
        if attempt.measure is not None:
            attempt.energy = power.end(attempt.measure, target.address, output_tokens)
        elif attempt.outcome == "ok" and attempt.host:
            power.learn(target.address, attempt.host, target.upstream, output_tokens, attempt.seconds)


async def _called_off(asking: asyncio.Task[Asked]) -> None:
    """End an attempt's work, whether or not its answer has begun by now."""
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError, IntermodelError):
        await (await asking).answer.close()
