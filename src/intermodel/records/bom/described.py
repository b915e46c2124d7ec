"""What a bill of material is made from: one record as plain values, and the way there from a record's JSON document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intermodel.core import Invalid
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.predicates import FACTS, disclosure_of, graph_of

DATA = (How.TRAINED_ON, How.PRE_TRAINED_ON, How.EVALUATED_ON)
"""What leads from data to a model."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signed statement that stands behind the record: its place in the ledger, its predicate type and its signer."""

    index: int
    predicate_type: str
    signer: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement of quality: `metric` (`accuracy`), its value as it was told, on what, and who says so."""

    metric: str
    value: str
    on: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """One thing as its record has it. None, "" and what is not in a mapping are *unknown*."""

    address: str
    digest: str | None = None
    """Of its file; None where this node has no file of it, for the digest of a name says nothing of a content."""
    what: WhatItIs = field(default_factory=WhatItIs)
    licence: Fact[str] | None = None
    """What it claims of itself, or is claimed of it."""
    licence_text: str = ""
    disclosure: Disclosure = field(default_factory=lambda: Disclosure(""))
    graph: Graph = field(default_factory=Graph)
    card_digest: str = ""
    supplier: str = ""
    """Who hands it out, where that is known; not simply who made it."""
    results: tuple[Result, ...] = ()
    statements: tuple[Evidence, ...] = ()
    disputes: Mapping[str, tuple[Fact[Any], ...]] = field(default_factory=dict)
    """What other sources say, by the name of the fact."""
    parents: Mapping[str, tuple[Edge, ...]] = field(init=False, repr=False, compare=False)
    """The edges that lead to each thing, by its id."""
    data: frozenset[str] = field(init=False, repr=False, compare=False)
    """What others were trained or evaluated on."""

    def __post_init__(self) -> None:
        if not self.address:
            raise Invalid("A thing without an address has no bill of material.", hint="Name it.")
        if self.digest is not None and not DIGEST.fullmatch(self.digest):
            raise Invalid(f"'{self.digest[:100]}' is no digest.", hint="Give it as sha256: and 64 hexadecimal digits.")
        parents: dict[str, list[Edge]] = {}
        for edge in self.graph.edges:
            parents.setdefault(edge.child, []).append(edge)
        object.__setattr__(self, "parents", {child: tuple(edges) for child, edges in parents.items()})
        object.__setattr__(self, "data", frozenset(edge.parent for edge in self.graph.edges if edge.how in DATA))

    def node(self) -> Node:
        """The thing itself, as its lineage names it."""
        return self.graph.node(self.address)

    def kind(self, node: Node) -> Kind | None:
        """What a thing is; of the thing itself what its own facts say goes first."""
        return self.what.kind.value if node.id == self.address and self.what.kind else node.kind

    def is_data(self, node: Node) -> bool:
        """Because it says so; or, where it does not say what it is, because others were trained on it."""
        kind = self.kind(node)
        return node.id in self.data if kind is None else kind is Kind.DATASET

    def nodes(self) -> list[Node]:
        """Every other thing of its lineage, also those that are only an end of an edge; by id."""
        ends = {end for edge in self.graph.edges for end in (edge.parent, edge.child)}
        return [self.graph.node(name) for name in sorted({*self.graph.nodes, *ends} - {self.address})]


def as_described(record: Described | Mapping[str, Any]) -> Described:
    """The same, or what a record's JSON document holds."""
    return record if isinstance(record, Described) else described(record)


def described(document: Mapping[str, Any]) -> Described:
    """From a record's JSON document, as `GET /api/v1/records/{address}` gives it.

    Raises `Invalid` for a document of another form.
    """
    try:
        return _described(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(
            f"That is no record in a form that this program reads ({type(error).__name__}: {str(error)[:200]}).",
            hint="Is the node of another version?",
        ) from None


def _described(document: Mapping[str, Any]) -> Described:
    disclosure = document.get("disclosure") or {}
    address = document["address"]
    if not isinstance(address, str):
        raise TypeError("its address is no text")
    return Described(
        address,
        document["digest"] if document.get("digest_of") == "file" else None,
        WhatItIs(**{name: _fact(name, one) for name, one in (document.get("what") or {}).items() if name in FACTS}),
        _fact("licence", document.get("licence")),
        document.get("licence_text") or "",
        disclosure_of(disclosure, disclosure.get("name", address), ""),
        graph_of(document.get("lineage") or {"nodes": [], "edges": []}, ""),
        (document.get("card") or {}).get("digest") or "",
        document.get("supplier") or "",
        tuple(Result(**one) for one in document.get("results") or ()),
        tuple(
            Evidence(one["index"], one["predicate_type"], one["signer"], one.get("url") or "")
            for one in document.get("statements") or ()
            if one.get("counts", True)
        ),
        {
            name: tuple(Fact(one["value"], one["source"]) for one in others)
            for name, others in (document.get("disputes") or {}).items()
        },
    )


def _fact(name: str, one: Any) -> Any:
    if one is None:
        return None
    value = Kind(one["value"]) if name == "kind" else one["value"]
    return Fact(tuple(value) if isinstance(value, list) else value, one["source"])
