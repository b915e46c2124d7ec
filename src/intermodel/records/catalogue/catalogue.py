"""The catalogue over a database: what is put is committed with its index, and every process sees it at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.records.catalogue import rows
from intermodel.records.catalogue.entry import Entry, key_of
from intermodel.records.catalogue.errors import DamagedError
from intermodel.records.catalogue.query import Found, Query, cursor
from intermodel.records.catalogue.rows import NONE, Batch
from intermodel.storage import Database

if TYPE_CHECKING:
    from intermodel.records.catalogue.index import Index
    from intermodel.records.catalogue.keeper import Keeper
    from intermodel.records.catalogue.segment import Builder, Segment

BATCH = 20_000
"""Entries that are committed together in a long import; one with a long summary counts for more."""
LONG = 200
"""Characters of a summary that count as one more entry."""
STORED_FROM = 4_096
"""So many entries after the stored segments become one: what a process reads and indexes anew when it starts."""
EXACT_UP_TO = 250_000
"""Hits whose facets are counted; beyond it they are estimated."""
SAMPLE = 50_000
MOST_DESCENDANTS = 10_000


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
        self._keeper: Keeper | None = None
        self._making = asyncio.Lock()
        self._changing = asyncio.Lock()

    async def put(self, entries: Iterable[Entry], progress: Callable[[int], None] | None = None) -> int:
        """Keep entries, each in place of what was at its address; how many.

        They are taken from `entries` in a thread, and committed some thousands at a time: where it is broken off, those
        that `progress` told of are there. Of two with one address in the same batch, the later counts. What is there
        already as it is given is not written again, where few are given.
        """
        source, done = iter(entries), 0
        while True:
            count, batch, segment = await asyncio.to_thread(_taken, source, self._batch, self._stored_from)
            if not count:
                return done
            if segment is None:
                batch = await self._new(batch)
            if batch.documents:
                await self._change(batch, batch.addresses, segment)
            done += count
            if progress is not None:
                progress(done)

    async def remove(self, addresses: Collection[str]) -> int:
        """Forget what is at those addresses; how many there were."""
        return await self._change(NONE, {address: key_of(address) for address in addresses}) if addresses else 0

    async def search(self, query: Query) -> Found:
        """The first hits, and how many there are: of all that was committed before this was called."""
        keeper = await self._kept()
        async with self._database.snapshot() as db:
            index = keeper.index  # taken before the moment of the snapshot, which is that of the first reading
            change, _ = await rows.state(db)
            if index.change == change:
                return await self._found(db, index, query)
        try:
            return await self._found_anew(query)
        except DamagedError:
            await self._mend()
            return await self._found_anew(query)

    async def descendants(self, address: str, most: int = MOST_DESCENDANTS) -> list[str]:
        """Addresses of the things that have this one among the `ancestors` of their entries; so many at most."""
        async with self._database.snapshot() as db:
            return await rows.descendants(db, address, most)

    async def listed(self, origin: str, grounds: str) -> int:
        """How many entries of that ledger are in here, as `note_listed` was told on the same grounds; 0 on others."""
        async with self._database.snapshot() as db:
            return await rows.listed(db, origin, grounds)

    async def note_listed(self, origin: str, grounds: str, size: int) -> None:
        """Note that so many entries of that ledger are in here; `grounds` is a hash of what else they rest on."""
        async with self._database.begin() as db:
            await rows.note_listed(db, origin, grounds, size)

    async def rebuild(self) -> None:
        """Make the index anew from the rows."""
        async with self._changing:
            await self._rebuild()

    async def _kept(self) -> Keeper:
        """The index of this process, which is made when it is first needed."""
        if self._keeper is None:
            async with self._making:
                if self._keeper is None:
                    self._keeper = await asyncio.to_thread(_keeper, self._stored_from)
        return self._keeper

    async def _found_anew(self, query: Query) -> Found:
        """What is found once this process's index is that of the database, which another process has changed.

        The answer is taken from the very moment to which the index was brought, so that nothing can go by in between.
        """
        keeper = await self._kept()
        async with AsyncExitStack() as stack:
            async with self._changing:
                db = await stack.enter_async_context(self._database.snapshot())
                index = keeper.index = await keeper.caught_up(db, *await rows.state(db))
            return await self._found(db, index, query)

    async def _mend(self) -> None:
        """Make a damaged index anew, if nobody did so while this waited."""
        keeper = await self._kept()
        async with self._changing:
            try:
                async with self._database.snapshot() as db:
                    keeper.index = await keeper.caught_up(db, *await rows.state(db))
            except DamagedError:
                await self._rebuild()

    async def _found(self, db: AsyncConnection, index: Index, query: Query) -> Found:
        """The answer of an index; `db` reads the same moment."""
        keeper = await self._kept()
        found = await asyncio.to_thread(keeper.answer, index, query, self._exact_up_to, self._sample)
        shown = found.hits[: query.limit]
        entries = await rows.of_numbers(db, [number for _, number in shown])
        following = cursor(*shown[-1]) if len(found.hits) > query.limit else ""
        return Found(tuple(entries), found.total, found.counts, following, found.missing)

    async def _new(self, batch: Batch) -> Batch:
        """Without those that are there as they are given."""
        async with self._database.snapshot() as db:
            return batch.without({document for _, document in await rows.there(db, batch.addresses)})

    async def _change(self, batch: Batch, keys: Mapping[str, int], segment: Segment | None = None) -> int:
        """Put entries in place of what is at the addresses of those keys; how many there were."""
        async with self._changing:
            try:
                return await self._commit(batch, keys, segment)
            except DamagedError:
                await self._rebuild()
                return await self._commit(batch, keys, segment)

    async def _commit(self, batch: Batch, keys: Mapping[str, int], segment: Segment | None) -> int:
        async with self._database.begin() as db:
            steps = max(1, len(batch.documents))
            change, indexed = await rows.next_change(db, steps)
            gone = [number for number, _ in await rows.there(db, keys)]
            before = keeper = None
            if self._keeper is not None or change - indexed >= self._stored_from:
                keeper = await self._kept()
                before = await keeper.caught_up(db, change - steps, indexed)
            await rows.delete_(db, gone, change)
            numbers = range(change - len(batch.documents) + 1, change + 1)
            await rows.insert_(db, numbers, batch)
            if keeper is None or before is None:  # few, and nobody searches: whoever does will read their rows
                return len(gone)
            if segment is None:
                segment = await asyncio.to_thread(keeper.segment, list(zip(numbers, batch.documents, strict=True)))
            else:
                segment = segment.moved(numbers[0])
            index = await keeper.changed(db, before, change, segment, gone)
        keeper.index = index
        return len(gone)

    async def _rebuild(self) -> None:
        keeper = await self._kept()
        async with self._database.begin() as db:
            index = await keeper.rebuilt(db, self._batch)
        keeper.index = index


def _keeper(stored_from: int) -> Keeper:
    from intermodel.records.catalogue.keeper import Keeper  # slow to import, and rarely needed

    return Keeper(stored_from)


def _taken(source: Iterator[Entry], most: int, indexed_from: int) -> tuple[int, Batch, Segment | None]:
    """How many were taken; what is written of them; and the index over so many, with numbers from 0.

    Of many, each entry lives for some thousands and no longer: all of them would be too many for the processor's cache,
    and to free them in one go holds up every other thread.
    """
    places: dict[str, int] = {}
    keys: list[int] = []
    documents: list[str] = []
    ancestors: list[list[int]] = []
    waiting: list[Entry] = []
    builder: Builder | None = None
    while most > 0 and (some := list(itertools.islice(source, min(most, rows.CHUNK)))):
        for entry in some:
            places[entry.address] = len(keys)
            keys.append(key_of(entry.address))
            documents.append(entry.written())
            ancestors.append([key_of(ancestor) for ancestor in entry.ancestors])
            most -= 1 + len(entry.summary) // LONG
        waiting += some
        if len(keys) >= indexed_from:
            from intermodel.records.catalogue.segment import Builder  # slow to import, and rarely needed

            builder = builder or Builder()
            builder.add(waiting)
            waiting.clear()
    # of one address the last; in the order of the hashes, as the database's index takes them quickest
    addresses = dict(sorted(((address, keys[at]) for address, at in places.items()), key=itemgetter(1)))
    order = [places[address] for address in addresses]
    batch = Batch(addresses, [documents[at] for at in order], [ancestors[at] for at in order])
    return len(keys), batch, None if builder is None else builder.segment(range(len(order)), order)
