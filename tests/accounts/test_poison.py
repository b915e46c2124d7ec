"""Lines of the journal that cannot be taken, and ceilings that fall: neither may stop or outlast what comes after."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from intermodel.accounts.budgets import OPENED
from intermodel.accounts.journal import REJECTED, Journal
from intermodel.accounts.mover import RECEIPT
from intermodel.core import OverBudget
from intermodel.storage import Database
from tests.accounts.conftest import ADA, DOLLAR, accounts, budget, call, over

POISON = [
    b"not json",
    b"[1]",
    orjson.dumps({"id": "a", "budgets": [{"budget": "one", "window": "all", "nano": "18446744073709551616"}]}),
    orjson.dumps({"id": "b", "attempts": [{"seconds": "x"}]}),
    orjson.dumps({"no": "id"}),
]


async def opened_database(folder: Path) -> Database:
    database = Database("", default=folder / "test.db")
    await database.open()
    return database


@pytest.mark.parametrize("kind", [RECEIPT, OPENED])
async def test_a_line_that_cannot_be_taken_stops_nothing(
    tmp_path: Path, kind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    database, folder = await opened_database(tmp_path), tmp_path / "journal"
    folder.mkdir()
    journal = Journal(folder)
    journal.open()
    for line in POISON:
        journal.write(kind, line)
    good = over(call(), 5, budgets=[{"budget": "one", "window": "all", "nano": 5}])
    journal.write(RECEIPT, orjson.dumps(good | {"usage": {"input": 1, "output": 1}}))
    journal.close()
    async with accounts(database, tmp_path, {"one": budget(per="all")}) as again:
        assert [found["id"] for found in await again.receipts.list()] == [good["id"]]
        assert again.receipts.waiting == 0
        (standing,) = await again.budgets.all()
        assert standing.spent == 5
    assert (folder / REJECTED).read_bytes().splitlines() == POISON
    assert [record.levelname for record in caplog.records if "cannot be taken" in record.message] == ["ERROR"] * 5
    await database.close()


async def test_a_receipt_that_the_database_does_not_take_stops_nothing(tmp_path: Path) -> None:
    database = await opened_database(tmp_path)
    async with accounts(database, tmp_path) as opened:
        bad, good = over(call(), at=1e15), over(call())
        await opened.receipts.record(bad)
        await opened.receipts.record(good)
        for _ in range(3):
            try:
                found = await opened.receipts.list()
                break
            except Exception:  # noqa: BLE001 - the first try finds out that there is one
                continue
        assert [one["id"] for one in found] == [good["id"]]
        assert opened.receipts.waiting == 0
    await database.close()


async def test_a_ceiling_that_falls_holds_at_once(tmp_path: Path) -> None:
    database = await opened_database(tmp_path)
    async with accounts(database, tmp_path) as opened:
        await opened.budgets.define("b", budget("100", per="all"))
        first = await opened.budgets.reserve(ADA, DOLLAR, call())
        assert first is not None
        first.settle(10)
        await opened.budgets.define("b", budget("0.0001", per="all"))
        with pytest.raises(OverBudget):
            await opened.budgets.reserve(ADA, DOLLAR // 100, call())
    await database.close()
