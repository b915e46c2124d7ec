"""Receipts in the ledger: covered in groups, proven offline, and not twice as many for a crash."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from intermodel.accounts import open_accounts
from intermodel.accounts.open import Accounts
from intermodel.accounts.seals import as_written, written
from intermodel.core import Conflict, NotFound
from intermodel.ledger import Ledger, examine, open_ledger, verify
from intermodel.settings import Settings
from intermodel.storage import Database
from intermodel.storage.tables import ledger_receipts, receipts, receipts_unsealed
from tests.accounts.conftest import call, over


@pytest.fixture
async def ledger(database: Database, tmp_path: Path) -> AsyncIterator[Ledger]:
    settings = Settings(data=tmp_path)
    async with open_ledger(tmp_path, database, settings.ledger) as opened:
        yield opened


@pytest.fixture
async def accounts(database: Database, tmp_path: Path, ledger: Ledger) -> AsyncIterator[Accounts]:
    async with open_accounts(Settings(data=tmp_path), database, tmp_path / "journal", ledger=ledger) as opened:
        yield opened


async def called(accounts: Accounts, times: int = 1) -> list[str]:
    ids = []
    for _ in range(times):
        known = call()
        ids.append(known["id"])
        await accounts.receipts.record(over(known))
    await accounts.receipts.list()  # which moves them
    return ids


async def test_receipts_are_covered_by_one_entry_and_proven_offline(accounts: Accounts, ledger: Ledger) -> None:
    assert accounts.seals is not None
    ids = await called(accounts, 20)
    before = len(await ledger.of_type("urn:intermodel:receipts:v1"))
    assert await accounts.seals.seal() == 20
    assert await accounts.seals.seal() == 0
    assert len(await ledger.of_type("urn:intermodel:receipts:v1")) == before + 1
    for one in ids:
        report = verify(await accounts.seals.bundle(one), [ledger.verifier])
        assert report.good, report.document()
    await accounts.receipts.rate(ids[3], 0.5)  # what its caller says later changes no proof
    assert verify(await accounts.seals.bundle(ids[3]), [ledger.verifier]).good


async def test_a_receipt_that_was_changed_has_no_proof(accounts: Accounts, database: Database) -> None:
    assert accounts.seals is not None
    (one,) = await called(accounts)
    with pytest.raises(NotFound, match="covers no receipt"):
        await accounts.seals.bundle(one)
    await accounts.seals.seal()
    async with database.begin() as db:
        text = (await db.execute(select(receipts.c.document).where(receipts.c.id == one))).scalar_one()
        await db.execute(update(receipts).values(document=text.replace('"outcome":"ok"', '"outcome":"no"')))
    with pytest.raises(Conflict, match="was changed"):
        await accounts.seals.bundle(one)


async def test_what_is_noted_survives_and_is_covered_at_the_end(
    database: Database, tmp_path: Path, ledger: Ledger
) -> None:
    async with open_accounts(Settings(data=tmp_path), database, tmp_path / "journal", ledger=ledger) as accounts:
        await called(accounts, 3)
        async with database.begin() as db:
            assert (await db.execute(select(func.count()).select_from(receipts_unsealed))).scalar_one() >= 1
    async with database.begin() as db:
        assert (await db.execute(select(func.count()).select_from(receipts_unsealed))).scalar_one() == 0
        assert (await db.execute(select(func.count()).select_from(ledger_receipts))).scalar_one() >= 1


async def test_a_changed_receipt_is_found_and_named(accounts: Accounts, database: Database, tmp_path: Path) -> None:
    assert accounts.seals is not None
    one, other = await called(accounts, 2)
    await accounts.seals.seal()
    await accounts.receipts.rate(other, 1.0)

    async def damage() -> list[str]:
        found = await examine(tmp_path, database, functools.partial(written, database))
        return [f"{each.where} {each.what}" for each in found]

    assert await damage() == []
    async with database.begin() as db:
        text = (await db.execute(select(receipts.c.document).where(receipts.c.id == one))).scalar_one()
        changed = text.replace('"spent":0', '"spent":1')
        await db.execute(update(receipts).where(receipts.c.id == one).values(document=changed))
    (found,) = await damage()
    assert one in found


def test_a_receipt_that_is_not_written_as_receipts_are_keeps_its_bytes() -> None:
    assert as_written('{"id":"a","quality":1.0}') == b'{"id":"a"}'
    for text in ('{"id":"x","id":"a","quality":1.0}', '{"id": "a","quality":1.0}', '{"quality":', '["quality":]'):
        assert as_written(text) == text.encode()
