r"""Patterns that are bounded, and the texts with which their matches begin.

A text that arrives in pieces must be held back from the first place where a value may have begun. So for a pattern we
need a second one, which matches every *beginning* of what the first matches. It is derived here, never written by hand:

- of a character `c`: nothing, or `c`;
- of `ab`: a beginning of `a`, or `a` and then a beginning of `b`;
- of `a|b`: a beginning of either;
- of `a{m,n}`: up to n - 1 times `a`, and then a beginning of `a`;
- of the assertions `\A`, `\b` and `\B`: nothing (what follows them, follows them in the beginning too).

By induction over these five forms every beginning of a match is matched, the empty one and the whole match included.
The derived pattern may match more: it forgets lower bounds, what is asserted at its end, and counts above `_FEW`, for
an automaton that counts to 64 for fifty kinds of value has too many states. Then text is held a little longer than it
must be, and comes out the same. How long it can be at most is known apart from that: as long as the longest match.

The language is a small part of RE2's, and of `re`'s: characters, `\d` and escaped punctuation, classes, `(?:...)`,
`(?i:...)`, `|`, `?`, `{n}`, `{m,n}`, `\A`, `\b` and `\B`. There is no `*` and no `+`: whatever can be written has a
longest match. And only a negated class takes a question mark, which stands for all that a view has no byte for (see
`rules`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce

_COUNT = re.compile(r"\{(\d+)(?:,(\d+))?\}")
_CLASS = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:d|[^A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, and what follows from it."""

    whole: str
    """What was written."""
    loose: str
    """Matches what `whole` does, and more: it does not count far."""
    begun: str
    """Matches every beginning of what `whole` does."""
    longest: int
    """How many characters the longest match has."""


_NOTHING = Pattern("", "", "", 0)
_FEW = 8


def parse(source: str) -> Pattern:
    """Reads a pattern. Raises `ValueError` for one that is outside the language, as all unbounded ones are."""
    reader = _Reader(source)
    pattern = reader.either()
    if reader.at < len(source):
        raise reader.wrong()
    return pattern


def either(patterns: list[Pattern]) -> Pattern:
    """What any of `patterns` matches; earlier ones first."""
    if len(patterns) == 1:
        return patterns[0]
    whole, loose, begun = (
        "|".join(side) for side in zip(*((p.whole, p.loose, p.begun) for p in patterns), strict=True)
    )
    return Pattern(f"(?:{whole})", f"(?:{loose})", f"(?:{begun})", max(p.longest for p in patterns))


def _then(rest: Pattern, first: Pattern) -> Pattern:
    begun = f"(?:{first.begun}|{first.loose}{rest.begun})" if rest.whole else first.begun
    return Pattern(first.whole + rest.whole, first.loose + rest.loose, begun, first.longest + rest.longest)


def _times(one: Pattern, low: int, high: int) -> Pattern:
    again, before = (f"{{{low},{high}}}", f"{{0,{high - 1}}}") if high <= _FEW else ("*", "*")
    return Pattern(
        f"(?:{one.whole}){{{low},{high}}}",
        f"(?:{one.loose}){again}",
        f"(?:{one.loose}){before}{one.begun}",
        one.longest * high,
    )


class _Reader:
    """Recursive descent over the source of one pattern."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def either(self) -> Pattern:
        patterns = [self.row()]
        while self._take("|"):
            patterns.append(self.row())
        return either(patterns)

    def row(self) -> Pattern:
        parts = []
        while self.at < len(self.source) and self.source[self.at] not in "|)":
            parts.append(self.counted())
        return reduce(_then, reversed(parts), _NOTHING)

    def counted(self) -> Pattern:
        one = self.one()
        if self._take("?"):
            return _times(one, 0, 1)
        count = _COUNT.match(self.source, self.at)
        if count is None:
            return one
        self.at = count.end()
        low = int(count[1])
        high = int(count[2] or low)
        if not 0 < high >= low:
            raise self.wrong()
        return _times(one, low, high)

    def one(self) -> Pattern:
        for opening in ("(?:", "(?i:"):
            if self._take(opening):
                inner = self.either()
                if not self._take(")"):
                    raise self.wrong()
                whole, loose, begun = (f"{opening}{side})" for side in (inner.whole, inner.loose, inner.begun))
                return Pattern(whole, loose, begun, inner.longest)
        for assertion in (r"\A", r"\b", r"\B"):
            if self._take(assertion):
                return Pattern(assertion, assertion, "", 0)
        return self._character()

    def _character(self) -> Pattern:
        start = self.at
        found = _CLASS.match(self.source, start) or _ESCAPED.match(self.source, start)
        if found is None and self.source[start] in r".^$*+?()[]{}\|":
            raise self.wrong()
        self.at = found.end() if found else start + 1
        character = self.source[start : self.at]
        if re.fullmatch(character, "?") and not character.startswith("[^"):
            raise self.wrong()
        return Pattern(character, character, f"{character}?", 1)

    def _take(self, text: str) -> bool:
        taken = self.source.startswith(text, self.at)
        self.at += len(text) if taken else 0
        return taken

    def wrong(self) -> ValueError:
        return ValueError(f"not a bounded pattern, at {self.at}: {self.source}")
