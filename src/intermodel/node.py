"""The composition root: the only place where services are made and handed to each other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass

from intermodel.accounts import RateLimits, open_accounts
from intermodel.accounts.budgets import Budgets
from intermodel.core import Conflict, Invalid, NotFound, Upstream
from intermodel.engines import Engines, Library, watch_folder
from intermodel.gateway import Cache, Catalog, Gateway, KnownOfRecords, Metrics, Registry, load_scorers, telling
from intermodel.governance import Tokens
from intermodel.guards import load
from intermodel.ledger import Ledger, Verifier, open_ledger
from intermodel.ledger.cosigners import Cosigner, Cosigners
from intermodel.ledger.note import COSIGNATURE, ED25519
from intermodel.ledger.peers import Peer, Peers
from intermodel.ledger.remote import ASK_S, Answer, Ask
from intermodel.ledger.witness import Witness, open_witness
from intermodel.providers import Http, LlamaCpp, connect
from intermodel.providers.http import Origin
from intermodel.records.catalogue import Catalogue
from intermodel.records.store import Records
from intermodel.records.trusted import Trusted
from intermodel.settings import Settings
from intermodel.settings.load import keys, ledger_passphrase, telemetry_headers
from intermodel.storage import Blobs, Database, DataFolder
from intermodel.web import Services, build_app
from intermodel.web.app import Guard
from intermodel.web.auth import Auth
from intermodel.web.told import Tell, to_logging
from intermodel.writer.door import budget_name, token_name
from intermodel.writer.listed import FOLDER
from intermodel.writer.runs import Runs

log = logging.getLogger(__name__)

WRITE = (sys.executable, "-c", "from intermodel.cli import app; app()", "write")
"""The verb with which a run of the writer goes on, in a process of its own."""
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
    ledger: Ledger
    records: Records
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

        blobs = Blobs(folder.blobs)
        library = Library(database, blobs)
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
        ledger = await stack.enter_async_context(
            open_ledger(folder.path, database, settings.ledger, passphrase=ledger_passphrase(settings.ledger, environ))
        )
        peers = _following(stack, settings, folder, ledger, _asking(http))
        witness = await _witnessing(stack, settings, folder, ledger, _asking(http), environ)
        accounts = await stack.enter_async_context(
            open_accounts(settings, database, folder.journal, ledger=ledger, cpu_seconds=engines.cpu_seconds)
        )
        if hear is not None:
            accounts.receipts.listeners.append(hear)
        redis_url = settings.redis.get_secret_value() if settings.redis else None
        rate_limits = RateLimits(settings.rate_limits, redis_url)
        stack.push_async_callback(rate_limits.close)
        signers = Trusted.of(settings.records.trusted_signers)
        records = Records(
            ledger,
            library,
            blobs,
            Catalogue(database),
            lambda name: name in registry.declared.deployments,
            trusted=signers,
        )
        stack.push_async_callback(records.close)
        if peers is not None:
            _learn(signers, peers, records)
        known = KnownOfRecords(records)
        power = accounts.power.joules
        catalog = Catalog(library, engines, registry, accounts.prices, power, known, region=settings.region)
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
        _begin(stack, records.sign_all(), "sign what is read of models", patience_s=2)
        auth = Auth(tokens, folder.secret())
        forget = functools.partial(_forget_run, tokens, accounts.budgets)
        runs = Runs(folder.path / FOLDER, [*WRITE, "--data", str(folder.path)], settings.writer.at_once, forget)
        stack.push_async_callback(runs.close)
        app = build_app(
            Services(settings, gateway, engines, database, auth, tokens, records, ledger, witness, runs, tell)
        )
        yield Node(settings, folder, database, library, engines, gateway, tokens, ledger, records, auth, app, new_token)


async def _forget_run(tokens: Tokens, budgets: Budgets, name: str) -> None:
    """What a run of the writer that is removed had on this node."""
    with contextlib.suppress(NotFound, Conflict):
        await budgets.remove(budget_name(name))
    for one in await tokens.all():
        if one.name == token_name(name):
            await tokens.forget(one.id)


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
    _begin(stack, watch_folder(library, watched), f"watch {watched}")


async def _witnessing(
    stack: contextlib.AsyncExitStack, settings: Settings, folder: DataFolder, ledger: Ledger, ask: Ask,
    environ: Mapping[str, str] | None,
) -> Witness | None:  # fmt: skip
    """Have this ledger cosigned, as long as the node is open; the witness that this node is."""
    options = settings.ledger
    if options.witnesses:
        asked = [Cosigner(_key(one.key, COSIGNATURE), one.url, one.private) for one in options.witnesses]
        cosigners = await asyncio.to_thread(Cosigners, ledger, asked, ask, folder.path, options.witness_s)
        _begin(stack, cosigners.run(), "ask witnesses")
    if not options.witness_for:
        return None
    ledgers = [_key(one, ED25519) for one in options.witness_for]
    witness = await asyncio.to_thread(open_witness, folder.path, ledgers, ledger_passphrase(options, environ))
    _begin(stack, witness.watch.state_all(ledger), "state forks that were met")
    return witness


def _following(
    stack: contextlib.AsyncExitStack, settings: Settings, folder: DataFolder, ledger: Ledger, ask: Ask
) -> Peers | None:
    """Follow other ledgers, as long as the node is open."""
    options = settings.ledger
    if not options.watch:
        return None
    followed = [Peer(tuple(_key(key, ED25519) for key in one.keys), one.url, one.private) for one in options.watch]
    peers = Peers(ledger, followed, ask, folder.path, options.watch_s)
    _begin(stack, peers.run(), "follow other ledgers")
    return peers


def _learn(signers: Trusted, peers: Peers, records: Records) -> None:
    """Whose word counts goes by the keys that their ledgers have now, where those are followed."""

    def learn() -> None:
        records.trust(signers.after(one.ring for one in peers.histories.known.values()))

    learn()
    peers.listeners.append(learn)


def _key(text: str, kind: int) -> Verifier:
    """A key of the settings. Raises `Invalid` for one that makes another kind of signature."""
    key = Verifier.parse(text)
    if key.kind != kind:
        raise Invalid(
            f"The key {text[:100]} is {'a ledger' if key.kind == ED25519 else 'a witness'}'s own.",
            hint="`ledger.witnesses` takes keys of witnesses, `witness_for` and `watch` those of ledgers.",
            code="invalid_setting",
        )
    return key


def _asking(http: Http) -> Ask:
    """Requests to other nodes go the way of all others: to checked addresses, without redirects."""

    async def ask(url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        origin = Origin(url, private)
        if body is None:
            response = await http.get(origin, path, headers={}, silence_s=ASK_S, name="It")
        else:
            response = await http.post(origin, path, body, headers={}, silence_s=ASK_S, name="It")
        try:
            found = b""
            while len(found) <= most and (piece := await response.read()):
                found += piece
        finally:
            await response.close()
        if len(found) > most:
            raise Upstream(f"It answered with more than {most} bytes.", code="upstream_broken")
        return Answer(response.status, response.media_type, found)

    return ask


def _begin(
    stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None], name: str, patience_s: float = 0
) -> None:
    """Do it beside everything else, as long as the node is open, and so much longer if it would end by itself."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_tell)

    async def end() -> None:
        await asyncio.wait({task}, timeout=patience_s)
        task.cancel()
        await asyncio.wait({task})

    stack.push_async_callback(end)


def _tell(done: asyncio.Task[None]) -> None:
    """Work that ends with an error would be missed only when its result does not appear."""
    if not done.cancelled() and (error := done.exception()):
        log.error("this ended by itself: %s", done.get_name(), exc_info=error)
