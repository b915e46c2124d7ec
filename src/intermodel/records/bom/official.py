"""The official schemas of CycloneDX and SPDX 3, and a document held against them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from intermodel.core import Invalid

SPDX_CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
CYCLONEDX = ("1.5", "1.6", "1.7")
"""Versions of CycloneDX that are read and checked."""
MOST_PROBLEMS = 20
_BASE = "http://cyclonedx.org/schema/"
_SHARED = ("spdx.schema.json", "jsf-0.82.schema.json", "cryptography-defs.schema.json")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a document was held against, and what was found: each problem with its place. None found is valid."""

    format: str
    version: str
    schema: str
    problems: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.problems


def checked(document: Mapping[str, Any]) -> Checked:
    """Hold a document against the official JSON schema of its format and version.

    Structure, types, required fields and word lists are checked; the form of dates and addresses is only as far as the
    schema gives a pattern. Raises `Invalid` for a format or version whose schema is not here.
    """
    kind, version, name = _format(document)
    errors = _telling(_validator(name).iter_errors(document))
    return Checked(kind, version, name, tuple(_words(error) for error in errors[:MOST_PROBLEMS]))


def _format(document: Mapping[str, Any]) -> tuple[str, str, str]:
    if document.get("bomFormat") == "CycloneDX":
        version = document.get("specVersion")
        if version in CYCLONEDX:
            return "CycloneDX", str(version), f"bom-{version}.schema.json"
        raise Invalid(f"CycloneDX {str(version)[:20]} cannot be checked.", hint=f"Known: {', '.join(CYCLONEDX)}.")
    if document.get("@context") == SPDX_CONTEXT:
        return "SPDX", "3.0.1", "spdx-3.0.1.schema.json"
    raise Invalid(
        "It is neither CycloneDX nor SPDX 3.0.1.",
        hint='CycloneDX JSON begins with "bomFormat", SPDX 3.0.1 with its "@context".',
    )


def _telling(errors: Iterable[Any]) -> list[Any]:
    """Of each choice the nearest miss, by place; without complaints of unread fields that only follow from others."""
    from jsonschema.exceptions import best_match

    found = [best_match([error]) or error for error in errors]
    wrong = [list(error.absolute_path) for error in found if error.validator != "unevaluatedProperties"]

    def follows(error: Any) -> bool:
        place = list(error.absolute_path)
        return error.validator == "unevaluatedProperties" and any(one[: len(place)] == place for one in wrong)

    return sorted(
        (error for error in found if not follows(error)), key=lambda error: list(map(str, error.absolute_path))
    )


def _words(error: Any) -> str:
    place = "/".join(str(part) for part in error.absolute_path)
    return f"/{place[:200]}: {error.message[:300]}"


@functools.cache
def _validator(name: str) -> Any:
    from jsonschema import Draft7Validator, Draft202012Validator  # slow to import, and only needed here
    from referencing import Registry
    from referencing.jsonschema import DRAFT7

    if name.startswith("spdx-"):
        return Draft202012Validator(_schema(name))
    shared = [(f"{_BASE}{other}", DRAFT7.create_resource(_schema(other))) for other in _SHARED]
    return Draft7Validator(_schema(name), registry=Registry().with_resources(shared))


def _schema(name: str) -> Any:
    return json.loads(resources.files("intermodel.records.bom").joinpath(f"schemas/{name}").read_bytes())
