"""Hides: nothing; these are the project's words as values and pure functions.

Promises: no input or output, no clock read, no randomness; everything here can be tested by calling it.
Does not know: databases, HTTP, files, processes.
"""

from intermodel.core.calls import Call, Capability, Kind, Upload
from intermodel.core.digest import Digest
from intermodel.core.errors import (
    Conflict,
    Fault,
    IntermodelError,
    Invalid,
    Limited,
    NotFound,
    OverBudget,
    Refused,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from intermodel.core.usage import MOST_TOKENS, Usage, countable, counted, tier_told

__all__ = [
    "MOST_TOKENS",
    "Call",
    "Capability",
    "Conflict",
    "Digest",
    "Fault",
    "IntermodelError",
    "Invalid",
    "Kind",
    "Limited",
    "NotFound",
    "OverBudget",
    "Refused",
    "Unauthenticated",
    "Unavailable",
    "Upload",
    "Upstream",
    "Usage",
    "countable",
    "counted",
    "tier_told",
]
