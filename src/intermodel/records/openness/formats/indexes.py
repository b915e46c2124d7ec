"""The files of the European Open Source AI Index and of its predecessor opening-up-chatgpt."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from intermodel.records.disclosure import Presence
from intermodel.records.openness import osai, oucg
from intermodel.records.openness.dimensions import Answer
from intermodel.records.openness.formats.places import Place

_ANSWER = ("class", "link", "notes")
_OLD = {"architecture": "hardware_architecture"}
"""What the European index called a dimension before."""

_NOT_ASKED = ("datasources", "weights", "watermarking", "prompt_moderation", *osai.DROPPED)
"""Dimensions that files of the European index may hold, and that some of its editions, or all, ask of no type."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a file of an index says of a system."""

    name: str
    types: tuple[str, ...]
    answers: dict[str, Answer]


def read_osai(document: Place) -> Entry:
    """A file of the European index: `system`, `org`, and a class, link and notes for each dimension."""
    names = [key for group in osai.CATEGORIES.values() for key in group]
    fields = document.mapping(("system", "org", *names, *_OLD, *_NOT_ASKED))
    place = document.needed(fields, "system")
    system = place.mapping()
    types = place.needed(system, "type")
    words = [word for text in types.texts() for word in re.split(r"[\s,;/]+", text.strip()) if word]
    if "architecture" in fields and "hardware_architecture" in fields:
        fields["architecture"].refuse("this is the old name of 'hardware_architecture', which is there, too.")
    answers = _answers(fields, (*names, *_OLD, *osai.DROPPED), more=("metaprompts", "metaprompt"))
    return Entry(
        system["name"].text() if "name" in system else "",
        tuple(words),
        {_OLD.get(key, key): one for key, one in answers.items()},
    )


def read_oucg(document: Place) -> Entry:
    """A file of opening-up-chatgpt: `project`, `org`, and a class, link and notes for each dimension."""
    fields = document.mapping(("project", "org", *oucg.NAMES))
    project = document.needed(fields, "project").mapping()
    name = project["name"].text() if "name" in project else ""
    return Entry(name, (), _answers(fields, oucg.NAMES))


def _answers(fields: dict[str, Place], names: Collection[str], more: tuple[str, ...] = ()) -> dict[str, Answer]:
    return {key: _answer(place, more) for key, place in fields.items() if key in names}


def _answer(place: Place, more: tuple[str, ...]) -> Answer:
    fields = place.mapping((*_ANSWER, *more))
    word = fields["class"].choice((Presence.OPEN, Presence.PARTIAL, Presence.CLOSED)) if "class" in fields else ""
    links = fields["link"].texts() if "link" in fields else []
    return Answer(Presence(word) if word else Presence.UNKNOWN, " ".join([str(place), *links]))
