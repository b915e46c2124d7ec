"""The attempts of one call as bars on one line of time: where each began, waited, spoke and ended, in percent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ROUND = (1, 2, 2.5, 5, 10)
_STEPS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt. `left`, `waited` and `spoke` are percent of the whole; `note` is what the receipt says of it."""

    left: float
    waited: float
    spoke: float
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`ticks`: where to mark how many seconds."""

    bars: Sequence[Bar]
    ticks: Sequence[tuple[float, float]]
    seconds: float


def timeline_of(receipt: Mapping[str, Any]) -> Timeline:
    """The timeline of a receipt's attempts."""
    attempts = receipt.get("attempts") or ()
    ends = [_began(attempt) + _lasted(attempt) for attempt in attempts]
    whole = max([float(receipt.get("seconds") or 0), *ends, 1e-3])
    return Timeline([_bar(attempt, whole) for attempt in attempts], _ticks(whole), whole)


def _bar(attempt: Mapping[str, Any], whole: float) -> Bar:
    lasted = _lasted(attempt)
    first = attempt.get("first_token_s")
    waited = lasted if first is None else min(float(first), lasted)
    return Bar(_percent(_began(attempt), whole), _percent(waited, whole), _percent(lasted - waited, whole), attempt)


def _ticks(whole: float) -> list[tuple[float, float]]:
    """At most five round numbers of seconds, from 0 on."""
    power = 10.0 ** math.floor(math.log10(whole / _STEPS))
    step = next(step * power for step in _ROUND if step * power * _STEPS >= whole * 0.999)
    marks = (step * i for i in range(_STEPS + 1))
    return [(_percent(mark, whole), mark) for mark in marks if mark <= whole]


def _began(attempt: Mapping[str, Any]) -> float:
    return float(attempt.get("started_ms") or 0) / 1000


def _lasted(attempt: Mapping[str, Any]) -> float:
    return float(attempt.get("seconds") or 0)


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 3)
