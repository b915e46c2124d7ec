"""The YAML head of a card: its values, and where each field stands in its text. Pure, and bounded in time and memory.

Values follow the core schema of YAML 1.2.2 (section 10.3), as the Hub reads heads: `language: no` is Norwegian, a date
is a text. What cannot be a field of a card is a mistake: a key twice, a tag of a programming language, aliases that
multiply, several documents. No object is ever built but texts, numbers, lists and mappings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from intermodel.records.yamltext import CORE, LOADER, TAGS, scalar

MOST_NODES = 500_000
"""Values in one head, aliases counted as often as they are used. The cards with the most results have about 100,000."""
MOST_DEPTH = 32
"""Lists and mappings inside each other; results need seven. Deep flow collections cost libyaml quadratic time."""

_BLOCK_SCALARS = ("|", ">")


class Broken(ValueError):
    """Why a head is no mapping of fields, and at which character of it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Span:
    """Where a field stands: its key begins at `start`; its value goes from behind the colon to `end`, without what
    follows on the line."""

    start: int
    colon: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """Fields in their order. `flow` is the extent of the whole where it is written in braces, else None."""

    fields: Mapping[str, Any]
    spans: Mapping[str, Span]
    flow: tuple[int, int] | None = None


def read(text: str) -> Head:
    """The fields of a head, without the lines `---`. Raises `Broken`."""
    try:
        return _Reader(text).head()
    except yaml.YAMLError as error:
        raise Broken(*_told(error, text)) from None
    except UnicodeEncodeError as error:
        raise Broken("half of a character stands here", error.start) from None


def _told(error: yaml.YAMLError, text: str) -> tuple[str, int]:
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position]
        return f"{error.reason}", len(before.decode(errors="ignore"))
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = ", ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None))))
    return what or "this is no YAML", min(mark.index, len(text)) if mark else 0


def _start(event: Any) -> int:
    index: int = event.start_mark.index
    return index


def _end(event: Any) -> int:
    index: int = event.end_mark.index
    return index


@dataclass(frozen=True, slots=True)
class _Built:
    """A value, how many nodes it is made of, and where its text ends."""

    value: Any
    size: int
    end: int


class _Reader:
    """Builds values from libyaml's events; nothing is looked at further than the limits allow."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
        self._anchors: dict[str, _Built | None] = {}
        self._size = 0

    def head(self) -> Head:
        next(self._events)  # the stream begins
        if isinstance(event := next(self._events), yaml.StreamEndEvent):
            return Head({}, {})
        root = next(self._events)
        head = self._root(root)
        next(self._events)  # the document ends
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise Broken("a second document begins here", _start(event))
        return head

    def _root(self, event: Any) -> Head:
        if isinstance(event, yaml.ScalarEvent) and not event.value and event.style in (None, ""):
            return Head({}, {})
        if not isinstance(event, yaml.MappingStartEvent):
            raise Broken("a head has to be fields with values", _start(event))
        start = _start(event)
        self._open(event)
        fields: dict[str, Any] = {}
        spans: dict[str, Span] = {}
        for key, key_event, built, value_start in self._pairs(1):
            fields[key] = built.value
            colon = self._behind_colon(key_event)
            spans[key] = Span(_start(key_event), colon, max(value_start, colon), max(built.end, colon))
        flow = (start, self._end) if event.flow_style else None
        return Head(fields, spans, flow)

    def _behind_colon(self, key: Any) -> int:
        end = _end(key)
        return self._text.find(":", end) + 1 or end

    def _node(self, event: Any, depth: int) -> _Built:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._count(1, event)
        if event.tag not in TAGS:
            raise Broken(f"the tag {event.tag[:100]} has no meaning in a card", _start(event))
        if depth > MOST_DEPTH:
            raise Broken("lists and mappings are nested too deep here", _start(event))
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event)
        else:
            self._open(event)
            built = self._list(event, depth) if isinstance(event, yaml.SequenceStartEvent) else self._map(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _open(self, event: Any) -> None:
        """A collection that an alias may not name before it ends."""
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _alias(self, event: Any) -> _Built:
        named = self._anchors.get(event.anchor)
        if named is None:
            why = "names itself" if event.anchor in self._anchors else "names nothing before it"
            raise Broken(f"the alias *{event.anchor[:100]} {why}", _start(event))
        self._count(named.size, event)
        return _Built(named.value, named.size, _end(event))

    def _count(self, more: int, event: Any) -> None:
        self._size += more
        if self._size > MOST_NODES:
            raise Broken(f"the head holds more than {MOST_NODES} values", _start(event))

    def _scalar(self, event: Any) -> _Built:
        end = _end(event)
        if event.style in _BLOCK_SCALARS:  # its mark lies behind the line break
            while end > _start(event) and self._text[end - 1] in "\r\n":
                end -= 1
        plain = event.style in (None, "") and event.tag != "!" and event.tag != CORE + "str"
        return _Built(scalar(event.value) if plain else event.value, 1, end)

    def _list(self, event: Any, depth: int) -> _Built:
        values: list[Any] = []
        size, end = 1, _end(event)
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            built = self._node(inner, depth + 1)
            values.append(built.value)
            size, end = size + built.size, built.end
        return _Built(values, size, _end(inner) if event.flow_style else end)

    def _map(self, event: Any, depth: int) -> _Built:
        values: dict[str, Any] = {}
        size, end = 1, _end(event)
        for key, _, built, _ in self._pairs(depth + 1):
            values[key] = built.value
            size, end = size + 1 + built.size, built.end
        return _Built(values, size, self._end if event.flow_style else end)

    def _pairs(self, depth: int) -> Iterator[tuple[str, Any, _Built, int]]:
        """The pairs of a mapping whose beginning was read, up to its end, which `_end` then is."""
        seen: set[str] = set()
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise Broken("a key has to be a text", _start(key))
            self._count(1, key)
            if key.value in seen:
                raise Broken(f"the key '{key.value[:100]}' stands here a second time", _start(key))
            seen.add(key.value)
            if key.anchor is not None:
                self._anchors[key.anchor] = _Built(key.value, 1, _end(key))
            value = next(self._events)
            empty = isinstance(value, yaml.ScalarEvent) and _start(value) == _end(value)
            built = self._node(value, depth)
            if empty:  # libyaml places it wherever it noticed
                built = _Built(built.value, built.size, self._behind_colon(key))
            yield key.value, key, built, _start(value)
        self._end = _end(key)


class _Dumper(yaml.SafeDumper):
    """Writes what this module reads as it was, and what readers of YAML 1.1 read alike."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(scalar(text), str) else "'"
    return dumper.represent_scalar(CORE + "str", text, style=style)


_Dumper.add_representer(str, _text)


def written(fields: Mapping[str, Any], newline: str = "\n") -> str:
    """Fields as lines of a head. Raises `ValueError` for values that a head cannot hold."""
    if not fields:
        return ""
    try:
        text = yaml.dump(
            dict(fields), Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=2**30
        )
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    return text.replace("\n", newline)


def patched(text: str, head: Head, changes: Mapping[str, Any], newline: str) -> str:
    """The head's text with these fields changed, or taken out where None; comments and the rest stay."""
    if head.flow is not None:
        return _unfolded(text, head, changes, newline)
    edits = sorted(((head.spans[key], key) for key in changes if key in head.spans), key=lambda one: -one[0].start)
    for span, key in edits:
        text = _cut(text, span) if changes[key] is None else _replaced(text, span, key, changes[key], newline)
    new = {key: value for key, value in changes.items() if key not in head.spans and value is not None}
    if new and text and not text.endswith(("\n", "\r")):
        text += newline
    return text + written(new, newline)


def _unfolded(text: str, head: Head, changes: Mapping[str, Any], newline: str) -> str:
    """The same for a head in braces, such as the empty one of the Hub's template: its fields get lines of their own."""
    assert head.flow is not None
    fields = {key: value for key, value in {**head.fields, **changes}.items() if value is not None}
    start, end = head.flow
    body = written(fields, newline).removesuffix(newline) or "{}"
    return text[:start] + body + text[end:]


def _cut(text: str, span: Span) -> str:
    after = re.compile(r"[^\r\n]*(\r\n|\n|\r)?").match(text, span.end)
    assert after is not None
    return text[: span.start] + text[after.end() :]


def _replaced(text: str, span: Span, key: str, value: Any, newline: str) -> str:
    prefix = written({key: None}, newline).removesuffix(f" null{newline}")
    new = written({key: value}, newline).removeprefix(prefix).removesuffix(newline)
    comment = _comment(text[span.colon : span.value])
    if new.startswith((" ", "\t")):
        return text[: span.colon] + new + comment + text[span.end :]
    return text[: span.colon] + comment + new + text[span.end :]


def _comment(between: str) -> str:
    """The comment on the line of a key whose value stands below it."""
    first = re.split(r"[\r\n]", between, maxsplit=1)[0].rstrip()
    return first if first.lstrip().startswith("#") else ""
