"""Looking a node over, whether it runs or not: each check gives a finding and, where needed, the way to mend it."""

from __future__ import annotations

import asyncio
import functools
import shutil
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from intermodel.accounts.seals import written
from intermodel.core import IntermodelError
from intermodel.engines import Library, Model
from intermodel.ledger import examine as examine_ledger
from intermodel.ledger.standing import troubles
from intermodel.settings import Deployment, Ledger, Settings
from intermodel.settings.load import keys
from intermodel.storage import Blobs, Database, DataFolder, digest_of
from intermodel.storage.folder import MIN_FREE_BYTES
from intermodel.web.server import files_needed, listen, raise_file_limit

_MOST_DAMAGE = 20
COMFORT_BYTES = 2 * 1024**3
"""Below this much free disk the next model may not fit."""


class Level(StrEnum):
    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was found, and how to mend it (empty if nothing needs to be)."""

    check: str
    level: Level
    found: str
    mend: str = ""


async def examine(settings: Settings, source: Path) -> list[Finding]:
    """Every check in turn. Nothing is changed but for a probe file that is gone again.

    `source` is the settings file that was read, if it exists.
    """
    return [finding async for finding in _all(settings, source)]


async def _all(settings: Settings, source: Path) -> AsyncIterator[Finding]:
    read = str(source.absolute()) if source.exists() else f"defaults, for there is no {source}"
    counted = f"deployments: {len(settings.deployments)}, routes: {len(settings.routes)}"
    yield Finding("settings", Level.GOOD, f"{read} ({counted})")
    for name, route in settings.routes.items():
        if not set(route.candidates) & set(settings.deployments) and not any("/" in c for c in route.candidates):
            yield Finding(
                f"route {name}", Level.DOUBT, f"no deployment is called {' or '.join(route.candidates)}",
                "Mend the names in [routes], or add the deployments.",
            )  # fmt: skip
    folder = DataFolder(settings.data)
    yield _folder(folder)
    yield _port(settings, folder)
    yield _llama()
    yield _files(settings)
    if not folder.path.is_dir():
        return
    yield _disk(folder)
    if (folder.path / "secret").exists():
        yield _secret(folder)
    elif folder.sqlite.exists():
        yield Finding(
            "node key", Level.BAD, "it is lost: no token can be checked without it",
            f"Restore {folder.path / 'secret'} from a backup; or move {folder.sqlite} away, and the node starts anew.",
        )  # fmt: skip
    async for finding in _database(settings, folder):
        yield finding
    for name, deployment in settings.deployments.items():
        yield await _deployment(name, deployment)


def _folder(folder: DataFolder) -> Finding:
    if not folder.path.exists():
        return Finding("data folder", Level.GOOD, f"{folder.path} will be made on the first start")
    try:
        folder.probe()
    except IntermodelError as error:
        return Finding("data folder", Level.BAD, error.message, error.hint)
    mode = stat.S_IMODE(folder.path.stat().st_mode)
    if mode & 0o077:
        return Finding(
            "data folder", Level.DOUBT, f"{folder.path} is open to other users ({mode:o})", f"chmod 700 {folder.path}"
        )
    return Finding("data folder", Level.GOOD, f"{folder.path} is private and can be written")


def _files(settings: Settings) -> Finding:
    given, needed = raise_file_limit(), files_needed(settings.limits)
    found = f"{given} may be open at once"
    if given < needed:
        return Finding(
            "open files", Level.DOUBT, f"{found}, and {needed} may be needed",
            "Raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd), or lower limits.connections and "
            "limits.concurrent_calls.",
        )  # fmt: skip
    return Finding("open files", Level.GOOD, found)


def _disk(folder: DataFolder) -> Finding:
    free = shutil.disk_usage(folder.path).free
    found = f"{free / 1024**3:.1f} GiB free"
    if free < MIN_FREE_BYTES:
        return Finding("disk", Level.BAD, found, "Free some space: a node does not start with less than 64 MiB.")
    if free < COMFORT_BYTES:
        return Finding("disk", Level.DOUBT, found, "The next model may not fit.")
    return Finding("disk", Level.GOOD, found)


def _secret(folder: DataFolder) -> Finding:
    mode = stat.S_IMODE((folder.path / "secret").stat().st_mode)
    if mode & 0o077:
        return Finding(
            "node key", Level.BAD, f"other users can read it ({mode:o})", f"chmod 600 {folder.path / 'secret'}"
        )
    try:
        folder.secret()
    except (IntermodelError, OSError) as error:
        return Finding("node key", Level.BAD, str(error), getattr(error, "hint", ""))
    return Finding("node key", Level.GOOD, "32 bytes, readable by you alone")


def _port(settings: Settings, folder: DataFolder) -> Finding:
    url = folder.url()
    if url:
        return Finding("node", Level.GOOD, f"running at {url} ({folder.holder()})")
    if settings.port == 0:
        return Finding("port", Level.GOOD, "a free one will be taken")
    try:
        listen(settings.host, settings.port).close()
    except IntermodelError as error:
        return Finding("port", Level.BAD, error.message, error.hint)
    return Finding("port", Level.GOOD, f"{settings.host}:{settings.port} is free")


def _llama() -> Finding:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        flags = "avx2"  # not Linux: the wheel for that system decides
    if "avx2" not in flags:
        return Finding(
            "llama.cpp", Level.BAD, "this processor has no AVX2, which the llama.cpp wheel is built for",
            "Local models will not run here; deployments will.",
        )  # fmt: skip
    return Finding("llama.cpp", Level.GOOD, "this processor can run it")


async def _database(settings: Settings, folder: DataFolder) -> AsyncIterator[Finding]:
    if not settings.database and not folder.sqlite.exists():
        yield Finding("database", Level.GOOD, "will be made on the first start")
        return
    database = Database(settings.database, default=folder.sqlite)
    try:
        if not await database.is_current():
            yield Finding("database", Level.GOOD, f"{database.dialect} answers; the next start brings it up to date")
            return
        yield Finding("database", Level.GOOD, f"{database.dialect} answers and is up to date")
        for model in await Library(database, Blobs(folder.blobs)).all():
            yield await asyncio.to_thread(_model, model)
            if model.address in settings.deployments or model.address in settings.routes:
                yield Finding(
                    f"model {model.address}", Level.DOUBT, "a deployment or route of the same name hides it",
                    "Rename one of them.",
                )  # fmt: skip
        async for finding in _ledger(folder, database, settings.ledger):
            yield finding
    except IntermodelError as error:
        yield Finding("database", Level.BAD, error.message, error.hint)
    finally:
        await database.close()


async def _ledger(folder: DataFolder, database: Database, options: Ledger) -> AsyncIterator[Finding]:
    """Every place where the ledger, or what the database knows of it, is not what it was."""
    try:
        for one in await asyncio.to_thread(lambda: list(troubles(folder.path, options))):
            yield Finding(one.where, Level.BAD if one.sure else Level.DOUBT, one.what, one.mend)
    except IntermodelError as error:
        yield Finding("witness", Level.BAD, error.message, error.hint)
    damage = await examine_ledger(folder.path, database, functools.partial(written, database))
    for one in damage[:_MOST_DAMAGE]:
        yield Finding("ledger", Level.BAD if one.sure else Level.DOUBT, f"{one.where}: {one.what}", one.mend)
    if len(damage) > _MOST_DAMAGE:
        yield Finding("ledger", Level.BAD, f"{len(damage) - _MOST_DAMAGE} more places were changed")
    if not damage:
        yield Finding("ledger", Level.GOOD, "every entry, tile and proof is as it was signed")


def _model(model: Model) -> Finding:
    check = f"model {model.address}"
    again = f"intermodel models remove {model.address}, then add the file again."
    try:
        found = digest_of(model.path)
    except OSError as error:
        return Finding(check, Level.BAD, f"{model.path}: {error.strerror}", again)
    if found != model.digest:
        return Finding(check, Level.BAD, f"the file changed: it was {model.digest}, it is {found}", again)
    return Finding(check, Level.GOOD, f"{model.size / 1e6:,.1f} MB, digest as recorded")


async def _deployment(name: str, deployment: Deployment) -> Finding:
    check = f"deployment {name}"
    try:
        keys(deployment, name)
    except IntermodelError as error:
        return Finding(check, Level.BAD, error.message, error.hint)
    if not deployment.base_url:
        return Finding(check, Level.GOOD, f"provider {deployment.provider}")
    parts = urlsplit(deployment.base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, port), 5)
        writer.close()
    except (OSError, TimeoutError) as error:
        return Finding(
            check, Level.DOUBT, f"{parts.hostname}:{port} does not answer: {str(error) or 'timed out'}",
            "Is that server running, and its base_url right?",
        )  # fmt: skip
    return Finding(check, Level.GOOD, f"{parts.hostname}:{port} answers")
