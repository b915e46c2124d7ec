"""What is said of something, before it is signed: an in-toto Statement.

Source: in-toto Attestation Framework, Statement v1 (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intermodel.core.errors import Invalid

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: `digest` as `sha256:` and 64 small hexadecimal digits, `name` for people.

    Raises `Invalid` for any other digest.
    """

    name: str
    digest: str

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.digest):
            raise Invalid(f"'{self.digest[:100]}' is no digest.", hint="Give it as sha256: and 64 hexadecimal digits.")


@dataclass(frozen=True, slots=True)
class Statement:
    """Something said of one or more subjects. `predicate_type` is the URI of what kind of thing is said."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """As in-toto writes it, for JSON."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": s.name, "digest": {"sha256": s.digest.removeprefix("sha256:")}} for s in self.subjects
            ],
            "predicateType": self.predicate_type,
            "predicate": dict(self.predicate),
        }
