"""What somebody tells of a thing, as a document."""

from __future__ import annotations

from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.records.predicates import DISCLOSURE, LINEAGE, WHAT
from intermodel.records.told import Told, graph_told


def test_a_closed_service_as_its_vendor_tells() -> None:
    told = Told.of(
        {
            "told_by": "OpenAI",
            "url": "https://arxiv.org/abs/2303.08774",
            "maker": "OpenAI",
            "date": "2023-03-14",
            "terms": "openai-terms-2023-03",
            "licence": "unknown",
            "what": {"kind": "service"},
            "disclosure": {"told": {"hardware": {"presence": "closed"}}},
        }
    )
    found = told.predicates("openai/gpt-4")
    who = {"told_by": "OpenAI", "url": "https://arxiv.org/abs/2303.08774"}
    assert found[WHAT] == who | {"facts": {"kind": "service"}}
    assert found[DISCLOSURE] == who | {"told": {"hardware": {"presence": "closed"}}}
    (node,) = found[LINEAGE]["nodes"]
    assert node == {
        "id": "openai/gpt-4", "maker": "OpenAI", "date": "2023-03-14", "terms": "openai-terms-2023-03",
        "kind": "service",
    }  # fmt: skip


def test_edges_lead_to_the_thing_where_they_do_not_say() -> None:
    told = Told.of(
        {"lineage": {"edges": [{"parent": "base", "how": "fine-tune"}, {"from": "d", "to": "x", "how": "merge"}]}}
    )
    edges = told.predicates("mine")[LINEAGE]["edges"]
    assert [(edge["parent"], edge["child"]) for edge in edges] == [("base", "mine"), ("d", "x")]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (["a"], "mapping"),
        ({}, "says nothing"),
        ({"told_by": "me"}, "says nothing"),
        ({"licnece": "mit"}, "Did you mean 'licence'"),
        ({"what": "weights"}, "'what' is no mapping"),
        ({"licence": ["mit"]}, "'licence' is no text"),
        ({"lineage": {"edges": [{"parent": "a"}]}}, "no 'how'"),
        ({"lineage": {"edges": "none"}}, "no list"),
        ({"lineage": {"nods": []}}, "lineage.nods"),
        ({"what": {"colour": "red"}}, "colour"),
        ({"lineage": {"nodes": [{"name": "no id"}], "edges": []}}, "id"),
    ],
)
def test_mistakes_are_named(document: Any, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        Told.of(document).predicates("thing")
    assert words in str(caught.value)


def test_a_graph_is_told_of_each_thing_parents_first() -> None:
    found = graph_told(
        {
            "told_by": "a paper",
            "nodes": [
                {"id": "grandchild", "type": "model"},
                {"id": "child", "type": "model", "declared": "apache-2.0"},
                {"id": "base", "type": "model", "made_by": "Meta", "licence": "llama1"},
            ],
            "edges": [
                {"from": "child", "to": "grandchild", "how": "quantise"},
                {"from": "base", "to": "child", "how": "fine-tune", "src": "card"},
                {"from": "elsewhere", "to": "base", "how": "trained-on"},
            ],
        }
    )
    assert list(found) == ["base", "child", "grandchild"]
    assert found["base"].told_by == "a paper"
    assert found["base"].what == {"kind": "weights"}
    assert found["child"].predicates("child")[LINEAGE] == {
        "told_by": "a paper",
        "nodes": [{"id": "child", "kind": "weights", "declared": "apache-2.0"}],
        "edges": [{"parent": "base", "child": "child", "how": "fine-tune", "source": "card"}],
    }


def test_a_circle_is_told_too() -> None:
    nodes = [{"id": "a"}, {"id": "b"}]
    edges = [{"from": "a", "to": "b", "how": "merge"}, {"from": "b", "to": "a", "how": "merge"}]
    assert set(graph_told({"nodes": nodes, "edges": edges})) == {"a", "b"}
