"""How open a thing is, by frameworks that others made: one grade each, never one number of them all.

Hides each framework's rule, its version, and the files of its own project; promises that a grade names the facts it
rests on, that what is unknown never counts as open, and what would raise it. Knows no network and no database.
"""

from __future__ import annotations

from intermodel.records.disclosure import Disclosure
from intermodel.records.openness import fmti, mof, osai, osaid, oucg, plain
from intermodel.records.openness.grade import Grade, Ground

__all__ = ["FRAMEWORKS", "Grade", "Ground", "grades"]

_GRADERS = {
    "mof": mof.grade,
    "osai": osai.grade,
    "oucg": oucg.grade,
    "osaid": osaid.grade,
    "fmti": fmti.grade,
    "plain": plain.grade,
}
FRAMEWORKS = tuple(_GRADERS)


def grades(disclosure: Disclosure) -> tuple[Grade, ...]:
    """What each framework says of it, in the order of `FRAMEWORKS`."""
    return tuple(grader(disclosure) for grader in _GRADERS.values())
