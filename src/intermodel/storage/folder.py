"""The data folder: made private, checked, and held by one node at a time."""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from intermodel.core import Conflict, Unavailable

MIN_FREE_BYTES = 64 * 1024**2
"""Below this a node does not start: SQLite's log alone may need as much."""


class DataFolder:
    """Everything a node keeps. Raises `Unavailable` if it cannot be made or written, with what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def keys(self) -> Path:
        """Key files that deployments may name which are declared while the node runs."""
        return self.path / "keys"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def sqlite(self) -> Path:
        return self.path / "intermodel.db"

    def prepare(self) -> None:
        """Make the folder, readable by its owner alone, and check that it can be written and has room."""
        try:
            for folder in (self.path, self.blobs, self.models, self.logs, self.journal, self.keys):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unusable(error) from None
        self.probe()
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise Unavailable(
                f"The disk of the data folder is full: {free // 1024**2} MiB left in {self.path}.",
                hint="Free some space, or choose another folder with --data.",
                code="disk_full",
            )

    def probe(self) -> None:
        """Check that the folder, which is there, can be written. Raises `Unavailable`."""
        try:
            with tempfile.NamedTemporaryFile(dir=self.path, prefix=".probe-") as probe:
                probe.write(b"x" * 4096)
                probe.flush()
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"The data folder cannot be written: {error.strerror}: {self.path}.",
            hint="Free some space, mend its permissions, or choose another with --data.",
            code="data_folder_unusable",
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process, until it ends however it ends. Raises `Conflict` if another has it."""
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                holder = lock.read(200).strip() or "another process"
                raise Conflict(
                    f"Another node uses this data folder: {holder}.",
                    hint="Stop it, or give this node a folder of its own with --data.",
                    code="data_folder_in_use",
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}\n")
            lock.flush()
            # whoever listened there before a crash may be anybody now: no token may be sent to it
            (self.path / "url").unlink(missing_ok=True)
            yield

    def holder(self) -> str | None:
        """Who holds the folder now, or None."""
        try:
            with (self.path / "lock").open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return lock.read(200).strip() or "another process"
        except OSError:
            return None
        return None

    def announce(self, url: str) -> None:
        """Tell other commands on this machine where the node that holds the folder listens."""
        temporary = self.path / ".url.new"
        temporary.write_text(url)
        temporary.replace(self.path / "url")

    def url(self) -> str | None:
        """Where the node that holds the folder listens, or None if there is none."""
        try:
            return (self.path / "url").read_text() if self.holder() else None
        except OSError:
            return None

    @property
    def has_secret(self) -> bool:
        """Whether a node has lived here before."""
        return (self.path / "secret").exists()

    def node_id(self) -> str:
        """What tells this node from others: a hash of its key, which gives nothing of it away."""
        return hmac.digest(self.secret(), b"node id", "sha256").hex()[:32]

    def secret(self) -> bytes:
        """This node's own key (32 bytes, owner-only), made on first use. Tokens and sessions are hashed with it."""
        path = self.path / "secret"
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
        key = path.read_bytes()
        if len(key) != 32:
            raise Unavailable(
                f"The node's key is damaged: {path} holds {len(key)} bytes instead of 32.",
                hint="Restore it from a backup; or delete it and make new tokens: the old ones are void then.",
                code="secret_damaged",
            )
        return key
