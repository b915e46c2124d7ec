"""What the database knows of budgets' windows and of who holds a slice of them. Every amount is in nano-dollars.

In the database `leased` of a window is always the sum of its leases, and `spent + leased` never exceeds the ceiling
but by what calls cost beyond what was reserved for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, Table, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.accounts.windows import Window, slice_of
from intermodel.storage import Database
from intermodel.storage.tables import budget_leases, budget_windows

Key = tuple[str, str]
"""A budget's name and the span of its window."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process got, and what is left to all: `remaining` for anybody, `elsewhere` in others' slices."""

    amount: int
    remaining: int
    elsewhere: int


class Leases:
    """The slices of one process, `owner`, in one database."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self.owner = owner

    async def held(self) -> dict[Key, int]:
        """All that this process holds."""
        query = select(budget_leases).where(budget_leases.c.owner == self.owner)
        async with self._database.begin() as db:
            return {(row.budget, row.span): row.amount for row in await db.execute(query)}

    async def take(self, window: Window, need: int, least: int) -> Taken:
        """Lease a slice of at least `need`, or where that is not left, what is, but nothing below `least`."""
        name, span = window.key
        async with self._database.begin() as db:
            # writing first takes SQLite's lock; reading first could find itself too old to write
            await db.execute(inserted(db, budget_windows, budget=name, span=span, spent=0, leased=0))
            found = (await db.execute(select(budget_windows).where(_window(window.key)).with_for_update())).one()
            remaining = window.ceiling - found.spent - found.leased
            size = slice_of(remaining, need, least, window.demand)
            if size and await self._lease(db, window, size):
                return Taken(size, remaining - size, 0)
            return Taken(0, remaining, found.leased - window.lease)

    async def _lease(self, db: AsyncConnection, window: Window, size: int) -> bool:
        c = budget_windows.c
        granted = await db.execute(
            update(budget_windows)
            .where(_window(window.key), c.spent + c.leased + size <= window.ceiling)
            .values(leased=c.leased + size)
        )
        if not granted.rowcount:
            return False
        name, span = window.key
        await db.execute(inserted(db, budget_leases, owner=self.owner, budget=name, span=span, amount=0))
        await db.execute(self._add(window.key, size))
        return True

    async def give_back(self, amounts: Iterable[tuple[Key, int]]) -> None:
        """End that much of these slices."""
        async with self._database.begin() as db:
            for key, amount in sorted(amounts):  # in one order everywhere: two processes never wait for each other
                await db.execute(
                    update(budget_windows).where(_window(key)).values(leased=budget_windows.c.leased - amount)
                )
                await db.execute(self._add(key, -amount))
            await db.execute(
                delete(budget_leases).where(budget_leases.c.owner == self.owner, budget_leases.c.amount == 0)
            )

    async def charge(self, db: AsyncConnection, key: Key, spent: int, covered: int) -> None:
        """Within `db`'s transaction: `spent` was spent, of which the slice gives `covered`."""
        c = budget_windows.c
        await db.execute(inserted(db, budget_windows, budget=key[0], span=key[1], spent=0, leased=0))
        await db.execute(
            update(budget_windows).where(_window(key)).values(spent=c.spent + spent, leased=c.leased - covered)
        )
        if covered:
            await db.execute(self._add(key, -covered))

    def _add(self, key: Key, amount: int) -> Any:
        c = budget_leases.c
        where = and_(c.owner == self.owner, c.budget == key[0], c.span == key[1])
        return update(budget_leases).where(where).values(amount=c.amount + amount)


def inserted(db: AsyncConnection, table: Table, **values: Any) -> Any:
    """An insert that leaves a row as it is where one with that key is there."""
    return upsert(db.dialect, table).values(**values).on_conflict_do_nothing()


def upsert(dialect: Dialect, table: Table) -> Any:
    """An insert that can be told what to do where a row with that key is there."""
    if dialect.name == "postgresql":  # a tenth of a second to import, and many nodes have no use for it
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _window(key: Key) -> Any:
    return and_(budget_windows.c.budget == key[0], budget_windows.c.span == key[1])
