"""Records of things with hundreds of ancestors: what they cost, and that calls which stream meanwhile go on."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from starlette.requests import Request

from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.gateway.known import KnownOfRecords
from intermodel.governance import Caller
from intermodel.ledger import Ledger, open_ledger
from intermodel.records.catalogue import Catalogue
from intermodel.records.record import identity
from intermodel.records.store import Records
from intermodel.records.told import Told, graph_told
from intermodel.records.verdict import Purpose
from intermodel.storage import Blobs, Database
from intermodel.web.api.operation import Asked
from intermodel.web.api.records import BomQuery
from intermodel.web.api.records import Records as Api
from intermodel.web.pages.records import Records as Pages

DEEP = 390
CALLER = Caller("", "somebody")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    """A chain of fine-tunes, each told of by its own statements."""
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    async with open_ledger(tmp_path, database) as ledger:
        await _chain(ledger)
        blobs = Blobs(tmp_path / "blobs")
        yield Records(ledger, Library(database, blobs), blobs, Catalogue(database))
    await database.close()


async def _chain(ledger: Ledger) -> None:
    names = [f"m{number}" for number in range(DEEP + 1)]
    told = graph_told(
        {
            "told_by": "a paper",
            "nodes": [{"id": name, "type": "model", "declared": "apache-2.0"} for name in names],
            "edges": [{"from": a, "to": b, "how": "fine-tune"} for a, b in itertools.pairwise(names)],
        }
    )
    await ledger.record_all(
        [
            Statement((Subject(name, identity(name)),), kind, predicate)
            for name, one in told.items()
            for kind, predicate in one.predicates(name).items()
        ]
    )
    await ledger.index()


async def busiest(work: Awaitable[object]) -> float:
    """The longest time that this thread computed in one go while the work was done: so long others had to wait.

    Processor time, not time by the clock, which says more of the machine's other tenants.
    """
    gc.collect()
    gc.freeze()  # else what all tests before this one left behind is looked through meanwhile
    try:
        longest, before = 0.0, time.thread_time()
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now
        await task
        return longest
    finally:
        gc.unfreeze()


@pytest.mark.slow
async def test_the_loop_is_never_held_up(records: Records) -> None:
    deepest = f"m{DEEP}"
    known = KnownOfRecords(records)
    for work in (
        records.of(deepest),
        records.of(deepest),
        records.passport(deepest),
        records.verdict(deepest, Purpose.COMMERCIAL),
        records.grades(deepest),
        known.known([deepest], [("commercial", "DE")]),
        page(records, deepest),
        bill(records, deepest),
    ):
        held_up = await busiest(work)
        assert held_up < 0.05, work


async def page(records: Records, address: str) -> None:
    scope = {
        "type": "http", "method": "GET", "path": f"/records/{address}", "query_string": b"", "headers": [],
        "scheme": "http", "server": ("127.0.0.1", 80), "path_params": {"address": address},
    }  # fmt: skip
    answer = await Pages(records).show(Request(scope), CALLER)
    assert answer.status_code == 200


async def bill(records: Records, address: str) -> None:
    api = Api(records)
    for name in ("cyclonedx", "spdx3"):
        assert await api.bom(Asked(CALLER, address, BomQuery(format=name), None, ""))
    assert await api.get(Asked(CALLER, address, None, None, ""))


async def test_it_is_asked_once_what_is_said_and_again_where_something_new_is(records: Records) -> None:
    deepest = f"m{DEEP}"
    asked: list[int] = []
    places = records.ledger.places

    async def counted(digests: list[str]) -> dict[str, list[int]]:
        asked.append(len(digests))
        return await places(digests)

    records.ledger.places = counted  # type: ignore[method-assign,assignment]
    record = await records.of(deepest)
    assert len(record.around) == 2 * DEEP
    first = len(asked)
    assert first < DEEP / 10, "what was told in one go is looked up in one go"
    began = time.process_time()
    assert await records.of(deepest) == record
    assert time.process_time() - began < 0.5
    assert len(asked) == first, "nothing was said since"
    await records.put("m7", Told.of({"told_by": "its maker", "note": "of a new kind"}))
    asked.clear()
    again = await records.of(deepest)
    assert len(again.around) == 2 * DEEP + 1
    assert len(asked) <= 1
    assert again.graph.node("m7").note == "of a new kind"


async def test_a_lineage_that_was_told_in_another_order_among_others_is_found_all_the_same(records: Records) -> None:
    """What stands beside a statement says only what to look up with it."""
    depth = 8
    for number in reversed(range(depth)):
        edges = [{"parent": f"other{number - 1}", "how": "fine-tune"}] if number else []
        await records.put(f"other{number}", Told.of({"licence": "mit", "lineage": {"edges": edges}}))
        await records.put(f"unrelated{number}", Told.of({"what": {"parameters": number}}))
    cold = Records(records.ledger, records._library, records._blobs, records._catalogue)
    asked, places = [], records.ledger.places

    async def counted(digests: list[str]) -> dict[str, list[int]]:
        asked.append(len(digests))
        return await places(digests)

    records.ledger.places = counted  # type: ignore[method-assign,assignment]
    record = await cold.of(f"other{depth - 1}")
    assert [way[-1].parent for way in record.graph.ancestors(record.address)] == [
        f"other{number}" for number in reversed(range(depth - 1))
    ]
    assert len(asked) <= depth
