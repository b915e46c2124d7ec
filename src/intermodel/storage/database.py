"""The database: SQLite in WAL mode by default, PostgreSQL by URL; brought up to date when opened."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, inspect, select, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from intermodel.core import Conflict, Invalid, Unavailable
from intermodel.storage.tables import node

log = logging.getLogger(__name__)

_CIRCUMSTANCES = {"OperationalError", "InterfaceError", "InternalError", "DatabaseError", "DBAPIError"}
"""SQLAlchemy's errors that tell of a damaged file, a full disk, a server that is gone or refuses; the others are
mistakes of ours. asyncpg's OSError, when there is no server, comes as it is."""

CLOSING_S = 5.0
"""So long a database that is closed waits for the transactions in progress."""

MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Connections to one database. `await open()` before use and `await close()` after."""

    def __init__(self, url: str, *, default: Path) -> None:
        """`url` as in the settings (empty: SQLite at `default`). Raises `Invalid` for a URL that is not understood."""
        self._engine = _engine(url, default)
        self._in_use: set[asyncio.Future[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def dialect(self) -> str:
        return self._engine.dialect.name

    async def open(self) -> None:
        """Connect and apply missing migrations. Raises `Unavailable` if that cannot be done, with the reason."""
        async with self.begin() as connection:
            if self.dialect == "postgresql":  # one migration at a time, however many nodes start
                await connection.execute(text("SELECT pg_advisory_xact_lock(4958)"))
            await connection.run_sync(_migrate)

    async def claim(self, node_id: str) -> bool:
        """Make this the database of the node with that id; whether it was nobody's. Raises `Conflict` if another's.

        Tokens are hashed with a node's own key, and models name files of its machine: two nodes cannot share them.
        """
        async with self.begin() as connection:
            owners = list((await connection.execute(select(node.c.id))).scalars())
            if not owners:
                await connection.execute(insert(node).values(id=node_id))
                return True
            if owners != [node_id]:
                raise Conflict(
                    "This database belongs to another node (its data folder has another key).",
                    hint="Give each node a database of its own. If the folder's 'secret' was lost, restore it, or move "
                    "intermodel.db away: the node starts anew then, with new tokens.",
                    code="database_of_another_node",
                )
        return False

    async def is_current(self) -> bool:
        """Whether no migration is missing. Changes nothing. Raises `Unavailable` if the database does not answer."""
        async with self.begin() as connection:
            return await connection.run_sync(_is_current)

    async def close(self) -> None:
        """Close every connection, once the transactions in progress have ended: nobody would close theirs after this.

        It waits for them no longer than `CLOSING_S`, and lets none begin.
        """
        self._closed = True
        if self._in_use:
            await asyncio.wait(self._in_use, timeout=CLOSING_S)
        while self._closing:
            await asyncio.wait(self._closing)
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises `Unavailable` where the database is full, read-only, locked or gone.
        """
        if self._closed:
            raise Unavailable("The database is closed: the node is ending.", code="database_unavailable")
        used = asyncio.get_running_loop().create_future()
        self._in_use.add(used)
        try:
            connection = await self._connect()
            try:
                yield connection
            except BaseException:
                await self._ended(connection.close())
                raise
            await self._ended(_commit(connection))
        except (DBAPIError, OSError) as error:
            if isinstance(error, DBAPIError) and type(error).__name__ not in _CIRCUMSTANCES:
                raise
            raise Unavailable(
                f"The database cannot do that now: {getattr(error, 'orig', error)}.",
                hint="Is the disk full or read-only, the server gone, its URL wrong? `intermodel doctor` looks.",
                code="database_unavailable",
            ) from error
        finally:
            self._in_use.discard(used)
            used.set_result(None)

    async def _connect(self) -> AsyncConnection:
        """A connection of the pool. Where the current task is cancelled before it is there, it goes back when it is.

        SQLAlchemy would drop a connection that is being made then, unclosed and with its thread.
        """
        connecting = asyncio.create_task(self._engine.connect().start())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            self._later(_give_back(connecting))
            raise

    async def _ended(self, ending: Coroutine[Any, Any, None]) -> None:
        """Wait for the end of a transaction, to its end also where the current task is cancelled: it is kept or not."""
        task = self._later(ending)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            if (error := task.exception()) is not None:
                log.warning("a transaction failed whose task was cancelled: %s", type(error).__name__)
            raise

    def _later(self, closing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of its own, which `close` waits for: whoever began it may be cancelled, more than once."""
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One transaction that only reads, and all of it as it was at one moment, however others write meanwhile.

        Raises as `begin` does.
        """
        async with self.begin() as connection:
            await connection.exec_driver_sql(_SNAPSHOTS[self.dialect])
            yield connection


_SNAPSHOTS = {
    "sqlite": "BEGIN",  # Python's module begins none for what only reads
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
}


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    finally:
        await connection.close()


async def _give_back(connecting: asyncio.Task[AsyncConnection]) -> None:
    with contextlib.suppress(SQLAlchemyError, OSError):  # nobody waits for it any more
        await (await connecting).close()


def _engine(url: str, default: Path) -> AsyncEngine:
    try:
        parsed = make_url(url) if url else make_url("sqlite://").set(database=str(default))
    except (ArgumentError, ValueError):
        raise Invalid(  # without the URL: it may hold a password
            "The database URL is not understood.",
            hint="Use postgresql://user@host/name, or leave 'database' empty for SQLite.",
        ) from None
    backend = {"postgres": "postgresql"}.get(parsed.drivername, parsed.drivername.partition("+")[0])
    if backend == "sqlite":
        engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), connect_args={"timeout": 15})
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
        event.listen(engine.sync_engine, "invalidate", _roll_back)
        return engine
    if backend == "postgresql":
        if sslmode := parsed.query.get("sslmode"):  # libpq's word for what asyncpg calls ssl
            parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
        try:
            return create_async_engine(parsed.set(drivername="postgresql+asyncpg"), pool_pre_ping=True)
        except ModuleNotFoundError:
            raise Invalid("PostgreSQL needs the package asyncpg.", hint="pip install 'intermodel[postgres]'") from None
    raise Invalid(f"Databases of the kind '{backend}' are not supported.", hint="Use PostgreSQL or SQLite.")


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # synchronous=FULL: an acknowledged write survives power loss too, not only kill -9
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _roll_back(connection: Any, _record: Any, error: BaseException | None) -> None:
    """End the transaction of a task that was cancelled in the midst of it.

    Its connection is closed after this; but SQLite keeps a closed connection, and its lock on the whole database, as
    long as Python keeps a cursor of it, which may be until the next garbage collection.
    """
    if error is not None:
        with contextlib.suppress(Exception):  # it is as broken as it may be
            connection.rollback()


def _migrate(connection: Connection) -> None:
    if _is_current(connection):
        return
    from alembic import command  # slow to import, and only needed here
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {r.revision for r in script.walk_revisions()}:
        raise Unavailable(
            f"The database was written by a newer Intermodel (revision {current}).",
            hint="Install that version, or use another data folder.",
            code="database_too_new",
        )
    command.upgrade(config, "head")


def _is_current(connection: Connection) -> bool:
    """Whether nothing is to be done, found out without Alembic. A migration's file is named after its revision."""
    newest = max(file.name for file in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]
    return inspect(connection).has_table("alembic_version") and newest == connection.scalar(
        text("SELECT version_num FROM alembic_version")
    )
