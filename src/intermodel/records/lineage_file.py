"""Lineage as a file: YAML or JSON with `nodes` and `edges`, as people write it by hand.

A node has `id`, and may have `type` (model, adapter, model-service, dataset, application), `name`, `made_by`, `date`,
`licence`, `declared`, `terms`, `licence_history` (`licence`, `from`, `until`), `shipped_as`, `multimodal`, `announced`
(purposes that its maker allowed in public), `note`. An edge has `from`, `to`, `how`, and may have `shipped_as`, `src`.
`unknown` says of any of them that nobody knows. Other keys are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from intermodel.core.errors import Invalid, TooLarge
from intermodel.records import yamltext
from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure

MOST_CHARACTERS = 32 << 20
HINT = "See docs/record/licences.md for the form."

_KINDS = {
    "model": Kind.WEIGHTS, "weights": Kind.WEIGHTS, "adapter": Kind.ADAPTER, "model-service": Kind.SERVICE,
    "service": Kind.SERVICE, "dataset": Kind.DATASET, "data": Kind.DATASET, "application": Kind.APPLICATION,
}  # fmt: skip
_ANNOUNCED = re.compile(r"\bannounced as suitable for (commercial|research) use\b")
_TRUTH = {"yes": True, "on": True, "no": False, "off": False}


def parse(text: str) -> Graph:
    """The graph that the file describes. Raises `Invalid` for what is no such file, saying where it is wrong."""
    if len(text) > MOST_CHARACTERS:
        raise TooLarge("This lineage is longer than 32 MiB.", hint="Give the part above the model you ask about.")
    return graph_of(yamltext.read(text, "lineage", HINT, numbers=False))


def graph_of(document: Any) -> Graph:
    """The graph that a document of that form describes. Raises `Invalid`."""
    if not isinstance(document, Mapping):
        raise Invalid("This is no lineage: it has no `nodes`.", hint=HINT)
    nodes: dict[str, Node] = {}
    for place, told in enumerate(_list(document, "nodes"), 1):
        node = _node(told, f"node {place}")
        if node.id in nodes:
            raise Invalid(f"Two nodes are named '{node.id[:100]}'.", hint="Give each its own id.")
        nodes[node.id] = node
    edges = tuple(_edge(told, f"edge {place}") for place, told in enumerate(_list(document, "edges"), 1))
    for edge in edges:
        child = nodes.get(edge.child)
        if edge.shipped_as and child is not None and not child.shipped:
            nodes[child.id] = replace(child, shipped=edge.shipped_as)
    return Graph(nodes, edges)


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    told = document.get(key) or []
    if not isinstance(told, list):
        raise Invalid(f"`{key}` is no list.", hint=HINT)
    return told


def _text(told: Mapping[str, Any], key: str) -> str:
    """A word or a date as text; "" where it is not there, or is said to be unknown."""
    value = told.get(key)
    if isinstance(value, (date, datetime, int, float)) and not isinstance(value, bool):
        value = str(value)
    return value.strip() if isinstance(value, str) and value.strip() != "unknown" else ""


def _node(told: Any, place: str) -> Node:
    if not isinstance(told, Mapping) or not _text(told, "id"):
        raise Invalid(f"{place.capitalize()} has no id.", hint="A node is at least {id: NAME}.")
    note = _text(told, "note")
    return Node(
        id=_text(told, "id"),
        kind=_KINDS.get(_text(told, "type")),
        name=_text(told, "name"),
        maker=_text(told, "made_by"),
        date=_text(told, "date"),
        licence=_text(told, "licence") or None,
        declared=_text(told, "declared") or None,
        terms=_text(told, "terms") or None,
        shipped=_text(told, "shipped_as"),
        note=note,
        history=_history(told.get("licence_history")),
        announced=tuple(dict.fromkeys((*_words(told.get("announced")), *_ANNOUNCED.findall(note)))),
        multimodal=_truth(told.get("multimodal")),
    )


def _truth(told: Any) -> bool | None:
    """`yes` and `no` too, which YAML 1.1 reads as truths and YAML 1.2.2 as texts."""
    return told if isinstance(told, bool) else _TRUTH.get(told.casefold()) if isinstance(told, str) else None


def _words(told: Any) -> list[str]:
    return [word for word in told if isinstance(word, str)] if isinstance(told, list) else []


def _history(told: Any) -> tuple[Tenure, ...]:
    given = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    return tuple(Tenure(_text(one, "licence"), _text(one, "from"), _text(one, "until")) for one in given)


def _edge(told: Any, place: str) -> Edge:
    if not isinstance(told, Mapping) or not _text(told, "from") or not _text(told, "to"):
        raise Invalid(f"{place.capitalize()} does not say between what.", hint="An edge is {from: A, to: B, how: HOW}.")
    how = _text(told, "how")
    try:
        kind = How(how)
    except ValueError:
        near = get_close_matches(how, [str(one) for one in How], 1)
        meant = f"Did you mean '{near[0]}'? " if near else ""
        raise Invalid(
            f"{place.capitalize()}: '{how[:100]}' is no way to make one thing from another.",
            hint=f"{meant}Known: {', '.join(How)}.",
        ) from None
    return Edge(_text(told, "from"), _text(told, "to"), kind, _text(told, "shipped_as"), _text(told, "src"))
