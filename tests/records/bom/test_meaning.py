"""What a bill of material says in its format's own words: licences, lineage, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.records.bom import Described, cyclonedx, described, spdx3
from intermodel.records.bom.terms import Said, Terms, reference, terms_of
from intermodel.records.bom.write_spdx3 import NO_LICENCE, UNKNOWN_ELEMENT, UNKNOWN_LICENCE
from intermodel.records.facts import Fact, Kind
from intermodel.records.lineage import Graph, Node
from intermodel.records.record import Record
from tests.records.bom.samples import ADAPTER, AT, CLOSED_SERVICE, CYCLIC, DATASET, FULL, NEARLY_EMPTY


@pytest.mark.parametrize(
    ("licence", "terms"),
    [
        (None, Terms(Said.UNKNOWN)),
        ("unknown", Terms(Said.UNKNOWN)),
        ("NOASSERTION", Terms(Said.UNKNOWN)),
        ("", Terms(Said.NONE)),
        ("NONE", Terms(Said.NONE)),
        ("apache-2.0", Terms(Said.ID, "Apache-2.0")),
        ("gpl-3.0", Terms(Said.ID, "GPL-3.0")),
        ("mit or apache-2.0", Terms(Said.EXPRESSION, "MIT OR Apache-2.0")),
        ("other", Terms(Said.NAME, "other")),
        ("llama2", Terms(Said.NAME, "llama2")),
        ("MIT AND llama2", Terms(Said.NAME, "MIT AND llama2")),
        ("Apache 2.0", Terms(Said.NAME, "Apache 2.0")),
        ("((", Terms(Said.NAME, "((")),
        ("(" * 400 + "MIT", Terms(Said.NAME, "(" * 400 + "MIT")),
        ("MIT OR " * 100 + "MIT", Terms(Said.NAME, "MIT OR " * 100 + "MIT")),
    ],
)
def test_licences(licence: str | None, terms: Terms) -> None:
    assert terms_of(licence) == terms


def test_a_named_licence_gets_a_reference() -> None:
    assert reference("Llama 2 Community Licence!") == "LicenseRef-Llama-2-Community-Licence"
    assert reference("§§") == "LicenseRef-unnamed"


def licences(document: dict[str, Any], name: str) -> dict[str, str]:
    """By relationship, what an SPDX document says of the licence of a thing."""
    elements = {one["spdxId"]: one for one in document["@graph"] if "spdxId" in one}
    (thing,) = (key for key, one in elements.items() if one["name" if "name" in one else "type"] == name
                and one["type"].endswith("Package"))  # fmt: skip
    found = {}
    for one in elements.values():
        if one["type"] == "Relationship" and one["from"] == thing and "License" in one["relationshipType"]:
            (to,) = one["to"]
            found[one["relationshipType"]] = elements[to]["simplelicensing_licenseExpression"] if to in elements else to
    return found


def relations(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    names = {one["spdxId"]: one.get("name", "") for one in document["@graph"] if "spdxId" in one}
    return {
        (names[one["from"]], one["relationshipType"], names.get(one["to"][0], one["to"][0]))
        for one in document["@graph"]
        if one["type"] == "Relationship" and "License" not in one["relationshipType"]
    }


def test_unknown_licences_are_unknown() -> None:
    assert "licenses" not in cyclonedx(NEARLY_EMPTY, AT)["metadata"]["component"]
    assert licences(spdx3(NEARLY_EMPTY, AT), "unknown-thing") == {
        "hasDeclaredLicense": UNKNOWN_LICENCE,
        "hasConcludedLicense": UNKNOWN_LICENCE,
    }
    assert "MIT" not in str(cyclonedx(NEARLY_EMPTY, AT)) + str(spdx3(NEARLY_EMPTY, AT))
    assert licences(spdx3(DATASET, AT), "acme/words")["hasDeclaredLicense"] == NO_LICENCE


def test_claimed_and_known_licences_differ() -> None:
    base = next(one for one in cyclonedx(ADAPTER, AT)["components"] if one["name"] == "base")
    assert base["licenses"] == [
        {"license": {"id": "Apache-2.0", "acknowledgement": "concluded"}},
        {"license": {"id": "MIT", "acknowledgement": "declared"}},
    ]
    assert cyclonedx(CYCLIC, AT)["metadata"]["component"]["licenses"] == [
        {"expression": "MIT AND CC-BY-4.0", "acknowledgement": "concluded"}
    ]
    document = spdx3(ADAPTER, AT)
    assert licences(document, "acme/base") == {"hasDeclaredLicense": "MIT", "hasConcludedLicense": "Apache-2.0"}
    assert licences(document, "acme/lora")["hasDeclaredLicense"] == "MIT OR Apache-2.0"


def test_lineage() -> None:
    assert relations(spdx3(FULL, AT)) == {
        ("Tiny", "descendantOf", "meta-llama/Llama-2-7b"),
        ("meta-llama/Llama-2-7b", "trainedOn", "The Pile"),
        ("Tiny", "testedOn", "squad"),
        ("gpt-4", "generates", "the-answers"),
        ("Tiny", "trainedOn", "the-answers"),
        ("Tiny", "descendantOf", "gpt-4"),
    }
    assert relations(spdx3(ADAPTER, AT)) == {
        ("acme/lora", "descendantOf", "acme/base"),
        ("acme/lora", "dependsOn", "acme/base"),
        ("acme/lora", "trainedOn", UNKNOWN_ELEMENT),
    }
    component = cyclonedx(FULL, AT)["metadata"]["component"]
    assert [one["name"] for one in component["pedigree"]["ancestors"]] == ["Llama-2-7b"]
    assert component["modelCard"]["modelParameters"]["datasets"] == [{"ref": "squad"}, {"ref": "the-answers"}]
    assert [one["name"] for one in cyclonedx(CYCLIC, AT)["components"]] == ["b", "c", "d"]


def test_a_name_s_digest_is_no_hash() -> None:
    """A service's record is named by a digest of its address; that says nothing of a content."""
    document = Record("openai/gpt-4", "sha256:" + "0" * 64).document()
    assert described(document) == Described("openai/gpt-4", disclosure=described(document).disclosure)
    assert "hashes" not in cyclonedx(document, AT)["metadata"]["component"]
    assert "verifiedUsing" not in str(spdx3(document, AT))


def test_a_record_s_document_is_read() -> None:
    record = Record(
        FULL.address, FULL.digest or "", None, FULL.what, FULL.licence,
        {"parameters": (Fact(3, "x"),)}, None, FULL.disclosure, FULL.graph,
    )  # fmt: skip
    found = described(record.document() | {"digest_of": "file"})
    assert (found.what, found.licence, found.graph) == (FULL.what, FULL.licence, FULL.graph)
    assert found.disclosure.told == FULL.disclosure.told
    assert found.digest == FULL.digest
    assert found.disputes == {"parameters": (Fact(3, "x"),)}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"address": 3},
        {"address": ""},
        {"address": "a", "what": {"kind": {"value": "miracle", "source": ""}}},
        {"address": "a", "lineage": {"nodes": 3}},
        {"address": "a", "digest": "x", "digest_of": "file"},
        {"address": "a", "statements": [{}]},
        {"address": "a", "disclosure": {"components": []}},
    ],
)
def test_what_is_no_record(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        described(document)


def test_a_service_stands_among_the_services() -> None:
    document = cyclonedx(CLOSED_SERVICE, AT)
    (service,) = document["services"]
    assert (service["group"], service["name"], service["provider"]) == ("openai", "gpt-4", {"name": "OpenAI"})
    assert document["dependencies"][-1] == {"ref": service["bom-ref"], "dependsOn": ["openai/gpt-4"]}
    assert "endpoints" not in service
    assert "not" not in document["metadata"]["component"].get("modelCard", {})


def profiles(record: Described) -> list[str]:
    found: list[str] = spdx3(record, AT)["@graph"][-1]["profileConformance"]
    return found


def test_the_ai_profile_is_claimed_where_it_is_kept() -> None:
    """It asks for supplier, release time, version and download location besides its own fields."""
    assert "ai" not in profiles(FULL)  # of its ancestors not all that is known
    alone = Described(
        FULL.address, disclosure=FULL.disclosure, supplier="Acme",
        graph=Graph({FULL.address: Node(FULL.address, Kind.WEIGHTS, date="2026-01-02")}),
    )  # fmt: skip
    assert "ai" in profiles(alone)
    assert "ai" not in profiles(Described(FULL.address, disclosure=FULL.disclosure, graph=alone.graph))


def test_moments() -> None:
    assert cyclonedx(NEARLY_EMPTY, AT)["metadata"]["timestamp"] == "2026-11-20T12:30:15Z"
    with pytest.raises(Invalid, match="time zone"):
        spdx3(NEARLY_EMPTY, datetime(2026, 1, 1))  # noqa: DTZ001
    assert spdx3(NEARLY_EMPTY, datetime(2026, 1, 1, tzinfo=UTC)) != spdx3(NEARLY_EMPTY, AT)
