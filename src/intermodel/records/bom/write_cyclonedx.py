"""CycloneDX 1.6 and 1.7 ML-BOM: a record as a component with a model card, its lineage as components and pedigrees.

Sources: CycloneDX 1.6 (ECMA-424) and 1.7, `component`, `modelCard`, `pedigree`, `dependencies`, `compositions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

from intermodel.records.bom.described import DATA, DIGEST, Described, as_described
from intermodel.records.bom.properties import PREFIX, of_node, of_subject
from intermodel.records.bom.terms import NONE, Said, terms_of
from intermodel.records.bom.text import moment, named_by_content
from intermodel.records.facts import Kind
from intermodel.records.lineage import How, Node

INSIDE = (
    How.COPY, How.FINE_TUNE, How.ADAPTER, How.MERGE, How.QUANTISE, How.CONVERT, How.PRUNE, How.ADAPTED
)  # fmt: skip
"""Ways that hold the parent inside the child: CycloneDX's ancestors, "from which a component is derived"."""

_ADDRESS = re.compile(r"(?:(?P<group>[\w.:-]+(?:/[\w.-]+)?)/)?(?P<name>[\w.-]+)(?:@(?P<version>[\w.:-]+))?")
_URL = re.compile(r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
                  r"(?:/(?:[A-Za-z0-9._~:/@!$&'()*+,;=?-]|%[0-9A-Fa-f]{2})*)?")  # fmt: skip
_REFERENCES = {
    "model_card": "model-card", "training_code": "vcs", "inference_code": "vcs", "evaluation_code": "vcs",
    "data_preprocessing_code": "vcs", "parameters": "distribution", "package": "distribution",
    "evaluation_results": "quality-metrics",
}  # fmt: skip
"""Kinds of external reference for the components of a release; the others are `documentation`."""


def cyclonedx(
    record: Described | Mapping[str, Any], at: datetime, version: Literal["1.6", "1.7"] = "1.6"
) -> dict[str, Any]:
    """A record, or its JSON document, as a CycloneDX ML-BOM, made at that moment.

    The record stands as `metadata.component`, all that it was made from as `components`. What is unknown is left out,
    and that the lineage may be incomplete is said by `compositions`. Raises `Invalid` for a moment without a zone.
    """
    described = as_described(record)
    refs = _refs(described)
    document: dict[str, Any] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "version": 1,
        "metadata": {
            "timestamp": moment(at),
            "tools": {"components": [{"type": "application", "name": "intermodel"}]},
            "component": _subject(described, refs),
        },
        "components": [_component(node, described, refs) for node in described.nodes()],
        "services": _services(described, refs),
        "dependencies": _dependencies(described, refs),
        "compositions": [{"aggregate": "unknown", "dependencies": [refs[described.address]]}],
    }
    document = {key: value for key, value in document.items() if value != []}
    serial = {"serialNumber": f"urn:uuid:{named_by_content(document)}"}
    return {key: document[key] for key in ("$schema", "bomFormat", "specVersion")} | serial | document


def web_address(text: str) -> bool:
    """Whether a text is an address that may stand where a format asks for one."""
    return len(text) <= 2000 and _URL.fullmatch(text) is not None


def name_parts(node: Node) -> dict[str, str]:
    """Group, name and version of a thing: from its address, where it has one; else its name alone."""
    found = _ADDRESS.fullmatch(node.id)
    if found is None:
        return {"name": node.name or node.id}
    parts = {key: value for key, value in found.groupdict().items() if value}
    return {"group": parts["group"]} | parts if "group" in parts else parts


def _refs(described: Described) -> dict[str, str]:
    """A `bom-ref` for each thing: its id, but for what the format keeps for itself (empty ones, `urn:cdx:`)."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    names = [described.address, *(node.id for node in described.nodes())]
    for name in sorted(names, key=lambda name: (_reserved(name), name)):
        ref = f"id:{name}" if _reserved(name) else name
        while ref in taken:
            ref += "-"
        taken.add(ref)
        found[name] = ref
    return {name: found[name] for name in names}


def _reserved(name: str) -> bool:
    return not name or name.startswith("urn:cdx:")


def _subject(described: Described, refs: dict[str, str]) -> dict[str, Any]:
    node = described.node()
    component = _component(node, described, refs)
    component.pop("licenses", None)
    claimed = described.licence.value if described.licence else node.declared
    added = {
        "supplier": {"name": described.supplier} if described.supplier else None,
        "hashes": _hashes(described.digest or node.digest),
        "licenses": _licences(node.licence, claimed, described.licence_text),
        "externalReferences": _references(described),
        "properties": [*component["properties"], *_named(of_subject(described))],
        "modelCard": _model_card(described, refs) if component["type"] == "machine-learning-model" else None,
    }
    return component | {key: value for key, value in added.items() if value}


def _component(node: Node, described: Described, refs: dict[str, str]) -> dict[str, Any]:
    """A thing with its pedigree."""
    ancestors = [edge for edge in described.parents.get(node.id, ()) if edge.how in INSIDE and edge.parent != node.id]
    pedigree = {
        "ancestors": [_mention(described.graph.node(name), described) for name in _once(e.parent for e in ancestors)],
        "notes": "; ".join(f"{edge.how.value} of {edge.parent}" for edge in ancestors),
    }
    parts = _mention(node, described)
    return {
        **{"type": parts.pop("type"), "bom-ref": refs[node.id]},
        **parts,
        **({"pedigree": pedigree} if ancestors else {}),
        "properties": _named(of_node(node, described)),
    }


def _mention(node: Node, described: Described) -> dict[str, Any]:
    """A thing without its pedigree: as an ancestor of another. So circles end."""
    application = described.kind(node) is Kind.APPLICATION
    parts = {
        "type": "data" if described.is_data(node) else "application" if application else "machine-learning-model",
        "publisher": node.maker,
        **name_parts(node),
        "hashes": _hashes(node.digest),
        "licenses": _licences(node.licence, node.declared, ""),
        "properties": [{"name": f"{PREFIX}id", "value": node.id}],
    }
    return {key: value for key, value in parts.items() if value or key == "name"}


def _hashes(digest: str | None) -> list[dict[str, str]]:
    if digest is None or not DIGEST.fullmatch(digest):
        return []
    return [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]


def _licences(holds: str | None, claimed: str | None, text: str) -> list[dict[str, Any]]:
    """What is known to hold is `concluded`, what is claimed `declared`. An expression must stand alone (1.6)."""
    found: list[dict[str, Any]] = []
    for licence, acknowledgement in ((holds, "concluded"), (claimed, "declared")):
        terms = terms_of(licence)
        if terms.said is Said.UNKNOWN:
            continue
        if terms.said is Said.EXPRESSION:
            found.append({"expression": terms.text, "acknowledgement": acknowledgement})
            continue
        key, value = ("id", terms.text) if terms.said is Said.ID else ("name", terms.text or NONE)
        one: dict[str, Any] = {key: value, "acknowledgement": acknowledgement}
        if text and acknowledgement == "declared":
            one["text"] = {"contentType": "text/plain", "content": text}
        found.append({"license": one})
    alone = [one for one in found if "expression" in one]
    return alone[:1] or found


def _references(described: Described) -> list[dict[str, Any]]:
    found = [
        {"type": _REFERENCES.get(name, "documentation"), "url": component.url, "comment": name}
        for name, component in sorted(described.disclosure.components.items())
        if web_address(component.url)
    ]
    found += [
        {"type": "attestation", "url": one.url, "comment": one.predicate_type}
        for one in described.statements
        if web_address(one.url)
    ]
    return found


def _model_card(described: Described, refs: dict[str, str]) -> dict[str, Any]:
    data = _once(edge.parent for edge in described.parents.get(described.address, ()) if edge.how in DATA)
    told = {name: one.text for name, one in described.disclosure.told.items() if one.text}
    parameters: dict[str, Any] = {}
    if described.what.architecture:
        parameters["modelArchitecture"] = described.what.architecture.value
    if data:
        parameters["datasets"] = [{"ref": refs[name]} for name in data]
    metrics = [
        {key: value for key, value in (("type", one.metric), ("value", one.value), ("slice", one.on)) if value}
        for one in described.results
    ]
    considerations: dict[str, Any] = {}
    if "limitations" in told:
        considerations["technicalLimitations"] = [told["limitations"]]
    if "risks" in told:
        considerations["ethicalConsiderations"] = [{"name": told["risks"]}]
    if "energy" in told:
        considerations["environmentalConsiderations"] = {
            "properties": [{"name": f"{PREFIX}energy", "value": told["energy"]}]
        }
    card = {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": metrics} if metrics else {},
        "considerations": considerations,
    }
    return {key: value for key, value in card.items() if value}


def _services(described: Described, refs: dict[str, str]) -> list[dict[str, Any]]:
    """A service also stands where the format has services; nothing is known of its endpoints and data flows."""
    if described.kind(described.node()) is not Kind.SERVICE:
        return []
    provider = {"provider": {"name": described.node().maker}} if described.node().maker else {}
    serves = [{"name": f"{PREFIX}serves", "value": described.address}]
    return [
        {"bom-ref": _service_ref(described, refs), **provider} | name_parts(described.node()) | {"properties": serves}
    ]


def _service_ref(described: Described, refs: dict[str, str]) -> str:
    ref = f"{described.address}#service"
    while ref in refs.values():
        ref += "-"
    return ref


def _dependencies(described: Described, refs: dict[str, str]) -> list[dict[str, Any]]:
    """Each thing with all that it was made from or calls; one that names itself is left to the properties."""
    found: list[dict[str, Any]] = []
    for name, ref in refs.items():
        parents = _once(edge.parent for edge in described.parents.get(name, ()) if edge.parent != name)
        found.append({"ref": ref} | ({"dependsOn": [refs[parent] for parent in parents]} if parents else {}))
    if _services(described, refs):
        found.append({"ref": _service_ref(described, refs), "dependsOn": [refs[described.address]]})
    return found


def _named(pairs: Iterator[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"{PREFIX}{name}", "value": value} for name, value in pairs]


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
