"""Lineage as a file: YAML or JSON with `nodes` and `edges`, as people write it by hand.

A node has `id`, and may have `type` (model, adapter, model-service, dataset, application), `name`, `made_by`, `date`,
`licence`, `declared`, `terms`, `licence_history` (`licence`, `from`, `until`), `shipped_as`, `multimodal`, `announced`
(purposes that its maker allowed in public), `note`. An edge has `from`, `to`, `how`, and may have `shipped_as`, `src`.
`unknown` says of any of them that nobody knows. Other keys are left alone.

A file comes from anybody. So it is built from libyaml's events, which cost no more than their text, into texts, `true`,
`false`, nothing, lists and mappings alone, within limits of depth and size; aliases count as often as they are used.
Libyaml's own way from a text to objects recurses in C, and a deep text ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

import yaml

from intermodel.core.errors import Invalid, TooLarge
from intermodel.records.card.yamlhead import scalar
from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure

MOST_CHARACTERS = 32 << 20
MOST_VALUES = 2_000_000
"""Values in one file, aliases counted as often as they are used: a lineage of about 200,000 nodes."""
MOST_DEPTH = 32
"""Lists and mappings inside each other; a lineage needs five."""

_KINDS = {
    "model": Kind.WEIGHTS, "weights": Kind.WEIGHTS, "adapter": Kind.ADAPTER, "model-service": Kind.SERVICE,
    "service": Kind.SERVICE, "dataset": Kind.DATASET, "data": Kind.DATASET, "application": Kind.APPLICATION,
}  # fmt: skip
_ANNOUNCED = re.compile(r"\bannounced as suitable for (commercial|research) use\b")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TAGS = {None, "!", *(_CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))}
_TRUTH = {"yes": True, "on": True, "no": False, "off": False}


def parse(text: str) -> Graph:
    """The graph that the file describes. Raises `Invalid` for what is no such file, saying where it is wrong."""
    if len(text) > MOST_CHARACTERS:
        raise TooLarge("This lineage is longer than 32 MiB.", hint="Give the part above the model you ask about.")
    try:
        document = _Builder(yaml.parse(text, Loader=_LOADER)).document()
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # half of a character is a ValueError
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise Invalid(
            f"This is neither YAML nor JSON{line}.", hint="See docs/record/licences.md for the form."
        ) from None
    return graph_of(document)


@dataclass(slots=True)
class _Builder:
    """The value of the one document in a stream of events. Raises `Invalid` where it is none that a lineage needs."""

    events: Iterator[Any]
    size: int = 0
    anchors: dict[str, tuple[Any, int] | None] = field(default_factory=dict)
    """What an anchor names, and of how many values it is made; None while it is being built."""

    def document(self) -> Any:
        next(self.events)  # the stream begins
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self.events), 1)
        next(self.events)  # the document ends
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            raise _refused(event, "a second document begins")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in _TAGS:
            raise _refused(event, f"the tag {event.tag[:100]} has no meaning in a lineage")
        if depth > MOST_DEPTH:
            raise _refused(event, f"lists and mappings are nested deeper than {MOST_DEPTH}")
        before = self.size
        self._count(1, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                value.append(self._value(inner, depth + 1))
        else:
            value = self._mapping(depth + 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.size - before)
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise _refused(key, "a key is no text")
            if key.value == "<<" and not key.style:
                raise _refused(key, "a key `<<` merges mappings, which is not done here")
            if key.value in values:
                raise _refused(key, f"the key '{key.value[:100]}' stands a second time")
            self._count(1, key)
            if key.anchor is not None:
                self.anchors[key.anchor] = (key.value, 1)
            values[key.value] = self._value(next(self.events), depth)
        return values

    def _alias(self, event: Any) -> Any:
        named = self.anchors.get(event.anchor)
        if named is None:
            why = "names itself" if event.anchor in self.anchors else "names nothing before it"
            raise _refused(event, f"the alias *{event.anchor[:100]} {why}")
        self._count(named[1], event)
        return named[0]

    def _count(self, more: int, event: Any) -> None:
        self.size += more
        if self.size > MOST_VALUES:
            raise _refused(event, f"there are more than {MOST_VALUES:,} values")


def _scalar(event: Any) -> str | bool | None:
    """A number or a day stays as it is written: `1.10` is a name other than `1.1`."""
    if event.style or event.tag is not None:
        return str(event.value)
    value = scalar(event.value)
    return value if value is None or isinstance(value, bool) else str(event.value)


def _refused(event: Any, why: str) -> Invalid:
    said = f"This is no lineage: in line {event.start_mark.line + 1}, {why}."
    return Invalid(said, hint="See docs/record/licences.md for the form.")


def graph_of(document: Any) -> Graph:
    """The graph that a document of that form describes. Raises `Invalid`."""
    if not isinstance(document, Mapping):
        raise Invalid("This is no lineage: it has no `nodes`.", hint="See docs/record/licences.md for the form.")
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
        raise Invalid(f"`{key}` is no list.", hint="See docs/record/licences.md for the form.")
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
