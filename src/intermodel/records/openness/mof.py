"""The Model Openness Framework, as the Model Openness Tool computes it at commit 8b5d30e (2026-05-11).

Framework: White et al. 2024, arXiv:2403.13784. The tool differs from the paper: data sets are required for class I (the
paper desires them), and an open licence of the wrong type (MIT on a document) counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from intermodel.records.disclosure import Component, Disclosure, Presence
from intermodel.records.openness.approved import NONE, open_to_the_tool
from intermodel.records.openness.grade import Grade, Ground

VERSION = "MOF 1.0, Model Openness Tool 8b5d30e"
LABELS = {
    0: "Unclassified",
    1: "Class I - Open Science Model",
    2: "Class II - Open Tooling Model",
    3: "Class III - Open Model",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A component of the framework: its name in the tool, what licence it takes, and from which class on it counts."""

    name: str
    content: str
    level: int
    required: bool = True


PARTS: Mapping[str, Part] = {
    "datasets": Part("Datasets", "data", 1),
    "data_preprocessing_code": Part("Data preprocessing code", "code", 1),
    "architecture": Part("Model architecture", "code", 3),
    "parameters": Part("Model parameters (Final)", "data", 3),
    "metadata": Part("Model metadata", "data", 1, required=False),
    "intermediate_parameters": Part("Model parameters (Intermediate)", "data", 1),
    "training_code": Part("Training code", "code", 2),
    "inference_code": Part("Inference code", "code", 2),
    "evaluation_code": Part("Evaluation code", "code", 2),
    "evaluation_data": Part("Evaluation data", "data", 2),
    "evaluation_results": Part("Evaluation results", "document", 3),
    "libraries": Part("Supporting libraries and tools", "code", 2, required=False),
    "model_card": Part("Model card", "document", 3),
    "data_card": Part("Data card", "document", 3),
    "technical_report": Part("Technical report", "document", 3),
    "research_paper": Part("Research paper", "document", 1),
    "sample_outputs": Part("Sample model outputs", "document", 3, required=False),
}
"""In the order of the tool's settings (mof.settings.yml)."""


class Status(StrEnum):
    """What the tool makes of a component; `UNKNOWN` is ours, and counts as missing."""

    INCLUDED = "included"
    UNLICENSED = "unlicensed"
    INVALID = "its licence is not open"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Found:
    """The class (0 is none) and, by class, the progress in percent."""

    level: int
    progress: Mapping[int, float]


def grade(disclosure: Disclosure, *, exact: bool = False) -> Grade:
    """`exact` compares licences letter by letter, as the tool does; else without case, and expressions count."""
    status = {key: _status(disclosure, key, exact=exact) for key in PARTS}
    found = classify(status)
    return Grade(
        "mof",
        VERSION,
        LABELS[found.level],
        sum(found.progress.values()) / 3,
        100,
        tuple(_ground(disclosure, key, one) for key, one in status.items()),
        _raised_by(status, found),
        tuple((f"class_{level}", found.progress[level]) for level in (1, 2, 3)),
    )


def classify(status: Mapping[str, Status]) -> Found:
    """The tool's rule: a class is reached where all its components and those of the classes below are included.

    Where the technical report is not included and a research paper is there, the paper stands in for it.
    """
    progress, included, asked, complete = {}, 0, 0, True
    for level in (3, 2, 1):
        needed = _needed(status, level)
        included += sum(status[key] is Status.INCLUDED for key in needed)
        asked += len(needed)
        progress[level] = included / asked * 100 if complete else 0
        complete = included == asked
    return Found(min((level for level, share in progress.items() if share == 100), default=0), progress)


def _needed(status: Mapping[str, Status], level: int) -> list[str]:
    needed = [key for key, part in PARTS.items() if part.level == level and part.required]
    if status["technical_report"] is not Status.INCLUDED and status["research_paper"] not in (
        Status.MISSING,
        Status.UNKNOWN,
    ):
        # it is counted once: with class III, and no more with class I
        moved = {3: ("technical_report", ["research_paper"]), 1: ("research_paper", [])}.get(level, ("", []))
        return [key for key in needed if key != moved[0]] + moved[1]
    return needed


def licence_of(disclosure: Disclosure, component: Component, content: str) -> str | None:
    """Its own licence where one is named or it is said to have none; else that of all its kind; else that of all."""
    if component.licence is not None:
        return component.licence
    return disclosure.licences.get(content) or disclosure.licences.get("distribution") or None


def _status(disclosure: Disclosure, key: str, *, exact: bool) -> Status:
    component = disclosure.components.get(key, Component())
    if component.presence is not Presence.OPEN:
        return Status.UNKNOWN if component.presence is Presence.UNKNOWN else Status.MISSING
    licence = licence_of(disclosure, component, PARTS[key].content)
    if licence is None:
        return Status.UNKNOWN
    if licence in NONE:
        return Status.UNLICENSED
    return Status.INCLUDED if open_to_the_tool(licence, exact=exact) else Status.INVALID


def _ground(disclosure: Disclosure, key: str, status: Status) -> Ground:
    component, part = disclosure.components.get(key, Component()), PARTS[key]
    licence = licence_of(disclosure, component, part.content)
    words = f"{part.name}: {status}"
    if component.presence is Presence.OPEN and status is not Status.UNLICENSED:
        words += f" ({licence or 'licence unknown'})"
    elif component.presence is Presence.PARTIAL:
        words += " (only a part of it is there)"
    if not part.required:
        words += "; optional"
    return Ground(words, None if status is Status.UNKNOWN else status is Status.INCLUDED, component.source)


def _raised_by(status: Mapping[str, Status], found: Found) -> tuple[str, ...]:
    """What the next class lacks, and then the others."""
    levels = [level for level in (3, 2, 1) if not 0 < found.level <= level]
    return tuple(
        f"{LABELS[level].partition(' - ')[0]}: {PARTS[key].name} ({status[key]})"
        for level in levels
        for key in _needed(status, level)
        if status[key] is not Status.INCLUDED
    )
