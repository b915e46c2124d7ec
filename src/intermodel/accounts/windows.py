"""Budgets as values: whom they bind, their days and months, and what one process holds of them. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from intermodel.accounts.payer import Payer

NANO = 10**9
"""Money is counted in nano-dollars, as integers."""

MOST_NANO = 10**15
"""What one attempt can cost at most, a million dollars: more is a mistake of somebody's."""

Period = Literal["day", "month", "all"]
Subject = Literal["node", "token", "user", "organisation"]

SHARE = 16
"""A slice is at most this part of what is left, and at least what is needed."""
AHEAD = 16
"""A slice is for this many seconds of demand."""
KEEP = 2 * AHEAD
"""What is kept of a slice, in seconds of demand; the rest flows back."""


def dollars(nano: int) -> Decimal:
    """Exactly that many dollars."""
    return Decimal(nano).scaleb(-9)


def nano_dollars(amount: Decimal) -> int:
    """In nano-dollars, rounded up."""
    return math.ceil(amount.scaleb(9))


@dataclass(frozen=True, slots=True)
class Terms:
    """A budget: whom it binds (`who` is empty for the whole node), its ceiling in nano-dollars, when it begins anew."""

    name: str
    subject: Subject
    who: str
    ceiling: int
    period: Period
    declared: bool = False
    """Whether it stands in the settings, where alone it can be changed."""

    def binds(self, payer: Payer) -> bool:
        if self.subject == "node":
            return True
        if self.subject == "token":
            return self.who in (payer.token_id, payer.name)
        return self.who == (payer.user if self.subject == "user" else payer.organisation)


def span_of(period: Period, at: float) -> str:
    """The window in which `at` (Unix seconds) lies: its day `2026-11-20` or month `2026-11` in UTC, or `all`."""
    if period == "all":
        return "all"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def begins_anew(period: Period, at: float) -> datetime | None:
    """The end of that window; None: never."""
    when = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return datetime.fromtimestamp(when.timestamp() + 86_400, UTC)
    if period == "month":
        return when.replace(year=when.year + when.month // 12, month=when.month % 12 + 1, day=1)
    return None


class Window:
    """What this process holds of one budget in one window, in nano-dollars.

    `lease` is its part of the ceiling, as the database has it. Of that, `reserved` is set aside for calls in progress,
    and `unmoved` was spent by calls whose receipts are not in the database yet.
    """

    __slots__ = (
        "calls",
        "ceiling",
        "demand",
        "dry_until",
        "elsewhere",
        "hopeless_until",
        "lease",
        "left",
        "name",
        "reserved",
        "span",
        "unmoved",
        "used",
    )

    def __init__(self, name: str, span: str, ceiling: int = 0) -> None:
        self.name = name
        self.span = span
        self.ceiling = ceiling
        self.lease = 0
        self.reserved = 0
        self.unmoved = 0
        self.calls = 0
        """Reservations that are not settled."""
        self.used = 0
        """Reserved since the last look, for the demand."""
        self.demand = 0
        """Reserved a second, as last looked."""
        self.left = self.elsewhere = 0
        """What was left to lease, and what others held, when the database was last asked in vain."""
        self.dry_until = self.hopeless_until = 0.0
        """Until then (monotonic) that is not asked again, and not waited for."""

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.span

    @property
    def free(self) -> int:
        """What can be reserved without asking the database; negative after calls that cost more than was reserved."""
        return self.lease - self.reserved - self.unmoved

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by forgetting it."""
        return not (self.lease or self.calls or self.unmoved)

    def measure(self) -> None:
        """Take note of the demand of the second that is over."""
        self.demand, self.used = self.used, 0

    def covered(self, spent: int) -> int:
        """How much of what was spent the lease gives; less than all only where calls overshot what they had reserved.

        What calls in progress have reserved stays covered, so that one call's overshoot does not become another's.
        """
        return min(spent, max(0, self.lease - self.reserved))


def slice_of(remaining: int, need: int, least: int, demand: int) -> int:
    """How much to lease where `remaining` is left and `need` is missing; 0 where not even `least` is left.

    Enough for some seconds of demand, but a small part of what is left, so that other processes find theirs; near
    the ceiling exactly what is needed, or what there is.
    """
    if remaining < least:
        return 0
    return max(0, min(remaining, max(need, min(remaining // SHARE, AHEAD * max(demand, need)))))


def surplus_of(free: int, demand: int) -> int:
    """How much of what is free should flow back. All of it, once nobody asks any more."""
    return max(0, free - KEEP * demand)
