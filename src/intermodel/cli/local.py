"""The node of this machine, as the verbs that write to its data folder open it, whether it runs or not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from intermodel.cli.running import check_database
from intermodel.engines import Library
from intermodel.governance import Tokens
from intermodel.settings import Settings
from intermodel.storage import Blobs, Database, DataFolder


@contextlib.asynccontextmanager
async def tokens_of(settings: Settings) -> AsyncIterator[Tokens]:
    """Its tokens."""
    async with _opened(settings) as (folder, database):
        yield Tokens(database, folder.secret())


@contextlib.asynccontextmanager
async def library_of(settings: Settings) -> AsyncIterator[Library]:
    """Its models."""
    async with _opened(settings) as (folder, database):
        library = Library(database, Blobs(folder.blobs))
        await library.ship(settings.engines.shipped)
        yield library


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[DataFolder, Database]]:
    folder = DataFolder(settings.data)
    folder.prepare()
    check_database(settings, folder)
    database = Database(settings.database, default=folder.sqlite)
    try:
        await database.open()
        await database.claim(folder.node_id())
        yield folder, database
    finally:
        await database.close()
