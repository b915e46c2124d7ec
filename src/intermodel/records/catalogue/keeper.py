"""The index of this process, and the stored segments of the database it is made from.

With it comes numpy, which takes a tenth of a second and 20 MB: whoever neither searches nor imports goes without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.records.catalogue import rows
from intermodel.records.catalogue.find import Answer, answer
from intermodel.records.catalogue.index import Index, Indexer, Stored
from intermodel.records.catalogue.query import Query
from intermodel.records.catalogue.segment import Segment, build, read, written
from intermodel.storage.tables import catalogue_gone, catalogue_records, catalogue_segments, catalogue_state


class Keeper:
    """Its methods make indexes, and one at a time: who calls them holds a lock, and sets `index` once it is true."""

    def __init__(self, stored_from: int) -> None:
        self.index = Index()
        self._indexer = Indexer()
        self._stored_from = stored_from

    async def caught_up(self, db: AsyncConnection, change: int, indexed: int) -> Index:
        """The index at `change`, made from the present one and what was written since.

        Nothing may change meanwhile: `db` reads a snapshot, or has locked the catalogue. Raises `DamagedError`.
        """
        before = self.index
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
        found = (await db.execute(fresh.where(record_c.number > since, record_c.number <= change))).all()
        new = await asyncio.to_thread(self.segment, found)
        then = replace(before, indexed=indexed, stored=tuple(stored), tail=tail)
        return await asyncio.to_thread(self._indexer.put, then, change, new, gone)

    async def changed(
        self, db: AsyncConnection, before: Index, change: int, new: Segment | None, gone: Sequence[int]
    ) -> Index:
        """The index at `change`, with the entries of that segment and without those numbers; a long tail is stored."""
        index = await asyncio.to_thread(self._indexer.put, before, change, new, gone)
        return await self._store(db, index, change) if index.waiting >= self._stored_from else index

    async def rebuilt(self, db: AsyncConnection, batch: int) -> Index:
        """The index made anew from the rows; `db` has not locked the catalogue yet."""
        await rows.next_change(db, 1)  # which locks it: what is counted from here on stays
        there = (await db.execute(select(func.count()).select_from(catalogue_records))).scalar_one()
        steps = there // batch + 2
        change, _ = await rows.next_change(db, steps)
        step = change - steps
        await db.execute(delete(catalogue_segments))
        await db.execute(delete(catalogue_gone))
        c, index, last = catalogue_records.c, Index(), 0
        query = select(c.number, c.document).order_by(c.number).limit(batch)
        while found := (await db.execute(query.where(c.number > last))).all():
            last = found[-1].number
            new = await asyncio.to_thread(self.segment, found)
            index = await asyncio.to_thread(self._indexer.put, index, last, new, [])
            step += 1
            index = await self._store(db, index, step)
        # up to this change and not only to the last row that lives: another process may hold dead ones beyond
        index = replace(index, change=change, indexed=change)
        await db.execute(update(catalogue_state).values(indexed=index.indexed))
        return index

    @staticmethod
    def segment(found: Sequence[Any]) -> Segment | None:
        """The index over rows of numbers and documents; None over none. Takes its time."""
        return build([(number, rows.entry_of(document)) for number, document in found]) if found else None

    @staticmethod
    def answer(index: Index, query: Query, exact_up_to: int, sample: int) -> Answer:
        """What is found in an index; takes its time."""
        return answer(index.views, index.values, query, exact_up_to=exact_up_to, sample=sample)

    async def _read(self, db: AsyncConnection, segment: int, first: int, last: int) -> Stored:
        c = catalogue_gone.c
        data = await db.scalar(select(catalogue_segments.c.data).where(catalogue_segments.c.id == segment))
        gone = list((await db.execute(select(c.number).where(c.number.between(first, last)))).scalars())
        view = await asyncio.to_thread(lambda: self._indexer.view(read(data or b""), gone))
        return Stored(segment, first, last, view)

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
