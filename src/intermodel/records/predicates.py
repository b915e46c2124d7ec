"""What this room's statements say: their predicate types, a JSON schema of each, and their way to values and back.

Each predicate is an object with `told_by` and `url` (who says so, where that is not the signer alone) and its own part:
`what` the facts of `WhatItIs`, `disclosure` a `Disclosure`, `lineage` a `Graph`, `card` the digest of a card's text.
A predicate that breaks its schema is not read: its statement is kept and shown with the reason.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from intermodel.core import Invalid
from intermodel.guards import Action, RuleGuard, Rules, plain
from intermodel.guards.personal import PERSONAL
from intermodel.ledger.predicates import uri
from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure

WHAT, CARD, DISCLOSURE, LINEAGE = uri("what"), uri("card"), uri("disclosure"), uri("lineage")

FACTS = tuple(field.name for field in fields(WhatItIs))
"""The names of everything that a thing may be."""

_MOST = 2000
"""Characters of a text of which no more is needed; and most entries of a list."""


def _object(properties: dict[str, Any], *needed: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(needed)}


_TEXT = {"type": "string", "maxLength": _MOST}
_NAME = {"type": "string", "minLength": 1, "maxLength": 300}
_TEXTS = {"type": "array", "items": _NAME, "maxItems": _MOST}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**18}
_PRESENCE = {"enum": [presence.value for presence in Presence]}
_MAYBE = {"anyOf": [_TEXT, {"type": "null"}]}
_TOLD = {"told_by": _TEXT, "url": _TEXT}

_FACTS = dict.fromkeys(FACTS, _NAME) | {
    "kind": {"enum": [kind.value for kind in Kind]},
    "parameters": _COUNT,
    "context_length": _COUNT,
    "vocabulary": _COUNT,
    "formats": _TEXTS,
    "languages": _TEXTS,
    "modalities": _TEXTS,
    "chat_template": {"type": "string", "maxLength": 100_000},
}
_COMPONENT = _object({"presence": _PRESENCE, "licence": _MAYBE, "url": _TEXT, "note": _TEXT, "source": _TEXT})
_WORDS = _object({"text": {"type": "string", "maxLength": 20_000}, "source": _TEXT, "presence": _PRESENCE})
_DISCLOSURE = {
    "components": _object(dict.fromkeys(COMPONENTS, _COMPONENT)),
    "told": _object(dict.fromkeys(DISCLOSED, _WORDS)),
    "licences": _object(dict.fromkeys(("code", "data", "document", "distribution"), _TEXT)),
    "indicators": {
        "type": "object",
        "additionalProperties": {"type": "boolean"},
        "maxProperties": 500,
        "propertyNames": _NAME,
    },
    "indicator_sources": {
        "type": "object",
        "additionalProperties": _TEXT,
        "maxProperties": 500,
        "propertyNames": _NAME,
    },
    "access": {"type": "object", "additionalProperties": _PRESENCE, "maxProperties": 50, "propertyNames": _NAME},
}
_NODE = _object(
    {
        "id": _NAME,
        "kind": {"anyOf": [{"enum": [kind.value for kind in Kind]}, {"type": "null"}]},
        "licence": _MAYBE,
        "declared": _MAYBE,
        "terms": _MAYBE,
        "digest": {"anyOf": [{"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}, {"type": "null"}]},
        "history": {
            "type": "array",
            "maxItems": 100,
            "items": _object({"licence": _TEXT, "start": _TEXT, "end": _TEXT}, "licence"),
        },
        "announced": _TEXTS,
        "multimodal": {"type": ["boolean", "null"]},
    }
    | dict.fromkeys(("name", "maker", "date", "shipped", "note"), _TEXT),
    "id",
)
_EDGE = _object(
    {
        "parent": _NAME,
        "child": _NAME,
        "how": {"enum": [how.value for how in How]},
        "shipped_as": _TEXT,
        "source": _TEXT,
    },
    "parent",
    "child",
    "how",
)

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    WHAT: _object(_TOLD | {"facts": _object(_FACTS)}, "facts"),
    CARD: _object(_TOLD | {"digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}, "size": _COUNT}, "digest"),
    DISCLOSURE: _object(_TOLD | _DISCLOSURE),
    LINEAGE: _object(
        _TOLD
        | {
            "nodes": {"type": "array", "items": _NODE, "maxItems": _MOST},
            "edges": {"type": "array", "items": _EDGE, "maxItems": _MOST},
        },
        "nodes",
        "edges",
    ),
}
"""JSON schemas (2020-12) by predicate type."""


def check(predicate_type: str, predicate: Any) -> None:
    """Raise `Invalid`, with the place, for a predicate of one of these types that breaks its schema."""
    from jsonschema.exceptions import best_match  # slow to import, and only needed where statements are

    error = best_match(_validator(predicate_type).iter_errors(predicate))
    if error is not None:
        place = ".".join(str(part) for part in error.absolute_path)
        raise Invalid(
            f"'{place[:200]}': {error.message[:300]}." if place else f"{error.message[:300]}.",
            hint="docs/record.md lists the fields.",
            param=place[:200] or None,
        )


@functools.cache
def _validator(predicate_type: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(SCHEMAS[predicate_type])


def what_of(facts: Mapping[str, Any], source: str) -> WhatItIs:
    """The facts of a predicate that was checked, each with that source."""
    return WhatItIs(**{name: Fact(_value(name, value), source) for name, value in facts.items()})


def _value(name: str, value: Any) -> Any:
    if name == "kind":
        return Kind(value)
    return tuple(value) if isinstance(value, list) else value


def disclosure_of(predicate: Mapping[str, Any], name: str, source: str) -> Disclosure:
    """The disclosure of a predicate that was checked. `source` comes before what it names as its own."""
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
    """The graph of a predicate that was checked."""
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
