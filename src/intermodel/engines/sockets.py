"""Where engines listen: each on a Unix socket in a folder of its own that only this user can enter."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

PREFIX = "intermodel-engine-"
NAME = "s.sock"
SHORT = "/tmp"  # noqa: S108 - mkdtemp makes a private folder there
LONGEST_FOLDER = 80
"""A Unix socket's path has at most 108 bytes on Linux and 104 on macOS."""
UNUSED_S = 24 * 3600
"""A folder without a socket may belong to an engine that still loads; after a day it does not."""


def new() -> Path:
    """A path for a socket, in a new folder with mode 0700. Raises `OSError` where none can be made."""
    folder = tempfile.mkdtemp(prefix=PREFIX)
    if len(folder) > LONGEST_FOLDER:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=SHORT)
    return Path(folder) / NAME


def discard(path: Path) -> None:
    """Remove a socket and its folder; those that are gone already are no error."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()


def sweep() -> None:
    """Remove what killed nodes left behind: this user's sockets that nothing listens on."""
    for folder in {tempfile.gettempdir(), SHORT}:
        for left in Path(folder).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if left.lstat().st_uid == os.getuid() and _is_dead(left):
                    shutil.rmtree(left)


def _is_dead(folder: Path) -> bool:
    path = folder / NAME
    if not path.exists():
        return time.time() - folder.lstat().st_mtime > UNUSED_S
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
    return False
