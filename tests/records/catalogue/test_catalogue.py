from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from intermodel.core import Unavailable
from intermodel.records.catalogue import FACETS, UNKNOWN, Catalogue, Count, Entry, Found, Query
from intermodel.storage import Database
from intermodel.storage.tables import catalogue_gone, catalogue_records, catalogue_segments
from tests.records.catalogue import model

WORDS = st.sampled_from(["llama", "Llama2", "lla", "chat", "GGUF", "TinyLlama", "模型", "é", "7b", "x" * 50])
NAMES = st.lists(WORDS, min_size=1, max_size=3).map("-".join)
READER = st.sampled_from(["ann", "bob", UNKNOWN])


def few(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple)


ENTRIES = st.builds(
    Entry,
    st.builds("{}/{}".format, st.sampled_from(["o", "p", "h/o"]), NAMES),
    name=st.sampled_from(["", "A llama"]),
    kind=st.sampled_from(["", "weights", "adapter"]),
    tasks=few("generate", "classify", UNKNOWN),
    licence=st.sampled_from(["", UNKNOWN, "allow", "refuse"]),
    grade=st.sampled_from(["", "open source"]),
    parameters=st.sampled_from([None, 0, 10**9, 7 * 10**9]),
    languages=few("en", "de"),
    tier=st.sampled_from([None, 0, 3]),
    tags=st.lists(WORDS, unique=True, max_size=2).map(tuple),
    summary=st.sampled_from(["", "llama, chat!"]),
    popularity=st.integers(0, 3),
    readers=st.none() | st.lists(READER, unique=True, max_size=2).map(tuple),
)
QUERIES = st.builds(
    Query,
    st.lists(WORDS, max_size=2).map(" ".join) | st.sampled_from(["l", "ll", "7", "-", " ", "zzz", 'llama" OR "']),
    facets=st.fixed_dictionaries(
        {},
        optional={
            "task": few("generate", UNKNOWN),
            "licence": few("allow", UNKNOWN, "nonesuch"),
            "size": few("3B to 10B", "under 1B"),
            "owner": few("o", "h/o"),
            "language": few("en", UNKNOWN),
        },
    ),
    visible_to=st.none() | st.lists(READER, unique=True, max_size=2).map(tuple),
    typing=st.booleans(),
    limit=st.integers(1, 8),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database: a copy is quicker than making one for each example."""
    file = tmp_path_factory.mktemp("template") / "empty.db"

    async def make() -> None:
        database = Database("", default=file)
        await database.open()
        await database.close()

    asyncio.run(make())
    return file


def on_a_copy(template: Path, what: Callable[[Database], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = Database("", default=Path(shutil.copy(template, folder)))
            await database.open()
            try:
                await what(database)
            finally:
                await database.close()

    asyncio.run(run())


def agree(found: Found, entries: list[Entry], query: Query, *, skipped: int = 0) -> None:
    """Whether an answer is what looking at every entry gives."""
    right = model.in_order(model.left(entries, query), query)
    assert found.total == len(right)
    assert list(found.hits) == right[skipped : skipped + query.limit]
    assert bool(found.next) == (len(right) > skipped + query.limit)
    for facet in FACETS:
        counted = model.counts(entries, query, facet)
        chosen = {value: counted[value] for value in query.facets.get(facet, ())}
        assert {c.value: c.count for c in found.counts[facet]} == dict(counted) | chosen
        assert all(c.exact for c in found.counts[facet])


STEPS = st.lists(
    st.lists(ENTRIES, min_size=1, max_size=9) | st.sampled_from(["remove", "start", "rebuild"]), min_size=1, max_size=9
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, queries=st.lists(QUERIES, min_size=1, max_size=6))
def test_it_finds_what_looking_at_everything_finds(
    template: Path, steps: list[list[Entry] | str], queries: list[Query]
) -> None:
    on_a_copy(template, lambda database: follow(database, steps, queries))


async def follow(database: Database, steps: list[list[Entry] | str], queries: list[Query]) -> None:
    catalogue = other = Catalogue(database, batch=4, stored_from=6)
    there: dict[str, Entry] = {}
    for step in steps:
        if isinstance(step, list):
            assert await catalogue.put(step) == len(step)
            for entry in step:
                there[entry.address] = entry
        elif step == "start":
            catalogue, other = Catalogue(database, batch=4, stored_from=6), catalogue
        elif step == "rebuild":
            await catalogue.rebuild()
        else:
            chosen = sorted(there)[::2]
            assert await catalogue.remove([*chosen, "no/such"]) == len(chosen)
            for address in chosen:
                del there[address]
        for query in queries[:1]:
            agree(await other.search(query), list(there.values()), query)
    for query in queries:
        agree(await catalogue.search(query), list(there.values()), query)
        agree(await other.search(query), list(there.values()), query)


async def test_both_databases_find_the_same(database: Database) -> None:
    many = [
        Entry(f"o{i % 5}/llama-{i}", tasks=("t",) * (i % 2), popularity=i % 7, languages=("en", "de")[: i % 3])
        for i in range(60)
    ]
    queries = [Query(), Query("llama", {"task": ("t",)}), Query("l", typing=True), Query("llama 5")]
    again = [Entry(f"o{i % 5}/llama-{i}", popularity=50) for i in range(0, 60, 3)]
    await follow(database, [many, "remove", many[:20], again, "start", "rebuild", again], queries)


async def test_of_many_with_one_address_the_last_is_found(database: Database) -> None:
    """So many at once that they are indexed as they are taken, before the database has given them numbers."""
    catalogue = Catalogue(database, stored_from=1_500)
    await catalogue.put([Entry("a/first"), Entry("a/llama-7", popularity=9, tags=("old",))])
    many = [Entry(f"a/llama-{i % 1_700}", popularity=i, tags=(f"round{i // 1_700}",)) for i in range(2_500)]
    assert await catalogue.put(many) == 2_500
    there = [Entry("a/first"), *{entry.address: entry for entry in many}.values()]
    for which in (catalogue, Catalogue(database)):
        for query in (Query("llama"), Query("round0"), Query("round1"), Query("old"), Query("7"), Query()):
            agree(await which.search(query), there, query)


async def test_another_process_forgets_what_was_removed_before_a_rebuild(database: Database) -> None:
    one, other = Catalogue(database, batch=4, stored_from=6), Catalogue(database, batch=4, stored_from=6)
    await other.put([Entry(f"o/{name}") for name in "cabba"])
    await one.remove(["o/a", "o/c"])
    await one.rebuild()
    assert (await other.search(Query())).total == 1


async def test_pages_follow_each_other_while_things_change(database: Database) -> None:
    catalogue = Catalogue(database, batch=10, stored_from=15)
    entries = [Entry(f"a/llama-{i}", popularity=i // 4) for i in range(50)]
    await catalogue.put(entries)
    query = Query("llama", limit=7)
    seen: list[Entry] = []
    while True:
        found = await catalogue.search(query)
        agree(found, entries, query, skipped=len(seen))
        seen += found.hits
        if not found.next:
            break
        query = Query("llama", limit=7, after=found.next)
    assert len(seen) == len(set(seen)) == 50
    await catalogue.put([Entry("new/llama", popularity=100)])  # comes before every page that was seen
    assert "new/llama" not in {hit.address for hit in (await catalogue.search(query)).hits}


async def test_what_is_in_the_name_comes_first(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.put([Entry("a/vicuna", tags=("llama",), popularity=9), Entry("a/llama", popularity=1)])
    assert [hit.address for hit in (await catalogue.search(Query("llama"))).hits] == ["a/llama", "a/vicuna"]


async def test_private_things_are_found_by_their_readers_alone(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.put(
        [Entry("a/open"), Entry("a/ours", readers=("ann",), tasks=("secret",)), Entry("a/nobody", readers=())]
    )

    async def seen(who: tuple[str, ...] | None) -> tuple[set[str], int]:
        found = await catalogue.search(Query(visible_to=who))
        assert ("secret" in {count.value for count in found.counts["task"]}) == (who != () and who != ("bob",))
        return {hit.address for hit in found.hits}, found.total

    assert await seen(()) == ({"a/open"}, 1)
    assert await seen(("bob",)) == ({"a/open"}, 1)
    assert await seen(("bob", "ann")) == ({"a/open", "a/ours"}, 2)
    assert await seen(None) == ({"a/open", "a/ours", "a/nobody"}, 3)
    await catalogue.put([Entry("a/open", readers=("ann",))])
    assert await seen(()) == (set(), 0)


HOSTILE = [
    '"', "'", "*", "llama*", '"llama', "llama AND", "NEAR(llama chat)", "col:llama", "^llama", "-llama", "(llama",
    "llama'; DROP TABLE catalogue_records; --", "%", "_", "\\", "\0llama", "\ud800", "\u202ellama", "𝓵𝓵𝓪𝓶𝓪", "{llama}",
    "ﷺ" * 20, "\n\t llama",
]  # fmt: skip


@pytest.mark.parametrize("typing", [False, True])
async def test_no_text_is_a_command(database: Database, typing: bool) -> None:
    catalogue = Catalogue(database)
    entries = [Entry("a/llama", summary="drop table near and col records"), Entry("b/chat")]
    await catalogue.put(entries)
    for hostile in HOSTILE:
        for facets in ({}, {"task": (hostile,)}):
            query = Query(hostile, facets, typing=typing, visible_to=(hostile,))
            agree(await catalogue.search(query), entries, query)
    assert (await catalogue.search(Query())).total == 2


async def test_values_beyond_the_most_frequent_are_left_out_but_for_chosen_ones(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.put(Entry(f"owner{i}/{j}") for i in range(30) for j in range(i // 10 + 1))
    found = await catalogue.search(Query(facets={"owner": ("owner3", "nobody")}, most_values=12))
    told = [(count.value, count.count) for count in found.counts["owner"]]
    assert told == [
        *[(f"owner{i}", 3) for i in range(20, 30)], ("owner10", 2), ("owner11", 2), ("nobody", 0), ("owner3", 1)
    ]  # fmt: skip


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares=st.lists(st.integers(0, 20), min_size=4, max_size=4), sample=st.integers(50, 400))
def test_estimates_lie_within_what_they_say(template: Path, shares: list[int], sample: int) -> None:
    async def run(database: Database) -> None:
        catalogue = Catalogue(database, batch=700, stored_from=100, exact_up_to=500, sample=sample)
        tasks = [(name,) for name, share in zip("abcd", shares, strict=True) for _ in range(share)] or [("a",)]
        entries = [Entry(f"a/llama-{i}", tasks=tasks[i * 7919 % len(tasks)], tier=i % 50) for i in range(1_500)]
        await catalogue.put(entries)
        for query in (Query("llama"), Query(facets={"tier": ("7",)}), Query("llama", {"task": ("a",)})):
            found = await catalogue.search(query)
            assert found.total == len(model.left(entries, query))  # always exact
            for facet in ("task", "tier", "owner"):
                right, size = model.counts(entries, query, facet), len(model.left(entries, query, facet))
                for count in found.counts[facet]:
                    assert count.exact == (size <= 500)
                    assert abs(count.count - right[count.value]) <= count.within

    on_a_copy(template, run)


async def test_it_finds_while_others_put(database: Database) -> None:
    """Whoever searches sees each batch whole or not at all, and never an error or something that is gone."""
    catalogue, other = Catalogue(database, batch=50, stored_from=120), Catalogue(database, batch=50, stored_from=120)
    done = asyncio.Event()

    async def put(which: Catalogue, owner: str) -> None:
        await which.put(Entry(f"{owner}/llama-{i}", popularity=i % 11) for i in range(1_000))
        await which.put(Entry(f"{owner}/llama-{i}", popularity=20) for i in range(500))

    async def look(which: Catalogue) -> int:
        searches, before = 0, 0
        while not done.is_set():
            found = await which.search(Query("llama", limit=50))
            assert found.total % 50 == 0
            assert found.total >= before
            assert len({hit.address for hit in found.hits}) == min(50, found.total)
            assert sum(count.count for count in found.counts["owner"]) == found.total
            before, searches = found.total, searches + 1
        return searches

    async with asyncio.TaskGroup() as group:
        looking = [group.create_task(look(which)) for which in (catalogue, other, catalogue)]
        async with asyncio.TaskGroup() as putting:
            putting.create_task(put(catalogue, "a"))
            putting.create_task(put(other, "b"))
        done.set()
    assert all(task.result() > 0 for task in looking)
    for which in (catalogue, other, Catalogue(database)):
        found = await which.search(Query("llama", limit=200))
        assert found.total == 2_000
        assert {hit.popularity for hit in found.hits} == {20}


async def test_a_failed_batch_leaves_nothing_and_the_ones_before_stay(database: Database) -> None:
    catalogue = Catalogue(database, batch=10)
    told: list[int] = []

    def broken() -> Iterator[Entry]:
        yield from (Entry(f"a/{i}") for i in range(25))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await catalogue.put(broken(), told.append)
    assert told == [10, 20]
    assert (await catalogue.search(Query())).total == 20


async def test_a_cancelled_put_leaves_it_whole(database: Database) -> None:
    catalogue = Catalogue(database, batch=20, stored_from=30)
    for wait in range(12):
        putting = asyncio.create_task(catalogue.put([Entry(f"a/{wait}-{i}") for i in range(60)]))
        await asyncio.sleep(wait * 0.004)
        putting.cancel()
        await asyncio.gather(putting, return_exceptions=True)
        mine, fresh = await catalogue.search(Query()), await Catalogue(database).search(Query())
        assert mine == fresh
        assert mine.total % 20 == 0


async def test_a_damaged_index_is_made_anew(database: Database) -> None:
    entries = [Entry(f"a/llama-{i}") for i in range(40)]
    await Catalogue(database, batch=20, stored_from=10).put(entries)
    async with database.begin() as db:
        await db.execute(update(catalogue_segments).values(data=b"rotten"))
    agree(await Catalogue(database).search(Query("llama")), entries, Query("llama"))
    agree(await Catalogue(database).search(Query("llama")), entries, Query("llama"))


async def test_a_damaged_index_stops_no_put(database: Database) -> None:
    entries = [Entry(f"a/llama-{i}") for i in range(40)]
    await Catalogue(database, batch=20, stored_from=10).put(entries[:-1])
    async with database.begin() as db:
        await db.execute(update(catalogue_segments).values(data=b"rotten"))
    await Catalogue(database).put(entries[-1:])
    agree(await Catalogue(database).search(Query("llama")), entries, Query("llama"))


async def test_a_damaged_row_is_told_of(database: Database) -> None:
    await Catalogue(database).put([Entry("a/b")])
    async with database.begin() as db:
        await db.execute(update(catalogue_records).values(document="{"))
    with pytest.raises(Unavailable):
        await Catalogue(database).search(Query())


async def test_putting_the_same_again_and_again_does_not_fill_the_disk(database: Database) -> None:
    catalogue = Catalogue(database, stored_from=8)
    for round_ in range(60):
        await catalogue.put([Entry(f"a/{i}", popularity=round_) for i in range(5)])
    async with database.begin() as db:
        tables = (catalogue_records, catalogue_gone, catalogue_segments)
        rows, gone, segments = [
            (await db.execute(select(func.count()).select_from(table))).scalar_one() for table in tables
        ]
    assert rows == 5
    assert gone <= 60
    assert segments <= 10


KILLED = """
import asyncio, sys
from pathlib import Path
from intermodel.records.catalogue import Catalogue, Entry
from intermodel.storage import Database

async def main():
    database = Database("", default=Path(sys.argv[1]))
    await database.open()
    catalogue = Catalogue(database, batch=int(sys.argv[2]), stored_from=120)
    await catalogue.put((Entry(f"a/llama-{i}") for i in range(10**6)), lambda done: print(done, flush=True))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    for attempt, batch in enumerate((1_500, 50, 50)):
        file = tmp_path / f"{attempt}.db"
        with subprocess.Popen(  # noqa: ASYNC220 - nothing else runs here
            [sys.executable, "-c", KILLED, file, str(batch)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(3 + attempt * 4):
                acknowledged = int(process.stdout.readline())
            process.kill()
        database = Database("", default=file)
        await database.open()
        catalogue = Catalogue(database, batch=50, stored_from=120)
        found = await catalogue.search(Query("llama"))
        async with database.begin() as db:
            rows = (await db.execute(select(func.count()).select_from(catalogue_records))).scalar_one()
        assert acknowledged <= found.total == rows
        assert rows % batch == 0
        await catalogue.put([Entry("b/zebra")])
        assert (await catalogue.search(Query("zebra"))).counts["owner"] == (Count("b", 1),)
        await database.close()


async def test_a_long_import_leaves_the_loop_to_others(database: Database) -> None:
    """Not how long: only that others get their turn many times, for timing never decides a test."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(others())
    await Catalogue(database, batch=1_000).put(Entry(f"a/{i}") for i in range(3_000))
    other.cancel()
    assert turns > 30
