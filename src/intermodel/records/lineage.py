"""From what a thing was made: a graph, also of things that this node does not hold. Pure values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from intermodel.records.facts import Kind


class How(StrEnum):
    """How one thing was made from another. The first eight hold the parent's weights (or data) inside the child."""

    COPY = "copy"
    FINE_TUNE = "fine-tune"
    ADAPTER = "adapter"
    """Shipped alone, and applied to its base by whoever uses it."""
    MERGE = "merge"
    QUANTISE = "quantise"
    CONVERT = "convert"
    PRUNE = "prune"
    ADAPTED = "adapted"
    """Of data: filtered, translated, extended."""
    DISTIL = "distil"
    """A model trained on another's outputs."""
    OUTPUTS = "outputs"
    """Data that a model made."""
    TRAINED_ON = "trained-on"
    PRE_TRAINED_ON = "pre-trained-on"
    EVALUATED_ON = "evaluated-on"
    USES = "uses"
    """An application or a service calls a model."""
    BUNDLES = "bundles"
    """Shipped beside it in one package, and no part of its weights: a safety classifier, a tokenizer."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """A licence for a time: from `start` to `end`, each day included; "" is not known."""

    licence: str
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A thing in a graph. `id` is its address, or any name for one that is nowhere here."""

    id: str
    kind: Kind | None = None
    name: str = ""
    maker: str = ""
    date: str = ""
    """As far as it is known: `2023`, `2023-03`, `2023-03-14`."""
    licence: str | None = None
    """What its text or maker says holds: an id of the licence data, an SPDX expression, or a tag; None is unknown."""
    declared: str | None = None
    """What a card or tag claims, where that is not known to be what holds."""
    terms: str | None = None
    """The terms of a service, which bind whoever agreed to them: an id of the licence data."""
    shipped: str = ""
    """`delta-weights`, `adapter`: where only a difference is handed out."""
    note: str = ""
    digest: str | None = None
    history: tuple[Tenure, ...] = ()
    """Under which licences it was offered, and when, where that changed."""
    announced: tuple[str, ...] = ()
    """Purposes for which its maker said in public that it may be used, where its licence itself is not known."""
    multimodal: bool | None = None
    """Whether it takes more than text, which some licences ask; None is unknown."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`child` was made from `parent`."""

    parent: str
    child: str
    how: How
    shipped_as: str = ""
    source: str = ""
    """Who says so."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by id, and edges between them; an edge may name things that are no nodes, and they may form circles."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that id; a bare one where nothing is known of it."""
        return self.nodes.get(name) or Node(name)

    def parents(self, name: str) -> tuple[Edge, ...]:
        """The edges that lead to it, in their order."""
        return tuple(edge for edge in self.edges if edge.child == name)

    def children(self, name: str) -> tuple[Edge, ...]:
        """The edges that lead from it, in their order."""
        return tuple(edge for edge in self.edges if edge.parent == name)

    def ancestors(self, name: str) -> Iterator[tuple[Edge, ...]]:
        """Each thing from which `name` was made, once, by a shortest way up to it: its edges from the nearest on."""
        by_child: dict[str, list[Edge]] = {}
        for edge in self.edges:
            by_child.setdefault(edge.child, []).append(edge)
        seen = {name}
        ways: deque[tuple[Edge, ...]] = deque([()])
        while ways:
            way = ways.popleft()
            for edge in by_child.get(way[-1].parent if way else name, ()):
                if edge.parent not in seen:
                    seen.add(edge.parent)
                    ways.append((*way, edge))
                    yield ways[-1]
