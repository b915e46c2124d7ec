"""Lineages as pictures: they can be read, they are well-formed, and no graph breaks them."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.picture import MOST, MOST_IN_A_ROW, drawn, licence_words, picture

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>\"'&"


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


def chain(*names: str) -> Graph:
    edges = tuple(Edge(parent, child, How.FINE_TUNE) for child, parent in itertools.pairwise(names))
    return Graph({name: Node(name, Kind.WEIGHTS) for name in names}, edges)


def test_nothing_known_is_no_picture() -> None:
    assert picture(Graph(), "alone") == ("", "")
    assert picture(chain("a", "b"), "b") == ("", "")


def test_each_thing_is_named_with_what_it_is_and_its_licence() -> None:
    graph = Graph(
        {
            "child": Node("child", Kind.WEIGHTS, maker="LMSYS", date="2023-03", declared="apache-2.0"),
            "base": Node("base", Kind.WEIGHTS, licence="llama1"),
            "data": Node("data", Kind.DATASET),
        },
        (Edge("base", "child", How.FINE_TUNE), Edge("data", "child", How.TRAINED_ON)),
    )
    for svg in picture(graph, "child"):
        found = texts(svg)
        for words in ("child", "weights · LMSYS · 2023-03", "claims apache-2.0", "llama1", "licence unknown"):
            assert words in found
        assert {"fine-tuned from", "trained on"} <= set(found)
        links = {one.get("href") for one in ET.fromstring(svg).iter(f"{SVG}a")}
        assert links == {"/records/base", "/records/data"}


def test_labels_are_escaped_and_only_addresses_are_links() -> None:
    graph = Graph(
        {"child": Node("child"), HOSTILE: Node(HOSTILE, maker=HOSTILE, licence=HOSTILE)},
        (Edge(HOSTILE, "child", How.MERGE, HOSTILE, HOSTILE),),
    )
    for svg in picture(graph, "child"):
        assert "<script" not in svg
        assert not list(ET.fromstring(svg).iter(f"{SVG}a"))


def test_circles_are_drawn_and_closed_with_a_dashed_line() -> None:
    graph = Graph({}, (Edge("b", "a", How.MERGE), Edge("a", "b", How.TRAINED_ON), Edge("a", "a", How.DISTIL)))
    part = drawn(graph, "a")
    assert part.layers == (("a",), ("b",))
    assert {(edge.child, edge.parent) for edge in part.closing} == {("b", "a"), ("a", "a")}
    for svg in picture(graph, "a"):
        dashed = [one for one in ET.fromstring(svg).iter(f"{SVG}path") if one.get("stroke-dasharray")]
        assert len(dashed) == 2


def test_a_thing_stands_below_all_that_were_made_from_it() -> None:
    graph = Graph(
        {}, (Edge("base", "child", How.MERGE), Edge("middle", "child", How.MERGE), Edge("base", "middle", How.COPY))
    )
    assert drawn(graph, "child").layers == (("child",), ("middle",), ("base",))


def test_wide_layers_are_drawn_narrow_only_and_the_farthest_are_left_out() -> None:
    many = Graph({}, tuple(Edge(f"p{i}", "child", How.MERGE) for i in range(MOST_IN_A_ROW + 1)))
    assert picture(many, "child")[0] == ""
    assert picture(many, "child")[1]
    far = chain(*(f"n{i}" for i in range(MOST + 5)))
    assert drawn(far, "n0").left_out == 5
    assert sum(map(len, drawn(far, "n0").layers)) == MOST


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (Node("a"), "licence unknown"),
        (Node("a", licence="unspecified"), "licence unknown"),
        (Node("a", licence="mit", declared="apache-2.0"), "mit"),
        (Node("a", declared="apache-2.0"), "claims apache-2.0"),
        (Node("a", terms="openai-terms-2023-03"), "openai-terms-2023-03"),
    ],
)
def test_what_is_claimed_is_not_what_is_known(node: Node, words: str) -> None:
    assert licence_words(node) == words


NAMES = st.sampled_from([f"n{i}" for i in range(9)])


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from(list(How))), max_size=25))
def test_any_graph_is_drawn_once_and_well_formed(pairs: list[tuple[str, str, How]]) -> None:
    graph = Graph({}, tuple(Edge(parent, child, how) for parent, child, how in pairs))
    part = drawn(graph, "n0")
    everything = [one for layer in part.layers for one in layer]
    assert len(everything) == len(set(everything))
    assert set(everything) == {"n0", *(way[-1].parent for way in graph.ancestors("n0"))}
    depth = {one: i for i, layer in enumerate(part.layers) for one in layer}
    assert all(depth[edge.parent] > depth[edge.child] for edge in part.edges)
    for svg in picture(graph, "n0"):
        if svg:
            names = [text for text in texts(svg) if text in everything]
            assert sorted(names) == sorted(everything)
