"""Several sources made one: graphs, facts and disclosures, the nearest first, and what the others say instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, WhatItIs
from intermodel.records.files import disagreements, merged
from intermodel.records.lineage import Edge, Graph, Node
from intermodel.records.predicates import FACTS

Others = dict[str, tuple[Fact[Any], ...]]
"""What lost to a nearer source, by the name of the field."""


def joined_graphs(graphs: Sequence[Graph]) -> Graph:
    """One graph of several: of each node the fields that an earlier one leaves open are taken from a later one."""
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str, str], Edge] = {}
    for graph in graphs:
        for key, node in graph.nodes.items():
            nodes[key] = _filled(nodes[key], node) if key in nodes else node
        for edge in graph.edges:
            place = (edge.parent, edge.child, edge.how.value)
            edges[place] = _both(edges[place], edge) if place in edges else edge
    return Graph(nodes, tuple(edges.values()))


def _filled(node: Node, other: Node) -> Node:
    open_fields = {
        one.name: getattr(other, one.name) for one in fields(Node) if getattr(node, one.name) in (None, "", ())
    }
    return replace(node, **open_fields)


def _both(edge: Edge, other: Edge) -> Edge:
    sources = [edge.source, *([other.source] if other.source not in edge.source.split("; ") else [])]
    return replace(edge, shipped_as=edge.shipped_as or other.shipped_as, source="; ".join(filter(None, sources)))


def joined_facts(whats: Sequence[WhatItIs]) -> tuple[WhatItIs, Others]:
    """Each fact from the first that knows it."""
    others: Others = {}
    for name in FACTS:
        facts = [fact for what in whats if (fact := getattr(what, name)) is not None]
        different = tuple(
            fact for fact in facts[1:] if disagreements(WhatItIs(**{name: facts[0]}), WhatItIs(**{name: fact}))
        )
        if different:
            others[name] = different
    return merged(*whats), others


def different(facts: Sequence[Fact[str]]) -> tuple[Fact[str], ...]:
    """Those that say something else than the first."""
    return tuple(fact for fact in facts[1:] if fact.value.casefold() != facts[0].value.casefold())


def disclosures_joined(address: str, given: Sequence[Disclosure]) -> tuple[Disclosure, Others]:
    """One of several: of each part the first that says something, and what others say of it."""
    components: dict[str, Component] = {}
    told: dict[str, Told] = {}
    others: Others = {}
    for one in given:
        for key, component in one.components.items():
            if component.presence is Presence.UNKNOWN and component.licence is None and not component.url:
                continue
            first = components.setdefault(key, component)
            if (first.presence, first.licence) != (component.presence, component.licence):
                place = f"components.{key}"
                shown = Fact(f"{component.presence.value}, {component.licence or 'licence unknown'}", component.source)
                others[place] = (*others.get(place, ()), shown)
        for key, words in one.told.items():
            if words.text or words.presence is not Presence.UNKNOWN:
                first_words = told.setdefault(key, words)
                if bool(first_words.text) != bool(words.text):
                    place = f"told.{key}"
                    others[place] = (*others.get(place, ()), Fact(words.text or words.presence.value, words.source))
    merged = Disclosure(
        address,
        components,
        told,
        _first(one.licences for one in given),
        _first(one.indicators for one in given),
        _first(one.access for one in given),
        _first(one.indicator_sources for one in given),
    )
    return merged, others


def disclosure_joined(*given: Disclosure) -> Disclosure:
    """One of several, the first that says something of a part before the others."""
    return disclosures_joined(given[0].name, given)[0]


def _first(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mapping in mappings:
        found = {**mapping, **found}
    return found
