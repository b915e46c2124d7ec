"""Envelopes: bytes, of which type they are, and signatures over both.

Source: DSSE v1.0 (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md and envelope.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from intermodel.core import Invalid
from intermodel.core.errors import TooLarge
from intermodel.ledger.keys import Signer
from intermodel.ledger.strict import closed, field, from_base64, json_object, to_base64

IN_TOTO = "application/vnd.in-toto+json"
MOST_SIGNATURES = 16


class Key(Protocol):
    """What can check a signature."""

    @property
    def id(self) -> str: ...

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over the data is by this key."""


@dataclass(frozen=True, slots=True)
class Signature:
    """`keyid` is a hint that is not signed itself."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope that was read, not one that was verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """What is signed: the pre-authentication encoding of a payload and its type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, signers: Sequence[Signer], payload_type: str = IN_TOTO) -> bytes:
    """An envelope as JSON, signed by each."""
    signed = pae(payload_type, payload)
    return orjson.dumps(
        {
            "payloadType": payload_type,
            "payload": to_base64(payload),
            "signatures": [{"keyid": one.public.id, "sig": to_base64(one.sign(signed))} for one in signers],
        }
    )


def parse(data: bytes) -> Envelope:
    """Read an envelope, without checking a signature. Raises `Invalid`.

    DSSE has readers pass over fields that they do not know. This one refuses them: they are not signed, and nobody
    should take them for what was said.
    """
    document = json_object(data, "The envelope")
    closed(document, {"payloadType", "payload", "signatures"}, "The envelope")
    signatures = field(document, "signatures", list, "The envelope")
    if not signatures:
        raise Invalid("The envelope has no signature.", code="unsigned")
    if len(signatures) > MOST_SIGNATURES:
        raise TooLarge(f"The envelope has {len(signatures)} signatures; {MOST_SIGNATURES} are read.")
    return Envelope(
        field(document, "payloadType", str, "The envelope"),
        from_base64(field(document, "payload", str, "The envelope"), "The envelope's payload", url_safe=True),
        tuple(_signature(one) for one in signatures),
    )


def verified(envelope: Envelope, keys: Mapping[str, Key]) -> frozenset[str]:
    """The ids of those of `keys` that signed it, each counted once, whatever the key ids in the envelope claim.

    Raises `Invalid` where a signature names one of the keys and is not by it. Unknown signers are passed over.
    """
    signed = pae(envelope.payload_type, envelope.payload)
    found = set()
    for signature in envelope.signatures:
        if named := keys.get(signature.keyid):
            if not named.verifies(signature.sig, signed):
                raise Invalid(
                    f"The signature that names the key {signature.keyid[:16]} is not by it.", code="bad_signature"
                )
            found.add(named.id)
        elif not signature.keyid:
            found |= {key.id for key in keys.values() if key.verifies(signature.sig, signed)}
    return frozenset(found)


def opened(data: bytes, keys: Mapping[str, Key], threshold: int = 1) -> Envelope:
    """An envelope that at least `threshold` distinct ones of `keys` signed. Raises `Invalid`."""
    envelope = parse(data)
    signers = verified(envelope, keys)
    if threshold < 1 or len(signers) < threshold:
        raise Invalid(
            f"The envelope is signed by {len(signers)} of the {len(keys)} keys that were given; {threshold} must.",
            hint="Is it signed by another key? Name the keys you trust.",
            code="not_enough_signatures",
        )
    return envelope


def _signature(document: Any) -> Signature:
    if not isinstance(document, dict):
        raise Invalid("The envelope: a signature is not an object.", param="signatures")
    closed(document, {"keyid", "sig"}, "A signature of the envelope")
    keyid = document.get("keyid")
    if keyid is not None and not isinstance(keyid, str):
        raise Invalid("The envelope: 'keyid' is not text.", param="signatures")
    return Signature(
        keyid or "", from_base64(field(document, "sig", str, "The envelope"), "A signature", url_safe=True)
    )
