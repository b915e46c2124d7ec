"""Statements that others signed, from a bundle into this node's ledger, with their bytes and signatures as they are."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from intermodel.core import Invalid, Refused
from intermodel.ledger import Entry, Ledger, uri
from intermodel.ledger import statement as statements
from intermodel.ledger.bundle import LARGEST, Bundle
from intermodel.ledger.dsse import parse
from intermodel.records.trusted import Trusted

TAKEN = tuple(map(uri, ("what", "card", "disclosure", "lineage", "licence", "grade", "verdict")))
"""Kinds of statements that are taken over; a ledger's own (keys, checkpoints, receipts) are not."""


async def take(ledger: Ledger, trusted: Trusted, data: bytes) -> list[Entry]:
    """Add what signers that are trusted here say about models in `data`, a bundle or one DSSE envelope.

    What stands in this ledger already is not added again, so the list may be empty. Raises `Refused` where no trusted
    signer signed any of it, `Invalid` for what is neither, and then nothing was added.
    """
    envelopes = _envelopes(data)
    signed = [one for one in envelopes if trusted.signer(one)[0]]
    if not signed:
        raise Refused(
            "None of it is signed by a signer whom this node trusts.",
            hint="Add the signer's key to records.trusted_signers, if you trust it; `intermodel verify FILE` shows it.",
            code="signer_not_trusted",
        )
    made = []
    keys = [one.key for one in trusted.verifiers]
    for envelope in signed:
        found = statements.read(parse(envelope).payload).statement
        if found.predicate_type in TAKEN and not await _there(ledger, found.subjects[0].digest, envelope):
            made.append(await ledger.record_envelope(envelope, keys))
    return made


def _envelopes(data: bytes) -> Sequence[bytes]:
    if len(data) > LARGEST:
        raise Invalid(f"It is larger than {LARGEST:,} bytes.", code="request_too_large")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"It is no JSON: {error}.", hint="Give a bundle or a DSSE envelope.") from None
    if isinstance(document, dict) and "payload" in document:
        parse(data)
        return [data]
    return [entry.envelope for entry in Bundle.parse(data).entries]


async def _there(ledger: Ledger, digest: str, envelope: bytes) -> bool:
    return any(entry.envelope == envelope for entry in await ledger.about(digest))
