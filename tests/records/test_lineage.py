"""Lineages: what leads to what, and files of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core import IntermodelError, Invalid
from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure
from intermodel.records.lineage_file import MOST_CHARACTERS, graph_of, parse

FILE = """
about: a lineage
nodes:
  - {id: base, type: model, made_by: Acme, date: 2023-02-01, licence: llama2}
  - {id: service, type: model-service, terms: openai-terms-2023-03}
  - {id: data, type: dataset, licence: cc-by-4.0, licence_history: [{licence: mit, until: unknown}, {licence: cc-by-4.0, from: 2024-01-01}]}
  - {id: it, type: model, declared: unknown, note: 'announced as suitable for commercial use; card not read', multimodal: true}
edges:
  - {from: base, to: it, how: fine-tune, shipped_as: delta-weights, src: card}
  - {from: data, to: it, how: trained-on}
  - {from: service, to: data, how: outputs}
"""  # noqa: E501


def test_a_file() -> None:
    graph = parse(FILE)
    assert graph.node("base") == Node("base", Kind.WEIGHTS, maker="Acme", date="2023-02-01", licence="llama2")
    assert graph.node("service").terms == "openai-terms-2023-03"
    assert graph.node("service").kind is Kind.SERVICE
    assert graph.node("data").history == (Tenure("mit"), Tenure("cc-by-4.0", "2024-01-01"))
    it = graph.node("it")
    assert (it.licence, it.declared, it.multimodal, it.shipped) == (None, None, True, "delta-weights")
    assert it.announced == ("commercial",)
    assert graph.edges[0] == Edge("base", "it", How.FINE_TUNE, "delta-weights", "card")


def test_json_is_yaml_too() -> None:
    told = {"nodes": [{"id": "a", "licence": "mit"}], "edges": [{"from": "a", "to": "b", "how": "copy"}]}
    assert parse(json.dumps(told)) == graph_of(told)
    assert graph_of(told).node("b") == Node("b"), "an end that is no node"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no `nodes`"),
        ("[1, 2]", "no `nodes`"),
        ("nodes: 3", "`nodes` is no list"),
        ("nodes: [3]", "Node 1 has no id"),
        ("nodes: [{id: a}, {name: b}]", "Node 2 has no id"),
        ("nodes: [{id: a}, {id: a}]", "Two nodes are named 'a'"),
        ("edges: [{from: a}]", "Edge 1 does not say between what"),
        ("edges: [{from: a, to: b}]", "no way to make"),
        ("edges: [{from: a, to: b, how: finetune}]", "no way to make"),
        ("nodes: [", "neither YAML nor JSON in line"),
        ("a: !!python/object/apply:os.system [ls]", "has no meaning here"),
        ("nodes: " + "[" * 3000, "in line 1, lists and mappings are nested deeper"),
        ("a: !!timestamp abc", "the tag tag:yaml.org,2002:timestamp has no meaning"),
        ("a: {x: 1}\nb: {<<: [*a, *a]}", "a key `<<` merges mappings"),
        ("nodes: []\nb: &b [*b]", "in line 2, the alias *b names itself"),
        ("nodes: *b", "the alias *b names nothing before it"),
        ("nodes: []\nnodes: []", "in line 2, the key 'nodes' stands a second time"),
        ("[a]: b", "a key is no text"),
        ("nodes: []\n---\nnodes: []", "a second document begins"),
        ("nodes: \ud800", "neither YAML nor JSON"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, words: str) -> None:
    with pytest.raises(Invalid) as error:
        parse(text)
    assert words in error.value.message
    assert error.value.hint


def test_a_word_nearly_right_is_guessed() -> None:
    with pytest.raises(Invalid) as error:
        parse("edges: [{from: a, to: b, how: finetune}]")
    assert "Did you mean 'fine-tune'?" in error.value.hint


def test_a_file_that_is_too_long() -> None:
    with pytest.raises(Invalid, match="32 MiB"):
        parse("#" * (MOST_CHARACTERS + 1))


def test_repeated_parts_do_not_explode() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{c}: &{c} [*{p}, *{p}, *{p}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert parse(bomb + "nodes: [{id: it, licence: *h}]").node("it").licence is None


def test_parts_that_multiply_are_refused() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{c}: &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(Invalid, match="more than 2,000,000 values"):
        parse(bomb)


@pytest.mark.parametrize(
    "text",
    ["'[' * 200_000", "'{' * 200_000", "'[{a: ' * 100_000", "'- ' * 200_000", "'? ' * 200_000", "'!!seq [' * 50_000"],
)
def test_a_deep_text_ends_no_process(text: str) -> None:
    code = (
        "from intermodel.core import Invalid\nfrom intermodel.records.lineage_file import parse\n"
        f"try: parse('nodes:\\n ' + {text})\nexcept Invalid as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("This is no lineage: in line 2, ")


def test_numbers_and_days_stay_as_they_are_written() -> None:
    graph = parse(f"nodes: [{{id: 1.10, licence: 0x{'f' * 6000}, date: 2023-02-30, multimodal: yes, made_by: no}}]")
    it = graph.node("1.10")
    assert (it.date, it.multimodal, it.maker) == ("2023-02-30", True, "no")
    assert it.licence == f"0x{'f' * 6000}"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_is_a_traceback(text: str) -> None:
    with contextlib.suppress(IntermodelError):
        parse(text)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["nodes", "edges", "id", "from", "to", "how", "licence_history", "announced"]),
                        inner, max_size=4), max_leaves=12))  # fmt: skip
def test_no_document_is_a_traceback(document: object) -> None:
    with contextlib.suppress(IntermodelError):
        graph_of(document)


GRAPH = Graph(
    {"a": Node("a", licence="mit")},
    (
        Edge("b", "a", How.MERGE), Edge("c", "a", How.MERGE), Edge("d", "b", How.COPY), Edge("d", "c", How.COPY),
        Edge("a", "d", How.TRAINED_ON),
    ),
)  # fmt: skip


def test_ancestors_come_once_by_a_shortest_way_and_circles_end() -> None:
    ways = {way[-1].parent: [edge.parent for edge in way] for way in GRAPH.ancestors("a")}
    assert ways == {"b": ["b"], "c": ["c"], "d": ["b", "d"]}
    assert [edge.parent for edge in GRAPH.parents("a")] == ["b", "c"]
    assert [edge.child for edge in GRAPH.children("d")] == ["b", "c"]
    assert GRAPH.node("nowhere") == Node("nowhere")
