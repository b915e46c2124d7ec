"""One attempt at one place: admitted, paid for, asked, and its account closed, however it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from intermodel.accounts import Accounts, Busy, RateLimits
from intermodel.core import Call, Fault, IntermodelError, Invalid, OverBudget, Unavailable, Upstream, Usage
from intermodel.gateway import money
from intermodel.gateway.account import Account, Attempt
from intermodel.gateway.asking import Asked, Resuming, ask, named
from intermodel.gateway.catalog import LOCAL
from intermodel.gateway.choose import Target
from intermodel.gateway.failover import Place
from intermodel.gateway.health import Health, Standing
from intermodel.gateway.meter import Meter
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.receipt import receipt_of
from intermodel.gateway.registry import Registry
from intermodel.gateway.screen import Screen
from intermodel.providers import Provider
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
        call, resuming = rest_of or (account.call, None)
        try:
            most = await self._granted(account, attempt, deployment)
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
        attempt.first_token_s = attempt.elapsed
        self.health.of(target.address, place.key).first()
        if asked.pipe is not None and attempt.reservation is not None and attempt.reservation.amount < attempt.worst:
            assert attempt.price is not None
            asked.meter = Meter(attempt.price, attempt.reservation, money.most_read(call), asked.spoken)
        return asked, attempt

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
        admission = await self._rates.try_admit(target.address, deployment.rate, money.likely(call))
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
        opened = receipt_of(account) | {"answered": target.address}
        attempt.reservation = await self._accounts.budgets.reserve(account.payer, attempt.worst, opened, at_least=least)
        return tokens

    def _cancelled(self, account: Account, attempt: Attempt, *, lost: bool) -> None:
        self.health.of(attempt.target.address, attempt.key).left()
        outcome = "lost" if lost else "left"
        if attempt.asking is not None and not attempt.asking.done():
            account.drained = not lost
            self._later(self._drain(account, attempt, outcome))
        else:
            self.close(attempt, outcome, money.estimated(account.call, 0))

    async def _drain(self, account: Account, attempt: Attempt, outcome: str) -> None:
        """Wait for an answer that nobody waits for any more: its end tells the exact bill."""
        usage: Usage | None = money.estimated(account.call, 0)
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
        except (IntermodelError, TimeoutError):
            pass  # the estimate stands
        finally:
            self.close(attempt, outcome, usage)
            if account.drained:
                await account.over(outcome)

    def failed(self, attempt: Attempt, error: IntermodelError) -> None:
        """Learn from, count and log a failure: by its code alone, for an upstream's words may quote the prompt."""
        target = attempt.target
        attempt.failed(named(error, target))
        health = self.health.of(target.address, attempt.key)
        if isinstance(error, Upstream) and error.code != "deployment_limited":
            health.failed(error.fault, error.retry_after_s)
        else:
            health.left()
        code = f"status_{error.status}" if isinstance(error, Upstream) and error.status else error.code
        self._metrics.attempts_failed.labels(target.address, code).inc()
        level = logging.INFO if isinstance(error, Invalid) else logging.WARNING
        log.log(level, "attempt failed", extra={"model": target.address, "code": code})

    def close(self, attempt: Attempt, outcome: str, usage: Usage | None) -> None:
        """End an attempt: what it used, what that costs, what is given back."""
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
        if outcome == "ok":
            health = self.health.of(attempt.target.address, attempt.key)
            health.ok(attempt.first_token_s or attempt.seconds, usage.output if usage else 0, attempt.seconds)
        elif outcome == "left" and attempt.first_token_s is not None:
            self.health.of(attempt.target.address, attempt.key).left()
