"""Stretches of time that pages offer to look back over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Period:
    """`name` is what stands in addresses, `title` what people read; `step` is the length of one point in minutes."""

    name: str
    title: str
    length_s: float
    step: int

    def since(self, now: float) -> float:
        """Its beginning, so that all of its points are whole."""
        width = self.step * _MINUTE_S
        return (now - self.length_s) // width * width


HOURS = (
    Period("hour", "Hour", _HOUR_S, 1),
    Period("day", "Day", _DAY_S, 15),
    Period("week", "Week", 7 * _DAY_S, 120),
    Period("month", "30 days", 30 * _DAY_S, 480),
)
"""For what changes within minutes."""

DAYS = (
    Period("today", "Today", 0, 1440),
    Period("week", "7 days", 6 * _DAY_S, 1440),
    Period("month", "30 days", 29 * _DAY_S, 1440),
    Period("year", "Year", 364 * _DAY_S, 1440),
)
"""For what is counted by day, in UTC."""


def chosen(name: str, periods: Sequence[Period], default: str) -> Period:
    """The period of that name; an unknown one is the default."""
    known = {period.name: period for period in periods}
    return known.get(name) or known[default]
