"""Databases that are made once: migrating an empty one costs half of what starting a node does."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from intermodel.storage import Database

REALLY_OPEN = Database.open
_made: list[bytes] = []


def put(path: Path) -> None:
    """Put a database where none is, as a first start would make it: migrated, and nobody's yet."""
    if _made and path.parent.is_dir() and not path.exists():
        path.write_bytes(_made[0])


@contextlib.contextmanager
def once() -> Iterator[None]:
    """Within the block, an SQLite database that does not exist begins as a copy of one that was migrated here."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_make(Path(folder) / "made.db"))
        _made.append((Path(folder) / "made.db").read_bytes())
    Database.open = _open  # type: ignore[method-assign]
    try:
        yield
    finally:
        Database.open = REALLY_OPEN  # type: ignore[method-assign]
        _made.clear()


async def _make(path: Path) -> None:
    database = Database("", default=path)
    await REALLY_OPEN(database)
    await database.close()


async def _open(self: Database) -> None:
    url = self._engine.url
    if self.dialect == "sqlite" and url.database:
        put(Path(url.database))
    await REALLY_OPEN(self)
