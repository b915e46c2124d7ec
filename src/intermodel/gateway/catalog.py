"""The directory of what can be called: models of this machine, deployments, routes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from intermodel.accounts import Prices
from intermodel.core import Capability, Unavailable
from intermodel.engines import Engines, Library, Model
from intermodel.gateway.choose import Directory, Known, Target
from intermodel.gateway.registry import Declared, Registry
from intermodel.settings import Constraints, Deployment

log = logging.getLogger(__name__)

LOCAL = "llamacpp"
"""What stands for this machine's engines where a provider is named. A deployment may have the same name."""


class Records(Protocol):
    """What is known of models, as far as routes ask."""

    async def known(self, addresses: Collection[str], asked: Collection[tuple[str, str]]) -> Mapping[str, Known]:
        """By address, for each purpose and place that is asked for; nothing of those that have no record."""


class Catalog:
    """Keeps a `Directory`, renewed every `FRESH_S`; at once when something changed here or a name is not found in it.

    For names that are not found it is renewed once in `FRESH_S`, however many are asked for.
    """

    FRESH_S = 2.0
    STALE_S = 3 * FRESH_S
    """Until this age calls go on with what is known while it is renewed; they wait for what is older."""

    def __init__(
        self,
        library: Library,
        engines: Engines,
        registry: Registry,
        prices: Prices,
        energy: Callable[[str], float | None],
        records: Records | None = None,
        *,
        region: str = "",
    ) -> None:
        """`energy` tells the joules of a thousand tokens made at an address, where they were learned. `region` is that
        of this machine.

        Without `records` nothing is known of any model's licences, openness and tier.
        """
        self._records = records
        self._library = library
        self._engines = engines
        self._registry = registry
        self._prices = prices
        self._energy = energy
        self._region = region
        self._models: Mapping[str, Model] = {}
        self._directory = Directory()
        self._renewed = self._sought = float("-inf")
        self._version = -1
        self._renewing = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    async def models(self) -> Mapping[str, Model]:
        """The models of this machine, by address."""
        await self.directory()
        return self._models

    async def directory(self, wanted: str | None = None) -> Directory:
        """What can be called now; looked up afresh when `wanted` was not there."""
        if self._version != self._registry.version:
            await self._renew_once()
            return self._directory
        here = self._directory
        now = time.monotonic()
        age = now - self._renewed
        if wanted is not None and wanted not in here.targets and wanted not in here.routes:
            if now - self._sought > self.FRESH_S:
                self._sought = now
                await self._renew_once()
                return self._directory
        elif age > self.FRESH_S and wanted is None:
            await self._renew_once()
            return self._directory
        if age > self.FRESH_S:
            return await self._stale(age)
        return here

    async def _stale(self, age: float) -> Directory:
        """What is known of old, for a while; then what it is renewed to, or still the old, if the database is gone."""
        renewal = self._renewal
        if renewal is None:
            renewal = self._renewal = asyncio.create_task(self._renew_once())
            renewal.add_done_callback(self._renewal_over)
        if age > self.STALE_S:
            await asyncio.wait({renewal}, timeout=self.FRESH_S)
            if renewal.done():
                renewal.result()
            else:  # the database hangs: not every call is to wait for it
                self._renewed = time.monotonic()
        return self._directory

    async def _renew_once(self) -> None:
        asked = time.monotonic()
        async with self._renewing:  # many may wait here, of whom the first looks it up for all
            if self._renewed < asked:
                await self._renew()

    def _renewal_over(self, task: asyncio.Task[None]) -> None:
        self._renewal = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("what can be called was not looked up anew", exc_info=error)

    async def close(self) -> None:
        """End what still looks something up."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})

    async def _renew(self) -> None:
        try:
            await self._registry.renew()
            self._models = {model.address: model for model in await self._library.all()}
        except Unavailable:
            if not self._models and self._version < 0:
                raise  # nothing was ever known; otherwise calls go on with what was
        declared = self._registry.declared
        local = {address: self._local(model) for address, model in self._models.items()}
        remote = {name: self._remote(name, d, name in declared.problems) for name, d in declared.deployments.items()}
        found = Directory(await self._with_known(local | remote, declared), declared.routes)
        if found != self._directory:  # what was chosen from the one before holds on
            self._directory = found
        self._version = self._registry.version
        self._renewed = time.monotonic()

    async def _with_known(self, targets: dict[str, Target], declared: Declared) -> dict[str, Target]:
        """The targets, with what their records say where a route asks for it."""
        routes = [route for route in declared.routes.values() if _asks_records(route.require)]
        if self._records is None or not routes:
            return targets
        asked = {(route.require.verdict, route.require.place) for route in routes if route.require.verdict}
        named = {name for route in routes for name in route.candidates if name in targets}
        records = {name: _record_of(name, declared) for name in named}
        known = await self._records.known(set(records.values()), asked)
        return targets | {
            name: replace(targets[name], known=known[record]) for name, record in records.items() if record in known
        }

    def _local(self, model: Model) -> Target:
        return Target(
            address=model.address,
            provider=LOCAL,
            upstream=model.address,
            local=True,
            capabilities=model.facts.capabilities,
            context_length=self._engines.context_length(model),
            region=self._region,
            price_input=Decimal(0),
            price_output=Decimal(0),
            energy_joules=self._energy(model.address),
        )

    def _remote(self, name: str, deployment: Deployment, is_broken: bool) -> Target:
        price = self._prices.price_of(name, deployment)
        return Target(
            address=name,
            problem="it cannot be used, and the node's operator can see why" if is_broken else "",
            provider=name,
            upstream=deployment.model or name,
            local=False,
            capabilities=frozenset(map(Capability, deployment.capabilities)),
            context_length=deployment.context_length,
            output_tokens=deployment.output_tokens,
            region=deployment.region,
            price_input=price.input_per_million if price is not None else None,
            price_output=price.output_per_million if price is not None else None,
            energy_joules=self._energy(name),
        )


def _asks_records(require: Constraints) -> bool:
    return bool(require.verdict or require.openness or require.tier is not None)


def _record_of(name: str, declared: Declared) -> str:
    """The address under which the record of a target is kept."""
    deployment = declared.deployments.get(name)
    return (deployment.record or name) if deployment is not None else name
