"""Statements of the ledger in words: of which kind they are, whose they are, and which keys signed when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intermodel.ledger import Entry, Ledger, Verifier, predicates
from intermodel.ledger.keyring import Keyring, Period
from intermodel.records.trusted import Trusted

TITLES = {
    "article": "How a post was written",
    "card": "Which card a thing has",
    "checkpoint": "A checkpoint of another ledger",
    "disclosure": "What was laid open",
    "grade": "How open a thing is",
    "key": "A change of the keys",
    "licence": "Under which licence",
    "lineage": "From what a thing was made",
    "receipts": "That calls were made",
    "verdict": "What licences permit",
    "what": "What a thing is",
    "withdrawal": "That a statement is taken back",
}
"""Each predicate of ours, as people say it."""
NAMES = {predicates.uri(name): name for name in TITLES}
"""Their names, by type."""
_KEYS = {"added": "The first key", "rotated": "A new key signs", "revoked": "A key is revoked"}


@dataclass(frozen=True, slots=True)
class Signed:
    """Whose signature an entry has. `counts` is None where nobody here vouches for the key."""

    whose: str
    key: str
    counts: bool | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the ledger. Times are None where the entry does not say them, or cannot be read."""

    verifier: Verifier
    period: Period
    told: int
    """The entry that brought it."""
    at: float | None
    revoked: int | None = None
    """The entry that revoked it."""
    revoked_at: float | None = None
    reason: str = ""

    @property
    def state(self) -> str:
        if self.period.revoked_from is not None:
            return "revoked"
        return "rotated" if self.period.last is not None else "signs"


def kind_words(predicate_type: str) -> str:
    """A type in words; that of a kind which is not read here as it is."""
    return TITLES.get(NAMES.get(predicate_type, ""), predicate_type)


def title_of(entry: Entry) -> str:
    """What an entry is, in a few words."""
    said = entry.statement
    if said is None:
        return "No statement that can be read"
    if said.predicate_type == predicates.KEY:
        return _KEYS[said.predicate["action"]]
    if said.predicate_type == predicates.RECEIPTS:
        count = said.predicate["count"]
        return "That a call was made" if count == 1 else f"That {count:,} calls were made"
    if said.predicate_type == predicates.CHECKPOINT and said.predicate.get("fork"):
        return "Another ledger contradicts itself"
    return kind_words(said.predicate_type)


def signed_by(entry: Entry, ring: Keyring, trusted: Trusted) -> Signed:
    """Who signed an entry. That this node's own signature holds is shown by the proof, and not looked at here."""
    if entry.signer in ring.keys:
        good = ring.signs(entry.signer, entry.index)
        return Signed("this node" if good else "a key of this node that does not count there", entry.signer, good)
    name, key = trusted.signer(entry.envelope)
    return Signed(name, key, True) if name else Signed("somebody whose word does not count here", entry.signer, None)


def keys_of(ledger: Ledger, changes: Sequence[Entry]) -> list[Key]:
    """The ledger's keys, the newest first; `changes` are its entries about them."""
    came: dict[str, Entry] = {}
    went: dict[str, Entry] = {}
    for entry in changes:
        if entry.statement is not None:
            key_id = entry.statement.subjects[0].digest.removeprefix("sha256:")
            (went if entry.statement.predicate["action"] == "revoked" else came).setdefault(key_id, entry)
    return [_key(ledger, one, came.get(one.key.id), went.get(one.key.id)) for one in reversed(ledger.keys.periods)]


def _key(ledger: Ledger, period: Period, came: Entry | None, went: Entry | None) -> Key:
    told = came.index if came else max(0, period.first - 1)
    why = next((one.statement.predicate.get("reason", "") for one in (went, came) if one and one.statement), "")
    return Key(
        Verifier(ledger.origin, period.key), period, told, (came.at or None) if came else None,
        went.index if went else None, (went.at or None) if went else None, why,
    )  # fmt: skip
