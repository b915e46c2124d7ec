"""CycloneDX JSON, 1.5 to 1.7, read as facts with their places. What it does not say stays unknown.

The format's own fields hold; this project's properties fill what has no field, and give way where both differ. A
document is somebody's claim: every source begins with `cyclonedx:`, whatever it names in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from intermodel.core import Invalid
from intermodel.records.bom.described import Result
from intermodel.records.bom.fields import (
    agreed,
    by_prefix,
    energy_of,
    hashes_of,
    licences_of,
    modalities_of,
    own_fact,
    own_object,
    presence_of,
    tenure_of,
    texts_of,
)
from intermodel.records.bom.official import CYCLONEDX
from intermodel.records.bom.terms import terms_of
from intermodel.records.bom.things import (
    APPLICATION,
    DATA,
    MODEL,
    MOST_TIES,
    SERVICE,
    Place,
    Thing,
    Things,
    things_of,
    wrong,
)
from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.facts import Fact, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.predicates import FACTS, disclosure_document, graph_document, joined

_READ = (MODEL, DATA, APPLICATION, SERVICE)
_REFERENCES = {"model-card": "model_card", "quality-metrics": "evaluation_results"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What a document says of one thing and its lineage. `notes` say in words what was assumed or left out."""

    name: str
    what: WhatItIs
    disclosure: Disclosure
    graph: Graph
    licence: Fact[str] | None = None
    """What it names as its licence. `claimed` says that it is what a tag claims, and not what is said to hold."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """By CycloneDX's names of algorithms: `SHA-256`."""
    results: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def claimed(self) -> bool:
        """Whether the licence is a claim: no text and nobody but its own tag says that it holds."""
        node = self.graph.node(self.name)
        return self.licence is not None and self.licence.value not in (node.licence, node.terms)

    def document(self) -> dict[str, Any]:
        """As JSON, in the form of a record's document."""
        facts = {name: getattr(self.what, name) for name in FACTS}
        return {
            "name": self.name,
            "what": {name: _plain(fact) for name, fact in facts.items()},
            "licence": None if self.claimed else _plain(self.licence),
            "declared": _plain(self.licence) if self.claimed else None,
            "disclosure": {"name": self.disclosure.name, **disclosure_document(self.disclosure)},
            "lineage": graph_document(self.graph),
            "hashes": dict(self.hashes),
            "results": [asdict(one) for one in self.results],
            "notes": list(self.notes),
        }


def from_cyclonedx(document: Mapping[str, Any], subject: str = "") -> Imported:
    """Read a document. `subject` is the name or `bom-ref` of the thing that is meant, where it holds several.

    Without it that is what the document says it describes, if that is a model or data; else its first model, else its
    first data. Raises `Invalid` for another format or version, a field of the wrong type, and what is too large.
    """
    if document.get("bomFormat") != "CycloneDX":
        raise Invalid("It is no CycloneDX document.", hint='Such a one says "bomFormat": "CycloneDX".')
    if document.get("specVersion") not in CYCLONEDX:
        raise Invalid(
            f"CycloneDX {str(document.get('specVersion'))[:20]} is not read.", hint=f"Read are {', '.join(CYCLONEDX)}."
        )
    return _Reading(Place(document, ""), subject).imported()


class _Reading:
    """One document while it is read."""

    def __init__(self, document: Place, subject: str) -> None:
        self.document = document
        self.things: Things = things_of(document)
        self.notes: list[str] = []
        self.thing = self._chosen(subject)
        self.edges: dict[tuple[str, str, How], Edge] = {}

    def imported(self) -> Imported:
        nodes = self._nodes()
        self._tie()
        name = self.thing.id
        what = self._what()
        return Imported(
            name,
            what,
            self._disclosure(),
            self._around(name, nodes),
            self._licence(),
            hashes_of(self.thing.place),
            tuple(self._results()),
            tuple(dict.fromkeys(self.notes)),
        )

    def _chosen(self, subject: str) -> Thing:
        usable = [thing for thing in self.things.all if thing.type in _READ and "serves" not in thing.own]
        if subject:
            for thing in usable:
                if subject in (thing.id, thing.ref, thing.place.text("name")):
                    return thing
            raise Invalid(
                f"It holds nothing called '{subject[:100]}'.",
                hint=f"It holds {', '.join(thing.id[:100] for thing in usable[:10]) or 'no model and no data'}.",
            )
        top = self.things.top
        order = [top] if top and (top.type in (MODEL, DATA) or "id" in top.own) else []
        order += [thing for kind in _READ for thing in usable if thing.type == kind]
        if not order:
            raise Invalid("It describes no model, no data, no application and no service.", hint="Is it an ML-BOM?")
        others = {thing.id for thing in order if thing.type == MODEL} - {order[0].id}
        if others and order[0] is not top:
            self.notes.append(f"It holds {len(others)} more models; '{order[0].id[:100]}' was taken as what is meant.")
        return order[0]

    # What it is

    def _what(self) -> WhatItIs:
        thing, found = self.thing, dict[str, Fact[Any]]()
        for name in FACTS:
            if f"fact.{name}" in thing.own:
                found[name] = own_fact(name, thing)
        if thing.kind is not None:
            kind_source = thing.said("source.kind")
            found["kind"] = Fact(thing.kind, joined(f"{thing.place.source}/type", kind_source))
        elif thing.type == MODEL and "kind" not in thing.own:
            self.notes.append("Whether it is weights or a service is not said: CycloneDX has one type for both.")
        parameters = thing.place.object("modelCard").object("modelParameters")
        for key in ("architectureFamily", "modelArchitecture"):
            stated = parameters.text(key)
            if stated and not ("architecture" in found and found["architecture"].value == stated):
                found["architecture"] = Fact(stated, f"{parameters.source}/{key}")
        if modalities := modalities_of(parameters):
            found.setdefault("modalities", Fact(modalities, f"{parameters.source}/inputs"))
        return WhatItIs(**found)

    def _licence(self) -> Fact[str] | None:
        place, own = self.thing.place, self.thing.own
        stated = licences_of(place)
        claimed = stated.get("declared", stated.get("concluded"))
        if "licence" in own:
            raw, source = own["licence"][0]
            if claimed is None or "declared" not in stated or terms_of(raw) == terms_of(claimed):
                return Fact(raw, joined(source, self.thing.said("source.licence")))
            self.notes.append(
                f"A property names the licence '{raw[:100]}', the document '{claimed[:100]}': that holds."
            )
        elif "id" in own and own.keys() & {"node.licence", "node.declared"}:
            return None
        return None if claimed is None else Fact(claimed, f"{place.source}/licenses")

    # What was laid open

    def _disclosure(self) -> Disclosure:
        own = self.thing.own
        components = {name: self._component(f"component.{name}") for name in COMPONENTS if f"component.{name}" in own}
        told = {name: self._told_of_own(f"told.{name}") for name in DISCLOSED if f"told.{name}" in own}
        for reference in self.thing.place.objects("externalReferences"):
            name = _REFERENCES.get(reference.text("type"), "")
            if name and name not in components:
                components[name] = Component(url=reference.text("url"), source=reference.source)
        for name, (text, source) in self._told().items():
            if name not in told or told[name].text != text:
                told[name] = Told(text, source, Presence.OPEN)
        if "evaluation_results" not in components and any(self._results()):
            card = self.thing.place.object("modelCard")
            components["evaluation_results"] = Component(Presence.OPEN, source=f"{card.source}/quantitativeAnalysis")
        return Disclosure(
            self.thing.id,
            components,
            told,
            {name: values[0][0] for name, values in by_prefix(own, "licences.")},
            {name: values[0][0] == "true" for name, values in by_prefix(own, "indicator.")},
            {name: presence_of(*values[0]) for name, values in by_prefix(own, "access.")},
            {name: joined(values[0][1], values[0][0]) for name, values in by_prefix(own, "indicator-source.")},
        )

    def _component(self, name: str) -> Component:
        parts, source = own_object(self.thing, name)
        return Component(
            presence_of(parts.get("presence", Presence.UNKNOWN.value), source),
            parts.get("licence"),
            parts.get("url", ""),
            parts.get("note", ""),
            joined(source, parts.get("source", "")),
        )

    def _told_of_own(self, name: str) -> Told:
        parts, source = own_object(self.thing, name)
        presence = presence_of(parts.get("presence", Presence.UNKNOWN.value), source)
        return Told(parts.get("text", ""), joined(source, parts.get("source", "")), presence)

    def _told(self) -> dict[str, tuple[str, str]]:
        """What the model card tells in words, with its place."""
        card = self.thing.place.object("modelCard")
        considerations = card.object("considerations")
        approach = card.object("modelParameters").object("approach").text("type")
        risks = [
            ": ".join(filter(None, (one.text("name"), one.text("mitigationStrategy"))))
            for one in considerations.objects("ethicalConsiderations")
        ]
        found = {
            "limitations": ("\n".join(considerations.texts("technicalLimitations")), "technicalLimitations"),
            "risks": ("\n".join(risks), "ethicalConsiderations"),
            "energy": ("\n".join(energy_of(considerations)), "environmentalConsiderations"),
        }
        told = {name: (text, f"{considerations.source}/{key}") for name, (text, key) in found.items() if text}
        if approach:
            told["training_method"] = (approach, f"{card.source}/modelParameters/approach/type")
        unread = [key for key in ("users", "useCases", "performanceTradeoffs", "fairnessAssessments")
                  if considerations.value.get(key)]  # fmt: skip
        if unread:
            self.notes.append(f"There is no field here for {', '.join(unread)}: left out.")
        return told

    def _results(self) -> Iterator[Result]:
        for one in self.thing.place.object("modelCard").object("quantitativeAnalysis").objects("performanceMetrics"):
            yield Result(one.text("type"), one.text("value"), one.text("slice"), one.source)

    # From what it was made

    def _nodes(self) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for thing in self.things.all:
            if thing.type in _READ and "serves" not in thing.own:
                found.setdefault(thing.id, self._node(thing))
        others = sum(thing.type not in _READ for thing in self.things.all)
        if others:
            self.notes.append(f"{others} components are no models, data, applications or services: left out.")
        return found

    def _node(self, thing: Thing) -> Node:
        place, stated = thing.place, licences_of(thing.place)
        maker = place.text("publisher") or place.object("manufacturer").text("name")
        name = thing.said("node.name") if "id" in thing.own else place.text("name")
        digest = hashes_of(place).get("SHA-256")
        return Node(
            thing.id,
            thing.kind,
            name,
            maker or place.object("provider").text("name"),
            thing.said("node.date"),
            agreed(thing, "node.licence", stated.get("concluded")),
            agreed(thing, "node.declared", None if thing is self.thing else stated.get("declared"))
            if "id" in thing.own
            else stated.get("declared"),
            thing.own["node.terms"][0][0] if "node.terms" in thing.own else None,
            thing.said("node.shipped"),
            thing.said("node.note"),
            f"sha256:{digest}" if digest and len(digest) == 64 else None,
            tuple(tenure_of(*one) for one in thing.own.get("node.history", ())),
            tuple(text for text, _ in thing.own.get("node.announced", ())),
            {"true": True, "false": False}.get(thing.said("node.multimodal")),
        )

    def _tie(self) -> None:
        """The edges: those that say how; then data, pedigrees and dependencies, where nothing better is known."""
        for thing in self.things.all:
            for text, source in thing.own.get("made-from", ()):
                parts = texts_of(text, source)
                how = next((how for how in How if how.value == parts.get("how")), None)
                if how is None or "parent" not in parts:
                    raise wrong(source.removeprefix("cyclonedx:"), "a way in which a thing was made")
                named = joined(source, parts.get("source", ""))
                edge = Edge(parts["parent"], thing.id, how, parts.get("shipped_as", ""), named)
                self.edges[edge.parent, edge.child, how] = edge
        self._tie_data()
        self._tie_pedigrees()
        self._tie_dependencies()

    def _tie_data(self) -> None:
        for thing in self.things.all:
            for place in thing.place.object("modelCard").object("modelParameters").objects("datasets"):
                ref = place.text("ref")
                known = self.things.by_ref.get(ref)
                name = known.id if known else ref or place.text("name")
                if name and self._new(name, thing.id, How.TRAINED_ON, place.source):
                    self.notes.append("Data of a model card may have trained or tested it: taken as trained-on.")

    def _tie_pedigrees(self) -> None:
        for thing in self.things.all:
            for way, other in thing.ties:
                if way == "variants" or {thing.type, other.type} - {MODEL, DATA}:
                    continue
                parent, child = (other, thing) if way == "ancestors" else (thing, other)
                how = How.ADAPTED if child.type == DATA else How.FINE_TUNE
                if self._new(parent.id, child.id, how, other.place.source):
                    self.notes.append(f"How a thing was derived from its ancestors is not said: taken as {how.value}.")

    def _tie_dependencies(self) -> None:
        count = 0
        for place in self.document.objects("dependencies"):
            child = self.things.by_ref.get(place.text("ref"))
            for ref in place.texts("dependsOn"):
                count += 1
                if count > MOST_TIES:
                    raise Invalid(f"It holds more than {MOST_TIES:,} dependencies.")
                parent = self.things.by_ref.get(ref)
                how = _dependency(child, parent) if child and parent else None
                if child is None or parent is None or how is None:
                    continue
                if self._new(parent.id, child.id, how, place.source) and how is not How.USES:
                    self.notes.append(f"A dependency of a {child.type} on a {parent.type} is taken as {how.value}.")

    def _new(self, parent: str, child: str, how: How, source: str) -> bool:
        """Adds an edge, unless the two are tied already or are one."""
        if parent == child or any((parent, child, other) in self.edges for other in How):
            return False
        self.edges[parent, child, how] = Edge(parent, child, how, "", source)
        return True

    def _around(self, name: str, nodes: Mapping[str, Node]) -> Graph:
        """What is tied to the subject in any way; the rest of the document is about other things."""
        near: dict[str, set[str]] = {}
        for parent, child, _ in self.edges:
            near.setdefault(parent, set()).add(child)
            near.setdefault(child, set()).add(parent)
        seen, waiting = {name}, deque([name])
        while waiting:
            for other in near.get(waiting.popleft(), set()) - seen:
                seen.add(other)
                waiting.append(other)
        if left := len(nodes.keys() - seen):
            self.notes.append(f"{left} things have no tie to it: left out.")
        edges = tuple(edge for edge in self.edges.values() if edge.child in seen)
        return Graph({key: node for key, node in nodes.items() if key in seen}, edges)


def _dependency(child: Thing, parent: Thing) -> How | None:
    if "serves" in child.own or "serves" in parent.own:
        return None
    if child.type in (APPLICATION, SERVICE) and parent.type in (MODEL, SERVICE, DATA):
        return How.USES
    return {
        (MODEL, DATA): How.TRAINED_ON,
        (MODEL, MODEL): How.FINE_TUNE,
        (DATA, DATA): How.ADAPTED,
        (DATA, MODEL): How.OUTPUTS,
    }.get((child.type, parent.type))


def _plain(fact: Fact[Any] | None) -> dict[str, Any] | None:
    if fact is None:
        return None
    return {"value": list(fact.value) if isinstance(fact.value, tuple) else fact.value, "source": fact.source}
