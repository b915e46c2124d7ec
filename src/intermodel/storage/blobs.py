"""Bytes kept by their SHA-256: bytes first, names last."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from intermodel.core import Digest, NotFound, Unavailable

CHUNK = 1024 * 1024


def digest_of(path: Path, progress: Callable[[int], None] | None = None) -> Digest:
    """The digest of a file; `progress` is called with the bytes read so far. Blocks: run it in a thread."""
    with path.open("rb") as file:
        return _copy(file, None, progress)[0]


def _copy(source: BinaryIO, target: BinaryIO | None, progress: Callable[[int], None] | None) -> tuple[Digest, int]:
    sha, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        sha.update(chunk)
        size += len(chunk)
        if target is not None:
            target.write(chunk)
        if progress is not None:
            progress(size)
    return Digest.of_hex(sha.hexdigest()), size


class Blobs:
    """A folder of blobs. A blob is there in full or not at all, and never changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, or would lie."""
        return self.folder / "sha256" / digest.hex[:2] / digest.hex

    def find(self, digest: Digest) -> Path:
        """Where the blob lies. Raises `NotFound`."""
        path = self.path(digest)
        if not path.is_file():
            raise NotFound(f"There is no blob {digest} on this node.")
        return path

    def add(self, source: BinaryIO, progress: Callable[[int], None] | None = None) -> tuple[Digest, int]:
        """Copy `source` in; returns its digest and size once they are on disk. Blocks: run it in a thread.

        Raises `Unavailable` if the disk is full; nothing is left behind then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as target:
                digest, size = _copy(source, target, progress)
                target.flush()
                os.fsync(target.fileno())
            path = self.path(digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            Path(name).chmod(0o440)
            Path(name).rename(path)
            _fsync_folder(path.parent)
        except OSError as error:
            Path(name).unlink(missing_ok=True)
            raise Unavailable(
                f"The file could not be kept: {error.strerror}.",
                hint="Free some space in the data folder and try again.",
                code="disk_full",
            ) from None
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return digest, size

    def remove(self, digest: Digest) -> None:
        """Forget a blob; one that is not there is no error."""
        self.path(digest).unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
