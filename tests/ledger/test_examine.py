"""A changed byte anywhere is found, and the place is named."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update

from intermodel.ledger import Personal, examine, open_ledger
from intermodel.storage import Database
from intermodel.storage.tables import ledger_entries, ledger_receipts, ledger_subjects, personal
from tests.ledger.conftest import digest, said

SIZE = 300
RECEIPTS = [(f"{i:026d}", b"receipt %d" % i) for i in range(20)]


@pytest.fixture
async def data(tmp_path: Path, database: Database) -> Path:
    """A ledger of two tiles, with published partial tiles of an earlier checkpoint."""
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.record_all([said(i) for i in range(SIZE - 20)])
        await ledger.log.settle()
        await ledger.seal(RECEIPTS)
        await ledger.record_all([said(i) for i in range(18)])
        await Personal(database).keep("Ada")
    return tmp_path


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << (place % 8)
    path.write_bytes(content)


async def test_nothing_is_found_where_nothing_was_changed(data: Path, database: Database) -> None:
    assert await examine(data, database) == []
    assert await examine(data) == []
    assert await examine(data / "nowhere") == []


async def test_a_changed_byte_is_found_and_located(data: Path) -> None:
    files = sorted(path for path in (data / "ledger").rglob("*") if path.is_file() and path.stat().st_size)
    assert {path.relative_to(data / "ledger").as_posix() for path in files} == {
        "checkpoint", "key-entries", "keys", "tile/0/000", "tile/0/001.p/25", "tile/0/001.p/44", "tile/1/000.p/1",
        "tile/entries/000", "tile/entries/001.p/25", "tile/entries/001.p/44",
    }  # fmt: skip
    rng = random.Random(1)
    for path in files:
        kept = path.read_bytes()
        places = {0, len(kept) - 1, *(rng.randrange(len(kept)) for _ in range(6))}
        for place in sorted(places):
            flip(path, place)
            found = await examine(data)
            assert found, (path, place)
            assert {one.where for one in found} == {str(path)}, (place, found)
            path.write_bytes(kept)
    assert await examine(data) == []


@pytest.mark.slow
async def test_every_byte_of_a_small_ledger(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.record_all([said(i) for i in range(2)])
    for path in [path for path in (tmp_path / "ledger").rglob("*") if path.is_file() and path.stat().st_size]:
        kept = path.read_bytes()
        for place in range(len(kept)):
            flip(path, place)
            found = await examine(tmp_path)
            assert {one.where for one in found} == {str(path)}, (path, place, found)
        path.write_bytes(kept)


async def test_which_entry_and_which_hash(data: Path) -> None:
    tile = data / "ledger/tile/0/000"
    flip(tile, 32 * 100 + 7)
    (found,) = await examine(data)
    assert (found.where, found.sure) == (str(tile), True)
    assert "bytes 3200 to 3232: the hash of entry 100" in found.what
    flip(tile, 32 * 100 + 7)
    entries = data / "ledger/tile/entries/001.p/44"
    content = entries.read_bytes()
    at = content.index(b'"payload":"', len(content) // 2) + 40
    flip(entries, at)
    (found,) = await examine(data)
    number = int(found.what.split()[1])
    assert found.where == str(entries)
    assert 256 < number < 300
    assert "from byte" in found.what


@pytest.mark.parametrize(
    "name",
    ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/44"],
)
async def test_a_missing_or_shortened_file(data: Path, name: str) -> None:
    path = data / "ledger" / name
    kept = path.read_bytes()
    path.write_bytes(kept[:-1])
    assert {one.where for one in await examine(data)} == {str(path)}
    path.write_bytes(kept + b"\0")
    assert {one.where for one in await examine(data)} == {str(path)}
    path.unlink()
    (found,) = [one for one in await examine(data) if one.where == str(path)]
    assert "it is missing" in found.what


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"])
async def test_a_file_that_is_missing_is_said_once(data: Path, database: Database, name: str) -> None:
    """And not once for each of the 256 hashes or entries in it."""
    path = data / "ledger" / name
    path.unlink()
    (found,) = await examine(data, database)
    assert found.where == str(path)
    assert found.what.startswith("it is missing")
    if "entries" in name:
        assert found.what == "it is missing: entries 0 to 255 are in it"


async def test_beside_a_file_that_is_missing_another_that_was_changed_is_found(data: Path) -> None:
    missing, changed = data / "ledger/tile/entries/000", data / "ledger/tile/0/001.p/44"
    missing.unlink()
    flip(changed, 40)
    assert {one.where for one in await examine(data)} == {str(missing), str(changed)}


async def test_files_that_do_not_belong_there(data: Path) -> None:
    stranger = data / "ledger/tile/0/007"
    stranger.write_bytes(b"x")
    (found,) = await examine(data)
    assert (found.where, found.sure) == (str(stranger), False)


async def test_what_waits_to_be_laid_out(data: Path, database: Database) -> None:
    async with open_ledger(data, database) as ledger:
        await ledger.record(said(1))
        path = data / "ledger/pending"
        kept = path.read_bytes()
        assert await examine(data, database) == []
        for place in (0, 30, 100, len(kept) - 1):
            flip(path, place)
            assert {one.where for one in await examine(data)} == {str(path)}
            path.write_bytes(kept)
        path.write_bytes(kept + kept[:60])
        (found,) = await examine(data)
        assert (found.where, found.sure) == (str(path), False)
        path.write_bytes(kept)


async def changed(database: Database, statement: object) -> None:
    async with database.begin() as db:
        await db.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        (update(ledger_entries).where(ledger_entries.c.entry == 7).values(signer="0" * 64), "index of entry 7"),
        (update(ledger_entries).where(ledger_entries.c.entry == 7).values(at=1), "index of entry 7"),
        (update(ledger_entries).where(ledger_entries.c.entry == 7).values(predicate_type="x:y"), "index of entry 7"),
        (delete(ledger_entries).where(ledger_entries.c.entry == 7), "index of entry 7"),
        (delete(ledger_subjects).where(ledger_subjects.c.entry == 8), "index of entry 8"),
        (update(ledger_subjects).where(ledger_subjects.c.entry == 9).values(digest=digest(999)), "index of entry 9"),
        (update(personal).values(value="Bob"), "table personal"),
        (update(ledger_receipts).values(first="0" * 25 + "1"), "receipts of entry 281"),
        (update(ledger_receipts).values(leaves=b"0" * 58), "receipts of entry 281"),
    ],
)  # fmt: skip
async def test_a_changed_row_is_found(data: Path, database: Database, statement: object, where: str) -> None:
    await changed(database, statement)
    (found,) = await examine(data, database)
    assert where in found.where
    assert found.mend


async def test_a_row_too_many(data: Path, database: Database) -> None:
    async with database.begin() as db:
        await db.execute(
            text(
                "INSERT INTO ledger_entries (log, entry, at, signer, predicate_type) "
                "SELECT log, 5000, 0, '', '' FROM ledger_entries LIMIT 1"
            )
        )
    assert any("a hole" in one.what for one in await examine(data, database))


async def test_a_changed_receipt_is_found(data: Path, database: Database) -> None:
    async def receipts(ids: Sequence[str]) -> Mapping[str, bytes]:
        return {one: body for one, body in RECEIPTS if one in ids and one != RECEIPTS[3][0]} | {
            RECEIPTS[5][0]: b"another"
        }

    (found,) = await examine(data, database, receipts)
    assert found.where == f"database, receipt {RECEIPTS[5][0]}"


async def test_a_changed_byte_of_the_database_file(data: Path, database: Database, tmp_path: Path) -> None:
    await database.close()
    path = tmp_path / "test.db"
    content = path.read_bytes()
    at = content.index(b"urn:intermodel:grade:v1")
    path.write_bytes(content[:at] + b"urn:intermodel:grate:v1" + content[at + 23 :])
    again = Database("", default=path)
    found = await examine(data, again)
    await again.close()
    assert found
    assert "database" in found[0].where
