"""How a record is put together from what was read: files, card and statements. Pure.

The nearest to the thing itself holds: its files, then its card, then statements that count: this node's own, the newest
first, then those of trusted signers, in the order in which the settings list them. What the others say is kept beside
it, never averaged away. Of licences the narrower word binds (`lineage_of`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.joined import Others, different, disclosures_joined, joined_facts, joined_graphs
from intermodel.records.lineage import Graph, Node
from intermodel.records.predicates import DISCLOSURE, LINEAGE, WHAT, disclosure_of, graph_of, what_of
from intermodel.records.record import NOTHING, CardText, Held, Record, identity
from intermodel.records.said import Said, counted, newest_count
from intermodel.records.verdict import Outcome, Purpose, verdict

NO_ANCESTORS: Mapping[str, Graph] = {}


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
    """The record of a thing. `ancestors` has the own lineage (`own_lineage`) of each thing that it came from and that
    says something of itself, by a card, a file or statements about it, and `around` has those statements; `derived` is
    what follows from the node's setup.
    """
    said = newest_count(statements, address)
    told = counted(said)
    whats = [held.what] if held else []
    whats += [card.what] if card else []
    whats += [what_of(one.predicate["facts"], one.source) for one in told if one.predicate_type == WHAT]
    what, others = joined_facts([*whats, derived])
    own = lineage_of(address, held, card, told, what.kind.value if what.kind else None)
    others |= _told_of_others(own, address, told, ancestors)
    licences = list(_licences(address, held, card, told))
    if others_said := different(licences):
        others["licence"] = others_said
    disclosures = [one.disclosure for one in (held, card) if one]
    disclosures += [
        disclosure_of(one.predicate, address, one.source) for one in told if one.predicate_type == DISCLOSURE
    ]
    disclosure, disputed = disclosures_joined(address, disclosures)
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


def own_lineage(address: str, held: Held | None, card: CardText | None, statements: Sequence[Said]) -> Graph:
    """What is said of how a thing was made, in its own name."""
    told = counted(newest_count(statements, address))
    whats = [one.what for one in (held, card) if one]
    kinds = [what.kind.value for what in whats if what.kind]
    kinds += [Kind(kind) for one in told if one.predicate_type == WHAT and (kind := one.predicate["facts"].get("kind"))]
    return lineage_of(address, held, card, told, next(iter(kinds), None))


def lineage_of(
    address: str, held: Held | None, card: CardText | None, told: Sequence[Said], kind: Kind | None
) -> Graph:
    """What the file, the card and the statements that count say of how it was made, the nearest first.

    Of its licence, statements bind beside file and card only where they say less is allowed: see `_told_graph`. In the
    same way the word of a signer binds beside that of one who comes before: two that contradict each other never come
    to more than either allows.
    """
    near = joined_graphs([one.graph for one in (held, card) if one])
    itself = near.node(address)
    nearer = itself.licence or itself.declared or (card.licence if card else "")
    claimed = {address: nearer or (held.licence.value if held and held.licence else "")}
    graphs, rank = [near], 0
    for one in told:
        if one.predicate_type != LINEAGE:
            continue
        if one.rank != rank:
            graphs, rank = [joined_graphs(graphs)], one.rank
            claimed |= {key: claim for key, node in graphs[0].nodes.items() if (claim := node.licence or node.declared)}
        graph, less = _told_graph(one, claimed)
        for node in less:
            graphs[0] = _with_less(graphs[0], node)
            claimed[node.id] = node.licence or node.declared or claimed[node.id]
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


def _told_graph(said: Said, claimed: Mapping[str, str]) -> tuple[Graph, list[Node]]:
    """The lineage of a statement, its licences only as far as they bind; the nodes of which it says less is allowed.

    A licence that somebody else tells (`told_by`, and not the thing's maker) is a claim, `declared`: nobody here read
    it. Where somebody who comes before, such as the thing's own file or card, names a licence (`claimed`, by node),
    that one binds; what a statement says binds instead where it surely allows less. So none makes a licence wider.
    """
    graph = graph_of(said.predicate, said.source)
    nodes: dict[str, Node] = {}
    less: list[Node] = []
    for key, told in graph.nodes.items():
        node = _claimed(said, told)
        if held := claimed.get(key):
            if _allows_less(node.licence or node.declared or "", held):
                less.append(node)
            node = replace(node, licence=None, declared=None, history=())
        nodes[key] = node
    return replace(graph, nodes=nodes), less


def _with_less(graph: Graph, less: Node) -> Graph:
    """What is claimed stays beside what was read; of two claims, or two that were read, the narrower stays."""
    node = graph.node(less.id)
    if less.licence:
        node = replace(node, licence=less.licence, history=less.history)
    else:
        node = replace(node, licence=None, declared=less.declared, history=())
    return replace(graph, nodes={**graph.nodes, less.id: node})


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


def _told_of_others(own: Graph, address: str, told: Sequence[Said], ancestors: Mapping[str, Graph]) -> Others:
    """Licences that this thing's statements claim of its ancestors, where another one holds: what those say of
    themselves, or what a nearer statement says of them."""
    found: Others = {}
    for one in told:
        if one.predicate_type == LINEAGE:
            for key, node in graph_of(one.predicate, one.source).nodes.items():
                claimed = node.licence or node.declared
                if key == address or claimed is None:
                    continue
                itself = ancestors.get(key, own).node(key)
                if claimed not in (itself.licence, itself.declared):
                    place = f"lineage.{key}"
                    found[place] = (*found.get(place, ()), Fact(claimed, one.source))
    return found


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


def _problems(held: Held | None, card: CardText | None, said: Sequence[Said]) -> Iterator[str]:
    for note in held.notes if held else ():
        yield f"Of its file: {note}"
    if card and card.problem:
        yield f"The card could not be read: {card.problem}"
    for one in said:
        if one.problem:
            yield f"Statement {one.index} does not count: {one.problem}"
