"""What came of an answer, for the bill of one that nobody reports the usage of. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from intermodel.core import Kind, Usage

SLACK_BYTES = 24
"""A piece whose events are no longer or shorter than those before by more than this is not looked into."""

_WORD = rb'":\s?"([^"\\]*(?:\\.[^"\\]*)*)'
_TEXTS = {
    Kind.CHAT: re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments)' + _WORD),
    Kind.COMPLETION: re.compile(rb'"text' + _WORD),
    Kind.MESSAGES: re.compile(rb'"(?:text|thinking|partial_json)' + _WORD),
    Kind.RESPONSES: re.compile(rb'"delta' + _WORD),
}


@dataclass(slots=True)
class Seen:
    """What came of an answer that may come to nothing: its bytes, and what the upstream reported that it used."""

    bytes: int = 0
    usage: Usage | None = None


PART_BYTES = 8192
"""Of an event that is not whole yet, no more than this is kept until it is."""


class Said:
    """A token for each event, and in an event that says more, one for every four bytes of its text.

    How long an event is that says a token or so is learned from the stream; only others are searched for their text.
    """

    __slots__ = ("_bare", "_part", "_pending", "_tail", "_texts", "_tokens")

    def __init__(self, spoken: Kind) -> None:
        self._tokens = self._pending = 0
        self._texts = _TEXTS.get(spoken)
        self._bare = 0
        """Bytes of an event without its text."""
        self._part = self._tail = b""

    @property
    def tokens(self) -> int:
        """How many were said so far."""
        return self._tokens + self._pending

    def feed(self, data: bytes) -> int:
        """How many events begin in `data`, also where their name is cut in two. Comments are none."""
        seen = self._tail + data
        self._tail = seen[-4:]
        events = seen.count(b"data:")
        if not data.endswith(b"\n") and len(self._part) + len(data) < PART_BYTES:
            self._part += data
            self._pending += events
            return events
        if self._part:
            data, self._part = self._part + data, b""
        self._take(data, events + self._pending)
        self._pending = 0
        return events

    def _take(self, data: bytes, events: int) -> None:
        is_usual = events and abs(len(data) - self._bare * events) <= SLACK_BYTES * events
        if self._texts is None or is_usual:
            self._tokens += events
        else:
            self._look(data, events, self._texts)

    def _look(self, data: bytes, events: int, texts: re.Pattern[bytes]) -> None:
        if not events:  # the rest of an event that is long: text
            self._tokens += max(0, len(data) - self._bare) // 4
            return
        text = sum(map(len, texts.findall(data)))
        self._tokens += max(events, text // 4)
        self._bare = (len(data) - text) // events
