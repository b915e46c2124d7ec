"""Hides: nothing; these are the project's words as values and pure functions.

Promises: no input or output, no clock read, no randomness; everything here can be tested by calling it.
Does not know: databases, HTTP, files, processes.
"""

from intermodel.core.calls import Call, Capability, Kind
from intermodel.core.digest import Digest
from intermodel.core.errors import (
    Conflict,
    IntermodelError,
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    Upstream,
)

__all__ = [
    "Call",
    "Capability",
    "Conflict",
    "Digest",
    "IntermodelError",
    "Invalid",
    "Kind",
    "NotFound",
    "Refused",
    "Unauthenticated",
    "Unavailable",
    "Upstream",
]
