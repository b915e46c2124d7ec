"""What is counted of calls, for Prometheus. Labels are addresses and outcomes; never a prompt, token or caller."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One registry for a node; nothing is registered globally, so that two nodes can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
