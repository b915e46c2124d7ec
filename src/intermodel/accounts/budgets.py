"""Ceilings on what may be spent, which hold whatever happens: many calls at once, many processes, `kill -9`.

Before a call may cost anything, the most that it can cost is set aside, from what this process holds of the ceiling
(`slices`). What is set aside is in the journal before the upstream is called, and what was spent reaches the database
in the transaction that writes the call's receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from sqlalchemy import delete, insert, select

from intermodel.accounts.journal import Journal, dumped
from intermodel.accounts.payer import Payer
from intermodel.accounts.slices import Dry, Slices
from intermodel.accounts.windows import (
    Period,
    Subject,
    Terms,
    Window,
    begins_anew,
    dollars,
    nano_dollars,
    span_of,
)
from intermodel.core import Conflict, NotFound, OverBudget
from intermodel.settings import Budget
from intermodel.storage import Database
from intermodel.storage.tables import budget_windows, budgets

OPENED = b"O"
"""The kind of a journal's line that says what a call has set aside."""
TEND_S = 1.0
_BOUND = 10_000


class Charge(TypedDict):
    """What a call costs one budget, in the window in which it was reserved."""

    budget: str
    window: str
    nano: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget now. `spent` and `held` (set aside or leased) in nano-dollars; `anew` is when it begins anew."""

    name: str
    subject: Subject
    who: str
    ceiling: int
    period: Period
    declared: bool
    spent: int
    held: int
    anew: datetime | None


class _Tab:
    """A call in progress: what was said of it when it was opened, and its reservations."""

    __slots__ = ("call", "reservations", "segment")

    def __init__(self, call: Mapping[str, Any]) -> None:
        self.call = call
        self.reservations: list[Reservation] = []
        self.segment = 0
        """Where in the journal it stands."""

    def charges(self) -> list[Charge]:
        if len(self.reservations) == 1:
            (only,) = self.reservations
            nano = only.amount if only.spent is None else only.spent
            return [{"budget": window.name, "window": window.span, "nano": nano} for window in only.windows]
        sums: dict[Window, int] = {}
        for reservation in self.reservations:
            amount = reservation.amount if reservation.spent is None else reservation.spent
            for window in reservation.windows:
                sums[window] = sums.get(window, 0) + amount
        return [{"budget": window.name, "window": window.span, "nano": nano} for window, nano in sums.items()]


class Reservation:
    """Money set aside for one attempt, in all budgets that bind its caller. `amount` in nano-dollars."""

    __slots__ = ("_budgets", "_tab", "amount", "spent", "windows")

    def __init__(self, budgets: Budgets, tab: _Tab, windows: tuple[Window, ...]) -> None:
        self._budgets = budgets
        self._tab = tab
        self.windows = windows
        self.amount = 0
        self.spent: int | None = None
        """What it came to; None as long as it is not settled."""
        tab.reservations.append(self)
        for window in windows:
            window.calls += 1

    async def grow(self, more: int) -> bool:
        """Set aside `more` besides; whether that was possible, else nothing has changed. Raises `Unavailable`."""
        try:
            await self._budgets.add(self._tab, self, more)
        except OverBudget:
            return False
        return True

    def settle(self, spent: int) -> None:
        """Spend that much of it, or more if the call did, and let go of the rest. Once."""
        if self.spent is not None:
            raise RuntimeError("a reservation is settled once")
        if spent < 0:
            raise ValueError("nothing costs less than nothing")
        self.spent = spent
        for window in self.windows:
            window.reserved -= self.amount
            window.unmoved += spent
            window.calls -= 1

    def release(self) -> None:
        """Let go of all of it; nothing once it is settled."""
        if self.spent is None:
            self.settle(0)


class Budgets:
    """All budgets of a node: those of the settings and those made at run time. `await open()` before use.

    `clock` tells Unix seconds: which day and month it is (UTC).
    """

    REFRESH_S = 2.0

    def __init__(
        self,
        database: Database,
        journal: Journal,
        declared: Mapping[str, Budget],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock
        self._declared = tuple(terms_of(name, budget, declared=True) for name, budget in declared.items())
        self._terms: tuple[Terms, ...] = self._declared
        self.slices = Slices(database, journal.owner)
        """What this process holds of all budgets."""
        self._bound: dict[str, tuple[Payer, tuple[Window, ...]]] = {}
        self._tabs: dict[str, _Tab] = {}
        self._until = 0.0
        self._refreshed = self._tended = float("-inf")

    async def open(self) -> None:
        """Read the budgets, and what this process held when it last ended. Raises `Unavailable`."""
        async with self.slices.turn():
            await self._refresh()

    async def close(self) -> None:
        """Give back all that is free."""
        await self.slices.give_back(all_of_it=True)

    # for calls

    def binds(self, payer: Payer) -> bool:
        """Whether any budget binds `payer`."""
        return bool(self._terms) and bool(self._windows_of(payer))

    async def reserve(
        self, payer: Payer, amount: int, call: Mapping[str, Any], *, at_least: int | None = None
    ) -> Reservation | None:
        """Set aside `amount` nano-dollars in every budget that binds `payer`, or in none; None where none binds.

        With `at_least`, what is there of `amount` is enough if it is no less than that. `call` is what can be said
        of the call before it is over (a receipt's fields, its `id` among them): all that is known of it after
        `kill -9`, when it counts as lost and is charged what was set aside. Reservations with one `id` are one
        call's, and the last of their `call`s counts.

        Raises `OverBudget`, naming the budget, and `Unavailable` where the slice is used up and the database gone, or
        the journal takes nothing.
        """
        windows = self._windows_of(payer) if self._terms else ()
        if not windows:
            return None
        identity = call["id"]
        tab = self._tabs.get(identity)
        if tab is None:
            tab = self._tabs[identity] = _Tab(call)
        tab.call = call  # the last attempt knows most
        reservation = Reservation(self, tab, windows)
        try:
            await self.add(tab, reservation, amount, at_least)
        except BaseException:
            reservation.release()
            tab.reservations.remove(reservation)
            if not tab.reservations:
                del self._tabs[identity]
            raise
        return reservation

    async def add(self, tab: _Tab, reservation: Reservation, more: int, least: int | None = None) -> None:
        """Set aside `more`, or no less than `least`, for a reservation that is not settled. Raises as `reserve`."""
        windows = reservation.windows
        for window in windows:
            if window.free < more and more:  # what costs nothing is let in where nothing is left
                more = await self._obtain(windows, more, more if least is None else least)
                break
        if reservation.spent is not None:
            raise RuntimeError("a reservation that is settled cannot grow")
        for window in windows:
            window.reserved += more
            window.used += more
        reservation.amount += more
        try:
            if more:
                self._write(tab)
        except BaseException:
            reservation.amount -= more
            for window in windows:
                window.reserved -= more
            raise

    def close_call(self, call_id: str) -> list[Charge]:
        """The call is over and its receipt about to be written: what it costs which budgets.

        What is not settled counts as spent, for nobody said it was not.
        """
        tab = self._tabs.pop(call_id, None)
        if tab is None:
            return []
        for reservation in tab.reservations:
            if reservation.spent is None:
                reservation.settle(reservation.amount)
        return tab.charges()

    def _windows_of(self, payer: Payer) -> tuple[Window, ...]:
        if self._clock() >= self._until:
            self._begin_day()
        known = self._bound.get(payer.token_id)
        if known is None or (known[0] is not payer and known[0] != payer):
            if len(self._bound) >= _BOUND:
                self._bound.clear()
            windows = tuple(self._window(terms) for terms in self._terms if terms.binds(payer))
            known = self._bound[payer.token_id] = payer, windows
        return known[1]

    def _begin_day(self) -> None:
        self._bound.clear()
        end = begins_anew("day", self._clock())
        assert end is not None
        self._until = end.timestamp()

    def _window(self, terms: Terms) -> Window:
        window = self.slices.window((terms.name, span_of(terms.period, self._clock())))
        if window.ceiling < terms.ceiling:  # that nothing was left says nothing any more
            window.dry_until = window.hopeless_until = 0.0
        window.ceiling = terms.ceiling
        return window

    def _write(self, tab: _Tab) -> None:
        tab.segment = self._journal.write(OPENED, dumped({"call": tab.call, "budgets": tab.charges()}))

    async def _obtain(self, windows: Sequence[Window], amount: int, least: int) -> int:
        try:
            return await self.slices.obtain(windows, amount, least)
        except Dry as dry:
            raise self._over(dry.window, least) from None

    def _over(self, window: Window, wanted: int) -> OverBudget:
        terms = next((t for t in self._terms if t.name == window.name), None)
        anew = begins_anew(terms.period, self._clock()) if terms else None
        left = max(0, window.free + window.left)
        return OverBudget(
            f"The budget '{window.name}' does not reach: ${shown(left)} of ${shown(window.ceiling)} are left, and this "
            f"call may cost ${shown(wanted)}.",
            hint=(f"It begins anew on {anew:%Y-%m-%d} at 00:00 UTC. " if anew else "") + OverBudget.FEWER,
        )

    # for the background task and the writer of receipts

    def carry(self, segment: int) -> None:
        """Write the calls in progress that stand in the journal up to `segment` once more, at its end."""
        for tab in self._tabs.values():
            if 0 < tab.segment <= segment:  # 0: nothing is set aside for it yet
                self._write(tab)

    async def tend(self) -> None:
        """Every second or so: read what others changed, give back what is not asked for. Raises `Unavailable`."""
        now = time.monotonic()
        if now - self._refreshed >= self.REFRESH_S:
            await self._refresh()
        if now - self._tended >= TEND_S:
            self._tended = now
            await self.slices.give_back({window for _, windows in self._bound.values() for window in windows})

    async def _refresh(self) -> None:
        async with self._database.begin() as db:
            rows = (await db.execute(select(budgets))).all()
        names = {terms.name for terms in self._declared}
        made = (Terms(r.name, r.subject, r.who, r.ceiling, r.period) for r in rows if r.name not in names)
        terms = (*self._declared, *sorted(made, key=lambda t: t.name))
        self._refreshed = time.monotonic()
        if terms != self._terms:
            ceilings = {term.name: term.ceiling for term in terms}
            lowered = {old.name for old in self._terms if ceilings.get(old.name, old.ceiling) < old.ceiling}
            self._terms = terms
            self._bound.clear()
            if lowered:  # what was leased below the higher ceiling must not be spent below this one
                await self.slices.end(lowered)

    # for people

    async def define(self, name: str, budget: Budget) -> None:
        """Make a budget, or change one made before; what was spent under that name stays spent.

        Raises `Conflict` for one that stands in the settings.
        """
        self._refuse_declared(name)
        terms = terms_of(name, budget)
        async with self._database.begin() as db:
            await db.execute(delete(budgets).where(budgets.c.name == name))
            await db.execute(
                insert(budgets).values(
                    name=name,
                    subject=terms.subject,
                    who=terms.who,
                    ceiling=terms.ceiling,
                    period=terms.period,
                    created=datetime.now(UTC),
                )
            )
        await self._refresh()

    async def remove(self, name: str) -> None:
        """End a budget. Raises `NotFound`, and `Conflict` for one that stands in the settings."""
        self._refuse_declared(name)
        async with self._database.begin() as db:
            if not (await db.execute(delete(budgets).where(budgets.c.name == name))).rowcount:
                raise NotFound(f"There is no budget '{name}'.", hint="Is it spelt as the list of budgets has it?")
        await self._refresh()

    async def all(self) -> list[Standing]:
        """Every budget, those of the settings first. What other processes spent may be half a second old."""
        await self._refresh()
        now = self._clock()
        async with self._database.begin() as db:
            rows = {(row.budget, row.span): row for row in await db.execute(select(budget_windows))}
        return [self._standing(terms, rows.get((terms.name, span_of(terms.period, now))), now) for terms in self._terms]

    def _standing(self, terms: Terms, row: Any, now: float) -> Standing:
        unmoved = self._window(terms).unmoved
        return Standing(
            terms.name,
            terms.subject,
            terms.who,
            terms.ceiling,
            terms.period,
            terms.declared,
            spent=(row.spent if row else 0) + unmoved,
            held=max(0, (row.leased if row else 0) - unmoved),
            anew=begins_anew(terms.period, now),
        )

    def _refuse_declared(self, name: str) -> None:
        if any(terms.name == name for terms in self._declared):
            raise Conflict(
                f"The budget '{name}' stands in the settings.", hint="Change it there, and restart the node."
            )


def terms_of(name: str, budget: Budget, *, declared: bool = False) -> Terms:
    """A budget of the settings as terms."""
    subjects = {"token": budget.token, "user": budget.user, "organisation": budget.organisation}
    subject, who = next(((s, w) for s, w in subjects.items() if w), ("node", ""))
    return Terms(name, cast(Subject, subject), who, nano_dollars(budget.dollars), budget.per, declared)


def shown(nano: int) -> str:
    """Dollars as people write them: exact, with at least two places."""
    text = f"{dollars(nano):f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
