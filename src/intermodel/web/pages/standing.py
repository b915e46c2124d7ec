"""How the ledger stands with others: its witnesses, the ledgers that are followed, and every contradiction. Blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Invalid, Unavailable
from intermodel.ledger import Ledger, Verifier
from intermodel.ledger.note import Checkpoint, Note
from intermodel.ledger.remote import FOLDER, Standing
from intermodel.ledger.standing import outside
from intermodel.ledger.watch import Contradiction, Seen, Watch, said
from intermodel.settings import Ledger as Options

MOST_CONTRADICTIONS = 20
"""So many are shown; the folders have them all."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One that is asked. `at`: when it cosigned the newest checkpoint that any of them did, in seconds since 1970."""

    verifier: Verifier
    url: str
    standing: Standing
    at: int | None


@dataclass(frozen=True, slots=True)
class Followed:
    """Another ledger. `seen` is its newest checkpoint that was verified here; `forked`: it contradicts itself."""

    name: str
    url: str
    standing: Standing
    seen: Seen | None
    forked: bool


@dataclass(frozen=True, slots=True)
class Met:
    """A contradiction, and the digest of what this node's ledger says of it."""

    found: Contradiction
    digest: str


@dataclass(frozen=True, slots=True)
class Others:
    witnesses: Sequence[Witness]
    followed: Sequence[Followed]
    verifier: Verifier | None
    """By which others verify what this node cosigns; None where it is no witness."""
    seen: Sequence[Seen]
    """What it cosigned of others."""
    met: Sequence[Met]
    left: int
    """Contradictions that are not shown."""
    cosigned: Checkpoint | None
    """The newest that a witness cosigned."""
    note: str

    @property
    def alarming(self) -> bool:
        """Whether a ledger is known to contradict itself."""
        return any(one.found.proven for one in self.met) or any(one.standing.fork for one in self.witnesses)


def others(data: Path, options: Options, ledger: Ledger, tell: Callable[[Unavailable], None]) -> Others:
    """All of it, as the files in the data folder have it. What cannot be read of that is told, and left out."""
    known, note = outside(data, options, tell), ledger.cosigned()
    seen = {one.head.origin: one for one in Watch(data / FOLDER).every()}
    forked = {one.other.head.origin for one in known.contradictions if one.proven}
    witnesses = [
        Witness(verifier, one.url, known.witnesses[one.key], _cosigned_at(note, verifier))
        for one in options.witnesses
        for verifier in (Verifier.parse(one.key),)
    ]
    followed = [
        Followed(name, one.url, known.followed[name], seen.get(name), name in forked)
        for one in options.watch
        for name in (one.keys[0].partition("+")[0],)
    ]
    shown = known.contradictions[:MOST_CONTRADICTIONS]
    return Others(
        witnesses, followed, known.verifier, known.cosigned,
        [Met(one, said(one).subjects[0].digest) for one in shown], len(known.contradictions) - len(shown),
        Checkpoint.parse(note.text) if note else None, bytes(note).decode() if note else "",
    )  # fmt: skip


def _cosigned_at(note: Note | None, verifier: Verifier) -> int | None:
    if note is not None:
        with suppress(Invalid):
            return note.signed_by([verifier]).get(verifier)
    return None
