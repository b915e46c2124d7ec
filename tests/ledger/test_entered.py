"""Who had an entry made: kept beside the ledger, and gone for good when it is erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from intermodel.ledger import Ledger, Who, open_ledger
from intermodel.ledger.entered import Entered
from intermodel.storage import Database
from tests.ledger.conftest import said

ADA = Who("0123456789ab", "Ada's laptop", "Ada Lovelace")
BOB = Who("ba9876543210", "ci", "")


async def test_it_is_kept_by_entry_found_by_anybody_s_name_and_erased(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    made = [one.index for one in await ledger.record_all([said(i) for i in range(3)])]
    await ledger.entered.keep(made[:2], ADA)
    await ledger.entered.keep(made[2:], BOB)
    found = await ledger.entered.of([0, *made])
    assert {entry: one.who for entry, one in found.items()} == {made[0]: ADA, made[1]: ADA, made[2]: BOB}
    assert found[made[0]].at > 0
    for who in (ADA.token, ADA.name, ADA.user):
        assert [one.entry for one in await ledger.entered.by(who, 10)] == [made[1], made[0]]
    assert [one.entry for one in await ledger.entered.by(ADA.user, 10, before=made[1])] == [made[0]]
    assert await Entered(database, "another log").of(made) == {}
    assert await ledger.entered.erase(ADA.user) == 2
    assert {*await ledger.entered.of(made)} == {made[2]}
    assert await ledger.entered.erase(ADA.user) == 0
    await ledger.log.settle()
    files = [path for path in (tmp_path / "ledger").rglob("*") if path.is_file()]
    assert not [path for path in files if b"Lovelace" in path.read_bytes()]


async def test_nothing_is_left_of_it_in_the_database_file(tmp_path: Path) -> None:
    database = Database("", default=tmp_path / "own.db")
    await database.open()
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.entered.keep([0], ADA)
        assert await ledger.entered.erase(ADA.name) == 1
    await database.close()  # the write-ahead log is taken into the file then
    assert b"Lovelace" not in b"".join(path.read_bytes() for path in tmp_path.glob("own.db*"))


async def test_it_stays_where_the_index_is_made_anew_and_a_later_one_holds(ledger: Ledger) -> None:
    (made,) = await ledger.record_all([said()])
    await ledger.entered.keep([made.index], ADA)
    await ledger.reindex()
    assert (await ledger.entered.of([made.index]))[made.index].who == ADA
    await ledger.entered.keep([made.index], BOB)
    assert (await ledger.entered.of([made.index]))[made.index].who == BOB


async def test_where_it_cannot_be_kept_the_log_says_who(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = Database(f"sqlite:///{tmp_path / 'nowhere' / 'lost.db'}", default=tmp_path / "unused.db")
    await Entered(lost, "log").keep([7], BOB)
    await lost.close()
    assert "token ba9876543210 entered [7]" in caplog.text
