"""Statements to bytes, and bytes to statements. The bytes that were signed are the statement; they are never made anew.

Source: in-toto Attestation Framework, Statement v1 and ResourceDescriptor v1. Fields that it does not know are passed
over, as it asks; a field of ours is not: when a statement was made stands in an annotation of its first subject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from intermodel.core import Invalid
from intermodel.core.statements import STATEMENT_TYPE, Statement, Subject
from intermodel.ledger import predicates
from intermodel.ledger.strict import field, json_object

MADE = "urn:intermodel:made"
"""The annotation with the time at which the signer says that the statement was made (RFC 3339, UTC)."""
_WHAT = "The statement"
_HEX = re.compile(r"[0-9a-f]+")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,480}")


@dataclass(frozen=True, slots=True)
class Read:
    """A statement and when its signer says it was made (seconds since 1970; None where it does not say)."""

    statement: Statement
    at: float | None


def dumped(statement: Statement, at: float) -> bytes:
    """The bytes to sign. Raises `Invalid` for what could not be read again, or breaks the schema of its predicate."""
    document = statement.document()
    if document["subject"]:
        made = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        document["subject"][0]["annotations"] = {MADE: made}
    try:
        data = orjson.dumps(document)
    except (TypeError, ValueError) as error:
        raise Invalid(f"The statement is no JSON: {error}.") from None
    read(data)
    return data


def read(data: bytes) -> Read:
    """A statement from its bytes. Raises `Invalid`; a predicate of a type that is not ours is taken as it is."""
    document = json_object(data, _WHAT)
    kind = field(document, "_type", str, _WHAT)
    if kind != STATEMENT_TYPE:
        raise Invalid(f"The statement is of type '{kind[:100]}'; {STATEMENT_TYPE} is read.", param="_type")
    predicate_type = field(document, "predicateType", str, _WHAT)
    if not _TYPE.fullmatch(predicate_type):
        raise Invalid("The statement: 'predicateType' is no URI of up to 500 characters.", param="predicateType")
    subjects = field(document, "subject", list, _WHAT)
    if not subjects:
        raise Invalid("The statement is about nothing: 'subject' is empty.", param="subject")
    predicate = document.get("predicate", {})
    if not isinstance(predicate, dict):
        raise Invalid("The statement: 'predicate' is not an object.", param="predicate")
    predicates.check(predicate_type, predicate)
    found = tuple(_subject(one) for one in subjects)
    return Read(Statement(found, predicate_type, predicate), _made(subjects[0]))


def _subject(document: Any) -> Subject:
    if not isinstance(document, dict):
        raise Invalid("The statement: a subject is not an object.", param="subject")
    name = document.get("name", "")
    if not isinstance(name, str):
        raise Invalid("The statement: the name of a subject is not text.", param="subject")
    digests = field(document, "digest", dict, "A subject of the statement")
    for algorithm, digest in digests.items():
        if not isinstance(digest, str) or not _HEX.fullmatch(digest):
            raise Invalid(f"A subject of the statement: its {algorithm[:40]} digest is no small hexadecimal number.")
    if "sha256" not in digests:
        raise Invalid("A subject of the statement has no sha256 digest, by which things are known here.")
    return Subject(name, f"sha256:{digests['sha256']}")


def _made(subject: dict[str, Any]) -> float | None:
    annotations = subject.get("annotations", {})
    if not isinstance(annotations, dict):
        raise Invalid("The statement: the annotations of a subject are not an object.", param="subject")
    if (made := annotations.get(MADE)) is None:
        return None
    try:
        if not isinstance(made, str) or not made.endswith("Z"):
            raise ValueError
        return datetime.fromisoformat(made).timestamp()
    except ValueError:
        raise Invalid(f"The statement: '{MADE}' is no time in UTC.", param="subject") from None
