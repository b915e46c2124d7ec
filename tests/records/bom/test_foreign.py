"""Documents that others might have written: what they say is read, what they do not say stays unknown."""

from __future__ import annotations

from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.records.bom import Result, from_cyclonedx
from intermodel.records.disclosure import Presence
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, How, Node


def bom(*components: dict[str, Any], version: str = "1.6", **more: Any) -> dict[str, Any]:
    return {"bomFormat": "CycloneDX", "specVersion": version, "version": 1, "components": list(components), **more}


MODEL = {"type": "machine-learning-model", "name": "m"}


def test_a_name_alone_says_nothing_else() -> None:
    found = from_cyclonedx(bom(MODEL | {"publisher": "Vendor Inc"}))
    assert found.name == "m"
    assert found.what == WhatItIs()
    assert found.licence is None
    assert found.graph.nodes == {"m": Node("m", None, "m", "Vendor Inc")}
    assert not found.disclosure.components
    assert "weights or a service" in found.notes[0]


@pytest.mark.parametrize("version", ["1.5", "1.6", "1.7"])
def test_a_model_card_with_datasets(version: str) -> None:
    card = {
        "modelParameters": {
            "approach": {"type": "self-supervised"},
            "task": "text-classification",
            "architectureFamily": "transformer",
            "modelArchitecture": "encoder only",
            "datasets": [
                {"ref": "train"},
                {"type": "dataset", "name": "Inline Data", "contents": {"url": "https://example.com/data"}},
                {"ref": "nowhere"},
            ],
            "inputs": [{"format": "text/plain"}, {"format": "string"}],
            "outputs": [{"format": "image"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": [{"type": "f1", "value": "0.9", "slice": "test"}]},
        "considerations": {
            "users": ["staff"],
            "technicalLimitations": ["Slow.", "Old."],
            "ethicalConsiderations": [{"name": "bias", "mitigationStrategy": "a person looks"}, {"name": "fraud"}],
            "environmentalConsiderations": {
                "energyConsumptions": [
                    {"activity": "training", "energyProviders": [], "activityEnergyCost": {"value": 0.5, "unit": "kWh"}}
                ]
            },
        },
    }
    model = MODEL | {
        "bom-ref": "it",
        "group": "acme",
        "version": "1.4",
        "modelCard": card,
        "licenses": [{"license": {"name": "Acme Licence"}}, {"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": "AB" * 32}],
        "externalReferences": [{"type": "model-card", "url": "https://example.com/card"}],
    }
    data = {"type": "data", "bom-ref": "train", "name": "words", "licenses": [{"expression": "CC-BY-4.0 OR MIT"}]}
    top = {"metadata": {"component": {"type": "application", "bom-ref": "app", "name": "bot"}}}
    ties = {"dependencies": [{"ref": "app", "dependsOn": ["it"]}, {"ref": "it", "dependsOn": ["train", "lost"]}]}
    found = from_cyclonedx(bom(model, data, {"type": "library", "name": "numpy"}, version=version, **top, **ties))

    assert found.name == "acme/m@1.4"
    at = "cyclonedx:/components/0"
    assert found.what.architecture == Fact("encoder only", f"{at}/modelCard/modelParameters/modelArchitecture")
    assert found.what.modalities == Fact(("text", "image"), f"{at}/modelCard/modelParameters/inputs")
    assert found.what.kind is None
    assert found.licence == Fact("Acme Licence AND MIT", f"{at}/licenses")
    assert found.hashes == {"SHA-256": "ab" * 32}
    assert found.results == (Result("f1", "0.9", "test", f"{at}/modelCard/quantitativeAnalysis/performanceMetrics/0"),)
    told = found.disclosure.told
    assert {name: one.text for name, one in told.items()} == {
        "limitations": "Slow.\nOld.",
        "risks": "bias: a person looks\nfraud",
        "energy": "training: 0.5 kWh",
        "training_method": "self-supervised",
    }
    assert told["risks"].source == f"{at}/modelCard/considerations/ethicalConsiderations"
    assert found.disclosure.components["model_card"].presence is Presence.UNKNOWN
    assert found.disclosure.components["evaluation_results"].presence is Presence.OPEN
    assert {(edge.parent, edge.child, edge.how) for edge in found.graph.edges} == {
        ("words", "acme/m@1.4", How.TRAINED_ON),
        ("Inline Data", "acme/m@1.4", How.TRAINED_ON),
        ("nowhere", "acme/m@1.4", How.TRAINED_ON),
        ("acme/m@1.4", "bot", How.USES),
    }
    assert found.graph.nodes["words"] == Node("words", Kind.DATASET, "words", declared="CC-BY-4.0 OR MIT")
    notes = " ".join(found.notes)
    assert "taken as trained-on" in notes
    assert "users" in notes
    assert "1 components are no models" in notes


def test_pedigrees_and_dependencies_say_not_how() -> None:
    base = MODEL | {"name": "base", "licenses": [{"license": {"id": "MIT", "acknowledgement": "concluded"}}]}
    child = MODEL | {
        "bom-ref": "c",
        "pedigree": {
            "ancestors": [base | {"pedigree": {"ancestors": [MODEL | {"name": "older"}]}}],
            "descendants": [MODEL | {"name": "younger"}],
            "variants": [MODEL | {"name": "sister"}],
        },
    }
    other = MODEL | {"bom-ref": "o", "name": "other"}
    found = from_cyclonedx(bom(child, other, dependencies=[{"ref": "c", "dependsOn": ["o"]}]))
    assert found.graph.edges == (
        Edge("base", "m", How.FINE_TUNE, "", "cyclonedx:/components/0/pedigree/ancestors/0"),
        Edge("m", "younger", How.FINE_TUNE, "", "cyclonedx:/components/0/pedigree/descendants/0"),
        Edge("older", "base", How.FINE_TUNE, "", "cyclonedx:/components/0/pedigree/ancestors/0/pedigree/ancestors/0"),
        Edge("other", "m", How.FINE_TUNE, "", "cyclonedx:/dependencies/0"),
    )
    assert found.graph.node("base").licence == "MIT"
    assert "sister" not in found.graph.nodes
    assert sum("taken as fine-tune" in note for note in found.notes) == 2


def test_what_is_meant_can_be_chosen() -> None:
    two = MODEL | {"name": "two", "bom-ref": "r2", "purl": "pkg:huggingface/Acme/Two@ABC?x=y"}
    document = bom(MODEL, two, {"type": "data", "name": "d"})
    assert from_cyclonedx(document).name == "m"
    assert "1 more models" in from_cyclonedx(document).notes[0]
    assert from_cyclonedx(document, "r2").name == from_cyclonedx(document, "two").name == "Acme/Two@ABC"
    assert from_cyclonedx(document, "d").what.kind == Fact(Kind.DATASET, "cyclonedx:/components/2/type")
    with pytest.raises(Invalid, match=r"nothing called 'three'.*It holds m, Acme/Two@ABC, d"):
        from_cyclonedx(document, "three")


def test_two_of_one_name_are_two_things() -> None:
    one, two = (MODEL | {"bom-ref": ref, "hashes": [{"alg": "MD5", "content": "0" * 32}]} for ref in "ab")
    found = from_cyclonedx(
        bom(one, two, dependencies=[{"ref": "a", "dependsOn": ["b"]}, {"ref": "b", "dependsOn": ["a"]}])
    )
    assert set(found.graph.nodes) == {"m", "m#b"}
    assert {(edge.parent, edge.child) for edge in found.graph.edges} == {("m#b", "m"), ("m", "m#b")}
    assert found.graph.node("m").digest is None


def test_services_are_things_too() -> None:
    service = {"name": "api", "bom-ref": "s", "provider": {"name": "Vendor"}}
    found = from_cyclonedx(bom(services=[service]))
    assert found.what.kind == Fact(Kind.SERVICE, "cyclonedx:/services/0/type")
    assert found.graph.node("api").maker == "Vendor"
