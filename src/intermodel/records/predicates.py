"""What this room's statements say: their predicate types, and their way to values and back.

Each predicate is an object with `told_by` and `url` (who says so, where that is not the signer alone) and its own part:
`what` the facts of `WhatItIs`, `disclosure` a `Disclosure`, `lineage` a `Graph`, `card` the digest of a card's text.
Their schemas lie with the ledger (`ledger/predicates/NAME.json`), which takes and gives no statement that breaks one.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from intermodel.guards import Action, RuleGuard, Rules, plain
from intermodel.guards.personal import PERSONAL
from intermodel.ledger.predicates import uri
from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure

WHAT, CARD, DISCLOSURE, LINEAGE = uri("what"), uri("card"), uri("disclosure"), uri("lineage")
COUNTED = frozenset((WHAT, CARD, DISCLOSURE, LINEAGE))
"""Those of which records are made. The others of ours, a licence, a grade or a verdict that somebody signed, are shown:
this node comes to its own."""

FACTS = tuple(field.name for field in fields(WhatItIs))
"""The names of everything that a thing may be."""


def what_of(facts: Mapping[str, Any], source: str) -> WhatItIs:
    """The facts of a predicate, each with that source."""
    return WhatItIs(**{name: Fact(_value(name, value), source) for name, value in facts.items()})


def _value(name: str, value: Any) -> Any:
    if name == "kind":
        return Kind(value)
    return tuple(value) if isinstance(value, list) else value


def disclosure_of(predicate: Mapping[str, Any], name: str, source: str) -> Disclosure:
    """The disclosure of a predicate. `source` comes before what it names as its own."""
    return Disclosure(
        name,
        {
            key: Component(
                Presence(one.get("presence", "unknown")),
                one.get("licence"),
                one.get("url", ""),
                one.get("note", ""),
                joined(source, one.get("source", "")),
            )
            for key, one in predicate.get("components", {}).items()
        },
        {key: told_of(one, source) for key, one in predicate.get("told", {}).items()},
        dict(predicate.get("licences", {})),
        dict(predicate.get("indicators", {})),
        {key: Presence(one) for key, one in predicate.get("access", {}).items()},
        {key: joined(source, one) for key, one in predicate.get("indicator_sources", {}).items()},
    )


def told_of(one: Mapping[str, Any], source: str) -> Told:
    """A text that is there is told, whatever else was said of it."""
    stated = Presence(one.get("presence", "unknown"))
    text = one.get("text", "")
    presence = Presence.OPEN if text and stated is Presence.UNKNOWN else stated
    return Told(text, joined(source, one.get("source", "")), presence)


def graph_of(predicate: Mapping[str, Any], source: str) -> Graph:
    """The graph of a predicate."""
    nodes = [_node(one) for one in predicate["nodes"]]
    edges = [
        Edge(
            one["parent"],
            one["child"],
            How(one["how"]),
            one.get("shipped_as", ""),
            joined(source, one.get("source", "")),
        )
        for one in predicate["edges"]
    ]
    return Graph({node.id: node for node in nodes}, tuple(edges))


def _node(one: Mapping[str, Any]) -> Node:
    kind = Kind(one["kind"]) if one.get("kind") else None
    history = tuple(Tenure(**tenure) for tenure in one.get("history", ()))
    return Node(**{**one, "kind": kind, "history": history, "announced": tuple(one.get("announced", ()))})


def joined(source: str, more: str) -> str:
    """A source, and what that names in turn: `statement:12 github tatsu-lab/stanford_alpaca`."""
    return f"{source} {more}".strip()


def what_document(what: WhatItIs) -> dict[str, Any]:
    """The facts as a predicate holds them: values alone, and only those that are known."""
    found = {name: getattr(what, name) for name in FACTS}
    return {
        name: list(fact.value) if isinstance(fact.value, tuple) else fact.value for name, fact in found.items() if fact
    }


def card_named(text: str) -> dict[str, Any]:
    """A card as a predicate names it."""
    data = text.encode()
    return {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def disclosure_document(disclosure: Disclosure) -> dict[str, Any]:
    """A disclosure as a predicate holds it, without its name and what is empty."""
    document: dict[str, Any] = {
        "components": {key: _dense(asdict(one)) for key, one in disclosure.components.items()},
        "told": {key: _dense(asdict(one)) for key, one in disclosure.told.items()},
        "licences": dict(disclosure.licences),
        "indicators": dict(disclosure.indicators),
        "indicator_sources": dict(disclosure.indicator_sources),
        "access": dict(disclosure.access),
    }
    return {key: part for key, part in document.items() if part}


def graph_document(graph: Graph) -> dict[str, Any]:
    """A graph as a predicate holds it."""
    return {
        "nodes": [_dense(asdict(node)) for node in graph.nodes.values()],
        "edges": [_dense(asdict(edge)) for edge in graph.edges],
    }


_WORDS_IN = frozenset(("text", "note", "told_by", "name", "maker", "source", "url", "indicator_sources"))
"""Fields that people fill with words of their own."""
WITHHELD = "[withheld]"


def withheld(predicate: Mapping[str, Any]) -> dict[str, Any]:
    """The predicate without mail addresses and telephone numbers in its words: what is in a ledger stays for good."""
    return {key: _withheld(key, value, key in _WORDS_IN) for key, value in predicate.items()}


def _withheld(key: str, value: Any, words: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _withheld(str(name), one, words or name in _WORDS_IN) for name, one in value.items()}
    if isinstance(value, list):
        return [_withheld(key, one, words) for one in value]
    return _without(value, numbers=key != "url") if words and isinstance(value, str) else value


def _without(text: str, *, numbers: bool) -> str:
    """Numbers in an address of the web are mostly those of papers."""
    parts, at = [], 0
    for one in _personal().inspect(text):
        if one.kind == "email" or numbers:
            parts += [text[at : one.start], WITHHELD]
            at = one.end
    return "".join(parts) + text[at:]


@functools.cache
def _personal() -> RuleGuard:
    rules = [rule for rule in PERSONAL if rule.kind in ("email", "phone", "")]
    return RuleGuard("records", Rules(rules), plain, dict.fromkeys(("email", "phone"), Action.MASK))


def _dense(document: dict[str, Any]) -> dict[str, Any]:
    """Without what is not known; "" stays where it says "unlicensed"."""
    known = {key: list(value) if isinstance(value, tuple) else value for key, value in document.items()}
    return {k: v for k, v in known.items() if v is not None and v != [] and (v != "" or k == "licence")}
