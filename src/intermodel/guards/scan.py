"""One pass over a text, whole or in pieces: there is one way in which values are found, so the two cannot differ.

The scan goes from left to right. Its state is a place in the text (with the few characters before it) and, behind the
opening of a value without a longest form, that value's tail. What it finds next depends on nothing else.

**Why text in pieces comes out as the whole does.** Let P be what has arrived, and T the whole text, of which P is the
beginning. `Rules.settled` gives h: the first place from which P could be the beginning of a match of any rule, P's
last characters included (`patterns` shows that none is forgotten). Take a place s before h. Were there a match in T
that begins at s and reaches P's end or beyond, P from s on would be the beginning of a match, and h not after s. So
every match that begins at s ends before P does, and the character that decides on its boundary is in P. Whatever rule
is asked at s, in P or in T, gives the same answer; so does its check, which sees the match and `BEFORE` characters
before it. Hence the next value that begins before h is the same in both; the text up to it is shown, a placeholder in
its place, and the scan goes on behind it, in the same state. Where none begins before h, the text up to h is shown;
the rest is held, and it is no longer than the longest match of any rule. A tail is decided character by character;
only for its end pattern are some characters kept, and those are never shown.

When nothing follows, P is T, and the rest is decided as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from intermodel.core import Refused
from intermodel.guards.guard import Action, Finding, placeholder, refusal
from intermodel.guards.rules import BEFORE, Hit, Rules, Tail

View = Callable[[str], bytes]
"""One byte for each character, and each byte from that character alone."""


@dataclass(frozen=True, slots=True)
class RuleGuard:
    """A `Guard` that finds what its rules describe."""

    name: str
    rules: Rules
    view: View
    actions: dict[str, Action]
    """For every kind of the rules."""

    def inspect(self, text: str) -> list[Finding]:
        scan = Scan(self, enforcing=False)
        scan.arrive(text)
        scan.end()
        return scan.findings

    def stream(self) -> Scan:
        return Scan(self)


@dataclass(slots=True)
class _Open:
    """A value whose opening has been found, and whose tail may go on."""

    kind: str
    action: Action
    start: int
    tail: Tail | None
    left: int


class Scan:
    """A `StreamGuard` of rules."""

    def __init__(self, guard: RuleGuard, *, enforcing: bool = True) -> None:
        self.findings: list[Finding] = []
        self._guard = guard
        self._enforcing = enforcing
        self._text = ""  # what is undecided, and the characters before it
        self._view = b""
        self._at = 0  # the first undecided character in `_text`
        self._before = 0  # how much of the whole text came before `_text`
        self._open: _Open | None = None
        self._refused: Refused | None = None

    @property
    def held(self) -> int:
        """How many characters wait for what follows them."""
        return len(self._text) - self._at

    def feed(self, piece: str) -> str:
        self.arrive(piece)
        return self._advance(final=False)

    def end(self) -> str:
        return self._advance(final=True)

    def arrive(self, piece: str) -> None:
        self._text += piece
        self._view += self._guard.view(piece)

    def _advance(self, *, final: bool) -> str:
        if self._refused is not None:
            raise self._refused
        shown: list[str] = []
        length = len(self._text)
        settled = length + 1 if final else -1
        while self._open is None or self._close(shown, final=final):
            if not final and settled < self._at:
                settled = self._guard.rules.settled(self._view, self._at)
            hit = self._guard.rules.find(self._view, self._at, settled) if settled > self._at else None
            if hit is None:
                self._pass(min(settled, length), shown)
                break
            self._pass(hit.start, shown)
            self._begin(hit, shown)
        self._forget()
        return "".join(shown)

    def _begin(self, hit: Hit, shown: list[str]) -> None:
        kind = hit.rule.kind
        action = self._guard.actions[kind] if kind else Action.ALLOW
        if action is Action.REFUSE and self._enforcing:
            self.findings.append(Finding(kind, self._before + hit.start, self._before + hit.end, action))
            self._refused = refusal(self._guard.name, kind)
            self._text, self._view = "", b""
            raise self._refused
        tail = hit.rule.tail
        self._open = _Open(kind, action, self._before + hit.start, tail, tail.limit if tail else 0)
        if action is Action.ALLOW:
            self._pass(hit.end, shown)
        else:
            shown.append(placeholder(kind))
            self._at = hit.end

    def _close(self, shown: list[str], *, final: bool) -> bool:
        """Goes on to the end of the open value, or as far as it is known; True if that was its end."""
        value = self._open
        assert value is not None
        end, ended = self._at, True
        if value.tail is not None:
            end, ended = value.tail.end(self._view, self._at, value.left, final=final)
        value.left -= end - self._at
        if value.action is Action.ALLOW:
            self._pass(end, shown)
        self._at = end
        if not ended:
            return False
        if value.kind:
            self.findings.append(Finding(value.kind, value.start, self._before + end, value.action))
        self._open = None
        return True

    def _pass(self, end: int, shown: list[str]) -> None:
        shown.append(self._text[self._at : end])
        self._at = end

    def _forget(self) -> None:
        """Drops what is decided, but for the characters before what is not that have a say in it."""
        decided = max(self._at - BEFORE, 0)
        self._text = self._text[decided:]
        self._view = self._view[decided:]
        self._before += decided
        self._at -= decided
