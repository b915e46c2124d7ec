"""In the style of the Foundation Model Transparency Index: how many of its 100 indicators are met, each worth one.

"The scores assigned by the FMTI team are the only validated scores": what comes out here is no FMTI score. The editions
of 2023 (and 2024) and of 2025 have different indicators, so their sums are not comparable.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files

from intermodel.records.disclosure import Disclosure
from intermodel.records.openness.grade import Grade, Ground

EDITIONS = ("2025", "2023")

_RENAMED = (
    {
        "Copyrighted data": "Data copyright status",
        "Data license": "Data license status",
        "Detection of machine-generated content": "Machine-generated content",
        "Model License": "Model Asset License",
        "License": "Model Asset License",
        "Release decision-making": "Release decision-making protocol",
    }
    | {
        f"Third party {what}": f"Third-party {what}"
        for what in ("capabilities evaluation", "risks evaluation", "mitigations evaluation")
    }
    | {"Third party evaluation of limitations": "Third-party evaluation of limitations"}
)
"""Names that differ between the index's own files of 2023 and 2024."""


def grade(disclosure: Disclosure) -> Grade:
    """Of our own record, in the edition of which it meets more."""
    sources = disclosure.indicator_sources
    return graded({name: (met, sources.get(name, "")) for name, met in disclosure.indicators.items()})


def graded(answers: Mapping[str, tuple[bool | None, str]]) -> Grade:
    """Of answers by the names of one edition; others are left out."""
    edition = edition_of({name: met for name, (met, _) in answers.items()})
    domains = indicators(edition)
    names = [name for group in domains.values() for name in group]
    met = {domain: sum(answers.get(name, (None, ""))[0] is True for name in group) for domain, group in domains.items()}
    total = sum(met.values())
    return Grade(
        "fmti",
        f"FMTI-style, indicators of {edition}",
        f"{total} of {len(names)}",
        float(total),
        float(len(names)),
        tuple(Ground(name, *answers.get(name, (None, ""))) for name in names),
        tuple(name for name in names if answers.get(name, (None, ""))[0] is not True),
        tuple((domain, float(count)) for domain, count in met.items()),
    )


def edition_of(answers: Mapping[str, bool | None]) -> str:
    """The edition of which most indicators are met, so that an answer more never lowers the sum.

    Where that decides nothing, the one to which most of the names belong; then the newest.
    """

    def weight(edition: str) -> tuple[int, int]:
        asked = [met for name, met in answers.items() if name in _names(edition)]
        return sum(met is True for met in asked), len(asked)

    return max(EDITIONS, key=weight)


def indicator(name: str, edition: str) -> str | None:
    """The indicator's name in that edition, also by a name of another file of the index; None where it has none."""
    name = name.strip()
    known = _names(edition)
    return name if name in known else renamed if (renamed := _RENAMED.get(name)) in known else None


@functools.cache
def _names(edition: str) -> frozenset[str]:
    return frozenset(name for group in indicators(edition).values() for name in group)


@functools.cache
def indicators(edition: str) -> Mapping[str, tuple[str, ...]]:
    """The names of the indicators, by domain."""
    data = json.loads((files(__package__) / "data" / "fmti.json").read_text("utf-8"))[edition]
    return {domain: tuple(group) for domain, group in data.items() if domain != "source"}
