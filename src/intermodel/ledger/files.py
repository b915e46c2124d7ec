"""Files that are there in full or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """The file holds `data`, safe from a power cut but for its name in the folder, which `sync` makes so."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
    temporary.replace(path)


def sync(folders: Iterable[Path]) -> None:
    """Make the names in the folders safe from a power cut."""
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_all(root: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """The files under `root`, and their names, safe from a power cut. Folders are made."""
    folders: set[Path] = set()
    for name, data in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data)
        folders.update(parent for parent in path.parents if parent == root or root in parent.parents)
    sync(folders)
