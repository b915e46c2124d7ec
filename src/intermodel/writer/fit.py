"""What a model turned out to take, learned from what its server refuses or breaks off. Pure."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

THOUGHTS = 6000
"""Tokens that a model which thinks aloud may have for that, beside its answer."""
_LEAST_SHARE = 0.05
_STEP = 0.6
_LEAST_CONTEXT = 256
# vendors and servers that have no code for it say it in words
_TOO_LONG = re.compile(
    r"context (?:length|size|window)|n_ctx|(?:must be <=|must have less than) \d+|too long|too many (?:input )?tokens|"
    r"reduce the length|exceeds? the (?:maximum|limit)",
    re.IGNORECASE,
)
_MOST = (
    re.compile(r"n_ctx\D{0,6}(\d{3,8})"),
    re.compile(r"context (?:length|size|window)\D{0,40}?(\d{3,8})", re.IGNORECASE),
    re.compile(r"(?:must be <=|must have less than) (\d{3,8})", re.IGNORECASE),
    re.compile(r"> (\d{3,8}) maximum", re.IGNORECASE),
)
"""Where they name it, the surest first."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model is asked. `context` is in tokens; `share` is of the characters that usually have room in it;
    `prompted`: a schema is put into words, as the server takes none; `thinks`: it has tokens for its thoughts."""

    context: int
    share: float = 1.0
    prompted: bool = False
    thinks: bool = False

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def told(self, model: str, before: Fit) -> str:
        """What is new against `before`, in a sentence."""
        if self.prompted > before.prompted:
            return f"The server of '{model}' takes no JSON schema: it is asked for JSON in words."
        if self.thinks > before.thinks:
            return f"'{model}' thinks aloud until its answer breaks off: it may make {THOUGHTS:,} tokens more."
        if self.context < before.context:
            return f"'{model}' has a context of {self.context:,} tokens: what it is asked is cut to that."
        return f"What '{model}' was asked is too long for its context: it is cut to {self.share:.0%} of what was taken."


def is_too_long(code: str, message: str) -> bool:
    """Whether a server refused a request for its length."""
    return code == "context_length_exceeded" or _TOO_LONG.search(message) is not None


def smaller(fit: Fit, message: str) -> Fit | None:
    """For less text, after a server said so; None where there is no less."""
    told = next((int(found[1]) for most in _MOST if (found := most.search(message.replace(",", "")))), 0)
    if _LEAST_CONTEXT <= told < fit.context:
        return replace(fit, context=told)
    share = round(fit.share * _STEP, 4)
    return replace(fit, share=share) if share >= _LEAST_SHARE else None
