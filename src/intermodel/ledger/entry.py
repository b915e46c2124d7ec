"""An entry of the ledger, as the rooms above read it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from intermodel.core import Invalid
from intermodel.core.statements import Statement
from intermodel.ledger import dsse
from intermodel.ledger import statement as statements
from intermodel.ledger.index import Row
from intermodel.ledger.withdrawal import digest_of


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the ledger. `envelope` are the bytes that were signed and hashed.

    `statement` is None where the envelope holds none that can be read. `signer` is the id of the key that signed it;
    `at` is when it says it was made, in seconds since 1970, and 0 where it does not say. `digest` is that of the bytes
    that were signed, by which a withdrawal names the statement; "" where the envelope cannot be read.
    """

    index: int
    envelope: bytes
    statement: Statement | None
    signer: str
    at: float
    digest: str


def entry_of(index: int, envelope: bytes) -> Entry:
    """An entry from its bytes, which the tree vouches for."""
    try:
        opened = dsse.parse(envelope)
    except Invalid:
        return Entry(index, envelope, None, "", 0, "")
    signer, digest = opened.signatures[0].keyid, digest_of(opened.payload)
    try:
        read = statements.read(opened.payload)
    except Invalid:
        return Entry(index, envelope, None, signer, 0, digest)
    return Entry(index, envelope, read.statement, signer, read.at or 0, digest)


def row_of(entry: Entry) -> Row:
    """What the index keeps of an entry."""
    said = entry.statement
    digests = tuple(sorted({one.digest for one in said.subjects})) if said else ()
    return Row(entry.index, round(entry.at * 1e6), entry.signer[:64], said.predicate_type if said else "", digests)
