"""The newest checkpoints of other ledgers, as files, and every contradiction between two of them.

Two signed checkpoints that cannot both be true are a *fork*: proof of what their ledger did, to whoever sees both. A
proof of consistency that does not hold is less: anybody can send a ledger's own checkpoint with a wrong proof. It is
kept as a *doubt*, and told as one.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Conflict, IntermodelError, Invalid, NotFound, Refused, Unavailable
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import files, merkle, predicates
from intermodel.ledger.ledger import Ledger
from intermodel.ledger.note import Checkpoint, Note, Verifier
from intermodel.ledger.strict import to_base64

log = logging.getLogger(__name__)

MOST_KEPT = 100
"""So many forks are kept, and as many doubts: whoever makes them could make any number."""
_FORK, _DOUBT, _NOTE = ".fork", ".doubt", ".note"


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was verified."""

    head: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two checkpoints of one ledger that do not go together. Not `proven`: no proof was given that they do."""

    before: Seen
    other: Seen
    proven: bool
    path: Path

    def __str__(self) -> str:
        one, other = self.before.head, self.other.head
        return f"{one.size} entries with root {one.root.hex()[:16]}, and {other.size} with root {other.root.hex()[:16]}"


class Fork(Conflict):
    """A ledger contradicts itself. `is_new`: nobody here knew it before."""

    code = "fork"

    def __init__(self, found: Contradiction, *, is_new: bool) -> None:
        super().__init__(
            f"The ledger {found.before.head.origin} contradicts itself: {found}.",
            hint="Do not trust it, and show both checkpoints to others who follow it.",
        )
        self.found = found
        self.is_new = is_new


class Watch:
    """The newest checkpoints of other ledgers, in a folder; and by which keys each of them signs."""

    def __init__(self, folder: Path, verifiers: Iterable[Verifier] = ()) -> None:
        self.folder = folder
        self._verifiers = list(verifiers)
        self._lock = threading.Lock()

    def newest(self, origin: str) -> Seen | None:
        """The largest checkpoint of that ledger that was seen. Raises `Unavailable` where it was changed."""
        path = self._path(origin)
        try:
            seen = _seen(path.read_bytes())
        except FileNotFoundError:
            return None
        except Invalid:
            seen = None
        if seen is None or seen.head.origin != origin:
            raise Unavailable(
                f"What was seen of the ledger {origin} was changed: {path}.",
                hint="Restore it from a backup, or stop following that ledger: what it showed before is not known.",
                code="ledger_damaged",
            )
        return seen

    def every(self) -> list[Seen]:
        """The newest of each ledger. Those that were changed are left out."""
        found = []
        for path in sorted(self.folder.glob(f"*{_NOTE}")):
            try:
                found.append(_seen(path.read_bytes()))
            except (Invalid, OSError):
                log.warning("a checkpoint that was seen cannot be read any more: %s", path)
        return found

    def contradictions(self) -> list[Contradiction]:
        """Forks first, then doubts."""
        found = []
        for ending in (_FORK, _DOUBT):
            for path in sorted(self.folder.glob(f"*{ending}")):
                try:
                    one, other = path.read_bytes().split(b"\0", 1)
                    found.append(Contradiction(_seen(one), _seen(other), ending == _FORK, path))
                except (Invalid, OSError, ValueError):
                    log.warning("a contradiction that was met cannot be read any more: %s", path)
        return found

    def verified(self, note: bytes) -> Seen:
        """A checkpoint that a ledger signed which is followed here.

        Raises `Invalid`, `NotFound` for another ledger, `Refused` where none of its keys signed.
        """
        seen = _seen(note)
        by = [one for one in self._verifiers if one.name == seen.head.origin]
        if not by:
            raise NotFound(f"The ledger {seen.head.origin} is not followed here.", code="ledger_unknown")
        try:
            signed = Note.parse(note).signed_by(by)
        except Invalid:
            signed = {}
        if not signed:
            raise Refused(
                f"The checkpoint is not signed by a key of {seen.head.origin} that is known here.",
                hint="If that ledger went over to a new key, name it too.",
                code="bad_signature",
            )
        if not seen.head.size and seen.head.root != merkle.EMPTY:
            raise Invalid("The root of an empty tree is another.", code="not_a_checkpoint")
        return seen

    def see(self, note: bytes, proof: Sequence[bytes] = (), old: int | None = None) -> Seen:
        """Take a checkpoint as the newest of its ledger; on disk when it returns. Blocks.

        `proof` shows that it is consistent with the newest one seen so far, whose size `old` is, if given. Raises what
        `verified` and `newest` raise; `Conflict` where `old` is not the size of the newest, which stands in `hint`;
        `Fork`; and `Invalid` with the code `bad_proof` where the proof does not hold, which is kept as a doubt.
        """
        seen = self.verified(note)
        with self._lock:
            before = self.newest(seen.head.origin)
            size = before.head.size if before else 0
            if old is not None and old != size:
                raise Conflict(
                    "The proof does not begin at the newest checkpoint seen here.", hint=str(size), code="old_size"
                )
            if before is None or not size or not seen.head.size:
                if proof:
                    raise Invalid("A proof from or to an empty tree is empty.", code="bad_proof")
            elif seen.head.size == size and seen.head.root != before.head.root:
                raise self._fork(before, seen)
            elif not _consistent(before.head, seen.head, proof):
                self._doubt(before, seen)
                raise Invalid("The proof of consistency does not hold.", code="bad_proof")
            if before is None or seen.head.size > size:
                self._keep(seen)
            return seen

    def fork(self, before: Seen, other: Seen) -> Fork:
        """What to raise of two checkpoints that are proven to contradict each other; kept and logged. Blocks."""
        with self._lock:
            return self._fork(before, other)

    def _fork(self, before: Seen, other: Seen) -> Fork:
        found = Contradiction(before, other, True, self._pair(before, other, _FORK))
        is_new = self._noted(found)
        if is_new:
            log.error("the ledger %s contradicts itself: %s", other.head.origin, found)
        return Fork(found, is_new=is_new)

    def _doubt(self, before: Seen, other: Seen) -> None:
        found = Contradiction(before, other, False, self._pair(before, other, _DOUBT))
        if other.head.size > before.head.size and self._noted(found):
            log.error("the ledger %s may contradict itself, no proof holds: %s", other.head.origin, found)

    def _noted(self, found: Contradiction) -> bool:
        """Whether it is new, and there was room for it."""
        if found.path.exists() or len(list(self.folder.glob(f"*{found.path.suffix}"))) >= MOST_KEPT:
            return False
        files.write(found.path, found.before.note + b"\0" + found.other.note)
        files.sync([self.folder])
        return True

    def _keep(self, seen: Seen) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(self._path(seen.head.origin), seen.note)
        files.sync([self.folder, self.folder.parent])
        for one in self.contradictions():  # the proof that was missing has come
            if not one.proven and _same(one.other.head, seen.head):
                one.path.unlink(missing_ok=True)

    def _path(self, origin: str) -> Path:
        return self.folder / f"{hashlib.sha256(origin.encode()).hexdigest()}{_NOTE}"

    def _pair(self, before: Seen, other: Seen, ending: str) -> Path:
        """By what they say: signatures that are made anew, and cosignatures, make no other contradiction."""
        said = "".join(f"{one.head.origin}\n{one.head.size}\n{one.head.root.hex()}\n" for one in (before, other))
        return self.folder / f"{hashlib.sha256(said.encode()).hexdigest()[:32]}{ending}"


async def record(ledger: Ledger, found: Contradiction) -> None:
    """State in this node's ledger that another one contradicts itself, as far as it takes that."""
    try:
        await ledger.record(said(found))
    except IntermodelError as error:
        log.warning("a fork of %s is not in this node's ledger: %s", found.other.head.origin, error.message)


def said(found: Contradiction) -> Statement:
    """The statement that a ledger contradicts itself."""
    predicate = {
        "origin": found.other.head.origin,
        "size": found.other.head.size,
        "root": to_base64(found.other.head.root),
        "note": found.other.note.decode(),
        "fork": True,
        "other": found.before.note.decode(),
    }
    digest = hashlib.sha256(found.other.note).hexdigest()
    return Statement((Subject(found.other.head.origin, f"sha256:{digest}"),), predicates.CHECKPOINT, predicate)


def _seen(note: bytes) -> Seen:
    return Seen(Checkpoint.parse(Note.parse(note).text), note)


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.origin, one.size, one.root) == (other.origin, other.size, other.root)


def _consistent(before: Checkpoint, head: Checkpoint, proof: Sequence[bytes]) -> bool:
    first, second = sorted((before, head), key=lambda one: one.size)
    return merkle.extends(first.size, second.size, first.root, second.root, proof)
