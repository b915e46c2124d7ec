"""The predicates that this project defines: `urn:intermodel:NAME:v1`, each with a JSON schema in a file beside this.

These files are the only place that says which fields there are and what each of them means (docs/record/ledger.md lists
them). A statement is held against its schema once: when it is signed, when it is taken in, and when its bytes are read
from the disk. So what comes out of the ledger needs no second look.

A predicate of another type is opaque: it is kept and shown, and nothing here reads it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

import orjson

from intermodel.core import Invalid

NAMES = (
    "article", "card", "checkpoint", "disclosure", "grade", "key", "licence", "lineage", "receipts", "verdict", "what",
    "withdrawal",
)  # fmt: skip


def uri(name: str) -> str:
    """The type of the predicate of that name."""
    return f"urn:intermodel:{name}:v1"


KEY, RECEIPTS, CHECKPOINT, WITHDRAWAL = uri("key"), uri("receipts"), uri("checkpoint"), uri("withdrawal")
_BY_URI = {uri(name): name for name in NAMES}


def known(predicate_type: str) -> bool:
    """Whether there is a schema for it."""
    return predicate_type in _BY_URI


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """The schema of the predicate of that name."""
    found: dict[str, Any] = orjson.loads(resources.files(__name__).joinpath(f"{name}.json").read_bytes())
    return found


def check(predicate_type: str, predicate: Mapping[str, Any]) -> None:
    """Raise `Invalid`, with the place, where a predicate of ours breaks its schema."""
    name = _BY_URI.get(predicate_type)
    if name is None or _validator(name).is_valid(predicate):
        return
    from jsonschema.exceptions import best_match  # slow to import, and seldom needed

    error = best_match(_validator(name).iter_errors(predicate))
    place = ".".join(str(part) for part in error.absolute_path)[:200] if error else ""
    said = error.message[:300] if error else "it is not valid"
    raise Invalid(
        f"The predicate '{name}' breaks its schema{f' at {place}' if place else ''}: {said}.",
        hint=f"docs/record/ledger.md says where its fields are described: ledger/predicates/{name}.json.",
        param=place or None,
        code="predicate_invalid",
    )


@functools.cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator  # slow to import

    return Draft202012Validator(schema(name))
