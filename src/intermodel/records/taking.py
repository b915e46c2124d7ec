"""Statements that others signed, from a bundle into this node's ledger, with their bytes and signatures as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from intermodel.core import Invalid, Refused
from intermodel.core.statements import Statement
from intermodel.ledger import Entry, Ledger, Verifier, uri, verify
from intermodel.ledger import statement as statements
from intermodel.ledger.bundle import LARGEST, Bundle
from intermodel.ledger.dsse import Envelope, parse, verified
from intermodel.ledger.keyring import key_of
from intermodel.ledger.keys import PublicKey
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.ledger.withdrawal import NAME, things
from intermodel.records.trusted import Trusted

TAKEN = tuple(map(uri, ("what", "card", "disclosure", "lineage", "licence", "grade", "verdict", "withdrawal")))
"""Kinds of statements that are taken over; a ledger's own (keys, checkpoints, receipts) are not."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was not there yet, and in words what was left out."""

    entries: list[Entry]
    left_out: tuple[str, ...] = ()


async def take(ledger: Ledger, trusted: Trusted, data: bytes) -> Taken:
    """Add what signers that are trusted here say about models in `data`, a bundle or one DSSE envelope: all or nothing.

    What stands in this ledger already is not added again, so there may be no entries. What somebody signed besides,
    who is not trusted here, is left out. A withdrawal may come before the statement. Raises `Refused` where no trusted
    signer signed any of it, `Invalid` for what is neither, and where all is left out; then nothing was added.
    """
    keys = {one.key.id: one.key for one in trusted.verifiers}
    known: dict[str, set[_Word]] = {}
    new, left_out, hint, signed = [], [], "", 0
    envelopes, vouched = await asyncio.to_thread(_envelopes, data)
    strange: dict[str, int] = {}
    for envelope in envelopes:
        await asyncio.sleep(0)  # calls that stream through this thread go on
        who, _ = trusted.signer(envelope)
        opened = parse(envelope)
        found = statements.read(opened.payload).statement
        signed += bool(who)
        if found.predicate_type not in TAKEN:
            continue
        if not who:
            key_id = opened.signatures[0].keyid
            strange[key_id] = strange.get(key_id, 0) + 1
            continue
        digest, word = found.subjects[0].digest, _word(opened, keys)
        if why := _not_taken(found, opened, word, who):
            left_out.append(why[0])
            hint = hint or why[1]
            continue
        if digest not in known:
            there = [entry.envelope for entry in await ledger.about(digest) if entry.statement]
            known[digest] = {_word(parse(one), keys) for one in there}
        if word not in known[digest]:
            known[digest].add(word)
            new.append(envelope)
    keys_of = [str(vouched[one]) if one in vouched else one for one in strange]
    if not signed:
        raise Refused(
            "None of it is signed by a signer whom this node trusts.",
            hint=f"If you trust it, add its key to records.trusted_signers: {', '.join(keys_of)}" if keys_of else "",
            code="signer_not_trusted",
        )
    for (key_id, count), key in zip(strange.items(), keys_of, strict=True):
        before = " It is a later key of the same ledger." if key_id in vouched else ""
        left_out.append(f"{count} by a key that is not in records.trusted_signers: {key}.{before}")
    if len(left_out) == signed and not strange:
        raise Invalid(left_out[0], hint=hint)
    return Taken(await ledger.record_envelopes(new, keys.values()) if new else [], tuple(left_out))


_Word = tuple[str, bytes, frozenset[str]]


def _not_taken(found: Statement, opened: Envelope, word: _Word, who: str) -> tuple[str, str] | None:
    """Why a word of a trusted signer is left out, and what to do about it."""
    about = things(found)
    if len(word[2]) < len(opened.signatures) or not opened.signatures[0].keyid:
        name = about[0].name[:200] if about else ""
        why = f"A word of {who} on '{name}' has a signature that names no key known here."
        return why, "Add the other signer's key to records.trusted_signers, if you trust it."
    if found.predicate_type == WITHDRAWAL and any(one.name == NAME for one in about):
        why = f"A withdrawal by {who} takes back another one, which changes nothing."
        return why, "Whoever withdrew a statement that holds after all tells it anew."
    return None


def _word(opened: Envelope, keys: Mapping[str, PublicKey]) -> _Word:
    """What was signed, and by whom: the rest of an envelope, such as its spacing, nobody signed."""
    return opened.payload_type, opened.payload, verified(opened, keys)


def _envelopes(data: bytes) -> tuple[Sequence[bytes], Mapping[str, Verifier]]:
    """The envelopes, and by id the keys of the ledger that the bundle is from, as its own history names them.

    A bundle that does not hold is refused as a whole: what is missing from it may be what matters.
    """
    if len(data) > LARGEST:
        raise Invalid(f"It is larger than {LARGEST:,} bytes.", code="request_too_large")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"It is no JSON: {error}.", hint="Give a bundle or a DSSE envelope.") from None
    if not isinstance(document, dict) or not {"payload", "type"} & document.keys():
        raise Invalid("It is neither a bundle nor a DSSE envelope.", hint="`intermodel records bundle` writes one.")
    if "payload" in document:
        parse(data)
        return [data], {}
    found, report = Bundle.parse(data), verify(data)
    wrong = next((check for check in report.checks if check.holds is False), None)
    if wrong is not None:
        raise Invalid(
            f"The bundle does not hold, so nothing of it was taken: {wrong.what}: {wrong.found}.",
            hint="`intermodel verify FILE` tells all that was checked. Ask for it anew.",
            code="bundle_does_not_hold",
        )
    changes = [statements.read(parse(one.envelope).payload).statement for one in found.keys]
    keys = [key_of(change) for change in changes]
    return [one.envelope for one in found.entries], {key.id: Verifier(report.origin, key) for key in keys}
