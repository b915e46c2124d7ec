"""What a node that runs notes in its data folder, so that the other verbs work on what it works on.

Noted is where its settings came from, never what they say: a database's URL may hold a password. Of that only a hash
with the node's key is kept, which tells whether somebody else's settings name the same database.
"""

from __future__ import annotations

import contextlib
import hmac
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from intermodel.core import Conflict
from intermodel.settings import Settings
from intermodel.storage import DataFolder

_FILE = "running.json"


@dataclass(frozen=True, slots=True)
class Note:
    """`config` is the settings file, "" for none; `cwd` is where the node was started, from which paths count."""

    config: str
    cwd: str
    database: str


def note(settings: Settings, config: Path | None) -> None:
    """Write down with what the node that holds the data folder was started. Only its owner can read it."""
    folder = DataFolder(settings.data)
    told = Note(str(config.absolute()) if config else "", str(Path.cwd()), _digest(settings, folder))
    new = folder.path / f".{_FILE}.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(orjson.dumps(asdict(told)))
    new.replace(folder.path / _FILE)


def noted(folder: DataFolder) -> Note | None:
    """What the node noted that runs in that folder; None where none runs, or one that notes nothing."""
    if folder.url() is None:
        return None
    with contextlib.suppress(OSError, TypeError, orjson.JSONDecodeError):
        return Note(**orjson.loads((folder.path / _FILE).read_bytes()))
    return None


def check_database(settings: Settings, folder: DataFolder) -> None:
    """Raise `Conflict` where these settings name another database than the node uses that runs in the folder."""
    running = noted(folder)
    if running is None or hmac.compare_digest(running.database, _digest(settings, folder)):
        return
    source = running.config or "no settings file"
    raise Conflict(
        f"The node that runs on {folder.path} uses another database than the one that is named here.",
        hint=f"It was started in {running.cwd} with {source}: name the same with --config, from there, and set "
        "INTERMODEL_DATABASE as it was then, if it was.",
        code="other_database",
    )


def _digest(settings: Settings, folder: DataFolder) -> str:
    return hmac.digest(folder.secret(), f"database {_which(settings.database, folder)}".encode(), "sha256").hex()


def _which(url: str, folder: DataFolder) -> str:
    """The database behind a URL: a file's whole path, or a server and a name, whoever asks it."""
    parts = urlsplit(url)
    if not url or parts.scheme.partition("+")[0] == "sqlite":
        file = Path(url.partition("://")[2].removeprefix("/")) if url else folder.sqlite
        return f"sqlite {file.resolve()}"
    return f"{parts.netloc.rpartition('@')[2]} {parts.path} {parts.query}"
