"""Server-sent events (WHATWG HTML, section 9.2), split out of bytes that come cut anywhere."""

from __future__ import annotations

import re

from intermodel.core import Upstream

EVENT_BYTES = 16 * 1024**2
"""Largest event that is held while its end has not come."""

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")

_AFTER_EVENT = re.compile(rb"(?<=\n\n)|(?<=\r\n\r\n)")


class Events:
    """Feed it a stream; it gives back whole events as (name, data). Comments and events without data are dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._more: list[bytes] = []
        """Pieces after `_rest` without any line break: put together once, for a long event comes in many."""
        self._size = 0

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that are complete with `data`. Raises `Upstream` for one that has no end."""
        if self._rest and b"\n" not in data and b"\r" not in data and not self._rest.endswith((b"\r", b"\n")):
            self._more.append(data)
            self._bound(self._size + len(data))
            return []
        rest = self._whole() + data
        if rest.endswith(b"\r") and not rest.endswith(b"\r\r"):  # its line feed may still come
            self._rest = rest
            return []
        *whole, self._rest = _END.split(rest)
        self._bound(len(self._rest))
        return [event for one in whole if (event := _parsed(one))[1]]

    def end(self) -> list[tuple[bytes, bytes]]:
        """A last event whose blank line was forgotten, as many servers do."""
        rest, self._rest = self._whole(), b""
        event = _parsed(rest)
        return [event] if event[1] else []

    def _bound(self, size: int) -> None:
        self._size = size
        if size > EVENT_BYTES:
            raise Upstream(f"An event is longer than {EVENT_BYTES // 1024**2} MiB.", code="upstream_too_large")

    def _whole(self) -> bytes:
        rest = b"".join([self._rest, *self._more]) if self._more else self._rest
        self._more.clear()
        return rest


def _parsed(text: bytes) -> tuple[bytes, bytes]:
    name, data = b"", []
    for line in text.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return name, b"\n".join(data)


def event(data: bytes, name: bytes = b"") -> bytes:
    """One event as it is sent; `data` is a single line."""
    return b"event: " + name + b"\ndata: " + data + b"\n\n" if name else b"data: " + data + b"\n\n"


def events_of(data: bytes) -> list[bytes]:
    """`data`, cut where events end in it."""
    return [part for part in _AFTER_EVENT.split(data) if part]
