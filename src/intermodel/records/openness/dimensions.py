"""What the two indexes of Radboud University share: dimensions that are open, partial or closed, worth 1, 0.5 and 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from intermodel.records.disclosure import Component, Disclosure, Presence
from intermodel.records.openness.approved import osi_approved
from intermodel.records.openness.grade import Ground
from intermodel.records.openness.mof import licence_of

POINTS = {Presence.OPEN: 1.0, Presence.PARTIAL: 0.5, Presence.CLOSED: 0.0, Presence.UNKNOWN: 0.0}
_HOLDS = {Presence.OPEN: True, Presence.PARTIAL: False, Presence.CLOSED: False, Presence.UNKNOWN: None}


@dataclass(frozen=True, slots=True)
class Answer:
    """How open something is in one dimension, and who says so."""

    presence: Presence
    source: str = ""


def grounds(answers: Mapping[str, Answer], names: Mapping[str, str]) -> tuple[Ground, ...]:
    """One for each dimension, by its name."""
    return tuple(
        Ground(f"{name}: {one.presence}", _HOLDS[one.presence], one.source)
        for key, name in names.items()
        for one in (answers.get(key, Answer(Presence.UNKNOWN)),)
    )


def raised_by(answers: Mapping[str, Answer], names: Mapping[str, str]) -> tuple[str, ...]:
    """The dimensions that are not open, those that are worth most first."""
    short = [(POINTS[answers[key].presence], name, answers[key]) for key, name in names.items() if key in answers]
    short += [(0.0, name, Answer(Presence.UNKNOWN)) for key, name in names.items() if key not in answers]
    return tuple(
        f"{name} ({one.presence} now)" for points, name, one in sorted(short, key=lambda each: each[0]) if points < 1
    )


def component(disclosure: Disclosure, *keys: str) -> Answer:
    """Open where all of these components are; partial where one is, or a part of one."""
    found = [disclosure.components.get(key, Component(disclosure.access.get(key, Presence.UNKNOWN))) for key in keys]
    return Answer(
        together(one.presence for one in found), "; ".join(dict.fromkeys(c.source for c in found if c.source))
    )


def told(disclosure: Disclosure, *keys: str) -> Answer:
    """The same of what was told in words."""
    found = [disclosure.told[key] for key in keys if key in disclosure.told]
    missing = [Presence.UNKNOWN] * (len(keys) - len(found))
    sources = dict.fromkeys(one.source for one in found if one.source)
    return Answer(together([one.presence for one in found] + missing), "; ".join(sources))


def licences(disclosure: Disclosure) -> Answer:
    """Open where weights, code and data all carry a licence that OSI approved, partial where some of them do."""
    asked = {"parameters": "data", "training_code": "code", "data_preprocessing_code": "code", "datasets": "data"}
    found: list[Presence] = []
    for key, content in asked.items():
        part = disclosure.components.get(key, Component())
        licence = licence_of(disclosure, part, content)
        there = POINTS[part.presence] > 0
        approved = osi_approved(licence) if licence is not None and there else None if licence is None else False
        nothing = part.presence is Presence.UNKNOWN or approved is None
        found.append(Presence.OPEN if there and approved else Presence.UNKNOWN if nothing else Presence.CLOSED)
    return Answer(
        together(found),
        "; ".join(dict.fromkeys(p.source for k in asked if (p := disclosure.components.get(k)) and p.source)),
    )


def together(parts: Iterable[Presence]) -> Presence:
    """Of several parts as one."""
    found = set(parts)
    if found <= {Presence.OPEN}:
        return Presence.OPEN if found else Presence.UNKNOWN
    if found & {Presence.OPEN, Presence.PARTIAL}:
        return Presence.PARTIAL
    return Presence.UNKNOWN if Presence.UNKNOWN in found else Presence.CLOSED
