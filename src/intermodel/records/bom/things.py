"""A CycloneDX document taken apart: its components and services, with their places, names and ties. Bounded.

Nothing here recurses: a document may nest and refer in circles as it likes. A field of the wrong type is an `Invalid`
that names its place.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from intermodel.core import Invalid
from intermodel.records.bom.properties import PREFIX, UNKNOWN
from intermodel.records.facts import Kind

MOST_THINGS = 20_000
"""Components and services of one document, nested ones too."""
MOST_TIES = 100_000
"""Dependencies of one document."""
MOST_TEXT = 200_000
"""Characters of one text."""

MODEL, DATA, APPLICATION, SERVICE = "machine-learning-model", "data", "application", "service"
_OF_MODELS = (Kind.WEIGHTS, Kind.ADAPTER, Kind.SERVICE)
_HUGGING_FACE = re.compile(r"pkg:huggingface/(?P<name>[^@?#\s]+)(?:@(?P<version>[^?#\s]+))?.*")
_HALF = re.compile("[\ud800-\udfff]")
"""A surrogate alone, which JSON can escape and UTF-8 cannot write."""
_NESTED = {"components": False, "services": False}
_PEDIGREE = ("ancestors", "descendants", "variants")


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON object of the document, and where it stands (a JSON pointer, RFC 6901)."""

    value: Mapping[str, Any]
    path: str

    @property
    def source(self) -> str:
        return f"cyclonedx:{self.path}"

    def text(self, key: str) -> str:
        """A text; "" where it is not there."""
        return self._text(self.value.get(key, ""), f"{self.path}/{key}")

    def texts(self, key: str) -> list[str]:
        return [self._text(one, f"{self.path}/{key}/{number}") for number, one in enumerate(self._list(key))]

    def object(self, key: str) -> Place:
        """An object; an empty one where it is not there."""
        return self._place(self.value.get(key, {}), f"{self.path}/{key}")

    def objects(self, key: str) -> Iterator[Place]:
        for number, one in enumerate(self._list(key)):
            yield self._place(one, f"{self.path}/{key}/{number}")

    def _list(self, key: str) -> list[Any]:
        found = self.value.get(key, [])
        if not isinstance(found, list):
            raise wrong(f"{self.path}/{key}", "an array")
        return found

    @staticmethod
    def _place(value: Any, path: str) -> Place:
        if not isinstance(value, Mapping):
            raise wrong(path, "an object")
        return Place(value, path)

    @staticmethod
    def _text(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise wrong(path, "a text")
        if len(value) > MOST_TEXT:
            raise Invalid(f"The text at {path[:200]} has {len(value):,} characters; {MOST_TEXT:,} are read.")
        if _HALF.search(value):
            raise wrong(path, "a text: it holds half a character")
        return value


@dataclass(slots=True, eq=False)
class Thing:
    """A component or a service. `ties` are its pedigree: which way, and with what."""

    place: Place
    type: str
    ref: str
    own: Mapping[str, list[tuple[str, str]]]
    """Properties of this project: values and their places, by the name after the prefix."""
    ties: list[tuple[str, Thing]] = field(default_factory=list)
    id: str = ""

    def said(self, name: str) -> str:
        """The one value of a property; "" where there is none."""
        return self.own[name][0][0] if name in self.own else ""

    @property
    def kind(self) -> Kind | None:
        """What its type and its own word say together; a model may be weights or a service, so that is unknown."""
        stated = self.said("kind")
        if self.type == MODEL:
            return next((kind for kind in _OF_MODELS if kind.value == stated), None)
        if stated == UNKNOWN:
            return None
        return {DATA: Kind.DATASET, APPLICATION: Kind.APPLICATION, SERVICE: Kind.SERVICE}.get(self.type)


@dataclass(slots=True)
class Things:
    """All of a document, in its order; `by_ref` leads to each one that has a `bom-ref`."""

    all: list[Thing] = field(default_factory=list)
    by_ref: dict[str, Thing] = field(default_factory=dict)
    top: Thing | None = None
    """What the document says it describes: `metadata.component`."""

    def add(self, place: Place, kind: str = "") -> Thing:
        if len(self.all) >= MOST_THINGS:
            raise Invalid(f"It holds more than {MOST_THINGS:,} components.", hint="Import the part that is wanted.")
        ref = place.text("bom-ref")
        if ref and ref in self.by_ref:
            raise Invalid(
                f"The bom-ref '{ref[:100]}' stands twice, the second time at {place.path[:200]}.",
                hint="Each must be unique within a document (CycloneDX, `bom-ref`).",
            )
        thing = Thing(place, kind or place.text("type"), ref, _own(place))
        self.all.append(thing)
        if ref:
            self.by_ref[ref] = thing
        return thing


def things_of(document: Place) -> Things:
    """Every component and service of a document, each with an id that no other thing has."""
    found = Things()
    pedigrees: deque[Thing] = deque()
    metadata = document.object("metadata")
    if "component" in metadata.value:
        found.top = found.add(metadata.object("component"))
        _nested(found, found.top.place, pedigrees, found.top)
    _nested(found, document, pedigrees, None)
    while pedigrees:
        thing = pedigrees.popleft()
        pedigree = thing.place.object("pedigree")
        for way in _PEDIGREE:
            for place in pedigree.objects(way):
                other = found.add(place)
                thing.ties.append((way, other))
                pedigrees.append(other)
    _name(found)
    return found


def is_text(value: Any) -> bool:
    """Whether it is a text that can be written again."""
    return isinstance(value, str) and not _HALF.search(value)


def wrong(path: str, wanted: str) -> Invalid:
    return Invalid(f"{path[:200] or '/'} is not {wanted}.", hint="`intermodel bom check FILE` lists all that is wrong.")


def _nested(found: Things, place: Place, pedigrees: deque[Thing], first: Thing | None) -> None:
    """Adds all components and services within, at any depth, outermost first."""
    if first is not None:
        pedigrees.append(first)
    places = deque([place])
    while places:
        within = places.popleft()
        for key in _NESTED:
            for one in within.objects(key):
                thing = found.add(one, SERVICE if key == "services" else "")
                pedigrees.append(thing)
                places.append(one)


def _own(place: Place) -> dict[str, list[tuple[str, str]]]:
    own: dict[str, list[tuple[str, str]]] = {}
    for one in place.objects("properties"):
        name = one.text("name")
        if name.startswith(PREFIX):
            own.setdefault(name.removeprefix(PREFIX), []).append((one.text("value"), f"cyclonedx:{one.path}/value"))
    return own


def _name(found: Things) -> None:
    """Gives each thing its id. Without a `bom-ref` of its own it is a mention of one that has its name."""
    taken: dict[str, Thing] = {}
    for thing in found.all:
        name = _called(thing)
        if name in taken and thing.ref and taken[name].ref and "id" not in thing.own:
            name = f"{name}#{thing.ref}"
        taken.setdefault(name, thing)
        thing.id = name


def _called(thing: Thing) -> str:
    """Its own id, its address on Hugging Face, or group, name and version."""
    if "id" in thing.own:
        return thing.said("id")
    purl = _HUGGING_FACE.fullmatch(thing.place.text("purl"))
    parts = purl.groupdict() if purl else None
    group, version = thing.place.text("group"), thing.place.text("version")
    name = parts["name"] if parts else "/".join(filter(None, (group, thing.place.text("name"))))
    version = (parts["version"] or "") if parts else version
    return f"{name}@{version}" if version else name
