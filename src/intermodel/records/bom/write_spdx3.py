"""SPDX 3.0.1 with the AI and Dataset profiles, as JSON-LD: a record as a package, its lineage as relationships.

Sources: SPDX specification 3.0.1, profiles Core, Software, AI, Dataset, SimpleLicensing and Extension; its JSON-LD
serialisation. Where the specification has a word for *unknown* (`noAssertion`, `NoAssertionElement`,
`NoAssertionLicense`), it is said; elsewhere what is unknown is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from intermodel.records.bom.described import DIGEST, Described, as_described
from intermodel.records.bom.official import SPDX_CONTEXT
from intermodel.records.bom.properties import PREFIX, of_node, of_subject
from intermodel.records.bom.terms import Said, reference, terms_of
from intermodel.records.bom.text import moment, named_by_content
from intermodel.records.bom.write_cyclonedx import INSIDE, web_address
from intermodel.records.facts import Kind
from intermodel.records.lineage import Edge, How, Node

UNKNOWN_ELEMENT = "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement"
UNKNOWN_LICENCE = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoAssertionLicense"
NO_LICENCE = "https://spdx.org/rdf/3.0.1/terms/ExpandedLicensing/NoneLicense"

_CREATION = "_:creation"
_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_TRAINING = ("training_method", "training_data", "compute", "hardware")
_DATA_TYPES = ("audio", "image", "text", "video")
_AI_NEEDS = {"suppliedBy", "releaseTime", "software_packageVersion", "software_downloadLocation"}
_DATASET_NEEDS = {"originatedBy", "builtTime", "releaseTime", "software_downloadLocation"}
"""What the profiles ask of a package besides its own fields (their "external properties restrictions")."""
_REFERENCES = {
    "package": "binaryArtifact", "parameters": "binaryArtifact", "evaluation_results": "metrics",
    "training_code": "vcs", "inference_code": "vcs", "evaluation_code": "vcs", "data_preprocessing_code": "vcs",
}  # fmt: skip
"""Kinds of external reference for the components of a release; the others are `documentation`."""


def spdx3(record: Described | Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """A record, or its JSON document, as an SPDX 3.0.1 document, made at that moment.

    Raises `Invalid` for a moment without a zone.

    Conformance to the AI and Dataset profiles is only claimed where all that they ask for is known.
    """
    described = as_described(record)
    name = named_by_content({"@graph": _Graph(described, moment(at), "urn:uuid:").filled()})
    return {"@context": SPDX_CONTEXT, "@graph": _Graph(described, moment(at), f"urn:uuid:{name}").filled()}


@dataclass(slots=True)
class _Graph:
    """The elements of a document as they are made. Each one's id begins with the document's own name."""

    described: Described
    created: str
    name: str
    elements: list[dict[str, Any]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    made: dict[tuple[str, str], str] = field(default_factory=dict)
    """Agents and licences that are there, by what they say."""
    relations: int = 0

    def filled(self) -> list[dict[str, Any]]:
        """All elements."""
        nodes = [self.described.node(), *self.described.nodes()]
        self.ids = {node.id: f"{self.name}#thing-{number}" for number, node in enumerate(nodes)}
        creator = f"{self.name}#creator"
        self.elements += [
            {
                "type": "CreationInfo",
                "@id": _CREATION,
                "specVersion": "3.0.1",
                "created": self.created,
                "createdBy": [creator],
            },
            {"type": "SoftwareAgent", "spdxId": creator, "creationInfo": _CREATION, "name": "intermodel"},
        ]
        packages = [self.package(node) for node in nodes]
        for node in nodes:
            self.licences(node)
        for edge in self.described.graph.edges:
            self.edge(edge)
        self.unknown_training(packages[0])
        self.collections(packages)
        return self.elements

    def package(self, node: Node) -> dict[str, Any]:
        """A thing as a package, with the class and fields of its profile."""
        subject = node.id == self.described.address
        parts: dict[str, Any] = {"software_primaryPurpose": "model"}
        made = "ai_AIPackage"
        if self.described.is_data(node):
            made, parts = "dataset_DatasetPackage", self.dataset(subject)
        elif self.described.kind(node) is Kind.APPLICATION:
            made, parts = "software_Package", {"software_primaryPurpose": "application"}
        elif subject:
            parts |= _ai(self.described)
        digest = (self.described.digest if subject else None) or node.digest
        version = node.id.rpartition("@")[2] if "@" in node.id else ""
        day = f"{node.date}T00:00:00Z" if _DAY.fullmatch(node.date) else ""
        maker = [self.agent(node.maker)] if node.maker else []
        pairs = [*of_node(node, self.described), *(of_subject(self.described) if subject else ())]
        package = {
            "type": made,
            "spdxId": self.ids[node.id],
            "creationInfo": _CREATION,
            "name": node.name or node.id,
            "originatedBy": maker,
            "suppliedBy": self.agent(self.described.supplier) if subject and self.described.supplier else "",
            "releaseTime": day,
            "software_packageVersion": version,
            "software_downloadLocation": self.download() if subject else "",
            "verifiedUsing": _hashes(digest),
            "externalRef": self.references() if subject else [],
            **parts,
            "extension": [_extension(pairs)],
        }
        package = {key: value for key, value in package.items() if value not in ("", [])}
        self.elements.append(package)
        return package

    def dataset(self, subject: bool) -> dict[str, Any]:
        modalities = self.described.what.modalities if subject else None
        types = [one for one in _DATA_TYPES if modalities and one in modalities.value]
        told = {name: one.text for name, one in self.described.disclosure.told.items() if subject}
        return {
            "software_primaryPurpose": "data",
            "dataset_datasetType": types or ["noAssertion"],
            "dataset_hasSensitivePersonalInformation": "noAssertion",
            "dataset_dataCollectionProcess": told.get("data_provenance", ""),
            "dataset_dataPreprocessing": [told["data_processing"]] if told.get("data_processing") else [],
        }

    def download(self) -> str:
        component = self.described.disclosure.components.get("parameters")
        return component.url if component and web_address(component.url) else ""

    def references(self) -> list[dict[str, Any]]:
        found = [
            (_REFERENCES.get(name, "documentation"), component.url, name)
            for name, component in sorted(self.described.disclosure.components.items())
        ]
        found += [("other", one.url, one.predicate_type) for one in self.described.statements]
        return [
            {"type": "ExternalRef", "externalRefType": kind, "locator": [url], "comment": comment}
            for kind, url, comment in found
            if web_address(url)
        ]

    def agent(self, name: str) -> str:
        """Somebody, of whom it is not known whether a person or an organisation."""
        if ("agent", name) not in self.made:
            self.made["agent", name] = spdx_id = f"{self.name}#agent-{len(self.made)}"
            self.elements.append({"type": "Agent", "spdxId": spdx_id, "creationInfo": _CREATION, "name": name})
        return self.made["agent", name]

    def licences(self, node: Node) -> None:
        """Both the declared and the concluded licence, as the AI and Dataset profiles ask; unknown ones as such."""
        subject = node.id == self.described.address
        claimed = self.described.licence.value if subject and self.described.licence else node.declared
        text = self.described.licence_text if subject else ""
        self.relation(node.id, "hasDeclaredLicense", self.licence(claimed, text))
        self.relation(node.id, "hasConcludedLicense", self.licence(node.licence, ""))

    def licence(self, licence: str | None, text: str) -> str:
        terms = terms_of(licence)
        if terms.said is Said.UNKNOWN:
            return UNKNOWN_LICENCE
        if terms.said is Said.NONE:
            return NO_LICENCE
        key = (f"licence {bool(text)}", terms.text)
        if key not in self.made:
            self.made[key] = spdx_id = f"{self.name}#licence-{len(self.made)}"
            named = terms.said is Said.NAME
            expression = reference(terms.text) if named else terms.text
            element: dict[str, Any] = {
                "type": "simplelicensing_LicenseExpression",
                "spdxId": spdx_id,
                "creationInfo": _CREATION,
                "name": terms.text,
                "simplelicensing_licenseExpression": expression,
            }
            if named and text:
                element["simplelicensing_customIdToUri"] = [
                    {"type": "DictionaryEntry", "key": expression, "value": self.text(text)}
                ]
            self.elements.append(element)
        return self.made[key]

    def text(self, text: str) -> str:
        self.elements.append(
            {
                "type": "simplelicensing_SimpleLicensingText",
                "spdxId": f"{self.name}#licence-text",
                "creationInfo": _CREATION,
                "simplelicensing_licenseText": text,
            }
        )
        return f"{self.name}#licence-text"

    def edge(self, edge: Edge) -> None:
        """An edge of the lineage; its exact kind and who says so stand in the comment."""
        comment = "; ".join(filter(None, (edge.how.value, edge.shipped_as, edge.source)))
        child, parent = edge.child, self.ids[edge.parent]
        if edge.how is How.OUTPUTS:
            self.relation(edge.parent, "generates", self.ids[child], comment)
        elif edge.how in (How.TRAINED_ON, How.PRE_TRAINED_ON):
            self.relation(child, "trainedOn", parent, comment)
        elif edge.how is How.EVALUATED_ON:
            self.relation(child, "testedOn", parent, comment)
        elif edge.how is How.USES:
            self.relation(child, "dependsOn", parent, comment)
        elif edge.how is How.BUNDLES:
            self.relation(child, "contains", parent, comment)
        elif edge.how is How.COPY:
            self.relation(edge.parent, "copiedTo", self.ids[child], comment)
        else:
            assert edge.how in INSIDE or edge.how is How.DISTIL
            self.relation(child, "descendantOf", parent, comment)
        if edge.how is How.ADAPTER:
            self.relation(child, "dependsOn", parent, comment)

    def unknown_training(self, subject: dict[str, Any]) -> None:
        """Of a model of which nobody says what it was trained on, that is said."""
        known = any(
            edge.how in (How.TRAINED_ON, How.PRE_TRAINED_ON)
            for edge in self.described.parents.get(self.described.address, ())
        )
        if subject["type"] == "ai_AIPackage" and not known:
            self.relation(self.described.address, "trainedOn", UNKNOWN_ELEMENT)

    def relation(self, child: str, kind: str, target: str, comment: str = "") -> None:
        self.relations += 1
        element = {
            "type": "Relationship",
            "spdxId": f"{self.name}#relation-{self.relations}",
            "creationInfo": _CREATION,
            "from": self.ids[child],
            "relationshipType": kind,
            "to": [target],
            "completeness": "noAssertion",
            "comment": comment,
        }
        self.elements.append({key: value for key, value in element.items() if value != ""})

    def collections(self, packages: list[dict[str, Any]]) -> None:
        """The bill of material of the thing, and the document around it."""
        profiles = ["core", "software", "simpleLicensing", "extension"]
        profiles += ["ai"] if _all_have(packages, "ai_AIPackage", _AI_NEEDS) else []
        profiles += ["dataset"] if _all_have(packages, "dataset_DatasetPackage", _DATASET_NEEDS) else []
        held = [element["spdxId"] for element in self.elements if "spdxId" in element]
        common = {"creationInfo": _CREATION, "name": self.described.address, "profileConformance": profiles}
        bom = f"{self.name}#bom"
        self.elements += [
            {"type": "Bom", "spdxId": bom, **common, "rootElement": [packages[0]["spdxId"]], "element": held},
            {
                "type": "SpdxDocument",
                "spdxId": f"{self.name}#document",
                **common,
                "rootElement": [bom],
                "element": [*held, bom],
            },
        ]


def _ai(described: Described) -> dict[str, Any]:
    """The fields of the AI profile that the record can fill."""
    told = {name: one.text for name, one in described.disclosure.told.items() if one.text}
    training = "\n".join(f"{name.replace('_', ' ')}: {told[name]}" for name in _TRAINING if name in told)
    return {
        "ai_typeOfModel": [described.what.architecture.value] if described.what.architecture else [],
        "ai_informationAboutTraining": training,
        "ai_informationAboutApplication": told.get("use_policy", ""),
        "ai_limitation": told.get("limitations", ""),
        "ai_modelDataPreprocessing": [told["data_processing"]] if "data_processing" in told else [],
        "ai_metric": [_entry(" on ".join(filter(None, (one.metric, one.on))), one.value) for one in described.results],
        "ai_autonomyType": "noAssertion",
        "ai_useSensitivePersonalInformation": "noAssertion",
    }


def _entry(key: str, value: str) -> dict[str, str]:
    return {"type": "DictionaryEntry", "key": key, "value": value}


def _hashes(digest: str | None) -> list[dict[str, str]]:
    if digest is None or not DIGEST.fullmatch(digest):
        return []
    return [{"type": "Hash", "algorithm": "sha256", "hashValue": digest.removeprefix("sha256:")}]


def _extension(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "extension_CdxPropertiesExtension",
        "extension_cdxProperty": [
            {
                "type": "extension_CdxPropertyEntry",
                "extension_cdxPropName": f"{PREFIX}{name}",
                "extension_cdxPropValue": value,
            }
            for name, value in pairs
        ],
    }


def _all_have(packages: list[dict[str, Any]], kind: str, needed: set[str]) -> bool:
    of_kind = [package for package in packages if package["type"] == kind]
    return bool(of_kind) and all(needed <= package.keys() for package in of_kind)
