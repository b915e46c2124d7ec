"""The composition root: the only place where services are made and handed to each other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from intermodel.accounts import RateLimits, open_accounts
from intermodel.engines import Engines, Library, watch_folder
from intermodel.gateway import Cache, Catalog, Gateway, Metrics, Registry, load_scorers, telling
from intermodel.governance import Tokens
from intermodel.guards import load
from intermodel.providers import Http, LlamaCpp, connect
from intermodel.settings import Settings
from intermodel.settings.load import keys, telemetry_headers
from intermodel.storage import Blobs, Database, DataFolder
from intermodel.web import Services, build_app
from intermodel.web.app import Guard
from intermodel.web.auth import Auth
from intermodel.web.told import Tell, to_logging

log = logging.getLogger(__name__)

FIRST_TOKEN = "first start"  # noqa: S105 - a name, not a secret


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is open: its services, its ASGI application, and the token if this start made one."""

    settings: Settings
    folder: DataFolder
    database: Database
    library: Library
    engines: Engines
    gateway: Gateway
    tokens: Tokens
    auth: Auth
    app: Guard
    new_token: str | None


@contextlib.asynccontextmanager
async def build(
    settings: Settings, environ: Mapping[str, str] | None = None, tell: Tell = to_logging
) -> AsyncIterator[Node]:
    """A node in `settings.data`, open for the length of the block; everything it started has ended after it.

    `environ` is where the deployments' keys are looked up (default: the process's own); `tell` is told of each request
    that was answered. Raises `Conflict` if another node holds the folder, `Unavailable` if folder or database cannot
    be used, `Invalid` for settings that contradict the world.
    """
    folder = DataFolder(settings.data)
    folder.prepare()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(folder.held())
        database = Database(settings.database, default=folder.sqlite)
        stack.push_async_callback(database.close)
        await database.open()
        was_there = folder.has_secret
        if await database.claim(folder.node_id()) and was_there:
            log.warning("the data folder had a node before, but its database is empty: tokens and models are gone")
        tokens = Tokens(database, folder.secret())
        new_token = await _first_token(tokens, settings)

        library = Library(database, Blobs(folder.blobs))
        engines = Engines(settings.engines, folder.logs)
        stack.push_async_callback(engines.close)
        await library.ship(settings.engines.shipped)
        await _watch(stack, library, settings, folder)

        http = Http()
        stack.push_async_callback(http.close)
        registry = Registry(
            database,
            lambda name, deployment: tuple(
                connect(name, deployment, key, http) for key in keys(deployment, name, environ)
            ),
            settings,
        )
        metrics = Metrics(engines.states)
        hear = await stack.enter_async_context(
            telling(
                settings.telemetry,
                telemetry_headers(settings.telemetry, environ),
                http,
                folder.node_id(),
                lambda: registry.declared.deployments,
                metrics.registry,
            )
        )
        accounts = await stack.enter_async_context(
            open_accounts(settings, database, folder.journal, cpu_seconds=engines.cpu_seconds)
        )
        if hear is not None:
            accounts.receipts.listeners.append(hear)
        redis_url = settings.redis.get_secret_value() if settings.redis else None
        rate_limits = RateLimits(settings.rate_limits, redis_url)
        stack.push_async_callback(rate_limits.close)
        catalog = Catalog(library, engines, registry, accounts.prices, accounts.power.joules)
        stack.push_async_callback(catalog.close)
        gateway = Gateway(
            catalog,
            registry,
            LlamaCpp(library, engines, http),
            accounts,
            rate_limits,
            {name: (load(name, table), frozenset(table.on)) for name, table in settings.guards.items()},
            load_scorers(),
            settings.limits,
            Cache(settings.cache.bytes),
            metrics,
            keeps_content=settings.receipts.store_content,
        )
        stack.push_async_callback(gateway.stop, 0)
        auth = Auth(tokens, folder.secret())
        app = build_app(Services(settings, gateway, engines, database, auth, tokens, tell))
        yield Node(settings, folder, database, library, engines, gateway, tokens, auth, app, new_token)


async def _first_token(tokens: Tokens, settings: Settings) -> str | None:
    """Accept INTERMODEL_TOKEN; otherwise make a token if there is no valid one, and return it."""
    await tokens.accept(settings.token.get_secret_value() if settings.token else None)
    if settings.token is not None or await tokens.owner() is not None:
        return None
    return (await tokens.create(FIRST_TOKEN, admin=True))[1]


async def _watch(stack: contextlib.AsyncExitStack, library: Library, settings: Settings, folder: DataFolder) -> None:
    """Serve the models of the watched folder as long as the node is open."""
    watched = settings.engines.watch or folder.models
    watched.mkdir(parents=True, exist_ok=True)
    task = asyncio.create_task(watch_folder(library, watched), name="watch models")

    task.add_done_callback(lambda done: _tell(done, watched))

    async def end() -> None:
        task.cancel()
        await asyncio.wait({task})

    stack.push_async_callback(end)


def _tell(done: asyncio.Task[None], watched: Path) -> None:
    """A watch that ends by itself would be missed only when the next model does not appear."""
    if not done.cancelled() and (error := done.exception()):
        log.error("%s is no longer watched", watched, exc_info=error)
