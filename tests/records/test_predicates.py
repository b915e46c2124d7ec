"""The schemas of what this room says, which lie with the ledger, and its own values: the same names, the same words."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.ledger.predicates import check, schema
from intermodel.ledger.predicates import uri as type_of
from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure
from intermodel.records.openness import grades
from intermodel.records.predicates import FACTS
from intermodel.records.verdict import Certainty, Outcome, Purpose, verdict


def names(kind: type) -> set[str]:
    return {one.name for one in fields(kind)}


def test_facts() -> None:
    facts = schema("what")["properties"]["facts"]
    assert set(facts["properties"]) == set(FACTS)
    assert facts["additionalProperties"] is False
    assert facts["properties"]["kind"]["enum"] == list(Kind)


def test_disclosures() -> None:
    parts = schema("disclosure")["properties"]
    assert set(parts) == names(Disclosure) - {"name"} | {"told_by", "url"}
    assert parts["components"]["propertyNames"]["enum"] == list(COMPONENTS)
    assert parts["told"]["propertyNames"]["enum"] == list(DISCLOSED)
    for part, kind in (("components", Component), ("told", Told)):
        one = parts[part]["additionalProperties"]
        assert set(one["properties"]) == names(kind)
        assert one["additionalProperties"] is False
        assert one["properties"]["presence"]["enum"] == list(Presence)
    assert parts["access"]["additionalProperties"]["enum"] == list(Presence)


def test_lineages() -> None:
    parts = schema("lineage")["properties"]
    node, edge = parts["nodes"]["items"], parts["edges"]["items"]
    assert set(node["properties"]) == names(Node)
    assert set(edge["properties"]) == names(Edge)
    assert set(node["properties"]["history"]["items"]["properties"]) == names(Tenure)
    assert node["additionalProperties"] is edge["additionalProperties"] is False
    assert edge["properties"]["how"]["enum"] == list(How)
    assert node["properties"]["kind"]["enum"] == [*Kind, None]


def test_grades_and_verdicts_of_this_node_could_be_signed_as_they_are() -> None:
    disclosure = Disclosure("it", {"parameters": Component(Presence.OPEN, "mit")})
    for grade in grades(disclosure):
        check(type_of("grade"), grade.document())
    graph = Graph({"it": Node("it", licence="llama2"), "base": Node("base")}, (Edge("base", "it", How.MERGE),))
    for purpose in Purpose:
        check(type_of("verdict"), verdict(graph, "it", purpose, "DE", date(2026, 11, 20)).document())
    said = schema("verdict")
    assert said["$defs"]["finding"]["properties"]["outcome"]["enum"] == [
        one.word for one in sorted(Outcome, key=lambda one: one.word)
    ]
    assert said["properties"]["certainty"]["items"]["enum"] == list(Certainty)
    assert said["properties"]["purpose"]["enum"] == list(Purpose)


@pytest.mark.parametrize(
    ("name", "predicate", "place"),
    [
        ("grade", {"framework": "mof", "version": "1", "outcome": "I", "colour": "red"}, None),
        ("grade", {"framework": "mof", "version": "1", "outcome": "I", "facts": [{"holds": True}]}, "facts.0"),
        ("verdict", {"purpose": "joy", "strict": {"outcome": "allow"}, "lenient": {"outcome": "allow"}}, "purpose"),
        ("verdict", {"purpose": "serve", "strict": "allow", "lenient": {"outcome": "allow"}}, "strict"),
        ("licence", {"licence": "mit", "from": "yesterday"}, "from"),
        ("disclosure", {"licences": {"weights": "mit"}}, "licences"),
        ("lineage", {"nodes": [{"id": "a", "announced": [""]}], "edges": []}, "nodes.0.announced.0"),
    ],
)
def test_what_breaks_one_is_refused_with_the_place(name: str, predicate: dict[str, Any], place: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        check(type_of(name), predicate)
    assert caught.value.param == place
