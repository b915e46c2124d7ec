"""What is counted of calls, for Prometheus. Labels are addresses and outcomes; never a prompt, token or caller."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from intermodel.engines import Phase, State
from intermodel.gateway.account import Account, Costs

OUTCOMES = ("ok", "left", "broken", "refused", "failed")
"""How a call ends: whole, with the caller gone, with the answer broken off, refused (as wrong, or by this node, also in
the middle of a stream), or without an answer."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


CODES = 64
"""So many codes of failed attempts are told apart; the rest are `other`, for an upstream may name any number."""


class _EngineStates(Collector):
    """What engines are doing, looked up when Prometheus asks."""

    def __init__(self, states: Callable[[], Sequence[State]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("intermodel_engine_ready", "1 if the engine can answer.", labels=["model"])
        rss = GaugeMetricFamily("intermodel_engine_rss_bytes", "Memory of the engine's process.", labels=["model"])
        restarts = CounterMetricFamily("intermodel_engine_restarts", "Starts after a crash.", labels=["model"])
        for state in self._states():
            ready.add_metric([state.address], state.phase is Phase.READY)
            rss.add_metric([state.address], state.rss_bytes)
            restarts.add_metric([state.address], state.restarts)
        return iter((ready, rss, restarts))


class _Times:
    """A histogram's buckets, counted where only one thread counts: Prometheus's own take a lock each time."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds

    @property
    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus's format has them."""
        bounds = [*map(str, map(float, _SECONDS)), "+Inf"]
        return list(zip(bounds, accumulate(self.counts), strict=True))


class _Counts:
    """What is counted of one model's calls."""

    __slots__ = ("duration", "first", "made", "nano", "outcomes", "read", "unknown")

    def __init__(self) -> None:
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.first = _Times()
        self.duration = _Times()
        self.read = self.made = self.nano = self.unknown = 0


class _Calls(Collector):
    """All models' counts, made into metrics when Prometheus asks."""

    def __init__(self, counts: Mapping[str, _Counts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(
            "intermodel_calls", "Calls that ended, by model and outcome.", labels=["model", "outcome"]
        )
        tokens = CounterMetricFamily("intermodel_tokens", "Tokens, as receipts tell them.", labels=["model", "kind"])
        dollars = CounterMetricFamily(
            "intermodel_dollars", "US dollars spent, as far as that is known.", labels=["model"]
        )
        unknown = CounterMetricFamily(
            "intermodel_calls_cost_unknown",
            "Calls of whose cost not all is known, and so not in intermodel_dollars.",
            labels=["model"],
        )
        first = HistogramMetricFamily(
            "intermodel_first_token_seconds", "From the call to its first token, or whole answer.", labels=["model"]
        )
        duration = HistogramMetricFamily(
            "intermodel_call_seconds", "From the call to the end of its answer.", labels=["model"]
        )
        for address, counted in self._counts.items():
            for outcome, count in counted.outcomes.items():
                calls.add_metric([address, outcome], count)
            tokens.add_metric([address, "input"], counted.read)
            tokens.add_metric([address, "output"], counted.made)
            if counted.nano or not counted.unknown:  # nothing that is known is not nothing
                dollars.add_metric([address], counted.nano / 1e9)
            unknown.add_metric([address], counted.unknown)
            first.add_metric([address], counted.first.buckets, counted.first.total)
            duration.add_metric([address], counted.duration.buckets, counted.duration.total)
        return iter((calls, tokens, dollars, unknown, first, duration))


class Metrics:
    """One registry for a node; nothing is registered globally, so that two nodes can live in one process."""

    def __init__(self, engine_states: Callable[[], Sequence[State]]) -> None:
        self._counts: defaultdict[str, _Counts] = defaultdict(_Counts)
        self._codes: set[str] = set()
        self.registry = CollectorRegistry()
        self.registry.register(_EngineStates(engine_states))
        self.registry.register(_Calls(self._counts))
        self.attempts_failed = Counter(
            "intermodel_attempts_failed",
            "Attempts at a candidate that failed, by model and error code.",
            ["model", "code"],
            registry=self.registry,
        )
        self.running = Gauge("intermodel_calls_running", "Calls in progress.", registry=self.registry)

    def forget(self, address: str) -> None:
        """The deployment was removed; its counters end."""
        self._counts.pop(address, None)
        self.attempts_failed.remove_by_labels({"model": address})

    def first_token(self, address: str, seconds: float) -> None:
        """An answer began so long after its call."""
        self._counts[address].first.observe(seconds)

    def attempt_failed(self, address: str, code: str) -> None:
        """An attempt at that address failed."""
        if code not in self._codes:
            code = code if len(self._codes) < CODES else "other"
            self._codes.add(code)
        self.attempts_failed.labels(address, code).inc()

    def ended(self, account: Account, costs: Costs) -> None:
        """Count a call that is over."""
        answered = account.answered or (account.attempts[-1] if account.attempts else None)
        counted = self._counts[answered.target.address if answered is not None else ""]
        counted.outcomes[account.outcome] += 1
        counted.duration.observe(time.monotonic() - account.started)
        if answered is not None and answered.usage is not None:
            counted.read += answered.usage.input
            counted.made += answered.usage.output
        counted.nano += costs.at_least
        counted.unknown += costs.spent is None
