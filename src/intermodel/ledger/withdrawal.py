"""Statements that are taken back: what says so, and of which statement. Pure.

A withdrawal names a statement by the SHA-256 of the bytes that were signed. It is about the same things, so that who
asks for one of them finds both, whichever came first. Whose withdrawal counts is for the reader to judge.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from intermodel.core import Conflict, Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import predicates

NAME = "urn:intermodel:statement"
"""The name of the statement among the subjects of a withdrawal; no thing has it as its address."""
_NEVER = {
    predicates.WITHDRAWAL: ("A withdrawal is not withdrawn.", "Tell the statement anew, if it holds after all."),
    predicates.KEY: (
        "A change of the ledger's keys is not withdrawn.", "`intermodel ledger revoke` takes back what a key signed."
    ),
    predicates.RECEIPTS: ("Receipts are not withdrawn.", "That the calls were made stays true."),
    predicates.CHECKPOINT: ("What was seen of another ledger is not withdrawn.", "That it was seen stays true."),
}  # fmt: skip
"""Why statements of a type are never withdrawn, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """That a statement was taken back: by which entry, signed by whom (in words), when, and why.

    `aside`: by somebody else than its own signer, who stops believing it; that is no word of its signer. Not `sure`:
    nobody whom the reader knows vouches for the signature.
    """

    entry: int
    by: str
    at: float
    reason: str
    aside: bool = False
    sure: bool = True


def digest_of(payload: bytes) -> str:
    """By which a statement is named, of the bytes that were signed."""
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def withdrawable(predicate_type: str) -> bool:
    """Whether statements of the type can be taken back."""
    return predicate_type not in _NEVER


def withdrawal_of(digest: str, statement: Statement, reason: str) -> Statement:
    """What takes a statement back, to be signed. Raises `Conflict` for one of a type that is never withdrawn, `Invalid`
    without a reason."""
    if never := _NEVER.get(statement.predicate_type):
        raise Conflict(never[0], hint=never[1], code="not_withdrawn")
    if not reason.strip():
        raise Invalid("A withdrawal needs a reason.", hint="Say in a sentence what is wrong.", param="reason")
    about = dict.fromkeys((Subject(NAME, digest), *statement.subjects))
    return Statement(tuple(about), predicates.WITHDRAWAL, {"statement": digest, "reason": reason.strip()})


def named_by(statement: Statement | None) -> str:
    """The digest of the statement that this one takes back; "" where it takes none back."""
    if statement is None or statement.predicate_type != predicates.WITHDRAWAL:
        return ""
    return str(statement.predicate["statement"])


def things(statement: Statement) -> tuple[Subject, ...]:
    """What a statement is about: of a withdrawal, what the withdrawn one is about."""
    return tuple(one for one in statement.subjects if one.digest != named_by(statement))


def fits(withdrawal: Statement, digest: str, statement: Statement) -> bool:
    """Whether that takes this statement back, if its signer may: it names its digest, and all that it is about."""
    return (
        named_by(withdrawal) == digest
        and withdrawable(statement.predicate_type)
        and {*withdrawal.subjects} >= {*statement.subjects}
    )
