"""Which key signed a ledger when: told by the ledger's own entries, each signed by the keys that it concerns. Pure.

Entry 0 adds the first key and is signed by it. A rotation is signed by the key that goes and the key that comes; the
new one signs from the next entry on, and every checkpoint that covers the rotation. A revocation is signed by the key
that signs at that time, and takes back what the revoked key signed from entry `since` on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from intermodel.core import Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import dsse, merkle, predicates
from intermodel.ledger.keys import PublicKey
from intermodel.ledger.strict import from_base64, to_base64

LISTED = "intermodel-keys/v1 "
"""So begins the line of a checkpoint that says which entries about keys there are (C2SP tlog-checkpoint: extension)."""


@dataclass(frozen=True, slots=True)
class Period:
    """A key, and the entries it signs: from `first` up to and with `last` (None: it still does).

    `revoked_from`: the first entry from which on its signature counts no more, whatever the others say.
    """

    key: PublicKey
    first: int
    last: int | None = None
    revoked_from: int | None = None

    def signs(self, index: int) -> bool:
        """Whether an entry at that index may be signed by it."""
        return self.first <= index and (self.last is None or index <= self.last) and not self._revoked(index)

    def heads(self, size: int) -> bool:
        """Whether a checkpoint of that size may be signed by it."""
        return self.first <= size and (self.last is None or size <= self.last) and not self._revoked(size - 1)

    def revoked(self, since: int) -> Period:
        """After a revocation from that entry on. A later one gives nothing back that an earlier one took."""
        return replace(self, revoked_from=since if self.revoked_from is None else min(since, self.revoked_from))

    def _revoked(self, index: int) -> bool:
        return self.revoked_from is not None and index >= self.revoked_from


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one ledger, oldest first."""

    origin: str
    periods: tuple[Period, ...]

    @property
    def current(self) -> Period:
        return self.periods[-1]

    @property
    def keys(self) -> dict[str, PublicKey]:
        return {one.key.id: one.key for one in self.periods}

    def signs(self, key_id: str, index: int) -> bool:
        """Whether that key may sign the entry at that index."""
        return any(one.key.id == key_id and one.signs(index) for one in self.periods)

    def heads(self, size: int) -> list[PublicKey]:
        """The keys that may sign a checkpoint of that size."""
        return [one.key for one in self.periods if one.heads(size)]

    def after(self, index: int, statement: Statement, signers: frozenset[str]) -> Keyring:
        """The keys after a further entry of type `key`, which those signed. Raises `Invalid` where it may not be so."""
        predicate, key = statement.predicate, key_of(statement)
        if self.current.key.id not in signers or not self.current.signs(index):
            raise Invalid(f"Entry {index} changes the keys and is not signed by the key of that time.", code="bad_keys")
        if predicate["action"] == "rotated":
            if predicate["replaces"] != self.current.key.id or key.id not in signers or key.id in self.keys:
                raise Invalid(f"Entry {index} rotates to a key that did not sign it, or was there before.")
            ended = replace(self.current, last=index)
            return replace(self, periods=(*self.periods[:-1], ended, Period(key, index + 1)))
        if predicate["action"] == "revoked":
            if key.id == self.current.key.id or key.id not in self.keys:
                raise Invalid(f"Entry {index} revokes a key that signs now, or that was never there.", code="bad_keys")
            periods = [one.revoked(predicate["since"]) if one.key.id == key.id else one for one in self.periods]
            return replace(self, periods=tuple(periods))
        raise Invalid(f"Entry {index} adds a key; only entry 0 may.", code="bad_keys")


def first(statement: Statement, signers: Iterable[str]) -> Keyring:
    """The keys after entry 0. Raises `Invalid`."""
    key = key_of(statement) if statement.predicate_type == predicates.KEY else None
    if key is None or statement.predicate["action"] != "added" or key.id not in signers:
        raise Invalid("Entry 0 does not add the key that signed it.", code="bad_keys")
    return Keyring(statement.predicate["origin"], (Period(key, 0),))


def self_signed(envelope: dsse.Envelope, statement: Statement) -> frozenset[str]:
    """Those who signed entry 0, which brings its own key along."""
    key = key_of(statement)
    return dsse.verified(envelope, {key.id: key})


def key_of(statement: Statement) -> PublicKey:
    """The key that a statement of type `key` is about. Raises `Invalid` where its digest is another's."""
    key = PublicKey(from_base64(statement.predicate["key"], "The key"))
    if [one.digest for one in statement.subjects] != [f"sha256:{key.id}"]:
        raise Invalid("A statement about a key names the digest of another.", code="bad_keys")
    return key


def listed(hashes: Sequence[bytes]) -> str:
    """The line of a checkpoint that binds the whole list of entries about keys: their number, and the RFC 6962 root
    over their leaf hashes in order. So nobody can leave a revocation out."""
    return f"{LISTED}{len(hashes)} {to_base64(merkle.root_of(hashes))}"


def is_whole(hashes: Sequence[bytes], extensions: Iterable[str]) -> bool | None:
    """Whether those are all entries about keys that a checkpoint with these extension lines covers, by leaf hash.

    None where it does not say: a checkpoint that was signed before there was such a line.
    """
    lines = [line for line in extensions if line.startswith(LISTED)]
    return lines == [listed(hashes)] if lines else None


def names_keys(extensions: Iterable[str]) -> bool:
    """Whether a checkpoint with these extension lines says which entries about keys there are."""
    return any(line.startswith(LISTED) for line in extensions)


def said(key: PublicKey, action: str, **more: object) -> Statement:
    """A statement of type `key`."""
    return Statement(
        (Subject("key", f"sha256:{key.id}"),),
        predicates.KEY,
        {"action": action, "key": to_base64(key.raw), **more},
    )
