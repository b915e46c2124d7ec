"""Who had an entry made: beside the ledger, in the database, where it can be erased. No entry says it, nor its hash."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, or_, select, text

from intermodel.core import Unavailable
from intermodel.storage import Database
from intermodel.storage.tables import ledger_entered as table

log = logging.getLogger(__name__)

_AT_ONCE = 500
"""Values in one query."""


@dataclass(frozen=True, slots=True)
class Who:
    """A token by its id and name, and whose it is; "" where nobody said."""

    token: str
    name: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class EnteredBy:
    """By whom an entry was made, and when; in seconds since 1970."""

    entry: int
    who: Who
    at: float


class Entered:
    """What a database knows of those who had entries of the ledger of that name made.

    It is not signed, and cannot be made anew. What the node says of its own accord is nobody's.
    """

    def __init__(self, database: Database, log: str, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._log = log
        self._clock = clock

    async def keep(self, entries: Iterable[int], who: Who) -> None:
        """Keep it. Where that cannot be done the entries stand all the same, and the log says who it was."""
        at = round(self._clock() * 1e6)
        told = {"token": who.token[:64], "name": who.name[:200], "user": who.user[:200], "at": at}
        if rows := [{"log": self._log, "entry": entry} | told for entry in dict.fromkeys(entries)]:
            numbers = [row["entry"] for row in rows]
            try:
                async with self._database.begin() as db:  # of a ledger that was restored, an older one may be there
                    for low in range(0, len(numbers), _AT_ONCE):
                        some = table.c.entry.in_(numbers[low : low + _AT_ONCE])
                        await db.execute(delete(table).where(table.c.log == self._log, some))
                    await db.execute(insert(table), rows)
            except Unavailable as error:
                log.warning("that token %s entered %s cannot be kept: %s", who.token, numbers, error.message)

    async def of(self, entries: Collection[int]) -> dict[int, EnteredBy]:
        """Of those of which it is known, by entry."""
        wanted = sorted(entries)
        found: list[Any] = []
        async with self._database.begin() as db:
            for low in range(0, len(wanted), _AT_ONCE):
                some = table.c.entry.in_(wanted[low : low + _AT_ONCE])
                found += (await db.execute(select(table).where(table.c.log == self._log, some))).all()
        return {row.entry: _read(row) for row in found}

    async def by(self, who: str, limit: int, before: int | None = None) -> list[EnteredBy]:
        """What a token (by id or name) or a user had made, the newest first."""
        query = select(table).where(self._is(who)).order_by(table.c.entry.desc()).limit(limit)
        if before is not None:
            query = query.where(table.c.entry < before)
        async with self._database.begin() as db:
            return [_read(row) for row in (await db.execute(query)).all()]

    async def erase(self, who: str) -> int:
        """Forget that a token (by id or name) or a user had entries made; how many. The entries stay."""
        async with self._database.begin() as db:
            if self._database.dialect == "sqlite":  # or the bytes would stay in the file's free pages
                await db.execute(text("PRAGMA secure_delete=ON"))
            return int((await db.execute(delete(table).where(self._is(who)))).rowcount)

    def _is(self, who: str) -> ColumnElement[bool]:
        c = table.c
        return (c.log == self._log) & or_(c.token == who, c.name == who, c.user == who)


def _read(row: Any) -> EnteredBy:
    return EnteredBy(row.entry, Who(row.token, row.name, row.user), row.at / 1e6)
