"""The newest checkpoints of other ledgers, as files, and every contradiction between two of them.

Two signed checkpoints that cannot both be true are a *fork*: proof of what their ledger did, to whoever sees both.
Where they have two sizes, it takes a proof too: that the larger tree begins with another than the smaller one. A proof
of consistency that does not hold is less: anybody can send a ledger's own checkpoint with a wrong proof. It is kept as
a *doubt*, and told as one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermodel.core import Conflict, IntermodelError, Invalid, NotFound, Refused, Unavailable
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import files, merkle, predicates
from intermodel.ledger.history import Histories
from intermodel.ledger.ledger import Ledger
from intermodel.ledger.note import Checkpoint, Note, Verifier
from intermodel.ledger.strict import from_base64, to_base64

log = logging.getLogger(__name__)

MOST_KEPT = 100
"""So many forks of one ledger are kept, and as many doubts: whoever makes them could make any number."""
MOST_NOTES = 20_000
"""Bytes of two checkpoints that are stated in full, so that the statement fits into an entry, however it is written."""
_FORK, _DOUBT, _NOTE = ".fork", ".doubt", ".note"


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was verified."""

    head: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two checkpoints of one ledger that do not go together. Not `proven`: no proof was given that they do.

    Where their sizes differ, `proof` shows that the tree of `other` began with the root `began`, not with `before`.
    """

    before: Seen
    other: Seen
    proven: bool
    path: Path
    began: bytes = b""
    proof: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        one, other = self.before.head, self.other.head
        return f"{one.size} entries with root {one.root.hex()[:16]}, and {other.size} with root {other.root.hex()[:16]}"


class Fork(Conflict):
    """A ledger contradicts itself. `size`: of the newest tree of it that was seen and goes with those before."""

    code = "fork"

    def __init__(self, found: Contradiction, size: int) -> None:
        super().__init__(
            f"The ledger {found.before.head.origin} contradicts itself: {found}.",
            hint="Do not trust it, and show both checkpoints to others who follow it.",
        )
        self.found = found
        self.size = size


class Watch:
    """The newest checkpoints of other ledgers, in a folder; and by which keys each of them signs."""

    def __init__(
        self, folder: Path, verifiers: Iterable[Verifier] = (), histories: Histories | None = None
    ) -> None:  # fmt: skip
        """`histories`: what the ledgers say of their keys, which counts instead where it is known."""
        self.folder = folder
        self._verifiers = list(verifiers)
        self._histories = histories
        self._lock = threading.Lock()
        self._stating = asyncio.Lock()
        self._stated: set[Path] = set()

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
        """Forks first, then doubts. A fork whose proof does not hold, as it lies there, is told as a doubt."""
        paths = [path for ending in (_FORK, _DOUBT) for path in sorted(self.folder.glob(f"*{ending}"))]
        found = [one for path in paths if (one := _contradiction(path)) is not None]
        return sorted(found, key=lambda one: not one.proven)

    def verified(self, note: bytes) -> Seen:
        """A checkpoint that a ledger signed which is followed here.

        Raises `Invalid`, `NotFound` for another ledger, `Refused` where none of its keys signed.
        """
        seen = _seen(note)
        by = [one for one in self._verifiers if one.name == seen.head.origin]
        if not by:
            raise NotFound(f"The ledger {seen.head.origin} is not followed here.", code="ledger_unknown")
        if history := self._histories.get(seen.head.origin) if self._histories else None:
            if history.goes_with(seen.head) is False:
                raise Refused(
                    "Its checkpoint names other changes of its keys than it tells of.",
                    hint="It may have been asked in the midst of a change. Else its keys are kept back.",
                    code="keys_differ",
                )
            by = history.verifiers(seen.head.size)
        try:
            signed = Note.parse(note).signed_by(by)
        except Invalid:
            signed = {}
        if not signed:
            raise Refused(
                f"The checkpoint is not signed by a key of {seen.head.origin} that is known here.",
                hint="If that ledger went over to a new key and does not publish it as `keys`, name it too.",
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
                raise self._fork(before, seen, size)
            elif not _consistent(before.head, seen.head, proof):
                self._doubt(before, seen)
                raise Invalid("The proof of consistency does not hold.", code="bad_proof")
            if before is None or seen.head.size > size:
                self._settle(seen, size)
                self._keep(seen)
            elif seen.head.size == size:  # the sync may be what failed the last time
                self._sync()
            return seen

    def fork(self, before: Seen, other: Seen, began: bytes, proof: Sequence[bytes]) -> Fork:
        """What to raise where the larger tree of `other` is proven not to begin with `before`; kept and logged. Blocks.

        `proof` shows that it begins with the root `began`. Raises `Invalid` where it does not.
        """
        if not _proves(before.head, other.head, began, proof):
            raise Invalid("The proof of a fork does not hold.", code="bad_proof")
        with self._lock:
            return self._fork(before, other, before.head.size, began, tuple(proof))

    async def state(self, ledger: Ledger, found: Contradiction) -> None:
        """State in this node's ledger, once, that another one contradicts itself, as far as it takes that.

        Nothing is stated of what is not kept: of that there is no end.
        """
        origin, said_ = found.other.head.origin, said(found)
        async with self._stating:
            if found.path in self._stated or not await asyncio.to_thread(found.path.exists):
                return
            try:
                known = await ledger.about(said_.subjects[0].digest)
                if not any(one.statement == said_ and one.signer in ledger.keys.keys for one in known):
                    await ledger.record(said_)
                self._stated.add(found.path)
            except IntermodelError as error:
                log.warning("a fork of %s is not in this node's ledger: %s", origin, error.message)

    async def state_all(self, ledger: Ledger) -> None:
        """The same for all that are kept: a node may have ended before it stated one."""
        for found in await asyncio.to_thread(self.contradictions):
            if found.proven:
                await self.state(ledger, found)

    def _fork(self, before: Seen, other: Seen, size: int, began: bytes = b"", proof: tuple[bytes, ...] = ()) -> Fork:
        found = Contradiction(before, other, True, self._pair(before, other, _FORK), began, proof)
        known = _contradiction(found.path) if found.path.exists() else None
        if known is not None and known.proven:  # told with the bytes that are kept, so that it is stated once
            return Fork(known, size)
        found.path.unlink(missing_ok=True)
        if self._noted(found):
            log.error("the ledger %s contradicts itself: %s", other.head.origin, found)
        return Fork(found, size)

    def _doubt(self, before: Seen, other: Seen) -> None:
        found = Contradiction(before, other, False, self._pair(before, other, _DOUBT))
        if other.head.size > before.head.size and self._noted(found):
            log.error("the ledger %s may contradict itself, no proof holds: %s", other.head.origin, found)

    def _noted(self, found: Contradiction) -> bool:
        """Whether it is new, and there was room for it."""
        kept = self._kept(found.other.head.origin, found.path.suffix)
        if found.path in kept or len(kept) >= MOST_KEPT:
            return False
        parts = [found.before.note, found.other.note]
        if found.began:
            parts.append("\n".join(map(to_base64, (found.began, *found.proof))).encode())
        files.write(found.path, b"\0".join(parts))
        files.sync([self.folder])
        return True

    def _settle(self, seen: Seen, size: int) -> None:
        """Raise `Fork` where a doubt is of that size and has another root, now that this one is known to hold."""
        for path in self._kept(seen.head.origin, _DOUBT):
            one = _contradiction(path)
            if one is not None and one.other.head.size == seen.head.size and one.other.head.root != seen.head.root:
                raise self._fork(one.other, seen, size)

    def _keep(self, seen: Seen) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(self._path(seen.head.origin), seen.note)
        self._sync()
        for path in self._kept(seen.head.origin, _DOUBT):  # the proof that was missing has come, or one beyond it
            one = _contradiction(path)
            if one is not None and one.other.head.size <= seen.head.size:
                path.unlink(missing_ok=True)

    def _sync(self) -> None:
        files.sync([self.folder, self.folder.parent])

    def _path(self, origin: str) -> Path:
        return self.folder / f"{_hash(origin)}{_NOTE}"

    def _pair(self, before: Seen, other: Seen, ending: str) -> Path:
        """By what they say: signatures that are made anew, and cosignatures, make no other contradiction."""
        said = "".join(f"{one.head.origin}\n{one.head.size}\n{one.head.root.hex()}\n" for one in (before, other))
        return self.folder / f"{_hash(other.head.origin)[:32]}-{_hash(said)[:32]}{ending}"

    def _kept(self, origin: str, ending: str) -> list[Path]:
        """The contradictions of one ledger: how many another one has must not matter."""
        return sorted(self.folder.glob(f"{_hash(origin)[:32]}-*{ending}"))


def said(found: Contradiction) -> Statement:
    """The statement that a ledger contradicts itself, with all that shows it to others.

    Checkpoints that are too long for an entry are named by their digests; the roots stand in it all the same.
    """
    before, other = found.before, found.other
    predicate: dict[str, Any] = {
        "origin": other.head.origin,
        "size": other.head.size,
        "root": to_base64(other.head.root),
        "fork": True,
        "other_size": before.head.size,
        "other_root": to_base64(before.head.root),
        "other_digest": _digest(before.note),
    }
    if len(before.note) + len(other.note) <= MOST_NOTES:
        predicate |= {"note": other.note.decode(), "other": before.note.decode()}
    if found.began:
        predicate |= {"began": to_base64(found.began), "proof": [to_base64(one) for one in found.proof]}
    return Statement((Subject(other.head.origin, _digest(other.note)),), predicates.CHECKPOINT, predicate)


def _contradiction(path: Path) -> Contradiction | None:
    """One that is kept; None, and a word in the log, where it cannot be read."""
    try:
        one, other, *rest = path.read_bytes().split(b"\0", 2)
        before, after = _seen(one), _seen(other)
        hashes = [from_base64(line, "A hash of the proof") for line in rest[0].decode().split("\n")] if rest else []
    except (Invalid, OSError, ValueError):
        log.warning("a contradiction that was met cannot be read any more: %s", path)
        return None
    began, proof = (hashes[0], tuple(hashes[1:])) if hashes else (b"", ())
    proven = path.suffix == _FORK and _proves(before.head, after.head, began, proof)
    if path.suffix == _FORK and not proven:
        log.warning("what is kept of a fork does not prove it: %s", path)
    return Contradiction(before, after, proven, path, began, proof)


def _proves(before: Checkpoint, other: Checkpoint, began: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the two cannot both be true, if their ledger signed them."""
    if before.origin != other.origin:
        return False
    if before.size == other.size:
        return before.root != other.root
    return began != before.root and merkle.extends(before.size, other.size, began, other.root, proof)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(note: bytes) -> str:
    return f"sha256:{hashlib.sha256(note).hexdigest()}"


def _seen(note: bytes) -> Seen:
    return Seen(Checkpoint.parse(Note.parse(note).text), note)


def _consistent(before: Checkpoint, head: Checkpoint, proof: Sequence[bytes]) -> bool:
    first, second = sorted((before, head), key=lambda one: one.size)
    return merkle.extends(first.size, second.size, first.root, second.root, proof)
