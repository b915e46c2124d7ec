"""Watching other ledgers: their newest checkpoints, cosignatures on them, and forks.

A witness cosigns a checkpoint only where the tree grew out of the one that it saw before (C2SP tlog-witness,
`add-checkpoint`; the HTTP around it is not here). What it saw is on disk before it answers.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Conflict, Invalid, NotFound, Refused
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import files, merkle, predicates
from intermodel.ledger.keys import Signer
from intermodel.ledger.note import Checkpoint, Note, Verifier, cosigned
from intermodel.ledger.strict import from_base64, to_base64

log = logging.getLogger(__name__)

MOST_FORKS = 100
"""So many contradictions are kept; each is told of all the same."""
_MOST_PROOF = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Fork(Conflict):
    """A ledger contradicts itself. `notes` are the two checkpoints, both signed by it; `proven` says that they alone
    show it, and not only that no proof of consistency was given."""

    code = "fork"

    def __init__(self, message: str, *, hint: str, notes: tuple[bytes, bytes], proven: bool) -> None:
        super().__init__(message, hint=hint)
        self.notes = notes
        self.proven = proven


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was verified."""

    head: Checkpoint
    note: bytes


class Watch:
    """The newest checkpoints of other ledgers, in a folder; and by which keys each of them signs."""

    def __init__(self, folder: Path, ledgers: Mapping[str, Sequence[Verifier]]) -> None:
        self.folder = folder
        self.ledgers = ledgers
        self._lock = threading.Lock()

    def newest(self, origin: str) -> Seen | None:
        """The largest checkpoint of that ledger that was seen."""
        try:
            note = self._path(origin).read_bytes()
        except FileNotFoundError:
            return None
        return Seen(Checkpoint.parse(Note.parse(note).text), note)

    def see(self, note: bytes, proof: Sequence[bytes] = (), old: int | None = None) -> Seen:
        """Take a checkpoint as the newest of its ledger; on disk when it returns. Blocks.

        `proof` shows that it is consistent with the newest one seen so far, whose size `old` is, if given. Raises
        `NotFound` for a ledger that is not watched, `Refused` where its key did not sign, `Conflict` where `old` is not
        the size of the newest (which stands in `hint`), `Fork`, which is also kept and logged.
        """
        parsed = Note.parse(note)
        head = Checkpoint.parse(parsed.text)
        verifiers = self.ledgers.get(head.origin)
        if verifiers is None:
            raise NotFound(f"The ledger {head.origin} is not watched here.", code="ledger_unknown")
        try:
            by = parsed.signed_by(verifiers)
        except Invalid:
            by = {}
        if not by:
            raise Refused(f"The checkpoint is not signed by a key of {head.origin}.", code="bad_signature")
        with self._lock:
            return self._seen(head, note, proof, old)

    def forks(self) -> list[tuple[bytes, bytes]]:
        """The contradictions that were met: two notes each."""
        kept = sorted(self.folder.glob("*.fork"))
        return [tuple(path.read_bytes().split(b"\0", 1)) for path in kept]  # type: ignore[misc]

    def _seen(self, head: Checkpoint, note: bytes, proof: Sequence[bytes], old: int | None) -> Seen:
        before = self.newest(head.origin)
        size = before.head.size if before else 0
        if old is not None and old != size:
            raise Conflict(
                "The proof does not begin at the newest checkpoint seen here.", hint=str(size), code="old_size"
            )
        if before is None or size == 0:
            if proof:
                raise Invalid("A proof from an empty tree is empty.", code="bad_proof")
        elif head.size and not self._consistent(before.head, head, proof):
            self._shout(before, head, note)
        elif head.size <= size:
            return Seen(head, note)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(self._path(head.origin), note)
        files.sync([self.folder])
        return Seen(head, note)

    @staticmethod
    def _consistent(before: Checkpoint, head: Checkpoint, proof: Sequence[bytes]) -> bool:
        first, second = sorted((before, head), key=lambda one: one.size)
        return merkle.extends(first.size, second.size, first.root, second.root, proof)

    def _shout(self, before: Seen, head: Checkpoint, note: bytes) -> None:
        proven = head.size == before.head.size and head.root != before.head.root
        if not proven and head.size == before.head.size:
            raise Invalid("A proof between equal trees is empty.", code="bad_proof")
        name = hashlib.sha256(before.note + note).hexdigest()[:32]
        log.error(
            "the ledger %s contradicts itself: %d entries with root %s, and %d with root %s",
            head.origin, before.head.size, before.head.root.hex()[:16], head.size, head.root.hex()[:16],
        )  # fmt: skip
        if len(list(self.folder.glob("*.fork"))) < MOST_FORKS:
            files.write(self.folder / f"{name}.fork", before.note + b"\0" + note)
            files.sync([self.folder])
        raise Fork(
            f"The ledger {head.origin} contradicts itself: its tree of {head.size} entries does not go with the one of "
            f"{before.head.size} that it showed before.",
            hint="Do not trust it, and show both checkpoints to others who follow it."
            if proven
            else "If the proof was damaged on its way, ask again; else do not trust it.",
            notes=(before.note, note),
            proven=proven,
        )

    def _path(self, origin: str) -> Path:
        return self.folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.note"


class Witness:
    """Cosigns the checkpoints of the ledgers that it watches, under a name and with a key of its own."""

    def __init__(self, watch: Watch, name: str, signer: Signer, clock: Callable[[], float] = time.time) -> None:
        self._watch = watch
        self._name = name
        self._signer = signer
        self._clock = clock

    def add_checkpoint(self, body: bytes) -> str:
        """The answer to a request as C2SP tlog-witness has it: a signature line. Blocks.

        Raises what `Watch.see` raises, and `Invalid` for a body that is none.
        """
        head, blank, note = body.partition(b"\n\n")
        lines = head.decode(errors="replace").split("\n")
        match = _OLD.fullmatch(lines[0])
        if match is None or not blank or len(lines) - 1 > _MOST_PROOF:
            raise Invalid("That is no request to a witness.", code="not_a_request")
        proof = [from_base64(line, "A hash of the proof") for line in lines[1:]]
        old = int(match[1])
        parsed = Note.parse(note)
        if old > Checkpoint.parse(parsed.text).size:
            raise Invalid("The old tree is larger than the new one.", code="not_a_request")
        self._watch.see(note, proof, old)
        return str(cosigned(parsed.text, self._name, self._signer, int(self._clock())))


def request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """What to ask a witness, which saw the tree of size `old` last, to cosign a checkpoint."""
    return "\n".join([f"old {old}", *map(to_base64, proof), "", ""]).encode() + note


def said(seen: Seen, *, fork_of: bytes | None = None) -> Statement:
    """The statement that a checkpoint was seen; with `fork_of`, that it contradicts that other one."""
    predicate = {
        "origin": seen.head.origin,
        "size": seen.head.size,
        "root": to_base64(seen.head.root),
        "note": seen.note.decode(),
    }
    if fork_of is not None:
        predicate |= {"fork": True, "other": fork_of.decode()}
    digest = hashlib.sha256(seen.note).hexdigest()
    return Statement((Subject(seen.head.origin, f"sha256:{digest}"),), predicates.CHECKPOINT, predicate)
