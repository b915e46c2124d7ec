"""The catalogue over a database: what is put is committed with its index, and every process sees it at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.core import Invalid, Unavailable
from intermodel.records.catalogue.entry import Entry, key_of
from intermodel.records.catalogue.find import Answer, answer
from intermodel.records.catalogue.index import Index, Indexer, Stored
from intermodel.records.catalogue.query import Found, Query, cursor
from intermodel.records.catalogue.segment import DamagedError, read, written
from intermodel.storage import Database
from intermodel.storage.tables import (
    catalogue_gone,
    catalogue_records,
    catalogue_segments,
    catalogue_state,
)

BATCH = 20_000
"""Entries that are committed together in a long import."""
STORED_FROM = 4_096
"""So many entries after the stored segments become one: what a process reads and indexes anew when it starts."""
EXACT_UP_TO = 250_000
"""Hits whose facets are counted; beyond it they are estimated."""
SAMPLE = 50_000
_CHUNK = 1_000
"""Rows that are handed to the database's driver at once: the event loop waits for as long as that takes."""
_TRIES = 5


class Catalogue:
    """What there is, to be found by words and facets.

    Everything raises `Unavailable` where the database does not answer.
    """

    def __init__(
        self,
        database: Database,
        *,
        batch: int = BATCH,
        stored_from: int = STORED_FROM,
        exact_up_to: int = EXACT_UP_TO,
        sample: int = SAMPLE,
    ) -> None:
        self._database = database
        self._batch = batch
        self._stored_from = stored_from
        self._exact_up_to = exact_up_to
        self._sample = sample
        self._index = Index()
        self._indexer = Indexer()
        self._changing = asyncio.Lock()

    async def put(self, entries: Iterable[Entry], progress: Callable[[int], None] | None = None) -> int:
        """Keep entries, each in place of what was at its address; how many.

        They are taken from `entries` in a thread, and committed some thousands at a time: where it is broken off, those
        that `progress` told of are there. Of two with one address in the same batch, the later counts.
        """
        source, done = iter(entries), 0
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(source, self._batch))):
            latest = {entry.address: entry for entry in batch}
            await self._change(list(latest.values()), {address: key_of(address) for address in latest})
            done += len(batch)
            if progress is not None:
                progress(done)
        return done

    async def remove(self, addresses: Collection[str]) -> int:
        """Forget what is at those addresses; how many there were."""
        return await self._change([], {address: key_of(address) for address in addresses}) if addresses else 0

    async def search(self, query: Query) -> Found:
        """The first hits, and how many there are: of all that was committed before this was called."""
        for attempt in range(1, _TRIES + 1):
            async with self._database.begin() as db:
                change, _ = await self._state(db)
                index = self._index
                if index.change >= change:
                    found = await asyncio.to_thread(self._answer, index, query)
                    shown = found.hits[: query.limit]
                    entries = await self._entries(db, [number for _, number in shown])
                    if len(entries) == len(shown) or attempt == _TRIES:  # else some were changed at this moment
                        more = len(found.hits) > query.limit
                        return Found(tuple(entries), found.total, found.counts, cursor(*shown[-1]) if more else "")
            await self._catch_up()
        raise Unavailable("The catalogue changes faster than it can be read.", hint="Try again.")

    async def rebuild(self) -> None:
        """Make the index anew from the rows."""
        async with self._changing:
            await self._rebuild()

    def _answer(self, index: Index, query: Query) -> Answer:
        return answer(index.views, index.values, query, exact_up_to=self._exact_up_to, sample=self._sample)

    async def _change(self, entries: list[Entry], keys: dict[str, int]) -> int:
        """Put entries in place of what is at the addresses of those keys; how many there were."""
        rows = await asyncio.to_thread(_rows, entries, keys)
        async with self._changing:
            try:
                return await self._commit(entries, rows, keys)
            except DamagedError:
                await self._rebuild()
                return await self._commit(entries, rows, keys)

    async def _commit(self, entries: list[Entry], rows: list[dict[str, Any]], keys: dict[str, int]) -> int:
        async with self._database.begin() as db:
            steps = max(1, len(entries))
            change, indexed = await self._next(db, steps)
            before = await self._caught_up(db, change - steps, indexed)
            gone = await self._delete(db, keys, change)
            numbers = range(change - len(entries) + 1, change + 1)
            for some in _batched([row | {"number": n} for n, row in zip(numbers, rows, strict=True)]):
                await db.execute(insert(catalogue_records), some)
            numbered = list(zip(numbers, entries, strict=True))
            index = await asyncio.to_thread(self._indexer.put, before, change, numbered, gone)
            if index.waiting >= self._stored_from:
                index = await self._store(db, index, index.change)
        self._index = index
        return len(gone)

    async def _next(self, db: AsyncConnection, steps: int) -> tuple[int, int]:
        """Lock the catalogue against other writers; the number of this change, and up to where rows are indexed."""
        c = catalogue_state.c
        locked = update(catalogue_state).values(change=c.change + steps).returning(c.change, c.indexed)
        change, indexed = (await db.execute(locked)).one()
        return change, indexed

    async def _state(self, db: AsyncConnection) -> tuple[int, int]:
        change, indexed = (await db.execute(select(catalogue_state.c.change, catalogue_state.c.indexed))).one()
        return change, indexed

    async def _delete(self, db: AsyncConnection, keys: dict[str, int], change: int) -> list[int]:
        """Delete what is at those addresses, if anything; which numbers that had."""
        c = catalogue_records.c
        gone: list[int] = []
        for some in _batched(sorted(keys.values())):
            rows = (await db.execute(select(c.number, c.document).where(c.key.in_(some)))).all()
            gone += [number for number, text in rows if _entry(text).address in keys]
        for numbers in _batched(gone):
            await db.execute(insert(catalogue_gone), [{"number": number, "change": change} for number in numbers])
            await db.execute(delete(catalogue_records).where(c.number.in_(numbers)))
        return gone

    async def _store(self, db: AsyncConnection, index: Index, change: int) -> Index:
        """Put the tail into the stored segments, which are named after that change and no other."""
        result, new, old = await asyncio.to_thread(self._indexer.stored, index, change << 8)
        c = catalogue_segments.c
        await db.execute(delete(catalogue_segments).where(c.id.in_([one.id for one in old])))
        for one in new:
            data = await asyncio.to_thread(written, one.view.segment)
            row = {"id": one.id, "first": one.first, "last": one.last, "data": data}
            await db.execute(insert(catalogue_segments).values(row))
        # what was dead in the tail and in segments that were merged is in none any more
        await db.execute(delete(catalogue_gone).where(catalogue_gone.c.number > index.indexed))
        for one in old:
            await db.execute(delete(catalogue_gone).where(catalogue_gone.c.number.between(one.first, one.last)))
        await db.execute(update(catalogue_state).values(indexed=result.indexed))
        return result

    async def _catch_up(self) -> None:
        """Make this process's index that of the database, which another process may have changed."""
        async with self._changing:
            try:
                for _ in range(_TRIES):
                    async with self._database.begin() as db:
                        change, indexed = await self._state(db)
                        index = await self._caught_up(db, change, indexed)
                        if await self._state(db) == (change, indexed):  # else it was changed while it was read
                            self._index = index
                            return
            except DamagedError:
                await self._rebuild()

    async def _caught_up(self, db: AsyncConnection, change: int, indexed: int) -> Index:
        """The index at `change`, made from that of this process and what was written since."""
        before = self._index
        if before.change == change:
            return before
        gone_c, record_c, segment_c = catalogue_gone.c, catalogue_records.c, catalogue_segments.c
        gone = list((await db.execute(select(gone_c.number).where(gone_c.change > before.change))).scalars())
        known = {one.id: one for one in before.without(gone).stored}
        listed = select(segment_c.id, segment_c.first, segment_c.last).order_by(segment_c.first)
        stored = [
            known[found[0]] if found[0] in known else await self._read(db, *found)
            for found in (await db.execute(listed)).all()
        ]
        tail = tuple(view for view in before.tail if view.segment.first > indexed)
        since = max(before.change, indexed)
        fresh = select(record_c.number, record_c.document).order_by(record_c.number)
        rows = (await db.execute(fresh.where(record_c.number > since, record_c.number <= change))).all()
        entries = await asyncio.to_thread(_numbered, rows)
        then = replace(before, indexed=indexed, stored=tuple(stored), tail=tail)
        return await asyncio.to_thread(self._indexer.put, then, change, entries, gone)

    async def _read(self, db: AsyncConnection, segment: int, first: int, last: int) -> Stored:
        c = catalogue_gone.c
        data = await db.scalar(select(catalogue_segments.c.data).where(catalogue_segments.c.id == segment))
        gone = list((await db.execute(select(c.number).where(c.number.between(first, last)))).scalars())
        view = await asyncio.to_thread(lambda: self._indexer.view(read(data or b""), gone))
        return Stored(segment, first, last, view)

    async def _rebuild(self) -> None:
        async with self._database.begin() as db:
            await self._next(db, 1)  # which locks it: what is counted from here on stays
            rows_there = (await db.execute(select(func.count()).select_from(catalogue_records))).scalar_one()
            steps = rows_there // self._batch + 2
            change, _ = await self._next(db, steps)
            step = change - steps
            await db.execute(delete(catalogue_segments))
            await db.execute(delete(catalogue_gone))
            c, index, last = catalogue_records.c, Index(), 0
            query = select(c.number, c.document).order_by(c.number).limit(self._batch)
            while rows := (await db.execute(query.where(c.number > last))).all():
                entries = await asyncio.to_thread(_numbered, rows)
                last = entries[-1][0]
                index = await asyncio.to_thread(self._indexer.put, index, last, entries, [])
                step += 1
                index = await self._store(db, index, step)
            # up to this change and not only to the last row that lives: another process may hold dead ones beyond
            index = replace(index, change=change, indexed=change)
            await db.execute(update(catalogue_state).values(indexed=index.indexed))
        self._index = index

    async def _entries(self, db: AsyncConnection, numbers: Sequence[int]) -> list[Entry]:
        """The entries of those numbers, in that order; those that are no more are left out."""
        c = catalogue_records.c
        rows = (await db.execute(select(c.number, c.document).where(c.number.in_(numbers)))).all() if numbers else []
        texts: dict[int, str] = {row.number: row.document for row in rows}
        return [_entry(texts[number]) for number in numbers if number in texts]


def _rows(entries: list[Entry], keys: dict[str, int]) -> list[dict[str, Any]]:
    """What is written of entries; brings them into the order of their keys, in which an index takes them quickest."""
    entries.sort(key=lambda entry: keys[entry.address])
    return [{"key": keys[entry.address], "document": entry.written()} for entry in entries]


def _batched(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def _numbered(rows: Sequence[Any]) -> list[tuple[int, Entry]]:
    return [(number, _entry(text)) for number, text in rows]


def _entry(text: str) -> Entry:
    """An entry as it lies in the database. Raises `Unavailable` where that was damaged."""
    try:
        return Entry.of(orjson.loads(text))
    except (ValueError, TypeError, Invalid) as error:
        raise Unavailable(
            "A row of the catalogue is damaged.", hint="`intermodel doctor` looks.", code="catalogue_damaged"
        ) from error
