"""Serves the GGUF files of a folder: as they appear, change and disappear."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path

from watchfiles import awatch

from intermodel.core import IntermodelError, NotFound, Unavailable
from intermodel.engines.facts import Model
from intermodel.engines.library import Library, default_address, shown

log = logging.getLogger(__name__)

SETTLE_S = 0.5
"""A file that did not change for so long is taken to be complete; if it was not, its next change tells."""
POLL_S = 5.0
LOOK_S = 60.0
"""The longest pause between two looks: network file systems do not tell what others change."""
RETRY_S = 30.0
"""Until the next attempt where the node itself could not do it: the database or the disk failed."""

Stamp = tuple[int, int, int]


async def watch_folder(library: Library, folder: Path) -> None:
    """Keep the library's rows for `folder` equal to the GGUF files in it. Runs until it is cancelled.

    Files whose names begin with a dot are left alone, and so are the node's own copies, wherever they lie. Why a file
    is not served is logged, once for each state of it.
    """
    folder = folder.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    changed = asyncio.Event()
    pump = asyncio.create_task(_set_on_change(folder, changed))
    try:
        watched = _Watched(library, folder)
        while True:
            changed.clear()
            pause = await watched.update()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await changed.wait()
    finally:
        pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pump


async def _set_on_change(folder: Path, changed: asyncio.Event) -> None:
    try:
        async for _ in awatch(folder, debounce=200, step=100):
            changed.set()
    except* (OSError, RuntimeError) as errors:
        # no inotify here or no more of it, or a name that is no text
        log.warning(
            "%s is looked at every %.0f s, since its changes are not told: %s", folder, POLL_S, errors.exceptions[0]
        )
    while True:
        await asyncio.sleep(POLL_S)
        changed.set()


class _Watched:
    """What was seen in the folder, and what was tried."""

    def __init__(self, library: Library, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._seen: dict[Path, Stamp] = {}
        self._tried: dict[Path, Stamp] = {}

    async def update(self) -> float:
        """Look once; returns after how many seconds to look again if no change is told before."""
        now = await asyncio.to_thread(_scan, self._folder)
        self._tried = {path: stamp for path, stamp in self._tried.items() if now.get(path) == stamp}
        try:
            linked = await self._library.linked()
            await self._drop_missing(linked)
            rows = {model.path: model for model in linked}
            for path, stamp in now.items():
                if path not in self._tried and (self._seen.get(path) == stamp or _is_old(stamp)):
                    await self._try(path, stamp, rows.get(path))
                    self._tried[path] = stamp
        except Unavailable as error:
            log.warning("%s cannot be looked after now: %s", self._folder, error)
            return RETRY_S
        self._seen = now
        return LOOK_S if self._tried == now else SETTLE_S

    async def _drop_missing(self, linked: list[Model]) -> None:
        for model in linked:
            if model.path.is_relative_to(self._folder) and await asyncio.to_thread(_is_gone, model.path):
                with contextlib.suppress(NotFound):
                    await self._library.remove(model.address)
                log.info("%s is gone, and so is %s", model.path, model.address)

    async def _try(self, path: Path, stamp: Stamp, row: Model | None) -> None:
        try:
            await self._serve(path, stamp, row)
        except Unavailable:
            raise
        except Exception:  # whatever is wrong with one file, the others are served
            log.exception("%s is not served", shown(path))

    async def _serve(self, path: Path, stamp: Stamp, row: Model | None) -> None:
        size, modified_ns, _ = stamp
        if row and row.size == size and modified_ns / 1e9 <= row.added.timestamp():
            return  # known from an earlier run; its digest is checked before it is loaded
        try:
            model = await self._library.add(path, address=row.address if row else None, keep="link")
        except Unavailable:
            raise
        except IntermodelError as error:
            log.warning("%s is not served: %s", shown(path), error)
            if row and row.address == default_address(path):  # an address that someone chose stays theirs
                await self._library.remove(row.address)
        except OSError as error:
            log.warning("%s is not served: it cannot be read: %s", shown(path), error.strerror)
        else:
            log.info("%s is served as %s", path, model.address)


def _scan(folder: Path) -> dict[Path, Stamp]:
    """The GGUF files below a folder, with size, time of change in ns, and inode."""
    found: dict[Path, Stamp] = {}
    for path in sorted(folder.rglob("*.gguf")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        with contextlib.suppress(OSError):
            stat = path.stat()
            found[path] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found


def _is_gone(path: Path) -> bool:
    """Whether there is no such file; one that cannot be looked at now is not gone."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_old(stamp: Stamp) -> bool:
    return time.time() - stamp[1] / 1e9 > 4 * SETTLE_S
