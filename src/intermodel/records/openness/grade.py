"""A grade: what one framework, by one version of its rule, says of one disclosure, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ground:
    """Something that a grade rests on. `holds` is None where nobody knows; that counts as no."""

    what: str
    holds: bool | None
    source: str


@dataclass(frozen=True, slots=True)
class Grade:
    """The outcome in the framework's own words, and as a number where the framework has one.

    `parts` are the framework's own partial scores. `raised_by` says what would raise the grade, the nearest first.
    Grades of different frameworks measure different things: they are shown side by side and never made into one number.
    """

    framework: str
    version: str
    outcome: str
    score: float | None
    most: float | None
    facts: tuple[Ground, ...]
    raised_by: tuple[str, ...]
    parts: tuple[tuple[str, float], ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "framework": self.framework,
            "version": self.version,
            "outcome": self.outcome,
            "score": self.score,
            "most": self.most,
            "parts": dict(self.parts),
            "facts": [{"what": one.what, "holds": one.holds, "source": one.source} for one in self.facts],
            "raised_by": list(self.raised_by),
        }
