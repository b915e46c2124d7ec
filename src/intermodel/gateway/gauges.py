"""What stands at a moment (circuits, budgets, receipts that wait, the cache), looked up when Prometheus asks.

Labels are names that someone declared: at most MOST of each kind, so that no caller and no upstream can fill a
Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intermodel.accounts import Accounts, RateLimits
from intermodel.accounts import Standing as Budget
from intermodel.gateway.cache import Cache
from intermodel.gateway.catalog import Catalog
from intermodel.gateway.health import Phase, Standing

MOST = 500
"""Deployments, and budgets, that are told of."""


class Gauges(Collector):
    """`await renew()` before they are collected: what is in the database is as it was then."""

    def __init__(
        self,
        standing: Callable[[str], Standing],
        catalog: Catalog,
        accounts: Accounts,
        rate_limits: RateLimits,
        cache: Cache,
    ) -> None:
        self._standing = standing
        self._catalog = catalog
        self._accounts = accounts
        self._rates = rate_limits
        self._cache = cache
        self._addresses: Sequence[str] = ()
        self._budgets: Sequence[Budget] = ()

    async def renew(self) -> None:
        """Look up which deployments there are, and how budgets stand. Raises `Unavailable`."""
        self._addresses = sorted((await self._catalog.directory()).targets)[:MOST]
        budgets = await self._accounts.budgets.all()
        self._budgets = sorted(budgets, key=lambda one: (one.spent + one.held) / one.ceiling, reverse=True)[:MOST]

    def collect(self) -> Iterator[Metric]:
        yield self._circuits()
        yield from self._money()
        yield GaugeMetricFamily(
            "intermodel_receipts_waiting",
            "Receipts that are safe on disk and not in the database yet.",
            value=self._accounts.receipts.waiting,
        )
        yield from self._kept()
        limited = CounterMetricFamily(
            "intermodel_rate_limited", "Calls refused by a rate limit, by its name.", labels=["limit"]
        )
        for name, count in self._rates.refused.items():
            limited.add_metric([name], count)
        yield limited

    def _circuits(self) -> Metric:
        circuit = GaugeMetricFamily(
            "intermodel_circuit",
            "1 for the phase in which a deployment's circuit is: closed lets calls through, open none.",
            labels=["model", "phase"],
        )
        for address in self._addresses:
            now = self._standing(address).phase
            for phase in Phase:
                circuit.add_metric([address, phase.value], phase is now)
        return circuit

    def _money(self) -> Iterator[Metric]:
        for name, what in (
            ("ceiling", "The most that may be spent"),
            ("spent", "What was spent"),
            ("held", "What is set aside for calls"),
        ):
            family = GaugeMetricFamily(
                f"intermodel_budget_{name}_dollars", f"{what} until the budget begins anew.", labels=["budget"]
            )
            for one in self._budgets:
                family.add_metric([one.name], getattr(one, name) / 1e9)
            yield family

    def _kept(self) -> Iterator[Metric]:
        counted = CounterMetricFamily(
            "intermodel_cache_lookups", "Calls that a kept answer could have served.", labels=["result"]
        )
        counted.add_metric(["hit"], self._cache.hits)
        counted.add_metric(["miss"], self._cache.misses)
        yield counted
        yield GaugeMetricFamily("intermodel_cache_bytes", "Memory of the kept answers.", value=self._cache.bytes)
