"""Opening up ChatGPT (Liesenfeld, Lopez, Dingemanse 2023, doi:10.1145/3571884.3604316), frozen at 801f687.

14 dimensions. The score is a sum: open 1, partial 0.5, all else 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from intermodel.records.disclosure import Disclosure
from intermodel.records.openness.dimensions import POINTS, Answer, component, grounds, licences, raised_by, told
from intermodel.records.openness.grade import Grade

VERSION = "opening-up-chatgpt 801f687, 14 dimensions"

CATEGORIES: Mapping[str, Mapping[str, str]] = {
    "Availability": {
        "opencode": "Open code",
        "llmdata": "LLM data",
        "llmweights": "LLM weights",
        "rldata": "RL data",
        "rlweights": "RL weights",
        "license": "Licence",
    },
    "Documentation": {
        "code": "Code documentation",
        "architecture": "Architecture",
        "preprint": "Preprint",
        "paper": "Peer-reviewed paper",
        "modelcard": "Model card",
        "datasheet": "Datasheet",
    },
    "Access": {"package": "Package", "api": "API"},
}
NAMES: Mapping[str, str] = {key: name for group in CATEGORIES.values() for key, name in group.items()}


def grade(disclosure: Disclosure) -> Grade:
    """Of our own record. What the index calls RL is the model that people talk to, as it was tuned from the base."""
    return graded(
        {
            "opencode": component(disclosure, "training_code", "data_preprocessing_code", "inference_code"),
            "llmdata": component(disclosure, "base_datasets"),
            "llmweights": component(disclosure, "base_parameters"),
            "rldata": component(disclosure, "datasets"),
            "rlweights": component(disclosure, "parameters"),
            "license": licences(disclosure),
            "code": component(disclosure, "code_documentation"),
            "architecture": told(disclosure, "architecture", "training_method"),
            "preprint": component(disclosure, "preprint"),
            "paper": component(disclosure, "reviewed_paper"),
            "modelcard": component(disclosure, "model_card"),
            "datasheet": component(disclosure, "data_card"),
            "package": component(disclosure, "package"),
            "api": component(disclosure, "api"),
        }
    )


def graded(answers: Mapping[str, Answer]) -> Grade:
    """Of answers by the index's own names."""
    parts = {category: _sum(answers, group) for category, group in CATEGORIES.items()}
    score = _sum(answers, NAMES)
    return Grade(
        "oucg",
        VERSION,
        f"{score:g} of {len(NAMES)}",
        score,
        len(NAMES),
        grounds(answers, NAMES),
        raised_by(answers, NAMES),
        tuple(parts.items()),
    )


def _sum(answers: Mapping[str, Answer], names: Mapping[str, str]) -> float:
    return sum(POINTS[answers[key].presence] for key in names if key in answers)
