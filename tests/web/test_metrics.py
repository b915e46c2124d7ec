"""What Prometheus is told of a node, and that nobody outside can make it much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

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
