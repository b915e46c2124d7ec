import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import Connection

from intermodel.core import Conflict, Invalid, Unavailable
from intermodel.storage import Database
from intermodel.storage.database import MIGRATIONS
from intermodel.storage.tables import metadata, tokens


def row(number: int) -> dict[str, Any]:
    return {"id": str(number), "hash": str(number), "name": "x", "created": datetime.now(UTC)}


def scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


async def count(database: Database) -> int:
    async with database.begin() as db:
        return (await db.execute(select(func.count()).select_from(tokens))).scalar_one()


async def test_migrations_make_the_tables_that_the_code_expects(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.begin() as db:
        assert await db.run_sync(differences) == []


async def test_opening_twice_changes_nothing(database: Database) -> None:
    async with database.begin() as db:
        await db.execute(insert(tokens).values(row(1)))
    await database.open()
    assert await count(database) == 1


def test_migration_files_are_named_after_their_revisions() -> None:
    found = {Path(script.path).name.partition("_")[0]: script.revision for script in scripts().walk_revisions()}
    assert all(name == revision for name, revision in found.items())
    assert max(found) == scripts().get_current_head()


async def test_a_snapshot_is_of_one_moment(database: Database) -> None:
    async with database.snapshot() as reading:
        for number in range(3):
            assert (await reading.execute(select(func.count()).select_from(tokens))).scalar_one() == 0
            async with database.begin() as db:
                await db.execute(insert(tokens).values(row(number)))
    async with database.snapshot() as reading:
        assert (await reading.execute(select(func.count()).select_from(tokens))).scalar_one() == 3


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def fail_half_way() -> None:
        async with database.begin() as db:
            await db.execute(insert(tokens).values(row(1)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert await count(database) == 0


async def test_writers_at_once_all_succeed(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.begin() as db:
            await db.execute(insert(tokens).values(row(number)))

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(write(number))
    assert await count(database) == 20


async def test_a_writer_that_is_cancelled_leaves_no_lock(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.begin() as db:
            await db.execute(insert(tokens).values(row(number)))
            await db.execute(select(tokens))

    kept: list[Any] = []  # with their tracebacks, which hold the connections' cursors
    for number in range(60):
        task = asyncio.create_task(write(number))
        await asyncio.sleep(number / 15_000)
        task.cancel()
        kept += await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            await write(1000 + number)
    assert any(isinstance(result, asyncio.CancelledError) for result in kept)
    assert await count(database) >= 60


@pytest.mark.parametrize("moment", range(20))
async def test_a_task_that_is_cancelled_again_while_it_connects_leaves_nothing_behind(
    database: Database, moment: int
) -> None:
    async def connect() -> None:
        async with database.begin():
            pass

    connecting = [asyncio.create_task(connect()) for _ in range(4)]
    await asyncio.sleep(moment * 0.0005)
    for task in connecting * 3:
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(connecting)
    await database.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_waits_for_what_is_in_progress_and_lets_nothing_begin(database: Database) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with database.begin() as db:
            await db.execute(insert(tokens).values(row(1)))
            begun.set()
            await goes_on.wait()

    writing = asyncio.create_task(write())
    await begun.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    with pytest.raises(Unavailable, match="closed"):
        await count(database)
    goes_on.set()
    await closing
    assert writing.done()


async def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    async with database.begin() as db:
        await db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="newer Intermodel"):
        await database.open()


async def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is not a database" * 100)
    database = Database("", default=path)
    with pytest.raises(Unavailable, match="not a database"):
        await database.open()
    await database.close()
    assert path.read_bytes().startswith(b"this is not")


async def test_a_server_that_is_gone_is_said_so() -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none", default=Path("unused"))
    with pytest.raises(Unavailable, match="cannot do that now"):
        await database.open()
    await database.close()


async def test_a_database_has_one_node(database: Database) -> None:
    await database.claim("one")
    await database.claim("one")
    with pytest.raises(Conflict, match="another node"):
        await database.claim("two")


async def test_looking_changes_nothing(tmp_path: Path) -> None:
    database = Database("", default=tmp_path / "new.db")
    assert not await database.is_current()
    await database.open()
    assert await database.is_current()
    await database.close()


async def test_a_database_that_is_not_there_on_the_server(postgres: str) -> None:
    database = Database(postgres.replace("/postgres?", "/nowhere?"), default=Path("unused"))
    with pytest.raises(Unavailable, match="nowhere"):
        await database.open()
    await database.close()


def test_a_url_that_is_not_understood_is_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        Database("postgresql:u:hunter2", default=Path("unused"))
    assert "hunter2" not in str(caught.value)


def test_urls_as_other_programs_write_them() -> None:
    assert Database("postgres://u@h/n?sslmode=require", default=Path("unused")).dialect == "postgresql"


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "postgresql://a:port/b"])
def test_urls_that_cannot_be_used_are_refused(url: str) -> None:
    with pytest.raises(Invalid):
        Database(url, default=Path("unused"))
