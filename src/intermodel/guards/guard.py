"""The extension point for looks at text, the door by which they are found, and what is done with a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from intermodel.core import Invalid, Refused
from intermodel.settings import GuardTable
from intermodel.settings.installed import installed

GROUP = "intermodel.guards"


class Action(StrEnum):
    """What happens to a text because of a finding."""

    ALLOW = "allow"
    """It is counted and the text passes as it is."""
    MASK = "mask"
    """A placeholder takes the place of the value."""
    REFUSE = "refuse"
    """The call is refused, or its answer ended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Where something was found in a text. It never holds the value itself, so it may be logged and counted."""

    kind: str
    start: int
    end: int
    """Offsets in characters: the value is `text[start:end]`."""
    action: Action = Action.MASK
    """What the guard's settings say about this kind."""


class StreamGuard(Protocol):
    """One text that arrives in pieces: one choice's content, its reasoning, or one tool call's arguments.

    The pieces given back, joined, equal the redaction of the whole text, however it was cut.
    """

    findings: list[Finding]
    """What was found so far, also what is refused, with offsets within the whole text, in order."""

    def feed(self, piece: str) -> str:
        """What may be shown once `piece` has arrived. Raises `Refused` for a finding whose action is to refuse."""

    def end(self) -> str:
        """What was held back, now that nothing follows. Raises `Refused` as `feed` does."""


class Guard(Protocol):
    """A look at text, configured by `[guards.NAME]`. Extension point, entry points `intermodel.guards`."""

    def inspect(self, text: str) -> Sequence[Finding]:
        """What is found in a whole text: in order, without overlaps."""

    def stream(self) -> StreamGuard: ...


class Factory(Protocol):
    def __call__(self, name: str, settings: GuardTable) -> Guard: ...


def load(name: str, settings: GuardTable) -> Guard:
    """The guard that `[guards.NAME]` asks for, found among the entry points `intermodel.guards`.

    Raises `Invalid` for one that is not installed, and for settings that it does not take.
    """
    known = installed(GROUP)
    if settings.provider not in known:
        raise Invalid(
            f"Guard '{name}' asks for the provider '{settings.provider}', which is not installed.",
            hint=f"Known here: {', '.join(sorted(known))}.",
            code="unknown_guard",
        )
    factory: Factory = known[settings.provider].load()
    return factory(name, settings)


def placeholder(kind: str) -> str:
    """What stands where a value was: `[EMAIL]`. Safe inside a JSON string."""
    return f"[{kind.upper()}]"


def redact(text: str, findings: Iterable[Finding]) -> str:
    """`text` with a placeholder for every finding that is not allowed. Findings are in order, without overlaps."""
    parts, at = [], 0
    for finding in findings:
        if finding.action is not Action.ALLOW:
            parts += [text[at : finding.start], placeholder(finding.kind)]
            at = finding.end
    return "".join(parts) + text[at:]


def enforce(text: str, findings: Sequence[Finding], guard: str) -> str:
    """`text` as it may pass. Raises `Refused` if the action of any finding is to refuse."""
    for finding in findings:
        if finding.action is Action.REFUSE:
            raise refusal(guard, finding.kind)
    return redact(text, findings)


def refusal(guard: str, kind: str) -> Refused:
    """The error that names the guard and the kind of what was found, and not its value."""
    return Refused(
        f"The guard '{guard}' found something of the kind '{kind}' and lets none pass.",
        hint="If it is in the request, take it out; the node's operator sets what is guarded.",
        code="guard_refused",
    )
