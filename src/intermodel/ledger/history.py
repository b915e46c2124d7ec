"""The keys of other ledgers, as these tell them themselves: the first key, rotations and revocations.

A ledger publishes that beside its checkpoint, as `keys`: a bundle without entries. Each change of the keys is signed by
the key before it, and each checkpoint binds the whole list. So whoever knows one of the keys can follow to the others,
and no revocation can be left out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import IntermodelError, Refused
from intermodel.ledger import files, keyring, merkle
from intermodel.ledger.bundle import Bundle, verified_keys
from intermodel.ledger.keyring import Keyring
from intermodel.ledger.note import Checkpoint, Verifier

log = logging.getLogger(__name__)

PUBLISHED = "keys"
"""As it is named where a ledger is published."""
LARGEST = 4 * 1024**2
_ENDING = ".keys"


@dataclass(frozen=True, slots=True)
class History:
    """The keys of a ledger; `heads` are its entries about them, `hashes` the leaf hashes of these."""

    ring: Keyring
    heads: tuple[int, ...]
    hashes: tuple[bytes, ...]
    data: bytes

    @classmethod
    def of(cls, data: bytes, keys: Iterable[Verifier]) -> History:
        """From what a ledger publishes. Raises `Invalid`; `Refused` where none of the keys is one of its."""
        bundle = Bundle.parse(data)
        ring = verified_keys(bundle, keys)
        hashes = tuple(merkle.leaf_hash(one.envelope) for one in bundle.keys)
        return cls(ring, tuple(one.index for one in bundle.keys), hashes, data)

    def goes_with(self, head: Checkpoint) -> bool | None:
        """Whether a checkpoint names these changes of the keys and no others; None where it names none."""
        covered = [hash_ for index, hash_ in zip(self.heads, self.hashes, strict=True) if index < head.size]
        return keyring.is_whole(covered, head.extensions)

    def goes_on(self, before: History) -> bool:
        """Whether it begins as that one did."""
        return self.hashes[: len(before.hashes)] == before.hashes

    def verifiers(self, size: int) -> list[Verifier]:
        """Those that may sign a checkpoint of that size."""
        return [Verifier(self.ring.origin, key) for key in self.ring.heads(size)]


class Histories:
    """What is known of the keys of the ledgers that are followed, in a folder; by which keys they were named."""

    def __init__(self, folder: Path, verifiers: Sequence[Verifier]) -> None:
        self.folder = folder
        self._named: dict[str, list[Verifier]] = {}
        for one in verifiers:
            self._named.setdefault(one.name, []).append(one)
        self._known = {origin: found for origin in self._named if (found := self._read(origin)) is not None}

    @property
    def known(self) -> dict[str, History]:
        """By the ledger's name."""
        return dict(self._known)

    def get(self, origin: str) -> History | None:
        return self._known.get(origin)

    def learn(self, origin: str, data: bytes) -> bool:
        """Take what a ledger says of its keys; on disk when this returns. Whether it is more than was known. Blocks.

        Raises `Invalid`; `Refused` where a key that was named is none of its, or where it said something else before.
        """
        found, before = History.of(data, self._named[origin]), self._known.get(origin)
        if found.ring.origin != origin:
            raise Refused(f"What it says of its keys is of the ledger {found.ring.origin}.", code="ledger_unknown")
        if before is not None and not found.goes_on(before):
            if before.goes_on(found):
                return False  # an older copy
            raise Refused(
                "It tells another history of its keys than it did before.",
                hint="Do not trust it until its operator says why.", code="keys_differ",
            )  # fmt: skip
        if before is not None and len(found.hashes) == len(before.hashes):
            return False
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(self._path(origin), data)
        files.sync([self.folder])
        self._known[origin] = found
        _tell(found, self._named[origin])
        return True

    def _read(self, origin: str) -> History | None:
        path = self._path(origin)
        try:
            return History.of(path.read_bytes(), self._named[origin])
        except FileNotFoundError:
            return None
        except (IntermodelError, OSError) as error:
            log.warning("what was learned of the keys of %s does not hold, and is asked for anew: %s", origin, error)
            return None

    def _path(self, origin: str) -> Path:
        return self.folder / f"{hashlib.sha256(origin.encode()).hexdigest()}{_ENDING}"


def _tell(found: History, named: Sequence[Verifier]) -> None:
    """Say in the log what is other than the settings have it."""
    origin, current = found.ring.origin, found.ring.current
    if current.key not in [one.key for one in named]:
        line = Verifier(origin, current.key)
        log.warning("the ledger %s went over to the key %s, as its entry %d says", origin, line, current.first - 1)
    for one in found.ring.periods:
        if one.revoked_from is not None:
            log.warning("the ledger %s revoked its key %s from entry %d on", origin, one.key.id, one.revoked_from)
