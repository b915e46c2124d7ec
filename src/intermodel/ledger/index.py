"""The ledger's index in the database: which entries speak of which digest. It can be made anew from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from intermodel.core import NotFound
from intermodel.storage import Database
from intermodel.storage.tables import ledger_entries, ledger_receipts, ledger_subjects

_ID_BYTES = 26
_RECORD = _ID_BYTES + 32
_DAY_US = 86_400 * 10**6
_AT_ONCE = 500
"""Values in one query."""
_PLACES = (
    select(ledger_subjects.c.digest, ledger_subjects.c.entry)
    .where(
        ledger_subjects.c.log == bindparam("log"),
        ledger_subjects.c.digest.in_(bindparam("digests", expanding=True)),
    )
    .order_by(ledger_subjects.c.entry)
)


@dataclass(frozen=True, slots=True)
class Row:
    """What is kept of an entry; `at` in microseconds since 1970."""

    entry: int
    at: int
    signer: str
    predicate_type: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The receipts that an entry covers: their ids and leaf hashes, in the order of their tree."""

    entry: int
    ids: tuple[str, ...]
    hashes: tuple[bytes, ...]
    first: str
    last: str

    @classmethod
    def of(cls, entry: int, ids: Sequence[str], hashes: Sequence[bytes]) -> Sealed:
        return cls(entry, tuple(ids), tuple(hashes), min(ids), max(ids))


class Index:
    """What a database knows of the ledger of that name; the ledgers of other processes may be in it, too."""

    def __init__(self, database: Database, log: str) -> None:
        self._database = database
        self._log = log

    async def size(self) -> int:
        """One more than the newest entry it knows."""
        newest = select(func.coalesce(func.max(ledger_entries.c.entry), -1)).where(ledger_entries.c.log == self._log)
        async with self._database.begin() as db:
            return int((await db.execute(newest)).scalar_one()) + 1

    async def put(self, rows: Sequence[Row]) -> None:
        """Add entries that are not there yet."""
        subjects = [
            {"log": self._log, "digest": digest, "entry": row.entry}
            for row in rows
            for digest in dict.fromkeys(row.digests)
        ]
        async with self._database.begin() as db:
            await db.execute(self._insert(ledger_entries), [{"log": self._log} | _values(row) for row in rows])
            if subjects:
                await db.execute(self._insert(ledger_subjects), subjects)

    async def about(self, digest: str) -> list[int]:
        c = ledger_subjects.c
        return await self._numbers(select(c.entry).where(c.log == self._log, c.digest == digest).order_by("entry"))

    async def places(self, digests: Sequence[str]) -> dict[str, list[int]]:
        """The entries that speak of each, oldest first; nothing of those of which none speaks."""
        found: dict[str, list[int]] = {}
        async with self._database.begin() as db:
            for low in range(0, len(digests), _AT_ONCE):
                wanted = {"log": self._log, "digests": digests[low : low + _AT_ONCE]}
                for digest, entry in await db.execute(_PLACES, wanted):
                    found.setdefault(digest, []).append(entry)
        return found

    async def of_type(self, predicate_type: str) -> list[int]:
        c = ledger_entries.c
        query = select(c.entry).where(c.log == self._log, c.predicate_type == predicate_type)
        return await self._numbers(query.order_by("entry"))

    async def newest(
        self, before: int, limit: int, *, low: int = 0, predicate_type: str = "", signer: str = "", digest: str = ""
    ) -> list[int]:
        """The entries from `low` up to `before` that are like that, newest first, at most `limit`; "" is any.

        Those of a type or about a digest are looked up. Of a signer there is no index: each entry is looked at.
        """
        c, s = ledger_entries.c, ledger_subjects.c
        log, place = (s.log, s.entry) if digest else (c.log, c.entry)
        query = select(place).where(log == self._log, place >= low, place < before)
        if digest:
            query = query.where(s.digest == digest)
            if predicate_type or signer:
                query = query.join(ledger_entries, (c.log == s.log) & (c.entry == s.entry))
        for column, value in ((c.predicate_type, predicate_type), (c.signer, signer)):
            if value:
                query = query.where(column == value)
        return await self._numbers(query.order_by(place.desc()).limit(limit))

    async def types(self, most: int) -> list[str]:
        """The predicate types that entries have, in order, at most so many. Each is one look into the index."""
        c, found = ledger_entries.c, [""]
        async with self._database.begin() as db:
            while len(found) <= most:
                query = select(func.min(c.predicate_type)).where(c.log == self._log, c.predicate_type > found[-1])
                if (one := (await db.execute(query)).scalar_one()) is None:
                    break
                found.append(one)
        return found[1:]

    async def by_day(self, low: int) -> dict[int, int]:
        """How many of the entries from `low` on say that they were made on which day, in days since 1970."""
        c, count = ledger_entries.c, func.count()
        day = c.at // _DAY_US
        query = select(day, count).where(c.log == self._log, c.entry >= low, c.at > 0).group_by(day).order_by(day)
        async with self._database.begin() as db:
            return {int(number): int(entries) for number, entries in await db.execute(query)}

    async def rows(self, low: int, high: int) -> dict[int, Row]:
        """What it says of the entries from `low` up to `high`, by index."""
        async with self._database.begin() as db:
            c = ledger_entries.c
            within = (c.log == self._log) & c.entry.between(low, high - 1)
            entries = (await db.execute(select(ledger_entries).where(within))).all()
            s = ledger_subjects.c
            within = (s.log == self._log) & s.entry.between(low, high - 1)
            subjects = (await db.execute(select(ledger_subjects).where(within).order_by("digest"))).all()
        digests: dict[int, list[str]] = {}
        for row in subjects:
            digests.setdefault(row.entry, []).append(row.digest)
        return {
            row.entry: Row(row.entry, row.at, row.signer, row.predicate_type, tuple(digests.pop(row.entry, ())))
            for row in entries
        } | {entry: Row(entry, 0, "", "", tuple(left)) for entry, left in digests.items()}

    async def clear(self) -> None:
        """Forget all entries; the groups of receipts stay."""
        async with self._database.begin() as db:
            await db.execute(delete(ledger_entries).where(ledger_entries.c.log == self._log))
            await db.execute(delete(ledger_subjects).where(ledger_subjects.c.log == self._log))

    async def seal(self, sealed: Sealed) -> None:
        """Keep which receipts an entry covers."""
        leaves = b"".join(
            one.encode().ljust(_ID_BYTES, b"\0") + hash_ for one, hash_ in zip(sealed.ids, sealed.hashes, strict=True)
        )
        values = {"log": self._log, "entry": sealed.entry, "first": sealed.first, "last": sealed.last, "leaves": leaves}
        async with self._database.begin() as db:
            await db.execute(insert(ledger_receipts), values)

    async def sealed(self, receipt_id: str) -> tuple[Sealed, int]:
        """The group that covers a receipt, and its place there. Raises `NotFound`."""
        columns = ledger_receipts.c
        within = (columns.log == self._log) & (columns.first <= receipt_id) & (columns.last >= receipt_id)
        async with self._database.begin() as db:
            groups = (await db.execute(select(ledger_receipts).where(within).order_by(columns.entry))).all()
        for row in groups:
            found = _sealed(row)
            if receipt_id in found.ids:
                return found, found.ids.index(receipt_id)
        raise NotFound(
            f"The ledger covers no receipt {receipt_id[:40]}.",
            hint="Receipts are sealed in groups; a new one may take a moment.",
            code="receipt_not_sealed",
        )

    async def covered(self, receipt_ids: Sequence[str]) -> set[str]:
        """Which of these receipts are in a group."""
        if not receipt_ids:
            return set()
        columns = ledger_receipts.c
        within = (columns.first <= max(receipt_ids)) & (columns.last >= min(receipt_ids))
        within &= columns.log == self._log
        async with self._database.begin() as db:
            rows = (await db.execute(select(ledger_receipts).where(within))).all()
        return set(receipt_ids) & {one for row in rows for one in _sealed(row).ids}

    async def group(self, entry: int) -> Sealed | None:
        """The receipts that an entry covers; None where it is not known to cover any."""
        c = ledger_receipts.c
        async with self._database.begin() as db:
            query = select(ledger_receipts).where(c.log == self._log, c.entry == entry)
            row = (await db.execute(query)).one_or_none()
        return _sealed(row) if row is not None else None

    async def groups(self) -> list[Sealed]:
        """All groups of receipts."""
        async with self._database.begin() as db:
            mine = ledger_receipts.c.log == self._log
            rows = (await db.execute(select(ledger_receipts).where(mine).order_by(ledger_receipts.c.entry))).all()
        return [_sealed(row) for row in rows]

    async def last_sealed(self) -> str:
        """The largest id of a receipt that is covered; empty where none is."""
        async with self._database.begin() as db:
            mine = ledger_receipts.c.log == self._log
            return (await db.execute(select(func.max(ledger_receipts.c.last)).where(mine))).scalar_one() or ""

    def _insert(self, table: Table) -> Any:
        """Of rows that may be there: an index of which somebody took a part away is filled up again."""
        make = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert
        return make(table).on_conflict_do_nothing()

    async def _numbers(self, query: Any) -> list[int]:
        async with self._database.begin() as db:
            return list((await db.execute(query)).scalars())


def _values(row: Row) -> dict[str, Any]:
    return {
        "entry": row.entry,
        "at": row.at,
        "signer": row.signer,
        "predicate_type": row.predicate_type,
    }


def _sealed(row: Any) -> Sealed:
    records = [row.leaves[i : i + _RECORD] for i in range(0, len(row.leaves), _RECORD)]
    ids = tuple(one[:_ID_BYTES].rstrip(b"\0").decode(errors="replace") for one in records)
    return Sealed(row.entry, ids, tuple(one[_ID_BYTES:] for one in records), row.first, row.last)
