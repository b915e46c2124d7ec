"""A card's Markdown as sections by heading, and as fields in lists (`- **Hardware Type:** A100`). Pure.

Headings are those of CommonMark (0.31, sections 4.2 and 4.3), outside fenced code and HTML comments.
Takes time in proportion to the text, and renders nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONGEST = 4000
"""Characters of what is quoted of a section."""
MOST_SECTIONS = 5000
MOST_FIELDS = 5000
LONGEST_LINE = 2000
"""Characters of a line that can be a heading or a field."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
_CLOSING = re.compile(r"(?:^|[ \t])#+$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"\s*$| {0,3}(?:[-*+](?:\s|$)|[>|#]|\d{1,9}[.)]|<|(?:[-*_][ \t]*){3,}$)|    ")
_BOLD_FIELD = re.compile(r"(?:[-*+]\s++)?(\*\*|__)(?P<key>[^*_\n]{1,100})\1\s*+:?(?P<value>.*)")
_PLAIN_FIELD = re.compile(r"[-*+]\s++(?P<key>[^:*_`|\n]{1,60}):(?P<value>\s.*)")
_BREAK = re.compile(r"\r\n|\n|\r")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,2000}\)")
_HTML_TAG = re.compile(r"<[^<>]{0,300}>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one heading, up to the next of any level. `line` counts from 1 in the body."""

    title: str
    level: int
    line: int
    own: str
    """As much of the text as can be of use."""
    inside: tuple[str, ...] = ()
    """Titles of the sections around it, the outermost first."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name and a value on one line: `**Name:** value`."""

    key: str
    value: str
    section: str


@dataclass(slots=True)
class _Heading:
    title: str
    level: int
    line: int
    behind: int
    """Lines up to and with the heading."""


def sections_of(body: str) -> tuple[Section, ...]:
    """The sections in their order; the first `MOST_SECTIONS` of them."""
    lines = _BREAK.split(body)
    headings = list(_headings(lines))
    around: list[_Heading] = []
    found: list[Section] = []
    for place, one in enumerate(headings):
        while around and around[-1].level >= one.level:
            around.pop()
        following = headings[place + 1].line if place + 1 < len(headings) else len(lines)
        found.append(
            Section(
                one.title,
                one.level,
                one.line + 1,
                _joined(lines, one.behind, following),
                tuple(heading.title for heading in around[:6]),
            )
        )
        around.append(one)
    return tuple(found)


def fields_of(sections: Sequence[Section]) -> tuple[Field, ...]:
    """The fields on lines of their own, in lists or in bold."""
    found: list[Field] = []
    for section in sections:
        for line in section.own.split("\n"):
            if (field := _field(line, section.title)) is not None:
                found.append(field)
                if len(found) == MOST_FIELDS:
                    return tuple(found)
    return tuple(found)


def _field(line: str, section: str) -> Field | None:
    if len(line) > LONGEST_LINE or ":" not in line:
        return None
    line = line.strip()
    match = _BOLD_FIELD.fullmatch(line) or _PLAIN_FIELD.fullmatch(line)
    if match is None or (match.re is _BOLD_FIELD and ":" not in line[: match.start("value")]):
        return None
    return Field(match["key"].strip(" :"), match["value"].strip(), section)


def plain(title: str) -> str:
    """A heading for comparing: small letters, without marks, links, numbers before it and `[optional]` behind it."""
    text = _HTML_TAG.sub("", _LINK.sub(r"\1", title)).casefold()
    text = re.sub(r"\[?\(?optional\)?\]?", " ", text)
    text = "".join(c if c.isalnum() or c in "-/&+" else " " for c in text.replace("'", "").replace("\u2019", ""))
    text = text.replace("&", " and ")
    return re.sub(r"^(\d+ )+", "", " ".join(text.split()))


def without_comments(text: str) -> str:
    """Without what stands in HTML comments."""
    return _COMMENT.sub("", text)


def quoted(text: str) -> str:
    """A section's text without comments and cut to `LONGEST`."""
    text = without_comments(text).strip()
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _joined(lines: Sequence[str], start: int, end: int) -> str:
    """Not much more than can be quoted."""
    kept: list[str] = []
    room = 4 * LONGEST
    for line in lines[start : min(end, start + room)]:
        kept.append(line[:room])
        room -= len(line) + 1
        if room <= 0:
            break
    return "\n".join(kept)


def _headings(lines: Sequence[str]) -> Iterator[_Heading]:
    count = 0
    visible = _visible(lines)
    before: str | None = None
    for number, line in visible:
        heading = _heading(line, number) or _underlined(before, line, number)
        if heading is not None and heading.title:
            yield heading
            count += 1
            if count == MOST_SECTIONS:
                return
        before = line if heading is None else None


def _heading(line: str, number: int) -> _Heading | None:
    if len(line) > LONGEST_LINE or not (match := _ATX.fullmatch(line)):
        return None
    title = _CLOSING.sub("", (match[2] or "").strip()).strip()
    return _Heading(title[:300], len(match[1]), number, number + 1)


def _underlined(before: str | None, line: str, number: int) -> _Heading | None:
    if before is None or len(line) > LONGEST_LINE or len(before) > LONGEST_LINE:
        return None
    match = _SETEXT.fullmatch(line)
    if match is None or _NO_PARAGRAPH.match(before):
        return None
    return _Heading(before.strip()[:300], 1 if match[1][0] == "=" else 2, number - 1, number + 1)


def _visible(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that are neither in fenced code nor in an HTML comment; an empty one where such begins."""
    fence = ""
    hidden = False
    for number, line in enumerate(lines):
        if fence:
            match = _FENCE.fullmatch(line[:LONGEST_LINE])
            if match and match[1].startswith(fence) and not match[2].strip():
                fence = ""
        elif hidden:
            hidden = "-->" not in line
        elif match := _FENCE.fullmatch(line[:LONGEST_LINE]):
            if match[1][0] == "~" or "`" not in match[2]:
                fence = match[1]
            yield number, ""
        elif line.lstrip().startswith("<!--"):
            hidden = "-->" not in line.split("<!--", 1)[1]
            yield number, ""
        else:
            yield number, line
