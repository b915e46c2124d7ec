"""What lies in the database: that it is written once, and who descends from whom."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from intermodel.records.catalogue import Catalogue, Entry, Query
from intermodel.storage import Database
from intermodel.storage.tables import catalogue_ancestors, catalogue_records, catalogue_state


async def state(database: Database) -> tuple[int, int, int]:
    """The last change, rows, and rows of ancestors."""
    async with database.begin() as db:
        change = (await db.execute(select(catalogue_state.c.change))).scalar_one()
        counts = [
            (await db.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (catalogue_records, catalogue_ancestors)
        ]
    return change, counts[0], counts[1]


async def test_what_is_there_as_it_is_given_is_not_written_again(database: Database) -> None:
    entries = [Entry(f"a/{i}", popularity=i) for i in range(5)]
    assert await Catalogue(database).put(entries) == 5
    before = await state(database)
    assert await Catalogue(database).put(entries) == 5
    assert await state(database) == before
    assert await Catalogue(database).put([*entries, Entry("a/3", popularity=9)]) == 6
    assert await state(database) == (before[0] + 1, 5, 0)


async def test_what_is_put_without_a_search_is_found_by_one(database: Database) -> None:
    """Before the first search of a process only rows are written; many of them are indexed all the same."""
    catalogue = Catalogue(database, stored_from=8)
    for i in range(20):
        await catalogue.put([Entry(f"a/llama-{i}")])
    await catalogue.remove(["a/llama-3"])
    for which in (Catalogue(database), catalogue):
        assert (await which.search(Query("llama"))).total == 19
    async with database.begin() as db:
        assert (await db.execute(select(catalogue_state.c.indexed))).scalar_one() >= 8


async def test_descendants_are_found_by_any_ancestor(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.put([Entry("m/llama"), Entry("l/vicuna", ancestors=("m/llama",))])
    await catalogue.put([Entry("x/mix", ancestors=("l/vicuna", "m/llama", "m/other"))])
    assert await catalogue.descendants("m/llama") == ["l/vicuna", "x/mix"]
    assert await catalogue.descendants("m/llama", most=1) == ["l/vicuna"]
    assert await catalogue.descendants("m/other") == ["x/mix"]
    assert await catalogue.descendants("x/mix") == []
    await catalogue.put([Entry("x/mix", ancestors=("m/other",)), Entry("l/vicuna")])
    assert await catalogue.descendants("m/llama") == []
    await catalogue.remove(["x/mix"])
    assert (await state(database))[2] == 0


async def test_a_first_search_beside_many_others_is_right(database: Database) -> None:
    await Catalogue(database, batch=50, stored_from=60).put(Entry(f"a/llama-{i}") for i in range(200))
    catalogue = Catalogue(database)
    found = await asyncio.gather(*(catalogue.search(Query("llama")) for _ in range(40)))
    assert {one.total for one in found} == {200}
