"""The rows of the catalogue in the database: what is written of entries, and how they are found by address.

Every function takes a connection, and leaves beginning and committing to its caller.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Table,
    any_,
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

_BY_INDEX = "SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
"""To the end of the transaction, PostgreSQL reads no table whole to find a few rows, as it else does with one that grew
since its last statistics. Where it must read one whole, it believes that to be dear, and would compile code for it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written of entries, each of another address, in the order of the hashes of those addresses."""

    addresses: Mapping[str, int]
    """Each with its hash."""
    documents: Sequence[str]
    ancestors: Sequence[Sequence[int]]
    """Of each entry, the hashes of the addresses of what it was made from."""

    def without(self, documents: Collection[str]) -> Batch:
        """What is to be written of the entries of which something else is there."""
        new = [i for i, document in enumerate(self.documents) if document not in documents]
        addresses = list(self.addresses.items())
        return Batch(
            dict(addresses[i] for i in new), [self.documents[i] for i in new], [self.ancestors[i] for i in new]
        )


NONE = Batch({}, (), ())


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
    if db.dialect.name == "postgresql":
        await db.exec_driver_sql(_BY_INDEX)
    c = catalogue_records.c
    found: list[tuple[int, str]] = []
    for some in batched(sorted(keys.values())):
        rows = (await db.execute(select(c.number, c.document).where(_among(db, c.key, some)))).all()
        found += [(number, text) for number, text in rows if entry_of(text).address in keys]
    return found


async def insert_(db: AsyncConnection, numbers: Sequence[int], batch: Batch) -> None:
    """Write entries under those numbers."""
    await _insert(db, catalogue_records, zip(numbers, batch.addresses.values(), batch.documents, strict=True))
    found = {(one, number) for number, ancestors in zip(numbers, batch.ancestors, strict=True) for one in ancestors}
    if found:
        await _insert(db, catalogue_ancestors, iter(sorted(found)))


async def delete_(db: AsyncConnection, numbers: Sequence[int], change: int) -> None:
    """Delete the rows of those numbers, as of that change."""
    if not numbers:
        return
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
    together = db.dialect.name == "postgresql"  # one statement for them all is half the work of one for each
    written = insert(table)
    if together:
        lists = [func.unnest(cast(bindparam(column.name), ARRAY(column.type))) for column in table.columns]
        written = written.from_select(table.columns.keys(), select(*lists))
    statement = str(written.compile(dialect=db.dialect))
    while some := list(itertools.islice(rows, CHUNK)):
        await db.exec_driver_sql(statement, tuple(map(list, zip(*some, strict=True))) if together else some)


def _among(db: AsyncConnection, column: ColumnElement[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """Whether the column is one of many numbers, as one parameter: a thousand of them take as long as the search."""
    if db.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(numbers), ARRAY(BigInteger)))
    given: BindParameter[str] = bindparam(None, orjson.dumps(list(numbers)).decode())
    return column.in_(select(func.json_each(given).table_valued("value").c.value))
