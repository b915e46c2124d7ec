"""What lies in the database: that it is written once, and who descends from whom."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select, text

from intermodel.records.catalogue import Catalogue, Entry, Query, rows
from intermodel.records.catalogue.entry import key_of
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


async def test_a_table_that_grew_is_not_read_whole_to_find_a_few(database: Database) -> None:
    """PostgreSQL takes statistics of a table when it finds the time, which a long import does not leave it."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite uses an index where there is one")
    await Catalogue(database).put(Entry(f"a/{i}") for i in range(5_000))
    scans = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'catalogue_records'")
    async with database.begin() as db:
        wanted = {f"a/{i}": key_of(f"a/{i}") for i in range(4_000, 6_000)}
        before = await db.scalar(scans)
        assert len(await rows.there(db, wanted)) == 1_000
        assert await db.scalar(scans) == before
        assert await db.scalar(text("SHOW jit")) == "off"  # what it holds for dear, it would compile first


async def test_the_database_does_not_try_to_make_segments_smaller(database: Database) -> None:
    """They hold next to nothing that could be; looking for it took PostgreSQL a third of an import."""
    if database.dialect != "postgresql":
        pytest.skip("SQLite never does")
    storage = (
        "SELECT attstorage::text FROM pg_attribute WHERE attname = 'data' AND attrelid = 'catalogue_segments'::regclass"
    )
    async with database.begin() as db:
        assert await db.scalar(text(storage)) == "e"
