"""The folders of a node's runs: one of its own for each, or a link to where a terminal's user wants it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from intermodel.core import Conflict, NotFound, Unavailable
from intermodel.writer.journal import is_run

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
        found = [one.name for one in runs.iterdir() if ID.fullmatch(one.name) and _is_listed(one)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"{runs} cannot be read: {error.strerror}.") from None
    return sorted(found, reverse=True)


def there(runs: Path, name: str) -> Path:
    """The folder of a run. Nothing but a run's name leads anywhere. Raises `NotFound`."""
    if not ID.fullmatch(name) or not _is_listed(runs / name):
        raise NotFound(f"There is no run '{name[:64]}'.", hint="/writer lists them.")
    return runs / name


def beside(runs: Path, name: str, kind: str) -> Path:
    """A file about a run, outside its folder, which may be somebody's own. It is deleted with the run."""
    return runs / f".{name}.{kind}"


def delete(runs: Path, name: str) -> None:
    """A run's folder with all that is in it, or a link alone."""
    place = runs / name
    with contextlib.suppress(OSError):
        if place.is_symlink():
            place.unlink()
        else:
            shutil.rmtree(place, True)
        for file in runs.glob(beside(runs, name, "*").name):
            file.unlink(missing_ok=True)


def elsewhere(place: Path) -> str:
    """Where the folder of a run lies that is a link here, for people to read; "" for one of the node's own."""
    return os.fsencode(os.path.realpath(place)).decode(errors="replace") if place.is_symlink() else ""


def list_at(runs: Path, folder: Path) -> str:
    """Have a node that keeps its runs in `runs` list the run in `folder` as well; the name it has there. Twice is once.
    The folder may be made later.

    Raises `Unavailable` where that cannot be written, `Conflict` where the node keeps as many as it may.
    """
    place = _real(folder)
    try:
        if place.parent == _real(runs) and ID.fullmatch(place.name):
            return place.name
        runs.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(runs):
            entries = [one for one in runs.iterdir() if ID.fullmatch(one.name)]
            links = [one for one in entries if one.is_symlink()]
            if listed := next((one for one in links if _real(one) == place), None):
                return listed.name
            if len(entries) >= MOST:  # not before: the folder may be about to be made, or its disk be mounted later
                for one in links:
                    if not _is_listed(one):
                        delete(runs, one.name)
                if len(names(runs)) >= MOST:
                    raise Conflict(
                        f"There are {MOST} runs, as many as a node keeps.", hint="Remove some on its page /writer."
                    )
            name = new_id()
            (runs / name).symlink_to(place, target_is_directory=True)
    except OSError as error:
        raise Unavailable(f"{runs} cannot be written: {error.strerror}.") from None
    return name


def _is_listed(place: Path) -> bool:
    """Whether a run lies there; also where nobody may look, so that it is seen, and can be taken off the list."""
    try:
        return is_run(place)
    except OSError:
        return True


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # `resolve` raises for a link that leads to itself


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else of this machine is in here with that folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
