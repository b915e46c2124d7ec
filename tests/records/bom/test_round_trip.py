"""What is written as CycloneDX and read again is what was known, with the place in the document before each source."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from intermodel.records.bom import Described, Imported, Result, cyclonedx, from_cyclonedx, parsed, written
from intermodel.records.disclosure import Component, Disclosure, Presence
from intermodel.records.facts import Fact
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.predicates import FACTS
from tests.records.bom.samples import AT, FULL, RECORDS, SAMPLES

pytestmark = pytest.mark.slow


def again(record: Described) -> Imported:
    return from_cyclonedx(parsed(written(cyclonedx(record, AT))))


def bare(source: str) -> str:
    """A source without its place in the document."""
    assert source.startswith("cyclonedx:/")
    return source.partition(" ")[2]


def assert_kept(record: Described, found: Imported) -> None:
    assert found.name == record.address
    for name in FACTS:
        wanted, got = getattr(record.what, name), getattr(found.what, name)
        assert (got and (got.value, bare(got.source))) == (wanted and (wanted.value, wanted.source)), name
    assert (found.licence and (found.licence.value, bare(found.licence.source))) == (
        record.licence and (record.licence.value, record.licence.source)
    )
    assert_disclosed(record, found.disclosure)
    graph = tied(record)
    assert dict(found.graph.nodes) == graph.nodes
    assert {(*key(edge), edge.shipped_as, bare(edge.source)) for edge in found.graph.edges} == {
        (*key(edge), edge.shipped_as, edge.source) for edge in {key(edge): edge for edge in graph.edges}.values()
    }
    assert [(one.metric, one.value, one.on) for one in found.results] == [
        (one.metric, one.value, one.on) for one in record.results if has_card(record)
    ]


def has_card(record: Described) -> bool:
    """Data and applications have no model card in CycloneDX, so no place for measurements."""
    component = cyclonedx(record, AT)["metadata"]["component"]
    return bool(component["type"] == "machine-learning-model")


def assert_disclosed(record: Described, found: Disclosure) -> None:
    wanted: dict[str, Any] = dict(record.disclosure.components)
    if record.results and has_card(record):
        wanted.setdefault("evaluation_results", Component(Presence.OPEN))
    assert {name: replace(one, source=bare(one.source)) for name, one in found.components.items()} == wanted
    told = {name: replace(one, source=bare(one.source)) for name, one in found.told.items()}
    assert told == dict(record.disclosure.told)
    for name in ("licences", "indicators", "access"):
        assert getattr(found, name) == getattr(record.disclosure, name)


def key(edge: Edge) -> tuple[str, str, How]:
    return edge.parent, edge.child, edge.how


def tied(record: Described) -> Graph:
    """The part of the lineage that hangs together with the thing, each end a node, as it is said of the thing."""
    edges = record.graph.edges
    seen, waiting = {record.address}, deque([record.address])
    while waiting:
        name = waiting.popleft()
        for edge in edges:
            if name in (edge.parent, edge.child):
                for other in {edge.parent, edge.child} - seen:
                    seen.add(other)
                    waiting.append(other)
    nodes = {name: record.graph.node(name) for name in seen}
    own = nodes[record.address]
    nodes[record.address] = replace(
        own,
        kind=record.what.kind.value if record.what.kind else own.kind,
        digest=record.digest or own.digest,
    )
    return Graph(nodes, tuple(edge for edge in edges if edge.child in seen))


@pytest.mark.parametrize("record", [pytest.param(record, id=name) for name, record in SAMPLES.items()])
def test_what_both_can_say_is_kept(record: Described) -> None:
    found = again(record)
    assert_kept(record, found)
    if record.digest:
        assert found.hashes == {"SHA-256": record.digest.removeprefix("sha256:")}


@given(RECORDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_of_any_record(record: Described) -> None:
    kind = record.node().kind
    if record.what.kind is None and kind is not None:
        record = replace(record, what=replace(record.what, kind=Fact(kind, "x")))
    assert_kept(record, again(record))


def test_the_same_record_gives_the_same_bytes() -> None:
    one, other = (written(cyclonedx(record, AT)) for record in (FULL, replace(FULL)))
    assert one == other
    changed = cyclonedx(replace(FULL, results=(Result("f1", "1"),)), AT)
    assert changed["serialNumber"] != cyclonedx(FULL, AT)["serialNumber"]


def test_a_foreign_hand_in_the_fields_wins_over_our_properties() -> None:
    document = cyclonedx(FULL, AT)
    component = document["metadata"]["component"]
    component["licenses"] = [{"license": {"id": "MIT"}}]
    component["modelCard"]["modelParameters"]["modelArchitecture"] = "RWKV"
    component["modelCard"]["considerations"]["technicalLimitations"] = ["None at all."]
    found = from_cyclonedx(document)
    assert found.licence == Fact("MIT", "cyclonedx:/metadata/component/licenses")
    assert found.what.architecture is not None
    assert found.what.architecture.value == "RWKV"
    assert found.disclosure.told["limitations"].text == "None at all."
    assert any("'llama2'" in note and "'MIT'" in note for note in found.notes)


def test_a_graph_of_five_thousand_things_is_read() -> None:
    edges = tuple(Edge(f"m/{number + 1}", f"m/{number}", How.FINE_TUNE) for number in range(5_000))
    record = Described("m/0", graph=Graph({"m/7": Node("m/7", licence="MIT")}, edges))
    found = again(record)
    assert len(found.graph.edges) == 5_000
    assert found.graph.node("m/7").licence == "MIT"
