"""What the ledger needs of others over a network, and what it keeps of how that went.

How a request travels is not known here: `Ask` is given from above, and checks the addresses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from intermodel.core import Upstream
from intermodel.ledger import files

log = logging.getLogger(__name__)

FOLDER = "ledger-peers"
ASK_S = 30.0
"""So long one exchange with another node may take in all."""


class Answer(NamedTuple):
    """What came back: a status of HTTP, the media type, and the body."""

    status: int
    media_type: str
    body: bytes


class Ask(Protocol):
    """Sends one request, a POST if there is a body, else a GET."""

    async def __call__(self, url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        """`most`: bytes of an answer; a longer one is an error. Raises `Upstream` where none comes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with another node: the size of the tree that went well last, and what is the matter since when."""

    size: int = 0
    at: float = 0
    trouble: str = ""
    since: float = 0
    fork: bool = False
    """The trouble is a contradiction, not only that nothing came."""


class Standings:
    """The standing of several, by name, in a file: a node keeps it, and others read it. Blocks where it writes."""

    def __init__(self, path: Path, names: Iterable[str], what: str, clock: Callable[[], float] = time.time) -> None:
        """`what`: as the log calls each of them."""
        known = read_standings(path)
        self._path = path
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._standings = {name: known.get(name, Standing()) for name in names}

    def __getitem__(self, name: str) -> Standing:
        return self._standings[name]

    def well(self, name: str, size: int) -> None:
        """It went well, with a tree of that size."""
        if self._standings[name].trouble:
            log.info("%s %s is well again", self._what, name)
        self._write(name, Standing(size, self._clock()))

    def ill(self, name: str, trouble: str, *, fork: bool = False) -> None:
        """It did not. Logged where it is another trouble than before. A contradiction stays until it is well again."""
        before = self._standings[name]
        if (before.trouble, before.fork) == (trouble, fork) or (before.fork and not fork):
            return
        log.log(logging.ERROR if fork else logging.WARNING, "%s %s: %s", self._what, name, trouble)
        since = before.since if before.trouble and before.fork == fork else self._clock()
        self._write(name, replace(before, trouble=trouble, since=since, fork=fork))

    def _write(self, name: str, standing: Standing) -> None:
        with self._lock:
            self._standings[name] = standing
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                files.write(self._path, orjson.dumps({key: asdict(one) for key, one in self._standings.items()}))
            except OSError as error:
                log.warning("what is known of other nodes cannot be kept: %s", error)


def read_standings(path: Path) -> dict[str, Standing]:
    """What a node keeps there; nothing where the file is missing or makes no sense."""
    try:
        document = orjson.loads(path.read_bytes())
        return {str(name): _standing(one) for name, one in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        log.warning("what was known of other nodes cannot be read, and is learnt anew: %s", path)
        return {}


def _standing(one: dict[str, Any]) -> Standing:
    return Standing(int(one["size"]), float(one["at"]), str(one["trouble"]), float(one["since"]), bool(one["fork"]))


def unexpected(answer: Answer) -> Upstream:
    """What to raise of an answer that is none: with its first words, which may say why."""
    words = " ".join(answer.body[:200].decode(errors="replace").split())
    said = "".join(c if c.isprintable() else "?" for c in words)
    return Upstream(f"It answered {answer.status}{f': {said}' if said else ''}.", status=answer.status)
