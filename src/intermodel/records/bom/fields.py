"""Single fields of a CycloneDX document, and this project's properties in it, read as values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from intermodel.records.bom.properties import COUNTS, LISTS
from intermodel.records.bom.terms import NONE, terms_of
from intermodel.records.bom.things import Place, Thing, is_text, wrong
from intermodel.records.disclosure import Presence
from intermodel.records.facts import Fact
from intermodel.records.lineage import Tenure
from intermodel.records.predicates import joined

_HEX = re.compile(r"[0-9A-Fa-f]{32,128}")
_COUNT = re.compile(r"[0-9]{1,18}")
_MODALITIES = ("text", "image", "audio", "video")


def own_fact(name: str, thing: Thing) -> Fact[Any]:
    values = thing.own[f"fact.{name}"]
    source = joined(values[0][1], thing.said(f"source.{name}"))
    if name in LISTS:
        return Fact(tuple(value for value, _ in values), source)
    if name in COUNTS:
        if not _COUNT.fullmatch(values[0][0]):
            raise wrong(values[0][1].removeprefix("cyclonedx:"), "a count")
        return Fact(int(values[0][0]), source)
    return Fact(values[0][0], source)


def own_object(thing: Thing, name: str) -> tuple[dict[str, str], str]:
    text, source = thing.own[name][0]
    return texts_of(text, source), source


def texts_of(text: str, source: str) -> dict[str, str]:
    """An object of texts, as a property holds it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(is_text(value) for value in found.values()):
        raise wrong(source.removeprefix("cyclonedx:"), "an object of texts")
    return found


def tenure_of(text: str, source: str) -> Tenure:
    parts = texts_of(text, source)
    if "licence" not in parts or not parts.keys() <= {field.name for field in fields(Tenure)}:
        raise wrong(source.removeprefix("cyclonedx:"), "a licence and its time")
    return Tenure(**parts)


def presence_of(text: str, source: str) -> Presence:
    for presence in Presence:
        if presence.value == text:
            return presence
    raise wrong(source.removeprefix("cyclonedx:"), "open, partial, closed or unknown")


def by_prefix(own: Mapping[str, list[tuple[str, str]]], prefix: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for name, values in own.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), values


def licences_of(place: Place) -> dict[str, str]:
    """The licence that is declared and the one that is concluded; several of one sort bind together."""
    found: dict[str, list[str]] = {}
    for one in place.objects("licenses"):
        licence = one.object("license") if "license" in one.value else one
        text = licence.text("id") or licence.text("name") or licence.text("expression")
        if text:
            sort = "concluded" if licence.text("acknowledgement") == "concluded" else "declared"
            found.setdefault(sort, []).append("" if text == NONE else text)
    return {sort: texts[0] if len(texts) == 1 else " AND ".join(texts) for sort, texts in found.items()}


def agreed(thing: Thing, name: str, stated: str | None) -> str | None:
    """A property to the letter, where the format's own field says the same or has no room for it."""
    raw = thing.own[name][0][0] if name in thing.own else None
    if stated is None or (raw is not None and terms_of(raw) == terms_of(stated)):
        return raw
    return stated


def hashes_of(place: Place) -> dict[str, str]:
    found = {}
    for one in place.objects("hashes"):
        content = one.text("content")
        if not _HEX.fullmatch(content):
            raise wrong(f"{one.path}/content", "a hash in hexadecimal digits")
        found[one.text("alg")] = content.lower()
    return found


def modalities_of(parameters: Place) -> tuple[str, ...]:
    """Those that the formats of inputs and outputs name: `text/plain`, `image`. Others (`string`) say nothing sure."""
    formats = [one.text("format") for key in ("inputs", "outputs") for one in parameters.objects(key)]
    named = {text.strip().lower().partition("/")[0] for text in formats}
    return tuple(modality for modality in _MODALITIES if modality in named)


def energy_of(considerations: Place) -> Iterator[str]:
    place = considerations.object("environmentalConsiderations")
    for one in place.objects("energyConsumptions"):
        cost = one.object("activityEnergyCost")
        value = cost.value.get("value", "")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong(f"{cost.path}/value", "a number")
        yield f"{one.text('activity')}: {value} {cost.text('unit')}".strip()
    for one in place.objects("properties"):
        yield one.text("value")
