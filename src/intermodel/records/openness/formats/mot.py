"""The files of the Model Openness Tool (`models/*.yml`, MOF 1.0)."""

from __future__ import annotations

from intermodel.records.disclosure import Component, Disclosure, Presence
from intermodel.records.openness.formats.places import Place
from intermodel.records.openness.mof import PARTS

_KEYS = {part.name: key for key, part in PARTS.items()}
_FIRST = "datasets"
"""The first component of the tool's settings."""

_RELEASE = (
    "name", "version", "date", "license", "type", "architecture", "treatment", "origin", "producer", "contact",
    "repository", "huggingface", "components",
)  # fmt: skip
_COMPONENT = ("name", "description", "license", "license_path", "component_path")


def read(document: Place, *, quirks: bool = False) -> Disclosure:
    """What a file discloses. A component that it does not list is not there.

    With `quirks`, a component of unknown name is taken for the first one of the settings, as the tool does (PHP's
    `array_search` gives false, which is then read as 0), and of two with one name the later counts; else they are
    refused, with their place.
    """
    fields = document.mapping(("framework", "release", "id", "classification"))
    release = document.needed(fields, "release")
    known = release.mapping(_RELEASE)
    name = release.needed(known, "name").text()
    licences = _licences(known["license"]) if "license" in known else {}
    components = {key: Component(Presence.CLOSED, source=str(release)) for key in PARTS}
    listed: set[str] = set()
    for one in release.needed(known, "components").items():
        key, component = _component(one, quirks=quirks, of_all=bool(licences.get("distribution")), licences=licences)
        if key in listed and not quirks:
            one.refuse(f"'{PARTS[key].name}' is listed twice.", "Keep one of the two.")
        listed.add(key)
        components[key] = component
    return Disclosure(name, components, licences=licences)


def _licences(place: Place) -> dict[str, str]:
    return {
        kind: name.text()
        for kind, one in place.mapping(("distribution", "code", "data", "document")).items()
        if (name := one.mapping(("name", "path")).get("name")) and name.text()
    }


def _component(place: Place, *, quirks: bool, of_all: bool, licences: dict[str, str]) -> tuple[str, Component]:
    fields = place.mapping(_COMPONENT)
    named = place.needed(fields, "name")
    name = named.text()
    if name not in _KEYS and not quirks:
        named.choice(tuple(_KEYS))
        named.refuse("the component has no name.")
    key = _KEYS.get(name, _FIRST)
    licence = fields["license"].text() if "license" in fields else None
    if licence is None and not (of_all or licences.get(PARTS[key].content)):
        licence = ""  # the file names none for it, which the tool takes as "no licence" and not as "unknown"
    url = fields["component_path"].text() if "component_path" in fields else ""
    return key, Component(Presence.OPEN, licence, url, source=str(place))
