"""YAML and JSON that people write, read as values: strict, and bounded in time and memory. Pure.

Scalars follow the core schema of YAML 1.2.2 (section 10.3), of which JSON is a part: a day is a text, `no` is a text.
A text comes from anybody. So values are built from libyaml's events, which cost no more than their text, into texts,
numbers, truths, nothing, lists and mappings alone, within limits of depth and number; aliases count as often as they
are used. Libyaml's own way from a text to objects recurses in C, and a deep text ends the process. A key that stands
twice is refused, as libraries take one of the two; so are merge keys and tags.

The heads of cards have a reader of their own, which also keeps where each field stands (`card/yamlhead.py`), and so do
disclosures, which name the line of every mistake (`openness/formats/places.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from intermodel.core.errors import Invalid

MOST_VALUES = 2_000_000
"""Values in one text, aliases counted as often as they are used: a lineage of about 200,000 nodes."""
MOST_DEPTH = 32
"""Lists and mappings inside each other; what is read here needs seven. Deep flow collections cost libyaml quadratic
time."""
LONGEST_NUMBER = 100
"""Characters of a number; a longer one is kept as text."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CORE = "tag:yaml.org,2002:"
TAGS = {None, "!", *(CORE + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))}

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def read(text: str, what: str, hint: str, *, numbers: bool = True) -> Any:
    """The one value that the text holds; None where it holds none.

    Raises `Invalid`, with the line, that says it is no `what`, with that hint. Without `numbers` these stay as they are
    written: `1.10` is a name other than `1.1`.
    """
    try:
        return _Builder(yaml.parse(text, Loader=LOADER), what, hint, numbers).document()
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # half of a character is a ValueError
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Invalid(f"This is neither YAML nor JSON{where}.", hint=hint) from None


def scalar(text: str) -> Any:
    """The value of a plain scalar in the core schema. Numbers that JSON could not carry stay text."""
    if _NULL.fullmatch(text):
        return None
    if found := _BOOLEAN.fullmatch(text):
        return found[1] is not None
    if len(text) > LONGEST_NUMBER:
        return text
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            number = int(text, 10 if base == 10 else 0)
            return number if -(2**63) <= number < 2**63 else text
    if _FLOAT.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text


@dataclass(slots=True)
class _Builder:
    """The value of the one document in a stream of events. Raises `Invalid` where it is none that is read here."""

    events: Iterator[Any]
    what: str
    hint: str
    numbers: bool
    size: int = 0
    anchors: dict[str, tuple[Any, int] | None] = field(default_factory=dict)
    """What an anchor names, and of how many values it is made; None while it is being built."""

    def document(self) -> Any:
        next(self.events)  # the stream begins
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self.events), 1)
        next(self.events)  # the document ends
        if not isinstance(event := next(self.events), yaml.StreamEndEvent):
            raise self._refused(event, "a second document begins")
        return value

    def _value(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in TAGS:
            raise self._refused(event, f"the tag {event.tag[:100]} has no meaning here")
        if depth > MOST_DEPTH:
            raise self._refused(event, f"lists and mappings are nested deeper than {MOST_DEPTH}")
        before = self.size
        self._count(1, event)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                value.append(self._value(inner, depth + 1))
        else:
            value = self._mapping(depth + 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.size - before)
        return value

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise self._refused(key, "a key is no text")
            if key.value == "<<" and not key.style:
                raise self._refused(key, "a key `<<` merges mappings, which is not done here")
            if key.value in values:
                raise self._refused(key, f"the key '{key.value[:100]}' stands a second time")
            self._count(1, key)
            if key.anchor is not None:
                self.anchors[key.anchor] = (key.value, 1)
            values[key.value] = self._value(next(self.events), depth)
        return values

    def _alias(self, event: Any) -> Any:
        named = self.anchors.get(event.anchor)
        if named is None:
            why = "names itself" if event.anchor in self.anchors else "names nothing before it"
            raise self._refused(event, f"the alias *{event.anchor[:100]} {why}")
        self._count(named[1], event)
        return named[0]

    def _count(self, more: int, event: Any) -> None:
        self.size += more
        if self.size > MOST_VALUES:
            raise self._refused(event, f"there are more than {MOST_VALUES:,} values")

    def _scalar(self, event: Any) -> Any:
        if event.style or event.tag is not None:
            return str(event.value)
        value = scalar(event.value)
        return value if self.numbers or value is None or isinstance(value, bool) else str(event.value)

    def _refused(self, event: Any, why: str) -> Invalid:
        return Invalid(f"This is no {self.what}: in line {event.start_mark.line + 1}, {why}.", hint=self.hint)
