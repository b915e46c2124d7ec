"""The European Open Source AI Index (osai-index.eu): 12 dimensions since its commit ff85b6f of 2026-03-13, 14 before.

The score is the mean over the dimensions that its parameter file names for the system's type, an empty one as 0: the
index's own readme calls an empty one "NA", and its page counts it as 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from intermodel.records.disclosure import Disclosure
from intermodel.records.openness.dimensions import POINTS, Answer, component, grounds, licences, raised_by, told
from intermodel.records.openness.grade import Grade

TYPES = ("text", "image", "code", "video", "audio")
"""The types of systems that all dimensions are asked of."""

CATEGORIES: Mapping[str, Mapping[str, str]] = {
    "Availability": {
        "datasources_basemodel": "Base model data",
        "datasources_endmodel": "End user model data",
        "weights_basemodel": "Base model weights",
        "weights_endmodel": "End user model weights",
        "trainingcode": "Training code",
    },
    "Documentation": {
        "code": "Code documentation",
        "hardware_architecture": "Hardware architecture",
        "preprint": "Preprint",
        "paper": "Peer-reviewed paper",
        "modelcard": "Model card",
        "datasheet": "Datasheet",
    },
    "Access": {"licenses": "Licences"},
}
DROPPED: Mapping[str, str] = {"package": "Package", "api": "API and meta prompts"}
"""What the edition of 14 dimensions asked besides, under Access."""

VERSIONS = {12: "OSAI ff85b6f, 12 dimensions", 14: "OSAI before ff85b6f, 14 dimensions"}


def grade(disclosure: Disclosure, edition: int = 12) -> Grade:
    """Of our own record. Which type of system it is makes no difference: all dimensions are asked of all types."""
    return graded(
        {
            "datasources_basemodel": component(disclosure, "base_datasets"),
            "datasources_endmodel": component(disclosure, "datasets"),
            "weights_basemodel": component(disclosure, "base_parameters"),
            "weights_endmodel": component(disclosure, "parameters"),
            "trainingcode": component(disclosure, "training_code", "data_preprocessing_code"),
            "code": component(disclosure, "code_documentation"),
            "hardware_architecture": told(disclosure, "hardware"),
            "preprint": component(disclosure, "preprint"),
            "paper": component(disclosure, "reviewed_paper"),
            "modelcard": component(disclosure, "model_card"),
            "datasheet": component(disclosure, "data_card"),
            "package": component(disclosure, "package"),
            "api": component(disclosure, "api"),
            "licenses": licences(disclosure),
        },
        edition,
    )


def graded(answers: Mapping[str, Answer], edition: int = 12, types: Collection[str] = TYPES) -> Grade:
    """Of answers by the index's own names. A system of no type that the index asks about has no score."""
    categories = _categories(edition)
    names = {key: name for group in categories.values() for key, name in group.items()}
    if not set(types) & set(TYPES):
        wanted = (f"a type of system that the index asks about: {', '.join(TYPES)}",)
        return Grade("osai", VERSIONS[edition], "not scored", None, 1, grounds(answers, names), wanted)
    parts = {category: _mean(answers, group) for category, group in categories.items()}
    score = _mean(answers, names)
    return Grade(
        "osai",
        VERSIONS[edition],
        f"{score:.2f} of 1",
        score,
        1,
        grounds(answers, names),
        raised_by(answers, names),
        tuple(parts.items()),
    )


def _categories(edition: int) -> Mapping[str, Mapping[str, str]]:
    return CATEGORIES if edition == 12 else {**CATEGORIES, "Access": {**DROPPED, **CATEGORIES["Access"]}}


def _mean(answers: Mapping[str, Answer], names: Mapping[str, str]) -> float:
    return sum(POINTS[answers[key].presence] for key in names if key in answers) / len(names)
