"""What is counted of calls, for Prometheus. Labels are addresses and outcomes; never a prompt, token or caller."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from intermodel.engines import Phase, State
from intermodel.gateway.account import Account

OUTCOMES = ("ok", "left", "broken", "refused", "failed")
"""How a call ends: whole, with the caller gone, with the answer broken off, refused as wrong, or without an answer."""

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class _EngineStates(Collector):
    """What engines are doing, looked up when Prometheus asks."""

    def __init__(self, states: Callable[[], Sequence[State]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("intermodel_engine_ready", "1 if the engine can answer.", labels=["model"])
        rss = GaugeMetricFamily("intermodel_engine_rss_bytes", "Memory of the engine's process.", labels=["model"])
        restarts = GaugeMetricFamily("intermodel_engine_restarts", "Starts after a crash.", labels=["model"])
        for state in self._states():
            ready.add_metric([state.address], state.phase is Phase.READY)
            rss.add_metric([state.address], state.rss_bytes)
            restarts.add_metric([state.address], state.restarts)
        return iter((ready, rss, restarts))


class ModelMetrics:
    """What is counted of one model's calls. Prometheus finds a counter by its labels slowly; this keeps them."""

    def __init__(self, metrics: Metrics, address: str) -> None:
        self.first = metrics.first.labels(address)
        self.duration = metrics.duration.labels(address)
        self.dollars = metrics.dollars.labels(address)
        self.outcomes = {outcome: metrics.calls.labels(address, outcome) for outcome in OUTCOMES}
        self.read, self.made = (metrics.tokens.labels(address, kind) for kind in ("input", "output"))


class Metrics:
    """One registry for a node; nothing is registered globally, so that two nodes can live in one process."""

    def __init__(self, engine_states: Callable[[], Sequence[State]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_EngineStates(engine_states))
        self.of = functools.cache(functools.partial(ModelMetrics, self))
        self.calls = Counter(
            "intermodel_calls", "Calls that ended, by model and outcome.", ["model", "outcome"], registry=self.registry
        )
        self.attempts_failed = Counter(
            "intermodel_attempts_failed",
            "Attempts at a candidate that failed, by model and error code.",
            ["model", "code"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "intermodel_tokens", "Tokens that upstreams reported.", ["model", "kind"], registry=self.registry
        )
        self.dollars = Counter(
            "intermodel_dollars", "US dollars spent, as receipts tell them.", ["model"], registry=self.registry
        )
        self.running = Gauge("intermodel_calls_running", "Calls in progress.", registry=self.registry)
        self.first = Histogram(
            "intermodel_first_token_seconds",
            "From the call to its first token (or its whole answer).",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.duration = Histogram(
            "intermodel_call_seconds",
            "From the call to the end of its answer.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def ended(self, account: Account) -> None:
        """Count a call that is over."""
        answered = account.answered or (account.attempts[-1] if account.attempts else None)
        counted = self.of(answered.target.address if answered is not None else "")
        counted.outcomes[account.outcome].inc()
        counted.duration.observe(time.monotonic() - account.started)
        if answered is not None and answered.usage is not None:
            counted.read.inc(answered.usage.input)
            counted.made.inc(answered.usage.output)
        if spent := account.spent:
            counted.dollars.inc(spent / 1e9)
