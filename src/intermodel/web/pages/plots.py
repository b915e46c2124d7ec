"""What static/plot.js draws: series over time, which a page carries as JSON beside the same numbers in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from intermodel.accounts import Spent, Stretch
from intermodel.web.pages.periods import Period

MOST_SERIES = 6
"""As many as colours that can be told apart; the busiest ones."""

Unit = Literal["s", "%", "$", ""]
"""Seconds, percent, dollars; "" counts."""


@dataclass(frozen=True, slots=True)
class Plot:
    """`times` in Unix seconds; each series has one value, or None, for each of them."""

    title: str
    unit: Unit
    form: Literal["line", "bar"]
    times: Sequence[float]
    series: Mapping[str, Sequence[float | None]]

    def document(self) -> dict[str, object]:
        """As plot.js reads it."""
        data = [self.times, *self.series.values()]
        return {"title": self.title, "unit": self.unit, "form": self.form, "names": list(self.series), "data": data}

    @property
    def rows(self) -> list[tuple[float, list[float | None]]]:
        """The same as a table, newest first, without the times at which there is nothing."""
        columns = list(self.series.values())
        table = [(at, [column[i] for column in columns]) for i, at in enumerate(self.times)]
        return [row for row in reversed(table) if any(value is not None for value in row[1])]


def latency(stretches: Sequence[Stretch], period: Period, now: float) -> Plot:
    """The mean wait for a first token."""
    return _over_time("First token", "s", stretches, period, now, lambda one: one.first_token_s)


def failures(stretches: Sequence[Stretch], period: Period, now: float) -> Plot:
    """The share of attempts that a deployment failed."""
    return _over_time("Failed attempts", "%", stretches, period, now, lambda one: 100 * one.failed / one.attempts)


def by_day(days: Sequence[Spent], period: Period, now: float) -> Plot:
    """What each day cost, in dollars, as far as that is known."""
    spent = {one.key: one.cost / 1e9 if one.known else None for one in days}
    times = _times(period, now)
    return Plot("Spent", "$", "bar", times, {"Spent": [spent.get(_day(at), 0.0) for at in times]})


def _over_time(
    title: str,
    unit: Unit,
    stretches: Sequence[Stretch],
    period: Period,
    now: float,
    value: Callable[[Stretch], float | None],
) -> Plot:
    times = _times(period, now)
    found = {(one.address, one.at): value(one) for one in stretches}
    series = {address: [found.get((address, at)) for at in times] for address in busiest(stretches)}
    return Plot(title, unit, "line", times, series)


def busiest(stretches: Sequence[Stretch]) -> list[str]:
    """The addresses with most attempts, as many as a plot shows, by name."""
    attempts: dict[str, int] = {}
    for one in stretches:
        attempts[one.address] = attempts.get(one.address, 0) + one.attempts
    return sorted(sorted(attempts, key=lambda address: (-attempts[address], address))[:MOST_SERIES])


def _times(period: Period, now: float) -> list[float]:
    width, since = period.step * 60.0, period.since(now)
    return [since + width * i for i in range(int((now - since) // width) + 1)]


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
