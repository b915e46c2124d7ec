"""An exchange on one of this server's own connections: reading the request, writing the answer (RFC 9112)."""

from __future__ import annotations

import asyncio
import http
from typing import TYPE_CHECKING

from intermodel.core import Invalid
from intermodel.web.exchange import Field, Fields, Serve
from intermodel.web.http import Scope, header, too_large

if TYPE_CHECKING:
    from intermodel.web.connection import Connection

UNREAD_BYTES = 64 * 1024
"""The socket is not read while more of a body than this waits for its reader."""
COPIED_BYTES = 64 * 1024
"""Bodies up to this are copied behind their head: cheaper than two buffers."""

_CLOSE = (b"connection", b"close")
_CHUNKED = (b"transfer-encoding", b"chunked")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in http.HTTPStatus}
_TEXT = bytes(code for code in range(256) if code == 9 or (code >= 32 and code != 127))
"""What may stand in a line of a head (RFC 9110, 5.5)."""


class Wire:
    """An exchange on a connection."""

    __slots__ = (
        "_allowed", "_chunked", "_connection", "_continued", "_is_watched", "_parts", "_waiting",
        "fields", "is_done", "is_last", "is_lost", "is_whole", "left", "scope", "serve", "size", "status", "task",
    )  # fmt: skip

    def __init__(self, connection: Connection, scope: Scope, serve: Serve) -> None:
        self.scope = scope
        self.serve = serve
        self.task: asyncio.Task[None]
        """Who answers."""
        self.status = 0
        self.fields: Fields = ()
        self.left = False
        self.is_last = False
        """Whether the connection ends with it."""
        self.is_whole = False
        """Whether all of the request is here."""
        self.is_done = False
        """Whether all of the answer was given."""
        self.is_lost = False
        """Whether the client is gone."""
        self.size = 0
        """How much of the body is here and was not taken."""
        self._connection = connection
        self._parts: list[bytes] = []
        self._allowed = UNREAD_BYTES
        self._chunked = False
        self._continued = False
        self._waiting: asyncio.Future[None] | None = None
        self._is_watched = False

    # what those who answer ask of it

    async def body(self, limit: int) -> bytes:
        if not self.is_whole:
            declared = header(self.scope, b"content-length")
            if declared.isdigit() and int(declared) > limit:
                raise too_large(int(declared), limit)
            await self._gather(limit)
        if self.size > limit:
            raise too_large(self.size, limit)
        return self.taken()

    async def _gather(self, limit: int) -> None:
        self._allowed = limit
        while not self.is_whole and self.size <= limit:
            await self.more()
            if self.is_lost:
                raise Invalid("The client left before its request was complete.")

    async def answer(self, status: int, fields: Fields, body: bytes) -> None:
        if self._connection.is_full:
            await self._connection.room()
        self.start(status, fields, (b"content-length", b"%d" % len(body)), body)
        self.finish()

    async def begin(self, status: int, fields: Fields) -> None:
        if self._connection.is_full:
            await self._connection.room()
        self.start_open(status, fields)

    async def write(self, piece: bytes) -> None:
        if self._connection.is_full:
            await self._connection.room()
        if piece and not self.is_lost:
            self._connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)

    async def end(self) -> None:
        self.finish()

    def __enter__(self) -> None:
        self._is_watched = True
        if self.is_lost:
            self.lose()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._is_watched = False
        if self.left and kind is not None and issubclass(kind, asyncio.CancelledError):
            self.task.uncancel()
            return True
        return False

    # the parts of it

    async def more(self) -> None:
        """Wait until more of the request has come, all of it, or the client is gone."""
        if not self._continued and not self.is_whole and not self.status:
            self._continued = True
            if header(self.scope, b"expect").lower() == b"100-continue":
                self._connection.write(_CONTINUE)
        self._connection.resume_reading()
        self._waiting = self._connection.future()
        await self._waiting

    def taken(self) -> bytes:
        """What has come of the body since this was asked before."""
        parts, self._parts = self._parts, []
        self.size = 0
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def start(self, status: int, fields: Fields, framing: Field | None, body: bytes = b"") -> None:
        """Write the head, of which `framing` tells how the body ends, and what is there of the body."""
        if not self.is_whole:
            self.is_last = True  # nobody reads the rest of the request
        told = [*fields, *self.fields]
        if framing is not None:
            told.append(framing)
        if self.is_last:
            told.append(_CLOSE)
        line = _STATUS.get(status) or b"HTTP/1.1 %d " % status
        head = b"\r\n".join([line, *map(b": ".join, told), b"", b""])
        if head.translate(None, _TEXT) != b"\r\n" * (len(told) + 2):
            raise ValueError("a header field holds what cannot be in it")
        self.status = status
        if self.is_lost:
            return
        if len(body) <= COPIED_BYTES:
            self._connection.write(head + body)
        else:
            self._connection.write_both(head, body)

    def start_open(self, status: int, fields: Fields) -> None:
        """Write the head of an answer whose length is not known: in chunks, or up to the end of the connection."""
        self._chunked = self.scope["http_version"] == "1.1"
        self.is_last |= not self._chunked
        self.start(status, fields, _CHUNKED if self._chunked else None)

    def finish(self) -> None:
        """The answer is whole."""
        if not self.is_lost:
            if self._chunked:
                self._connection.write(b"0\r\n\r\n")
            self.is_done = True
            self._wake()
            self._connection.done(self)

    # what the connection tells it

    def feed(self, piece: bytes) -> None:
        if self.is_done:
            return
        self._parts.append(piece)
        self.size += len(piece)
        if self.size > self._allowed:
            self._connection.pause_reading()
            self._wake()
        elif self._allowed == UNREAD_BYTES:
            self._wake()

    def complete(self) -> None:
        self.is_whole = True
        self._wake()

    def lose(self) -> None:
        """The client is gone."""
        self.is_lost = True
        self._wake()
        if self._is_watched:
            self.left = True
            self.task.cancel()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
