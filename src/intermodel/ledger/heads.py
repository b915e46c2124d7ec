"""The keys of a log, told by its own entries; and a note beside it of which those are, so that not all are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from intermodel.core import Invalid, Unavailable
from intermodel.ledger import dsse, files, keyring, merkle, predicates
from intermodel.ledger import statement as statements
from intermodel.ledger.keyring import Keyring
from intermodel.ledger.log import Log
from intermodel.ledger.note import Checkpoint, Note, Verifier

KEY_ENTRIES = "key-entries"
"""In the ledger's folder: which entries are about its keys. Where it is missing the whole log is read."""


def read_keys(log_: Log) -> tuple[Keyring, list[int]]:
    """The log's keys, from its own entries, and which those are. They are checked, as is its newest checkpoint.

    Raises `Unavailable` where they contradict each other.
    """
    heads = noted_heads(log_.folder)
    if not heads or not all(0 <= one < log_.size for one in heads) or not _are_all(log_, heads):
        heads = found_heads(log_)
        if log_.writable:
            note_heads(log_, heads)
    return checked_ring(log_, heads), heads


def noted_heads(folder: Path) -> list[int]:
    """The entries about keys, as they are noted beside the log; none where they are not, or it makes no sense."""
    try:
        return [int(line) for line in (folder / KEY_ENTRIES).read_text().splitlines()]
    except (OSError, ValueError):
        return []


def found_heads(log_: Log) -> list[int]:
    """The same, found by reading the whole log."""
    return [number for number in range(log_.size) if is_about_key(log_.entry(number))]


def checked_ring(log_: Log, heads: Sequence[int]) -> Keyring:
    """The keys that those entries tell of, by which the newest checkpoint is signed. Raises `Unavailable`."""
    try:
        ring = _ring(log_, heads)
        assert log_.note is not None
        if ring.origin != log_.origin or not is_signed(log_.note, Checkpoint.parse(log_.note.text), ring):
            raise Invalid("the newest checkpoint is not signed by its key")
        if not _are_all(log_, heads):
            raise Invalid("the entries about keys are not those that the newest checkpoint names")
    except Invalid as error:
        raise Unavailable(
            f"The ledger was changed: {error.message}",
            hint="Restore the ledger's folder from a backup. `intermodel doctor` shows every place.",
            code="ledger_damaged",
        ) from None
    return ring


def hashes_of(log_: Log, heads: Sequence[int]) -> tuple[bytes, ...]:
    """Their leaf hashes, which every checkpoint binds."""
    return tuple(merkle.leaf_hash(log_.entry(number)) for number in heads)


def _are_all(log_: Log, heads: Sequence[int]) -> bool:
    """Whether the newest checkpoint names no other entries about keys. One of before that was done names none."""
    assert log_.note is not None
    return keyring.is_whole(hashes_of(log_, heads), Checkpoint.parse(log_.note.text).extensions) is not False


def _ring(log_: Log, heads: Sequence[int]) -> Keyring:
    ring: Keyring | None = None
    for number in heads:
        envelope = dsse.parse(log_.entry(number))
        said = statements.read(envelope.payload).statement
        if said.predicate_type != predicates.KEY:
            raise Invalid(f"entry {number} is noted as one about a key, and is not")
        if ring is None:
            ring = keyring.first(said, keyring.self_signed(envelope, said))
        else:
            new = keyring.key_of(said)
            ring = ring.after(number, said, dsse.verified(envelope, {**ring.keys, new.id: new}))
    if ring is None:
        raise Invalid("it does not say which keys sign it")
    return ring


def is_signed(note: Note, head: Checkpoint, ring: Keyring) -> bool:
    """Whether a key that was in force at that size signed the checkpoint."""
    return bool(note.signed_by(Verifier(head.origin, key) for key in ring.heads(head.size)))


def is_about_key(envelope: bytes) -> bool:
    """Whether an entry is about a key of this ledger: others' statements about theirs are not taken."""
    try:
        payload = dsse.parse(envelope).payload
        return (
            predicates.KEY.encode() in payload and statements.read(payload).statement.predicate_type == predicates.KEY
        )
    except Invalid:
        return False


def note_heads(log_: Log, heads: Sequence[int]) -> None:
    """Note which entries are about keys."""
    files.write(log_.folder / KEY_ENTRIES, "".join(f"{one}\n" for one in heads).encode())
    files.sync([log_.folder])
