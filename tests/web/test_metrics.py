"""What Prometheus is told of a node, and that nobody outside can make it much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from intermodel.engines import Phase, State
from intermodel.gateway.metrics import CODES, Metrics
from intermodel.settings import RateLimit
from tests.support import Running, running
from tests.traffic import call, make_calls, settings_with_traffic


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    limits = {"nobody": RateLimit(token="nobody"), "few": RateLimit(requests_per_minute=12)}
    with running(settings_with_traffic(folder, rate_limits=limits)) as served:
        make_calls(served)
        for _ in range(12):
            call(served, "acme/small")
        yield served


@pytest.fixture(scope="module")
def told(node: Running) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by name and label values."""
    text = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_circuits_budgets_cache_and_limits_are_told(
    node: Running, told: dict[str, dict[tuple[str, ...], float]]
) -> None:
    circuit = told["intermodel_circuit"]
    assert sum(circuit.values()) == len({model for model, _ in circuit}) == 6
    assert circuit["acme/small", "closed"] == 1
    assert told["intermodel_budget_ceiling_dollars"] == {("node",): 500, ("tests",): 1}
    spent = told["intermodel_budget_spent_dollars"]["tests",]
    assert 0 < spent < 1
    assert told["intermodel_budget_held_dollars"]["tests",] >= 0
    assert told["intermodel_receipts_waiting"][()] >= 0
    assert told["intermodel_cache_lookups_total"] == {("hit",): 1, ("miss",): 1}
    assert told["intermodel_cache_bytes"][()] > 100
    assert told["intermodel_rate_limited_total"]["few",] >= 1
    assert told["intermodel_dollars_total"]["acme/large",] > 0


def test_names_follow_the_conventions(told: dict[str, dict[tuple[str, ...], float]]) -> None:
    """https://prometheus.io/docs/practices/naming/"""
    for name in told:
        assert re.fullmatch(r"intermodel_[a-z_]+", name), name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), "base units"


def test_an_upstream_cannot_fill_it() -> None:
    metrics = Metrics(list)
    for number in range(CODES + 100):
        metrics.attempt_failed("a/b", f"made-up-{number}")
    codes = [s.labels["code"] for m in metrics.registry.collect() for s in m.samples if s.name.endswith("failed_total")]
    assert len(codes) == CODES + 1
    assert "other" in codes


def test_starts_after_a_crash_are_a_counter() -> None:
    state = State("a/b", Phase.READY, datetime.now(UTC), 1, 7, 7, 1, 1, 0, 0, restarts=2, reason="", log=Path("log"))
    told = generate_latest(Metrics(lambda: [state]).registry).decode()
    assert 'intermodel_engine_restarts_total{model="a/b"} 2.0' in told
    assert "# TYPE intermodel_engine_restarts_total counter" in told


def test_what_was_removed_is_told_of_no_more() -> None:
    metrics = Metrics(lambda: [])
    for address in ("a", "b"):
        metrics.first_token(address, 0.1)
        for code in ("upstream_error", "upstream_timeout"):
            metrics.attempt_failed(address, code)
    metrics.forget("a")
    metrics.forget("never")
    told = generate_latest(metrics.registry).decode()
    assert 'model="a"' not in told
    assert told.count('intermodel_attempts_failed_total{code="upstream_timeout",model="b"} 1.0') == 1
