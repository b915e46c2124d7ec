"""Answers that pass through unread: sound, pictures, ranks, transcripts."""

from __future__ import annotations

from intermodel.core import Upstream, Usage


class OpaqueWatch:
    """A stream of which only the connection tells whether it was whole."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failed = False
        self.finished = True
        self.done = False
        self._empty = True

    def begun(self, head: bytes) -> bool:
        return bool(head)

    def feed(self, data: bytes) -> bytes:
        self._empty = False
        return data

    def end(self) -> bytes:
        if self._empty:
            raise Upstream("The upstream sent an empty answer.", code="upstream_empty")
        self.done = True
        return b""
