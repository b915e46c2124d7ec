"""The folders of a node's runs: one of its own for each, or a link to where a terminal's user wants it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from intermodel.core import Conflict, NotFound, Unavailable
from intermodel.writer.journal import FILE

FOLDER = "writer"
"""Where in its data folder a node keeps them."""
MOST = 2000
"""Runs that a node keeps."""
ID = re.compile("[0-9a-f]{32}")


def new_id() -> str:
    """A run's name: the moment, so that names sort, and 80 bits that nobody guesses."""
    return f"{time.time_ns() // 10**6:012x}{secrets.token_hex(10)}"


def names(runs: Path) -> list[str]:
    """The runs in that folder, the newest first. Raises `Unavailable` where it cannot be read."""
    try:
        found = [one.name for one in runs.iterdir() if ID.fullmatch(one.name) and _is_run(one)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"{runs} cannot be read: {error.strerror}.") from None
    return sorted(found, reverse=True)


def there(runs: Path, name: str) -> Path:
    """The folder of a run. Nothing but a run's name leads anywhere. Raises `NotFound`."""
    if not ID.fullmatch(name) or not _is_run(runs / name):
        raise NotFound(f"There is no run '{name[:64]}'.", hint="/writer lists them.")
    return runs / name


def list_at(runs: Path, folder: Path) -> str:
    """Have a node that keeps its runs in `runs` list the run in `folder` as well; the name it has there. Twice is once.

    Raises `Unavailable` where that cannot be written, `Conflict` where the node keeps as many as it may.
    """
    place = folder.resolve()
    try:
        if place.parent == runs.resolve() and ID.fullmatch(place.name):
            return place.name
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(runs):
            links = [one for one in runs.iterdir() if ID.fullmatch(one.name) and one.is_symlink()]
            if listed := next((one for one in links if _target(one) == place), None):
                return listed.name
            for one in links:
                if not _is_run(one):  # its folder was moved or deleted
                    one.unlink()
            if len(names(runs)) >= MOST:
                raise Conflict(
                    f"There are {MOST} runs, as many as a node keeps.", hint="Remove some on its page /writer."
                )
            name = new_id()
            (runs / name).symlink_to(place, target_is_directory=True)
    except OSError as error:
        raise Unavailable(f"{runs} cannot be written: {error.strerror}.") from None
    return name


def _is_run(place: Path) -> bool:
    """Whether a run lies there; also where nobody may look, so that it is seen, and can be taken off the list."""
    try:
        return (place / FILE).is_file()
    except OSError:
        return True


def _target(link: Path) -> Path | None:
    with contextlib.suppress(OSError, RuntimeError):  # a link that leads to itself
        return link.resolve()
    return None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else of this machine is in here with that folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
