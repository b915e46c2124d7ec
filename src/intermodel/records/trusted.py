"""Signers beside this node whose word counts: named in the settings by their keys, each under a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from intermodel.core import Invalid
from intermodel.ledger import Verifier, dsse
from intermodel.ledger.keyring import Keyring
from intermodel.ledger.note import ED25519


@dataclass(frozen=True, slots=True)
class Trusted:
    """The first who is listed comes first where they differ. Keys under one name are one signer's."""

    verifiers: tuple[Verifier, ...] = ()
    revoked: tuple[Verifier, ...] = ()
    """Keys of theirs that their ledgers took back. What these signed counts no more."""
    learned: frozenset[str] = frozenset()
    """The ids of the keys that the settings do not name."""

    @classmethod
    def of(cls, keys: Sequence[str]) -> Trusted:
        """From keys in the form `name+id+base64`. Raises `Invalid`, which names the key at fault."""
        found: dict[str, Verifier] = {}
        for place, text in enumerate(keys, 1):
            try:
                one = Verifier.parse(text)
            except Invalid as error:
                raise _refused(place, error.message) from None
            if one.kind != ED25519:
                raise _refused(place, "It is a witness's, which signs checkpoints and no statements.")
            if one.key.id in found:
                raise _refused(place, f"{found[one.key.id].name} has the same key.")
            found[one.key.id] = one
        return cls(tuple(found.values()))

    def after(self, rings: Iterable[Keyring]) -> Trusted:
        """With the later keys of the ledgers that theirs belong to, under the same names, and without the revoked ones.

        A later key is signed by the one before it. At which place of their ledger something was signed is not known
        here, so of a revoked key nothing counts, whenever that was.
        """
        ring_of = {one.key.id: ring for ring in rings for one in ring.periods}
        found: dict[str, Verifier] = {}
        revoked: dict[str, Verifier] = {}
        for one in self.verifiers:
            if (ring := ring_of.get(one.key.id)) is None:
                found.setdefault(one.key.id, one)
                continue
            ids = [period.key.id for period in ring.periods]
            for period in ring.periods[ids.index(one.key.id) :]:
                known = revoked if period.revoked_from is not None else found
                known.setdefault(period.key.id, Verifier(one.name, period.key))
        learned = found.keys() - {one.key.id for one in self.verifiers}
        return Trusted(tuple(found.values()), tuple(revoked.values()), frozenset(learned))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.name for one in self.verifiers))

    def signer(self, envelope: bytes) -> tuple[str, str]:
        """Name and key id of the first of them who signed it, as a statement; empty where none did. The signature is
        checked."""
        return next(iter(self.signers(envelope)), ("", ""))

    def signers(self, envelope: bytes) -> tuple[tuple[str, str], ...]:
        """The same of each of them, once, in the order of the settings."""
        found = _signed(envelope, self.verifiers)
        return tuple((name, found[name]) for name in self.names if name in found)

    def revoked_signer(self, envelope: bytes) -> str:
        """The name of one of them who signed it with a key that was revoked since; "" where none did."""
        return next(iter(_signed(envelope, self.revoked)), "")

    def rank(self, name: str) -> int:
        """Of a signer's word: 1 for the first who is listed."""
        return self.names.index(name) + 1


NOBODY = Trusted()


def _signed(envelope: bytes, verifiers: Sequence[Verifier]) -> dict[str, str]:
    """By name, the first of these keys that signed it, as a statement."""
    if not verifiers:
        return {}
    try:
        opened = dsse.parse(envelope)
        signed = dsse.verified(opened, {one.key.id: one.key for one in verifiers})
    except Invalid:
        return {}
    found: dict[str, str] = {}
    for one in verifiers:
        if one.key.id in signed and opened.payload_type == dsse.IN_TOTO:
            found.setdefault(one.name, one.key.id)
    return found


def _refused(place: int, why: str) -> Invalid:
    return Invalid(
        f"Key {place} of records.trusted_signers is not to be used: {why}",
        hint="`intermodel ledger keys` prints a node's key in that form, name+id+base64.",
        code="not_a_key",
        param="records.trusted_signers",
    )
