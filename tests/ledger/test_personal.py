from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Ledger, Personal
from intermodel.storage import Database
from intermodel.storage.tables import personal
from tests.ledger.conftest import digest

NAME = "Ada Lovelace <ada@example.org>"


async def test_only_a_hash_is_said_and_the_value_can_be_erased(
    ledger: Ledger, database: Database, tmp_path: Path
) -> None:
    people = Personal(database)
    one, two = await people.keep(NAME), await people.keep(NAME)
    assert one != two
    assert (await people.reveal(one), await people.reveal(two)) == (NAME, NAME)
    await ledger.record(Statement((Subject("x", digest(1)),), "https://example.com/vote/v1", {"by": one}))
    assert await people.erase(one, "0" * 64) == 1
    assert (await people.reveal(one), await people.reveal(two)) == (None, NAME)
    assert await people.erase_value(NAME) == 1
    assert await people.reveal(two) is None
    await ledger.log.settle()
    assert not [path for path in (tmp_path / "ledger").rglob("*") if path.is_file() and b"Ada" in path.read_bytes()]


async def test_nothing_is_left_of_it_in_the_database_file(tmp_path: Path) -> None:
    database = Database("", default=tmp_path / "own.db")
    await database.open()
    people = Personal(database)
    made = await people.keep(NAME)
    await people.erase(made)
    await database.close()  # the write-ahead log is taken into the file then
    assert b"Ada" not in b"".join(path.read_bytes() for path in tmp_path.glob("own.db*"))


async def test_a_changed_value_is_not_revealed(database: Database) -> None:
    people = Personal(database)
    made = await people.keep(NAME)
    assert await people.changed() == []
    async with database.begin() as db:
        await db.execute(update(personal).values(value="Charles"))
    assert await people.reveal(made) is None
    assert await people.changed() == [made]
