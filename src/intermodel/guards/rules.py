"""Rules that say what values look like, compiled into linear-time automata (RE2).

Rules look at a *view* of the text: one byte for each character, so offsets are the same in both. A view may fold
characters that mean the same (kinds of space, dash and digit); whatever it has no byte for becomes `?`, and no rule
has `?` among the characters of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from intermodel.guards.patterns import either, parse

Check = Callable[[bytes, int, int], tuple[int, int] | None]
"""Where in `view[start:end]` the value is, or None. May look at `BEFORE` characters before it, and at none after."""

BEFORE = 2
"""How many characters before a value may have a say in what it is."""

AFTER_WORD_BREAK = r"(?:\\[nrt]|\b)"
"""Before a pattern that begins with a letter or digit: anything else, or a line break as JSON escapes it."""

AFTER_NO_WORD = r"(?:\\[nrt]|\B)"
"""The same before a pattern that begins with another character."""

_BACKSLASH = ord("\\")
_MEMORY = 64 * 1024**2  # a cap; RE2 keeps its automata's states up to this and starts anew


@dataclass(frozen=True, slots=True)
class Rule:
    """How values of one kind look. A rule of the kind "" finds what only looks like a value, and passes over it."""

    kind: str
    pattern: str
    """Bounded (see `patterns`). For a value without a longest form: its opening."""
    check: Check | None = None
    """What a pattern cannot say: a checksum, a range, where in the match the value is."""
    lead: str = AFTER_WORD_BREAK
    tail: str = ""
    """What belongs to the value too where it follows the opening, however often: a class, or another short pattern."""
    until: str = ""
    """A pattern that ends the value: all up to it belongs to the value, but at most `limit` characters."""
    limit: int = 0


class Tail:
    """How a value goes on after its opening."""

    def __init__(self, rule: Rule) -> None:
        more = parse(rule.tail) if rule.tail else None
        self._more = regex(f"(?:{more.whole})*") if more else None
        self._more_begun = regex(more.begun) if more else None
        self._unit = more.longest if more else 0
        until = parse(rule.until or "x")
        self._until = regex(until.whole)
        self._overlap = until.longest - 1
        self.limit = rule.limit

    def end(self, view: bytes, at: int, left: int, *, final: bool) -> tuple[int, bool]:
        """How far the value is known to go on, from `at`, and whether that is its end.

        `left` is what remains of the limit; `final` says that nothing follows `view`.
        """
        if self._more is not None and self._more_begun is not None:
            end = self._more.match(view, at).end()
            return end, final or self._more_begun.fullmatch(view[end : end + self._unit]) is None
        stop = min(at + left, len(view))
        found = self._until.search(view, at, stop)
        if found is not None:
            return found.end(), True
        if final or stop == at + left:
            return stop, True
        return max(at, stop - self._overlap), False


class Compiled:
    """One rule, ready to be asked."""

    def __init__(self, rule: Rule) -> None:
        pattern = parse(rule.lead + rule.pattern)
        self.kind = rule.kind
        self.pattern = pattern
        self.tail = Tail(rule) if rule.tail or rule.until else None
        self._check = rule.check
        self._regex = regex(pattern.whole)
        self._begun = regex(pattern.begun)

    def begins_with(self, byte: bytes) -> bool:
        return self._begun.fullmatch(byte) is not None

    def at(self, view: bytes, start: int) -> tuple[int, int] | None:
        """Where the value (or its opening) is whose match begins at `start`."""
        found = self._regex.match(view, start)
        if found is None or (view[start] in b"nrt" and view[start - 1 : start] == b"\\"):
            return None  # in the second case it was looked at from the backslash on, as a line break
        end: int = found.end()
        if view[start] == _BACKSLASH and view[start + 1] in b"nrt":
            start += 2  # the escaped line break stays: without it, JSON would break
        return self._check(view, start, end) if self._check else (start, end)


@dataclass(frozen=True, slots=True)
class Hit:
    """A value, or the opening of one that has a tail."""

    rule: Compiled
    start: int
    end: int


class Rules:
    """Many rules as one. Where values overlap, the one that begins first is found; of two, that of the earlier rule."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        compiled = [Compiled(rule) for rule in rules]
        pattern = either([rule.pattern for rule in compiled])
        self._any = regex(pattern.whole)
        self._begun = regex(pattern.begun + r"\z")
        self._by_first = [_that_begin_with(bytes([byte]), compiled) for byte in range(256)]
        self.longest = pattern.longest
        """No more characters than this are ever held back."""

    def find(self, view: bytes, at: int, stop: int) -> Hit | None:
        """The first value whose match begins in `[at, stop)`. Looks at `BEFORE` characters before `at`."""
        while (found := self._any.search(view, at)) is not None and found.start() < stop:
            start = found.start()
            for rule in self._by_first[view[start]]:
                place = rule.at(view, start)
                if place is not None:
                    return Hit(rule, *place)
            at = start + 1
        return None

    def settled(self, view: bytes, at: int) -> int:
        """Up to where it is decided what is a value and what is not, whatever may follow."""
        place: int = self._begun.search(view, max(at, len(view) - self.longest)).start()
        return place


def regex(pattern: str) -> Any:
    """An automaton over bytes. RE2 has no look-around and no backreference, and never takes more than linear time."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = True
    return re2.compile(pattern.encode("latin-1"), options)


def _that_begin_with(byte: bytes, rules: list[Compiled]) -> list[Compiled]:
    return [rule for rule in rules if rule.begins_with(byte)]
