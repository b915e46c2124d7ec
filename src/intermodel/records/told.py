"""What somebody tells of a thing, as a person writes it down: one YAML or JSON document, read into predicates. Pure.

::

    address: openai/gpt-4            # which thing; left out where it is named besides
    told_by: OpenAI                  # who says so, and where; the node that records it signs
    url: https://arxiv.org/abs/2303.08774
    what: {kind: service, modalities: [text, image]}
    maker: OpenAI                    # these stand in its place in the lineage:
    date: 2023-03                    #   name, maker, date, licence, declared, terms, shipped, note
    disclosure: {told: {hardware: {presence: closed}}}
    lineage: {nodes: [...], edges: [{parent: ..., how: fine-tune}]}
    card: "---\\nlicense: ...\\n---\\n# ..."

A whole graph, as `lineage_file` reads them, becomes one of these for each of its things.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from intermodel.core import Invalid
from intermodel.ledger.predicates import check
from intermodel.records import lineage_file
from intermodel.records.lineage import Graph
from intermodel.records.predicates import CARD, DISCLOSURE, LINEAGE, WHAT, card_named, graph_document, withheld

OWN = ("name", "maker", "date", "licence", "declared", "terms", "shipped", "note")
"""What stands at the thing's own place in its lineage."""
FIELDS = ("address", "told_by", "url", "what", "disclosure", "lineage", "card", *OWN)
_UNSAID = ("", "unknown")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one thing; parts that are left out say nothing."""

    told_by: str = ""
    url: str = ""
    what: Mapping[str, Any] | None = None
    disclosure: Mapping[str, Any] | None = None
    lineage: Mapping[str, Any] | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    card: str = ""

    @classmethod
    def of(cls, document: Any) -> Told:
        """From a document. Raises `Invalid`, which names the field at fault."""
        if not isinstance(document, Mapping):
            raise Invalid("What is told of a thing is a mapping of fields.", hint="docs/record.md shows one.")
        for name, value in document.items():
            _check_field(str(name), value)
        own = {name: str(document[name]) for name in OWN if document.get(name) is not None}
        told = cls(
            document.get("told_by") or "",
            document.get("url") or "",
            document.get("what"),
            document.get("disclosure"),
            document.get("lineage"),
            own,
            document.get("card") or "",
        )
        if not (told.what or told.disclosure or told.lineage or told.own or told.card):
            raise Invalid("This says nothing of the thing.", hint=f"Give one of {', '.join(FIELDS[3:])}.")
        return told

    def who(self) -> dict[str, str]:
        return {name: value for name, value in (("told_by", self.told_by), ("url", self.url)) if value}

    def predicates(self, address: str) -> dict[str, dict[str, Any]]:
        """What is to be signed, by predicate type, each as its schema has it; the card's text is kept beside.

        Mail addresses and telephone numbers are left out. Raises `Invalid`, which names the field at fault.
        """
        found: dict[str, dict[str, Any]] = {}
        if self.what is not None:
            found[WHAT] = self.who() | {"facts": dict(self.what)}
        if self.disclosure is not None:
            found[DISCLOSURE] = self.who() | dict(self.disclosure)
        if self.lineage is not None or self.own:
            found[LINEAGE] = self.who() | self._lineage(address)
        if self.card:
            found[CARD] = self.who() | card_named(self.card)
        for predicate_type, predicate in found.items():
            check(predicate_type, predicate)
        return {predicate_type: withheld(predicate) for predicate_type, predicate in found.items()}

    def _lineage(self, address: str) -> dict[str, Any]:
        given = self.lineage or {}
        nodes = [_node(one) for one in _mappings(given, "nodes")]
        edges = [_edge(one, address) for one in _mappings(given, "edges")]
        if unknown := set(given) - {"nodes", "edges"}:
            raise _unknown(f"lineage.{min(map(str, unknown))}", ["lineage.nodes", "lineage.edges"])
        own = {"id": address} | {name: value for name, value in self.own.items() if not _unsaid(name, value)}
        if self.what and "kind" in self.what:
            own["kind"] = self.what["kind"]
        before = next((one for one in nodes if one.get("id") == address), {})
        return {"nodes": [before | own, *(one for one in nodes if one is not before)], "edges": edges}


def graph_told(document: Mapping[str, Any]) -> dict[str, Told]:
    """A whole graph, as what is told of each of its things: itself, and the edges that lead to it; parents first."""
    graph = lineage_file.graph_of(document)
    told_by, url = str(document.get("told_by") or ""), str(document.get("url") or "")
    found: dict[str, Told] = {}
    for key in _parents_first(graph):
        node = graph.node(key)
        own = graph_document(Graph({key: node}, graph.parents(key)))
        what = {"kind": node.kind.value} if node.kind else None
        found[key] = Told(told_by, url, what, None, own)
    return found


def _parents_first(graph: Graph) -> list[str]:
    """Every thing of a graph; those in a circle where they are first met."""
    found: dict[str, None] = {}
    for start in dict.fromkeys((*graph.nodes, *(edge.child for edge in graph.edges))):
        stack, on_way = [start], {start}
        while stack:
            waiting = [edge.parent for edge in graph.parents(stack[-1]) if edge.parent in graph.nodes]
            ahead = next((name for name in waiting if name not in found and name not in on_way), None)
            if ahead is None:
                found.setdefault(stack.pop())
            else:
                on_way.add(ahead)
                stack.append(ahead)
    return list(found)


def _node(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _edge(given: Mapping[str, Any], address: str) -> dict[str, Any]:
    edge = dict(given)
    for theirs, ours in (("from", "parent"), ("to", "child"), ("src", "source")):
        if theirs in edge:
            edge[ours] = edge.pop(theirs)
    if "child" not in edge:
        edge["child"] = address
    for name in ("parent", "child", "how"):
        if not isinstance(edge.get(name), str) or not edge[name]:
            raise Invalid(f"An edge of the lineage has no '{name}'.", hint="Give parent, child and how.", param="edges")
    if edge["parent"] == edge["child"]:
        raise Invalid(
            f"An edge of the lineage makes '{edge['child'][:100]}' from itself.",
            hint="Name as its parent what it was made from, or leave the edge out.",
            param="edges",
        )
    return edge


def _unsaid(name: str, value: Any) -> bool:
    """Whether a licence is one of the words for not knowing: those are no licence."""
    return name in ("licence", "declared", "terms") and str(value).strip().casefold() in _UNSAID


def _mappings(document: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    given = document.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise Invalid(f"'{name}' is no list of mappings.", hint="docs/record.md shows one.", param=name)
    return given


def _check_field(name: str, value: Any) -> None:
    if name not in FIELDS:
        raise _unknown(name, FIELDS)
    mapping = name in ("what", "disclosure", "lineage")
    if value is not None and (mapping != isinstance(value, Mapping) or isinstance(value, list)):
        raise Invalid(f"'{name}' is {'no mapping' if mapping else 'no text'}.", param=name)


def _unknown(name: str, known: Sequence[str]) -> Invalid:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known)}."
    return Invalid(f"There is no field '{name[:100]}' here.", hint=hint, param=name[:100], code="unknown_field")
