"""A card: the text of a README.md, with a YAML head between lines `---` and Markdown below."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from intermodel.core import Conflict, Invalid
from intermodel.core.errors import TooLarge
from intermodel.records.card import made, yamlhead
from intermodel.records.card.sections import Field, Section, fields_of, sections_of
from intermodel.records.card.view import View, view_of
from intermodel.records.card.yamlhead import Broken, Head
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import WhatItIs
from intermodel.records.lineage import Graph

LIMIT = 16 * 1024**2
"""Characters of a card. The longest in use (leaderboards of embedding models) have about 3 million."""
HEAD_LIMIT = 4 * 1024**2
"""Characters of a head: nearly all of such a card is results in its head."""

_OPENING = re.compile(r"\ufeff?\s*?---[ \t]*+(?P<newline>\r\n|\n|\r)")
_CLOSING = re.compile(r"(?:(?<=\n)|(?<=\r))---[ \t]*+(?=[\r\n]|\Z)")


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a head could not be read, and where in the card; line and column count from 1."""

    message: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


@dataclass(frozen=True)
class Card:
    """A card as it was written. `text` never differs from what was parsed, not by a byte.

    Where the head is broken, `mistake` says why and where, and every field is unknown.
    """

    text: str
    mistake: Mistake | None = None
    _head: Head = field(default_factory=lambda: Head({}, {}), repr=False)
    _extent: tuple[int, int, str] | None = field(default=None, repr=False)
    """Where the head's own lines begin and end, and how lines end in it; None where there is no head."""

    @classmethod
    def parse(cls, text: str | bytes) -> Card:
        """The card in a text or in a file's bytes.

        Raises `Invalid` for what is no text in UTF-8, and for more than `LIMIT` characters. Nothing else is refused:
        a broken head is a `mistake`.
        """
        text = _decoded(text) if isinstance(text, bytes) else text
        if len(text) > LIMIT:
            raise TooLarge(
                f"The card has {len(text)} characters; no more than {LIMIT} are read.",
                hint="Put long tables in files of their own and link them.",
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Invalid(
                f"The card holds half of a character, at character {error.start}.", hint="Save it as UTF-8."
            ) from None
        opening = _OPENING.match(text)
        if opening is None:
            return cls(text)
        start = opening.end()
        closing = _CLOSING.search(text, start, start + HEAD_LIMIT)
        if closing is None:
            why = "the head that begins here is never closed by a line '---'"
            if len(text) - start > HEAD_LIMIT:
                why = f"the head that begins here is longer than {HEAD_LIMIT} characters, or never closed by '---'"
            return cls(text, _mistake(text, text.index("---"), why))
        extent = (start, closing.start(), opening["newline"])
        try:
            head = yamlhead.read(text[start : closing.start()])
        except Broken as error:
            return cls(text, _mistake(text, start + error.at, str(error)), _extent=extent)
        return cls(text, None, head, extent)

    @classmethod
    def made(
        cls,
        name: str,
        what: WhatItIs,
        disclosure: Disclosure,
        graph: Graph | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Card:
        """A card of the model `name`, written from what is known of it; what is not says "Not disclosed".

        `graph` gives base models and data sets, if `name` is in it; `fields` are more fields of the head, which win.
        Raises `Invalid` for a field that a head cannot hold.
        """
        head = made.head(name, what, disclosure, graph)
        return cls.parse(f"---\n---\n{made.body(name, what, disclosure)}").with_({**head, **(fields or {})})

    @property
    def fields(self) -> Mapping[str, Any]:
        """The head's fields as they stand there; empty where there is no head or it is broken."""
        return self._head.fields

    @property
    def body(self) -> str:
        """The Markdown below the head."""
        if self._extent is None:
            return self.text
        return re.compile(r"---[ \t]*(\r\n|\n|\r)?").sub("", self.text[self._extent[1] :], count=1)

    @cached_property
    def view(self) -> View:
        """The fields with their types."""
        return view_of(self.fields)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The Markdown by its headings."""
        return sections_of(self.body)

    @cached_property
    def listed(self) -> tuple[Field, ...]:
        """Fields that stand in the Markdown: `- **Hardware Type:** A100`."""
        return fields_of(self.sections)

    def line(self, section: Section) -> int:
        """The line of the card on which a section begins."""
        return section.line + self.text[: len(self.text) - len(self.body)].count("\n")

    def with_(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> Card:
        """The card with these fields of its head changed, added, or taken out where the value is None.

        All else stays as it is, comments and order too. Names that are no words of Python go into the mapping:
        `card.with_({"model-index": [...]}, license="mit")`. Raises `Conflict` where the head is broken or so written
        that the change would touch another field, and `Invalid` for a value that a head cannot hold.
        """
        wanted = {**(changes or {}), **more}
        if self.mistake is not None:
            raise Conflict(f"The card's head is broken: {self.mistake}.", hint="Mend that first.")
        expected = {key: value for key, value in {**self.fields, **wanted}.items() if value is not None}
        try:
            text = self._changed(wanted)
            exact = _comparable(expected)
        except (ValueError, TypeError, RecursionError) as error:
            raise Invalid(
                f"A value cannot stand in a card's head: {error}.", hint="Give texts, numbers, lists and mappings."
            ) from None
        card = Card.parse(text)
        same = card.body == self.body.removeprefix("\ufeff")
        if card.mistake is not None or not same or _comparable(_known(card.fields)) != exact:
            raise Conflict(
                "The change would touch other fields, or be read back as something else.",
                hint="The head is written in an unusual way, or the value is. Edit it by hand.",
            )
        return card

    def _changed(self, changes: Mapping[str, Any]) -> str:
        if self._extent is not None:
            start, end, newline = self._extent
            head = yamlhead.patched(self.text[start:end], self._head, changes, newline)
            return self.text[:start] + head + self.text[end:]
        newline = "\r\n" if "\r\n" in self.text[:10_000] else "\n"
        written = yamlhead.written({key: value for key, value in changes.items() if value is not None}, newline)
        if not written:
            return self.text
        mark = "\ufeff" if self.text.startswith("\ufeff") else ""
        return f"{mark}---{newline}{written}---{newline}{self.text[len(mark) :]}"


def _decoded(data: bytes) -> str:
    if len(data) > 4 * LIMIT:
        raise TooLarge(f"The card has {len(data)} bytes.", hint="Put long tables in files of their own and link them.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(f"The card is no UTF-8 text (line {line}).", hint="Save it as UTF-8.") from None


def _mistake(text: str, at: int, message: str) -> Mistake:
    before = text[:at].replace("\r\n", "\n").replace("\r", "\n")
    return Mistake(message, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _comparable(value: Any) -> str:
    """Equal for equal values only: 1, 1.0 and True differ. Raises for what is no text, number, list or mapping."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)
    text.encode()  # half of a character is no text
    return text
