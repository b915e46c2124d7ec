"""A record: all that is known of one thing, each fact with who says so, put together from files, card and statements.

Pure: `compose` takes what was read and gives a `Record`. Where sources differ the nearest to the thing itself holds
(its files, then its card, then statements, the newest first), and the others are kept beside it, never averaged away.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import orjson

from intermodel.core import Invalid
from intermodel.core.statements import Statement
from intermodel.records.disclosure import Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.files import disagreements, merged
from intermodel.records.lineage import Edge, Graph, Node
from intermodel.records.predicates import (
    DISCLOSURE,
    FACTS,
    LINEAGE,
    SCHEMAS,
    WHAT,
    check,
    disclosure_document,
    disclosure_of,
    graph_document,
    graph_of,
    what_of,
)
from intermodel.records.verdict import Outcome, Purpose, verdict

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
RESERVED = ("verdict", "passport", "grades", "bundle", "bom", "sign", "compare")
"""What no address may end with: these are the parts of a record."""

NOTHING, CLOSED, ALONE = WhatItIs(), Disclosure(""), Graph()
NO_ANCESTORS: Mapping[str, Graph] = {}
"""Of a thing of which nothing is known."""


def identity(address: str) -> str:
    """The digest of a thing that has no file here: of the canonical JSON `{"address":"..."}`.

    It names the thing and promises nothing of its content: a service may change behind it.
    """
    return f"sha256:{hashlib.sha256(orjson.dumps({'address': address})).hexdigest()}"


def checked_address(address: str) -> str:
    """The address, if a record may stand under it. Raises `Invalid`."""
    if not NAME.fullmatch(address) or len(address) > 200 or address.rpartition("/")[2] in RESERVED:
        raise Invalid(
            f"'{address[:200]}' is no address for a record.",
            hint=f"Use NAME or owner/NAME: letters, digits, dot, dash, underscore; not {', '.join(RESERVED)}.",
            code="invalid_address",
        )
    return address


@dataclass(frozen=True, slots=True)
class Said:
    """A statement of the ledger, as it was read.

    `problem` says why its content was not read; `superseded` that the same signer has said something newer of the kind.
    """

    index: int
    signer: str
    at: float
    predicate_type: str
    predicate: Mapping[str, Any]
    problem: str = ""
    superseded: bool = False
    about: tuple[str, ...] = ()
    """The names of what it is about, as the signer wrote them."""
    own: bool = False
    """Whether a key of this node's ledger signed it: the node is one signer, whichever key it has."""

    @property
    def source(self) -> str:
        return f"statement:{self.index}"

    @property
    def told_by(self) -> str:
        return _text(self.predicate.get("told_by"))

    @property
    def url(self) -> str:
        return _text(self.predicate.get("url"))

    @property
    def known(self) -> bool:
        """Whether its kind is one that is read here."""
        return self.predicate_type in SCHEMAS

    @property
    def counts(self) -> bool:
        return self.known and not self.problem and not self.superseded


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as it came: `text` to the letter, its digest, where it was found, and what was read from it."""

    text: str
    digest: str
    source: str
    licence: str = ""
    what: WhatItIs = NOTHING
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What this node has of a thing: its file's digest, and what the file says."""

    digest: str
    file: str
    size: int
    what: WhatItIs
    licence: Fact[str] | None = None
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    notes: tuple[str, ...] = ()
    """Where its files disagree, and what of them could not be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one thing. `others` are the facts that lost to a nearer source, by the name of the field."""

    address: str
    digest: str
    held: Held | None = None
    what: WhatItIs = NOTHING
    licence: Fact[str] | None = None
    """What it claims of itself, or is claimed of it."""
    others: Mapping[str, tuple[Fact[Any], ...]] = field(default_factory=dict)
    card: CardText | None = None
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    statements: tuple[Said, ...] = ()
    around: tuple[Said, ...] = ()
    """Statements about the things from which it came, on which its lineage rests."""
    problems: tuple[str, ...] = ()
    """What could not be read, in words."""

    @property
    def known(self) -> bool:
        """Whether anything is known of it at all."""
        return bool(self.held or self.card or self.statements or self.graph.edges)

    def said(self, index: int) -> Said | None:
        """The statement at that place of the ledger, if this record rests on it."""
        return next((one for one in (*self.statements, *self.around) if one.index == index), None)

    def document(self) -> dict[str, Any]:
        """As JSON: what passports, bills of material and pages are made from."""
        return {
            "address": self.address,
            "digest": self.digest,
            "digest_of": "file" if self.held else "address",
            "file": {"name": self.held.file, "size": self.held.size} if self.held else None,
            "what": {name: self._fact(name, getattr(self.what, name)) for name in FACTS},
            "licence": self._fact("licence", self.licence),
            "card": {"digest": self.card.digest, "source": self.card.source, "problem": self.card.problem}
            if self.card
            else None,
            "disclosure": {"name": self.address, **disclosure_document(self.disclosure)},
            "disputes": {
                name: [{"value": _plain(one.value), "source": one.source} for one in found]
                for name, found in self.others.items()
            },
            "lineage": graph_document(self.graph),
            "statements": [_said(said) for said in self.statements],
            "around": [_said(said) for said in self.around],
            "problems": list(self.problems),
        }

    def _fact(self, name: str, fact: Fact[Any] | None) -> dict[str, Any] | None:
        if fact is None:
            return None
        others = [{"value": _plain(one.value), "source": one.source} for one in self.others.get(name, ())]
        return {"value": _plain(fact.value), "source": fact.source, "others": others}


def read_statement(index: int, signer: str, at: float, statement: Statement) -> Said:
    """A statement with what is wrong with it. Other kinds than ours are kept as they are."""
    problem = ""
    if statement.predicate_type in SCHEMAS:
        try:
            check(statement.predicate_type, statement.predicate)
        except Invalid as error:
            problem = error.message
    about = tuple(subject.name for subject in statement.subjects)
    return Said(index, signer, at, statement.predicate_type, statement.predicate, problem, about=about)


def newest_count(statements: Iterable[Said], address: str = "") -> tuple[Said, ...]:
    """All of them, newest first; of what one source says of one kind only the newest counts.

    What is said of the same bytes under another name than `address` supersedes nothing that is said under this one.
    """
    seen: set[tuple[str, str, str, bool]] = set()
    found = []
    for said in sorted(statements, key=lambda one: -one.index):
        key = (said.predicate_type, "" if said.own else said.signer, said.told_by, address in said.about)
        found.append(replace(said, superseded=key in seen) if said.known and not said.problem else said)
        if said.known and not said.problem:
            seen.add(key)
    return tuple(found)


def compose(
    address: str,
    held: Held | None = None,
    card: CardText | None = None,
    statements: Sequence[Said] = (),
    ancestors: Mapping[str, Graph] = NO_ANCESTORS,
    problems: Sequence[str] = (),
    derived: WhatItIs = NOTHING,
    around: Sequence[Said] = (),
) -> Record:
    """The record of a thing. `ancestors` has the own lineage (`lineage_of`) of each thing that it came from and that
    says something of itself, by a card, a file or statements about it, and `around` has those statements; `derived` is
    what follows from the node's setup.
    """
    said = newest_count(statements, address)
    told = [one for one in said if one.counts]
    whats = [held.what] if held else []
    whats += [card.what] if card else []
    whats += [what_of(one.predicate["facts"], one.source) for one in told if one.predicate_type == WHAT]
    what, others = _merged([*whats, derived])
    own = lineage_of(address, held, card, told, what.kind.value if what.kind else None)
    others |= _told_of_others(address, told, ancestors)
    licences = list(_licences(address, held, card, told))
    if others_said := _different(licences):
        others["licence"] = others_said
    disclosures = [one.disclosure for one in (held, card) if one]
    disclosures += [
        disclosure_of(one.predicate, address, one.source) for one in told if one.predicate_type == DISCLOSURE
    ]
    disclosure, disputed = _disclosure(address, disclosures)
    return Record(
        address,
        held.digest if held else identity(address),
        held,
        what,
        licences[0] if licences else None,
        others | disputed,
        card,
        disclosure,
        with_ancestors(own, address, ancestors),
        said,
        tuple(around),
        (*problems, *_problems(held, card, said)),
    )


def lineage_of(
    address: str, held: Held | None, card: CardText | None, told: Sequence[Said], kind: Kind | None
) -> Graph:
    """What the file, the card and the statements that count say of how it was made, the nearest first.

    Of its licence, statements bind beside file and card only where they say less is allowed: see `_told_graph`.
    """
    near = joined_graphs([one.graph for one in (held, card) if one])
    itself = near.node(address)
    nearer = itself.licence or itself.declared or (card.licence if card else "")
    nearer = nearer or (held.licence.value if held and held.licence else "")
    graphs = [near]
    for one in told:
        if one.predicate_type == LINEAGE:
            graph, less = _told_graph(one, address, nearer)
            if less is not None:
                graphs[0] = _with_less(graphs[0], address, less)
                nearer = less.licence or less.declared or nearer
            graphs.append(graph)
    own = joined_graphs(graphs)
    node = own.node(address)
    claims = [node.declared, card.licence if card else None]
    if node.licence is None and node.terms is None and held and held.licence:
        claims.append(held.licence.value)
    node = replace(
        node,
        kind=node.kind or kind,
        declared=next(filter(None, claims), None),
        digest=node.digest or (held.digest if held else None),
    )
    return Graph({address: node} | {key: one for key, one in own.nodes.items() if key != address}, own.edges)


def _told_graph(said: Said, address: str, nearer: str) -> tuple[Graph, Node | None]:
    """The lineage of a statement, its licences only as far as they bind; the thing's node if it says less is allowed.

    A licence that somebody else tells (`told_by`, and not the thing's maker) is a claim, `declared`: nobody here read
    it. Where the thing's file or card names another licence, `nearer`, that one binds; what a statement says of it
    binds instead where it surely allows less. So no statement makes a licence wider than the thing's own word.
    """
    graph = graph_of(said.predicate, said.source)
    nodes = {key: _claimed(said, node) for key, node in graph.nodes.items()}
    own, less = nodes.get(address), None
    if own is not None and nearer:
        less = own if _allows_less(own.licence or own.declared or "", nearer) else None
        nodes[address] = replace(own, licence=None, declared=None, history=())
    return replace(graph, nodes=nodes), less


def _with_less(graph: Graph, address: str, less: Node) -> Graph:
    """What is claimed stays beside what was read; of two claims, or two that were read, the narrower stays."""
    node = graph.node(address)
    if less.licence:
        node = replace(node, licence=less.licence, history=less.history)
    else:
        node = replace(node, licence=None, declared=less.declared, history=())
    return replace(graph, nodes={**graph.nodes, address: node})


def _claimed(said: Said, node: Node) -> Node:
    if node.licence is None or not said.told_by or said.told_by.casefold() == node.maker.casefold():
        return node
    return replace(node, licence=None, declared=node.declared or node.licence)


def _allows_less(one: str, other: str) -> bool:
    """Whether a licence surely allows less than another: for some purpose less, and for none more."""
    mine, theirs = _width(one), _width(other)
    known = bool(one) and Outcome.UNKNOWN not in mine
    return known and mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


@functools.lru_cache(maxsize=1000)
def _width(licence: str) -> tuple[Outcome, ...]:
    graph = Graph({"it": Node("it", declared=licence)})
    return tuple(verdict(graph, "it", purpose).strict.outcome for purpose in Purpose)


def with_ancestors(own: Graph, address: str, ancestors: Mapping[str, Graph]) -> Graph:
    """All of them together. What is said of an ancestor in its own name is not mended by what its descendants say of
    it: a child could make its parent's licence wider that way."""
    joined = joined_graphs([own, *ancestors.values()])
    themselves = {key: graph.node(key) for key, graph in ancestors.items()} | {address: own.node(address)}
    return replace(joined, nodes={**joined.nodes, **themselves})


def _told_of_others(
    address: str, told: Sequence[Said], ancestors: Mapping[str, Graph]
) -> dict[str, tuple[Fact[Any], ...]]:
    """Licences that this thing's statements claim of its ancestors, where those say something else of themselves."""
    found: dict[str, tuple[Fact[Any], ...]] = {}
    for one in told:
        if one.predicate_type == LINEAGE:
            for key, node in graph_of(one.predicate, one.source).nodes.items():
                claimed = node.licence or node.declared
                if key == address or key not in ancestors or claimed is None:
                    continue
                itself = ancestors[key].node(key)
                if claimed not in (itself.licence, itself.declared):
                    place = f"lineage.{key}"
                    found[place] = (*found.get(place, ()), Fact(claimed, one.source))
    return found


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


def _merged(whats: Sequence[WhatItIs]) -> tuple[WhatItIs, dict[str, tuple[Fact[Any], ...]]]:
    others: dict[str, tuple[Fact[Any], ...]] = {}
    for name in FACTS:
        facts = [fact for what in whats if (fact := getattr(what, name)) is not None]
        different = tuple(
            fact for fact in facts[1:] if disagreements(WhatItIs(**{name: facts[0]}), WhatItIs(**{name: fact}))
        )
        if different:
            others[name] = different
    return merged(*whats), others


def _different(facts: Sequence[Fact[str]]) -> tuple[Fact[str], ...]:
    """Those that say something else than the first."""
    return tuple(fact for fact in facts[1:] if fact.value.casefold() != facts[0].value.casefold())


def _licences(address: str, held: Held | None, card: CardText | None, told: Sequence[Said]) -> Iterator[Fact[str]]:
    """Every licence that is claimed of it: by its card, its file, and the statements about its lineage."""
    if card and card.licence:
        yield Fact(card.licence, "card:license")
    if held and held.licence:
        yield held.licence
    for one in told:
        if one.predicate_type == LINEAGE:
            node = graph_of(one.predicate, one.source).nodes.get(address)
            for value in (node.licence, node.declared, node.terms) if node else ():
                if value:
                    yield Fact(value, one.source)


def _disclosure(address: str, given: Sequence[Disclosure]) -> tuple[Disclosure, dict[str, tuple[Fact[Any], ...]]]:
    """One of several: of each part the first that says something, and what others say of it."""
    components: dict[str, Component] = {}
    told: dict[str, Told] = {}
    others: dict[str, tuple[Fact[Any], ...]] = {}
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
    return _disclosure(given[0].name, given)[0]


def _first(mappings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mapping in mappings:
        found = {**mapping, **found}
    return found


def _problems(held: Held | None, card: CardText | None, said: Sequence[Said]) -> Iterator[str]:
    for note in held.notes if held else ():
        yield f"Of its file: {note}"
    if card and card.problem:
        yield f"The card could not be read: {card.problem}"
    for one in said:
        if one.problem:
            yield f"Statement {one.index} does not count: {one.problem}"


def _said(said: Said) -> dict[str, Any]:
    return {
        "index": said.index,
        "predicate_type": said.predicate_type,
        "signer": said.signer,
        "at": said.at,
        "told_by": said.told_by,
        "url": said.url,
        "counts": said.counts,
        "superseded": said.superseded,
        "known": said.known,
        "problem": said.problem,
        "about": list(said.about),
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
