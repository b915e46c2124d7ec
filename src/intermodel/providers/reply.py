"""The answer to one request, between the connection that takes it in and whoever reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Protocol


class Broken(ConnectionError):
    """The connection ended before the response did, or what came is no HTTP/1.1 response."""


class Headers(Mapping[str, str]):
    """Values by field name in any case; those of one name are joined by commas (RFC 9110, 5.3)."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Source(Protocol):
    """The connection, as far as a reply needs it."""

    def wait(self, silence_s: float) -> asyncio.Future[None]:
        """A future that ends when more has come; the reply fails after `silence_s` without."""

    def resume(self) -> None:
        """Go on reading the socket: there is room again."""

    def fail(self, error: Exception) -> None:
        """Close the connection, and end the reply with `error`."""


class Reply:
    """The answer to one request, as it comes. One task at a time may wait for it."""

    __slots__ = ("_connection", "_error", "_pieces", "_silence_s", "_size", "_waiter", "fields", "status")

    def __init__(self, connection: Source, silence_s: float) -> None:
        self.status = 0
        """0 until the head is there."""
        self.fields: dict[bytes, bytes] = {}
        """By name in small letters."""
        self._connection: Source | None = connection  # until the end, of whichever kind
        self._silence_s = silence_s
        self._pieces: list[bytes] = []
        self._size = 0
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_awaited(self) -> bool:
        return self._waiter is not None

    async def head(self) -> None:
        """Return once `status` and `fields` are there. Raises `Broken`, or `TimeoutError` after the silence."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """All that has come since the last time; b"" at the end. Raises as `head` does, after what came before."""
        while not self._pieces:
            if self._connection is None and self._error is None:
                return b""
            await self._more()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    def abort(self) -> None:
        """Close the connection unless the response has ended; nothing more can be read then."""
        if self._connection is not None:
            self._pieces.clear()
            self._connection.fail(Broken("the connection was closed on this side"))

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        assert self._connection is not None
        assert self._waiter is None, "another task waits for this reply"
        self._waiter = self._connection.wait(self._silence_s)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    # what the connection tells it

    def add(self, piece: bytes) -> int:
        """Bytes that wait for the reader now."""
        self._pieces.append(piece)
        self._size += len(piece)
        self.wake()
        return self._size

    def end(self, error: Exception | None = None) -> None:
        self._connection = None
        self._error = error
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
