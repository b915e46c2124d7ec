"""The rows of the catalogue in the database: what is written of entries, and how they are found by address.

Every function takes a connection, and leaves beginning and committing to its caller.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.core import Invalid, Unavailable
from intermodel.records.catalogue.entry import Entry, key_of
from intermodel.storage.tables import (
    catalogue_ancestors,
    catalogue_gone,
    catalogue_listed,
    catalogue_records,
    catalogue_state,
)

CHUNK = 1_000
"""Rows that are handed to the database's driver at once: the event loop waits for as long as that takes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries, each of another address; the hashes of those addresses, which ascend; and what is written of each."""

    entries: Sequence[Entry]
    keys: Sequence[int]
    documents: Sequence[str]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Batch:
        """In the order of the hashes, in which the database's index takes them quickest; of one address the last."""
        latest = list({entry.address: entry for entry in entries}.values())
        keys = [key_of(entry.address) for entry in latest]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        found = [latest[i] for i in order]
        return cls(found, [keys[i] for i in order], [entry.written() for entry in found])

    @property
    def addresses(self) -> dict[str, int]:
        """Each with its hash."""
        return {entry.address: key for entry, key in zip(self.entries, self.keys, strict=True)}

    def without(self, documents: Collection[str]) -> Batch:
        """The entries of which something else is to be written."""
        new = [i for i, document in enumerate(self.documents) if document not in documents]
        return Batch([self.entries[i] for i in new], [self.keys[i] for i in new], [self.documents[i] for i in new])


NONE = Batch((), (), ())


async def state(db: AsyncConnection) -> tuple[int, int]:
    """The number of the last change, and up to which number rows are in segments."""
    change, indexed = (await db.execute(select(catalogue_state.c.change, catalogue_state.c.indexed))).one()
    return change, indexed


async def next_change(db: AsyncConnection, steps: int) -> tuple[int, int]:
    """Lock the catalogue against other writers; the state after so many more changes."""
    c = catalogue_state.c
    locked = update(catalogue_state).values(change=c.change + steps).returning(c.change, c.indexed)
    change, indexed = (await db.execute(locked)).one()
    return change, indexed


async def there(db: AsyncConnection, keys: Mapping[str, int]) -> list[tuple[int, str]]:
    """Number and document of each row that is at those addresses."""
    c = catalogue_records.c
    found: list[tuple[int, str]] = []
    for some in batched(sorted(keys.values())):
        rows = (await db.execute(select(c.number, c.document).where(_among(db, c.key, some)))).all()
        found += [(number, text) for number, text in rows if entry_of(text).address in keys]
    return found


async def insert_(db: AsyncConnection, numbers: Sequence[int], batch: Batch) -> None:
    """Write entries under those numbers."""
    await _insert(db, catalogue_records, zip(numbers, batch.keys, batch.documents, strict=True))
    ancestors = {
        (key_of(ancestor), number)
        for number, entry in zip(numbers, batch.entries, strict=True)
        if entry.ancestors
        for ancestor in entry.ancestors
    }
    await _insert(db, catalogue_ancestors, iter(sorted(ancestors)))


async def delete_(db: AsyncConnection, numbers: Sequence[int], change: int) -> None:
    """Delete the rows of those numbers, as of that change."""
    await _insert(db, catalogue_gone, ((number, change) for number in numbers))
    for some in batched(numbers):
        await db.execute(delete(catalogue_records).where(_among(db, catalogue_records.c.number, some)))
        await db.execute(delete(catalogue_ancestors).where(_among(db, catalogue_ancestors.c.number, some)))


async def of_numbers(db: AsyncConnection, numbers: Sequence[int]) -> list[Entry]:
    """The entries of those numbers, in that order."""
    c = catalogue_records.c
    rows = (await db.execute(select(c.number, c.document).where(c.number.in_(numbers)))).all() if numbers else []
    texts: dict[int, str] = {row.number: row.document for row in rows}
    return [entry_of(texts[number]) for number in numbers if number in texts]


async def descendants(db: AsyncConnection, address: str, most: int) -> list[str]:
    """Addresses of things that have that one among their ancestors: the first by their numbers."""
    a, r = catalogue_ancestors.c, catalogue_records.c
    rows = select(r.document).join(catalogue_ancestors, a.number == r.number).where(a.ancestor == key_of(address))
    found = map(entry_of, (await db.execute(rows.order_by(r.number).limit(most))).scalars())
    return [entry.address for entry in found if address in entry.ancestors]  # two addresses may have the same hash


async def listed(db: AsyncConnection, origin: str, grounds: str) -> int:
    """Up to which entry of a ledger these rows were brought, on those grounds."""
    c = catalogue_listed.c
    return (await db.execute(select(c.size).where(c.origin == origin, c.grounds == grounds))).scalar() or 0


async def note_listed(db: AsyncConnection, origin: str, grounds: str, size: int) -> None:
    await db.execute(delete(catalogue_listed).where(catalogue_listed.c.origin == origin))
    await db.execute(insert(catalogue_listed).values(origin=origin, grounds=grounds, size=size))


def batched(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[at : at + CHUNK] for at in range(0, len(values), CHUNK))


def numbered(rows: Sequence[Any]) -> list[tuple[int, Entry]]:
    return [(number, entry_of(text)) for number, text in rows]


def entry_of(text: str) -> Entry:
    """An entry as it lies in the database. Raises `Unavailable` where that was damaged."""
    try:
        return Entry.of(orjson.loads(text))
    except (ValueError, TypeError, Invalid) as error:
        raise Unavailable(
            "A row of the catalogue is damaged.", hint="`intermodel doctor` looks.", code="catalogue_damaged"
        ) from error


async def _insert(db: AsyncConnection, table: Table, rows: Iterator[tuple[Any, ...]]) -> None:
    """Write rows, given in the order of the table's columns.

    SQLAlchemy would look at each value of each row again, which costs more than all that the driver does with it.
    """
    statement = str(insert(table).compile(dialect=db.dialect))
    while some := list(itertools.islice(rows, CHUNK)):
        await db.exec_driver_sql(statement, some)


def _among(db: AsyncConnection, column: ColumnElement[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """Whether the column is one of many numbers, as one parameter: a thousand of them take as long as the search."""
    given: BindParameter[str] = bindparam(None, orjson.dumps(list(numbers)).decode())
    if db.dialect.name == "sqlite":
        return column.in_(select(func.json_each(given).table_valued("value").c.value))
    listed = func.json_array_elements_text(cast(given, JSON)).table_valued("value")
    return column.in_(select(cast(listed.c.value, BigInteger)))
