import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intermodel.accounts import Filter, Payer
from intermodel.accounts.receipts import first_id, new_id
from intermodel.core import NotFound, Unavailable, Usage
from intermodel.storage import Database
from tests.accounts.conftest import ADA, accounts, books, budget, call, over


async def test_a_receipt_is_found_at_once_and_whole(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        known = call(stream=True, route="fast", candidates=[{"address": "a/b", "fit": True, "reason": "named"}])
        written = over(known, 7, usage=Usage(10, 5, cached_input=3), content={"prompt": "hällo\n\0"})
        await opened.receipts.record(written)
        found = await opened.receipts.find(known["id"])
        assert found == {**written, "usage": {"input": 10, "output": 5, "cached_input": 3}, "budgets": []}
        with pytest.raises(NotFound, match="no receipt 'x'"):
            await opened.receipts.find("x")


async def test_receipts_survive_a_restart(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        await opened.receipts.record(over(known := call()))
    async with accounts(database, tmp_path) as opened:
        assert (await opened.receipts.find(known["id"]))["outcome"] == "ok"
        assert opened.receipts.waiting == 0


async def test_the_newest_come_first_a_page_at_a_time(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        ids = []
        for number in range(25):
            known = call(Payer("b" * 12, "b") if number % 5 == 0 else ADA, at=time.time() + number)
            known["id"] = first_id(known["at"])[:10] + known["id"][10:]
            await opened.receipts.record(over(known, outcome="broken" if number % 2 else "ok"))
            ids.append(known["id"])
        seen: list[str] = []
        while page := await opened.receipts.list(limit=10, before=seen[-1] if seen else ""):
            seen += [found["id"] for found in page]
        assert seen == ids[::-1]
        assert len(await opened.receipts.list(Filter(token="b" * 12))) == 5
        assert len(await opened.receipts.list(Filter(user="ada", outcome="broken"))) == 10
        assert len(await opened.receipts.list(Filter(organisation="nobody"))) == 0
        some = Filter(since=time.time() + 4.5, until=time.time() + 9.5)
        assert [found["id"] for found in await opened.receipts.list(some)] == ids[5:10][::-1]


async def test_what_was_spent_by_whom_and_when(database: Database, tmp_path: Path) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    async with accounts(database, tmp_path) as opened:
        for day, spent, model in ((0, 5, "a/b"), (1, 7, "a/b"), (1, 100, "c/d")):
            known = call(at=noon + day * 86_400)
            known["id"] = first_id(known["at"])[:10] + known["id"][10:]
            await opened.receipts.record(over(known, spent, answered=model))
        spending = opened.receipts.spending
        assert [(s.key, s.calls, s.input_tokens, s.output_tokens, s.cost) for s in await spending("model", 0)] == [
            ("c/d", 1, 10, 5, 100),
            ("a/b", 2, 20, 10, 12),
        ]
        assert [(s.key, s.cost) for s in await spending("day", 0)] == [("2026-03-01", 5), ("2026-03-02", 107)]
        assert [(s.key, s.cost) for s in await spending("day", noon + 1)] == [("2026-03-02", 107)]
        assert [(s.key, s.cost) for s in await spending("user", 0, Filter(model="a/b"))] == [("ada", 12)]
        assert [s.key for s in await spending("token", 0)] == [ADA.token_id]
        assert [s.key for s in await spending("organisation", 0)] == ["lovelace"]


@pytest.mark.parametrize("read_again", [False, True])
async def test_sums_are_without_what_nobody_knows_and_say_so(
    database: Database, tmp_path: Path, read_again: bool
) -> None:
    def unknown(at_least: int) -> dict[str, Any]:
        return {"spent": None, "spent_at_least": at_least}

    async with accounts(database, tmp_path) as opened:
        if read_again:  # from the journal's file, as after a crash
            opened.receipts._mover.missed()
        for model, told in (
            ("dear", {"spent": 100}), ("dear", unknown(7)), ("own", unknown(0)), ("own", unknown(0)),
            ("free", {"spent": 0}), ("free", unknown(0)),
        ):  # fmt: skip
            await opened.receipts.record(over(call(), answered=model, **told))
        found = {s.key: (s.calls, s.cost, s.unknown, s.known) for s in await opened.receipts.spending("model", 0)}
        assert found == {"dear": (2, 107, 1, True), "free": (2, 0, 1, True), "own": (2, 0, 2, False)}
        assert next(iter(found)) == "dear", "the dearest first"
        (day,) = await opened.receipts.spending("day", 0)
        assert (day.calls, day.cost, day.unknown) == (6, 107, 4)
        (one,) = await opened.receipts.list(Filter(model="own"), 1)
        assert (one["spent"], one["spent_at_least"]) == (None, 0)


async def test_how_deployments_did(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        for number in range(20):
            good = {"address": "a/b", "seconds": 2.0, "first_token_s": number / 10, "outcome": "ok"}
            bad = {"address": "c/d", "seconds": 1.0, "first_token_s": None, "outcome": "broken"}
            await opened.receipts.record(over(call(), attempts=[bad, good] if number % 2 else [good]))
        good_one, bad_one = await opened.receipts.performance(time.time() - 60)
        assert (good_one.address, good_one.attempts, good_one.failed, good_one.seconds) == ("a/b", 20, {}, 2.0)
        assert good_one.first_token_s == pytest.approx(0.95)
        assert (good_one.first_token_p50_s, good_one.first_token_p95_s) == (1.0, 1.9)
        assert (bad_one.address, bad_one.attempts, bad_one.failed) == ("c/d", 10, {"broken": 10})
        assert bad_one.seconds is bad_one.first_token_s is bad_one.first_token_p50_s is None
        assert await opened.receipts.performance(time.time() + 120) == []


async def test_an_answer_is_rated_once_in_all_processes(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path / "one") as one, accounts(database, tmp_path / "two") as two:
        receipt = over(call())
        await one.receipts.record(receipt)
        assert await one.receipts.find(receipt["id"])
        rated = await asyncio.gather(*(a.receipts.rate(receipt["id"], 0.5) for a in (one, two, one, two)))
        assert sorted(rated) == [False, False, False, True]
        with pytest.raises(NotFound):
            await one.receipts.rate(new_id(), 1)
    async with accounts(database, tmp_path / "one") as again:
        assert not await again.receipts.rate(receipt["id"], 1)
        assert (await again.receipts.find(receipt["id"]))["quality"] == 0.5


async def test_listeners_hear_of_every_receipt(database: Database, tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    def broken(_: dict[str, Any]) -> None:
        raise ValueError

    async with accounts(database, tmp_path) as opened:
        opened.receipts.listeners += [broken, heard.append]
        ids = []
        for known in (call() for _ in range(5)):
            await opened.receipts.record(over(known))
            ids.append(known["id"])
        assert heard == []
        await opened.receipts.find(ids[-1])
        assert [document["id"] for document in heard] == ids
        assert heard[0]["usage"] == {"input": 10, "output": 5}


async def test_what_json_cannot_hold_is_written_all_the_same(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        odd: Any = {"answered": "a\ud800" + "x" * 300, "route": "\0r", "guards": [object(), {1: 2**70}], "spent": 2**80}
        await opened.receipts.record(over(known := call(), **odd))
        assert (await opened.receipts.find(known["id"]))["answered"].startswith("a?xxx")
        (spent,) = await opened.receipts.spending("model", 0)
        assert len(spent.key) == 200


async def test_old_receipts_are_deleted(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path) as opened:
        old = call(at=time.time() - 40 * 86_400)
        old["id"] = first_id(old["at"])[:10] + old["id"][10:]
        for known in (old, new := call()):
            await opened.receipts.record(over(known))
        await opened.receipts.find(new["id"])
        await opened.receipts.forget(time.time() - 30 * 86_400)
        assert [found["id"] for found in await opened.receipts.list()] == [new["id"]]


async def test_many_receipts_move_in_batches_and_segments_go(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("100")}) as opened:
        opened.receipts._journal._segment_bytes = 50_000
        long = call()
        assert await opened.budgets.reserve(ADA, 10**9, long)
        for _ in range(300):
            known = call()
            reservation = await opened.budgets.reserve(ADA, 10**6, known)
            assert reservation is not None
            reservation.settle(10**5)
            await opened.receipts.record(over(known, 10**5))
            if not opened.receipts.waiting % 70:
                await asyncio.sleep(0.05)
        await opened.receipts.find(known["id"])
        assert len(list((tmp_path / "journal").glob("*.log"))) <= 2
    # the long call was never over: it was carried from segment to segment, and counts as lost now
    async with accounts(database, tmp_path, {"a": budget("100")}) as opened:
        found = await opened.receipts.find(long["id"])
        assert (found["outcome"], found["spent"], found["caller"]) == ("lost", 10**9, long["caller"])
    ((spent, leased),) = (await books(database)).values()
    assert (spent, leased) == (10**9 + 300 * 10**5, 0)


async def test_a_flood_is_moved_from_the_file(database: Database, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("intermodel.accounts.mover.FRESH_BYTES", 10_000)
    monkeypatch.setattr("intermodel.accounts.mover.BATCH_BYTES", 3000)
    async with accounts(database, tmp_path) as opened:
        ids = set()
        for number in range(200):
            await opened.receipts.record(over(known := call()))
            ids.add(known["id"])
            if number % 30 == 0:
                await opened.receipts._mover.move()
        assert {found["id"] for found in await opened.receipts.list(limit=1000)} == ids
        assert opened.receipts.waiting == 0


async def test_no_more_receipts_wait_than_may(tmp_path: Path) -> None:
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    async with accounts(database, tmp_path, backlog=1000) as opened:
        for _ in range(1000):
            opened.receipts.admit()
            await opened.receipts.record(over(call()))
        with pytest.raises(Unavailable, match="1000 receipts wait") as caught:
            opened.receipts.admit()
        assert caught.value.code == "receipts_backlog"
        await opened.receipts.list()
        opened.receipts.admit()
    await database.close()


async def test_power(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, sync="power") as opened:
        known = [call() for _ in range(20)]
        async with asyncio.TaskGroup() as group:
            for one in known:
                group.create_task(opened.receipts.record(over(one)))
        assert len(await opened.receipts.list(limit=100)) == 20


def test_an_id_begins_with_its_time() -> None:
    now = time.time()
    assert first_id(now - 1) < new_id() < first_id(now + 1)
    assert len({new_id() for _ in range(1000)}) == 1000
