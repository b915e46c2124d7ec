"""Every bill of material is valid: by the official schemas, and by the libraries of the two projects themselves."""

from __future__ import annotations

import io
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import cyclonedx as cyclonedx_library
import jsonschema_rs
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import HealthCheck, given, settings
from spdx_python_model.bindings import v3_0_1 as spdx

from intermodel.core import Invalid
from intermodel.records.bom import Described, checked, cyclonedx, spdx3, written
from tests.records.bom.samples import AT, FULL, RECORDS, SAMPLES

SCHEMAS = resources.files("intermodel.records.bom").joinpath("schemas")
CYCLONEDX = {
    "1.6": JsonStrictValidator(SchemaVersion.V1_6),
    "1.7": JsonStrictValidator(SchemaVersion.V1_7),
}
SPDX = jsonschema_rs.validator_for(json.loads(SCHEMAS.joinpath("spdx-3.0.1.schema.json").read_bytes()))

each_sample = pytest.mark.parametrize("record", [pytest.param(record, id=name) for name, record in SAMPLES.items()])
each_version = pytest.mark.parametrize("version", ["1.6", "1.7"])


def assert_cyclonedx(record: Described, version: Literal["1.6", "1.7"]) -> dict[str, Any]:
    document = cyclonedx(record, AT, version)
    error = CYCLONEDX[version].validate_str(written(document).decode())
    assert error is None, error
    return document


def assert_spdx(record: Described) -> dict[str, Any]:
    """By the JSON schema, and by the project's own classes, which are made from its SHACL model."""
    document = spdx3(record, AT)
    assert [error.message for error in SPDX.iter_errors(document)] == []
    objects = spdx.SHACLObjectSet()
    spdx.JSONLDDeserializer().read(io.BytesIO(written(document)), objects)
    out = io.BytesIO()
    spdx.JSONLDSerializer().write(objects, out)
    assert len(json.loads(out.getvalue())["@graph"]) == len(document["@graph"])
    assert not objects.missing_ids
    return document


@each_version
@each_sample
def test_cyclonedx_is_valid(record: Described, version: Literal["1.6", "1.7"]) -> None:
    document = assert_cyclonedx(record, version)
    assert checked(document).problems == ()
    assert document == cyclonedx(record, AT, version)


@each_sample
def test_spdx_is_valid(record: Described) -> None:
    document = assert_spdx(record)
    assert checked(document).problems == ()
    assert document == spdx3(record, AT)


def assert_all(record: Described) -> None:
    assert_cyclonedx(record, "1.6")
    assert_cyclonedx(record, "1.7")
    assert_spdx(record)


ANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.slow
@given(RECORDS)
@settings(ANY, max_examples=20)
def test_any_record_is_valid(record: Described) -> None:
    assert_all(record)


@pytest.mark.slow
@given(RECORDS)
@settings(ANY, max_examples=300)
def test_any_of_many_records_is_valid(record: Described) -> None:
    assert_all(record)


@pytest.mark.parametrize("name", ["bom-1.5", "bom-1.6", "bom-1.7", "jsf-0.82", "spdx"])
def test_the_schemas_are_those_of_cyclonedx(name: str) -> None:
    """Word for word those of the project's own library, but for what that says it changed, and texts for people."""
    package = Path(cyclonedx_library.__file__).parent / "schema" / "_res"
    ours = json.loads(SCHEMAS.joinpath(f"{name}.schema.json").read_bytes())
    assert plain(ours) == plain(json.loads((package / f"{name}.SNAPSHOT.schema.json").read_bytes()))


def plain(schema: Any, key: str = "") -> Any:
    if isinstance(schema, dict):
        for_people = ("description", "$comment", "meta:enum", "title", "examples")
        kept = schema.items() if key == "properties" else [kv for kv in schema.items() if kv[0] not in for_people]
        return {k: plain(v, k) for k, v in kept if not (k == "enum" and key == "$schema")}
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    return schema.replace(".SNAPSHOT", "") if isinstance(schema, str) else schema


def test_spdx_schema_and_classes_agree_on_what_is_wrong() -> None:
    document = spdx3(FULL, AT)
    package = next(one for one in document["@graph"] if one["type"] == "ai_AIPackage")
    package["ai_limitation"] = 3
    assert list(SPDX.iter_errors(document))
    with pytest.raises((TypeError, ValueError)):
        spdx.JSONLDDeserializer().read(io.BytesIO(json.dumps(document).encode()), spdx.SHACLObjectSet())


@pytest.mark.slow
def test_what_is_wrong_is_told_with_its_place() -> None:
    document = cyclonedx(FULL, AT)
    document["metadata"]["component"]["type"] = "miracle"
    del document["components"][0]["name"]
    document["components"][1]["colour"] = "red"
    found = checked(document)
    assert not found.valid
    assert found.problems[0].startswith("/components/0: 'name' is a required property")
    assert "'colour' was unexpected" in found.problems[1]
    assert found.problems[2].startswith("/metadata/component/type: 'miracle' is not one of")

    other = spdx3(FULL, AT)
    package = next(number for number, one in enumerate(other["@graph"]) if one["type"] == "ai_AIPackage")
    other["@graph"][package]["ai_limitation"] = 3
    assert checked(other).problems == (f"/@graph/{package}/ai_limitation: 3 is not of type 'string'",)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "neither CycloneDX nor SPDX"),
        ({"bomFormat": "CycloneDX"}, "CycloneDX None cannot be checked"),
        ({"bomFormat": "CycloneDX", "specVersion": "1.4"}, "1.5, 1.6, 1.7"),
        ({"bomFormat": "CycloneDX", "specVersion": ["1.6"]}, "cannot be checked"),
        ({"@context": "https://spdx.org/rdf/3.0.0/spdx-context.jsonld"}, "neither"),
        ({"spdxVersion": "SPDX-2.3"}, "neither"),
    ],
)
def test_what_cannot_be_checked(document: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        checked(document)
