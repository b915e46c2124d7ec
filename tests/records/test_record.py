"""How a record is put together: which source holds, what is kept beside it, and who may say what of whom."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.ledger.predicates import check
from intermodel.records.bom import described
from intermodel.records.compose import compose
from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.joined import joined_graphs
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.predicates import (
    CARD,
    DISCLOSURE,
    LINEAGE,
    WHAT,
    disclosure_document,
    disclosure_of,
    graph_document,
    graph_of,
)
from intermodel.records.record import CardText, Held, Record, checked_address, identity
from intermodel.records.said import Said, newest_count, read_statement
from intermodel.records.verdict import verdict

KEY = "a" * 64


def said(index: int, predicate_type: str, predicate: dict[str, Any], name: str = "child", signer: str = KEY) -> Said:
    statement = Statement((Subject(name, identity(name)),), predicate_type, predicate)
    return read_statement(index, signer, 1_700_000_000.0, statement)


def held(**what: Any) -> Held:
    facts = WhatItIs(**{name: Fact(value, "file:tiny.gguf") for name, value in what.items()})
    return Held(f"sha256:{'1' * 64}", "tiny.gguf", 100, facts, Fact("mit", "file:tiny.gguf"))


def card(licence: str = "", graph: Graph | None = None, **what: Any) -> CardText:
    facts = WhatItIs(**{name: Fact(value, f"card:{name}") for name, value in what.items()})
    return CardText("# card", f"sha256:{'2' * 64}", "card:README.md", licence, facts, graph=graph or Graph())


def test_the_digest_of_what_has_no_file_is_that_of_its_address() -> None:
    document = b'{"address":"openai/gpt-4"}'
    assert identity("openai/gpt-4") == f"sha256:{hashlib.sha256(document).hexdigest()}"
    record = compose("openai/gpt-4", statements=[said(3, WHAT, {"facts": {"kind": "service"}})])
    assert (record.digest, record.document()["digest_of"]) == (identity("openai/gpt-4"), "address")
    assert compose("a", held()).document()["digest_of"] == "file"


def test_the_file_holds_before_the_card_and_the_card_before_statements() -> None:
    told = said(5, WHAT, {"facts": {"parameters": 7, "context_length": 9, "tokenizer": "gpt2"}})
    record = compose("child", held(parameters=5), card(parameters=6, context_length=8), [told])
    assert record.what.parameters == Fact(5, "file:tiny.gguf")
    assert record.what.context_length == Fact(8, "card:context_length")
    assert record.what.tokenizer == Fact("gpt2", "statement:5")
    assert record.others["parameters"] == (Fact(6, "card:parameters"), Fact(7, "statement:5"))
    document = record.document()["what"]["parameters"]
    assert document["value"] == 5
    assert [one["value"] for one in document["others"]] == [6, 7]
    assert record.document()["what"]["precision"] is None


def test_a_licence_that_sources_tell_differently_is_shown() -> None:
    lineage = {"nodes": [{"id": "child", "licence": "llama2"}], "edges": []}
    record = compose("child", held(), card("apache-2.0"), [said(4, LINEAGE, lineage)])
    assert record.licence == Fact("apache-2.0", "card:license")
    assert record.others["licence"] == (Fact("mit", "file:tiny.gguf"), Fact("llama2", "statement:4"))
    node = record.graph.node("child")
    assert (node.licence, node.declared) == ("llama2", "apache-2.0"), "what holds is not what a tag claims"


def test_of_one_source_the_newest_statement_counts() -> None:
    old, new = said(1, WHAT, {"facts": {"parameters": 1}}), said(2, WHAT, {"facts": {"parameters": 2}})
    other = said(3, WHAT, {"told_by": "a vendor", "facts": {"parameters": 3}})
    stranger = said(4, WHAT, {"facts": {"parameters": 4}}, signer="b" * 64)
    counted = {one.index: one.counts for one in newest_count([old, other, new, stranger])}
    assert counted == {1: False, 2: True, 3: True, 4: True}
    record = compose("child", statements=[old, new])
    assert record.what.parameters == Fact(2, "statement:2")
    assert not record.others
    assert [one.superseded for one in record.statements] == [False, True]


def test_what_nobody_here_reads_is_shown_and_supersedes_nothing() -> None:
    sound = said(0, WHAT, {"facts": {"parameters": 7}})
    revoked = replace(said(1, WHAT, {"facts": {"parameters": 8}}), problem="its key is revoked.")
    opaque = said(2, "https://example.org/seen/v1", {"anything": [1]})
    record = compose("child", statements=[sound, revoked, opaque])
    assert record.what.parameters == Fact(7, "statement:0")
    assert record.problems == ("Statement 1 does not count: its key is revoked.",)
    assert {one.index: one.counts for one in record.statements} == {0: True, 1: False, 2: False}
    assert next(one for one in record.document()["statements"] if one["index"] == 2)["known"] is False


@pytest.mark.parametrize(
    ("predicate_type", "predicate", "place"),
    [
        (WHAT, {"facts": {"colour": "red"}}, "facts"),
        (WHAT, {"facts": {"parameters": -1}}, "facts.parameters"),
        (WHAT, {"facts": {"languages": "en"}}, "facts.languages"),
        (CARD, {"digest": "sha256:xyz"}, "digest"),
        (DISCLOSURE, {"components": {"weigths": {}}}, "components"),
        (DISCLOSURE, {"told": {"size": {"presence": "maybe"}}}, "told.size.presence"),
        (LINEAGE, {"nodes": [], "edges": [{"parent": "a", "child": "b", "how": "stolen"}]}, "edges.0.how"),
        (LINEAGE, {"nodes": []}, None),
    ],
)
def test_schemas_name_the_place(predicate_type: str, predicate: dict[str, Any], place: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        check(predicate_type, predicate)
    assert caught.value.param == place


def test_a_child_cannot_make_its_parents_licence_wider() -> None:
    claims = {
        "nodes": [{"id": "child"}, {"id": "parent", "licence": "mit"}],
        "edges": [{"parent": "parent", "child": "child", "how": "fine-tune", "source": "a blog"}],
    }
    itself = Graph({"parent": Node("parent", declared="llama2")})
    record = compose("child", statements=[said(7, LINEAGE, claims)], ancestors={"parent": itself})
    parent = record.graph.node("parent")
    assert (parent.licence, parent.declared) == (None, "llama2")
    assert record.others["lineage.parent"] == (Fact("mit", "statement:7"),)
    assert record.graph.parents("child")[0].source == "statement:7 a blog"
    unheard = compose("child", statements=[said(7, LINEAGE, claims)])
    assert unheard.graph.node("parent").licence == "mit", (
        "of what says nothing of itself the child's word is all there is"
    )


def test_graphs_are_joined_node_by_node() -> None:
    one = Graph({"a": Node("a", maker="x")}, (Edge("b", "a", How.MERGE, source="statement:1"),))
    other = Graph(
        {"a": Node("a", maker="y", date="2023"), "b": Node("b")},
        (Edge("b", "a", How.MERGE, "delta", "card:base_model"),),
    )
    joined = joined_graphs([one, other])
    assert joined.node("a") == Node("a", maker="x", date="2023")
    assert joined.edges == (Edge("b", "a", How.MERGE, "delta", "statement:1; card:base_model"),)


def test_parts_of_disclosures_that_contradict_each_other_are_kept() -> None:
    mine = said(1, DISCLOSURE, {"components": {"datasets": {"presence": "closed"}}, "told": {"size": {"text": "7 B"}}})
    theirs = said(
        2,
        DISCLOSURE,
        {
            "told_by": "somebody",
            "components": {"datasets": {"presence": "open"}},
            "told": {"size": {"presence": "closed"}},
        },
    )
    record = compose("child", statements=[mine, theirs])
    assert record.disclosure.components["datasets"].presence is Presence.OPEN, "the newest"
    assert [one.value for one in record.others["components.datasets"]] == ["closed, licence unknown"]
    assert [one.value for one in record.others["told.size"]] == ["7 B"]


def test_what_is_written_is_read_again() -> None:
    disclosure = Disclosure(
        "child",
        {"parameters": Component(Presence.OPEN, "", "https://example.org", "a note", "statement:1 the card")},
        {"size": Told("7 B", "statement:1", Presence.OPEN)},
        {"code": "MIT"},
        {"Data size": True},
        {"api": Presence.CLOSED},
        {"Data size": "statement:1 a report"},
    )
    assert disclosure_of(disclosure_document(disclosure), "child", "") == disclosure
    graph = Graph({"a": Node("a", Kind.DATASET, licence="mit", multimodal=False)}, (Edge("b", "a", How.OUTPUTS),))
    assert graph_of(graph_document(graph), "") == graph


def test_the_document_is_what_bills_of_material_are_made_from() -> None:
    lineage = {"nodes": [{"id": "child"}], "edges": [{"parent": "p", "child": "child", "how": "quantise"}]}
    record = compose("child", held(parameters=5), card("apache-2.0"), [said(4, LINEAGE, lineage)])
    thing = described(record.document())
    assert (thing.address, thing.digest, thing.what.parameters) == ("child", record.digest, Fact(5, "file:tiny.gguf"))
    assert [edge.parent for edge in thing.graph.edges] == ["p"]


@pytest.mark.parametrize("address", ["", "a/b/c", "/a", "a b", "../x", "a/verdict", "passport", "x" * 201, "é"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Invalid):
        checked_address(address)


def commercial(record: Record) -> str:
    return verdict(record.graph, record.address, "commercial").strict.outcome.word


def test_a_statement_makes_no_licence_wider_and_may_make_it_narrower() -> None:
    def claim(licence: str, index: int = 4, **more: Any) -> Said:
        return said(index, LINEAGE, {"nodes": [{"id": "child", "licence": licence}], "edges": [], **more})

    for told in (claim("mit", told_by="a blog"), claim("mit")):
        record = compose("child", None, card("cc-by-nc-4.0"), [told])
        assert commercial(record) == "refuse"
        assert record.graph.node("child").licence is None
        assert record.others["licence"] == (Fact("mit", "statement:4"),)
    narrower = compose("child", None, card("mit"), [claim("cc-by-nc-4.0", told_by="a blog")])
    assert commercial(narrower) == "refuse"
    alone = compose("child", None, None, [claim("mit", told_by="a blog")])
    assert (alone.graph.node("child").licence, alone.graph.node("child").declared) == (None, "mit")
    several = [claim("mit", 7), claim("cc-by-nc-4.0", 6, told_by="a blog"), claim("apache-2.0", 5, told_by="b")]
    assert commercial(compose("child", None, card("mit"), several)) == "refuse"
    maker = {"nodes": [{"id": "child", "licence": "mit", "maker": "Us"}], "edges": [], "told_by": "us"}
    assert compose("child", None, None, [said(1, LINEAGE, maker)]).graph.node("child").licence == "mit"


def test_a_new_key_of_the_same_ledger_supersedes() -> None:
    old = replace(said(1, WHAT, {"facts": {"parameters": 1}}), own=True)
    new = replace(said(2, WHAT, {"facts": {"parameters": 2}}, signer="b" * 64), own=True)
    assert [one.counts for one in newest_count([old, new], "child")] == [True, False]
