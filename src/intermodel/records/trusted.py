"""Signers beside this node whose word counts: named in the settings by their keys, each under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intermodel.core import Invalid
from intermodel.ledger import Verifier, dsse
from intermodel.ledger.note import ED25519


@dataclass(frozen=True, slots=True)
class Trusted:
    """The first who is listed comes first where they differ. Keys under one name are one signer's."""

    verifiers: tuple[Verifier, ...] = ()

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

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.name for one in self.verifiers))

    def signer(self, envelope: bytes) -> tuple[str, str]:
        """Name and key id of the first of them who signed it, as a statement; empty where none did. The signature is
        checked."""
        if self.verifiers:
            try:
                opened = dsse.parse(envelope)
                signed = dsse.verified(opened, {one.key.id: one.key for one in self.verifiers})
            except Invalid:
                return "", ""
            if opened.payload_type != dsse.IN_TOTO:
                return "", ""
            for one in self.verifiers:
                if one.key.id in signed:
                    return one.name, one.key.id
        return "", ""

    def rank(self, name: str) -> int:
        """Of a signer's word: 1 for the first who is listed."""
        return self.names.index(name) + 1


NOBODY = Trusted()


def _refused(place: int, why: str) -> Invalid:
    return Invalid(
        f"Key {place} of records.trusted_signers is not to be used: {why}",
        hint="`intermodel ledger keys` prints a node's key in that form, name+id+base64.",
        code="not_a_key",
        param="records.trusted_signers",
    )
