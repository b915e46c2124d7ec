"""One request and its answer, as those see it who answer.

`Exchange` is what a connection of this node's own server hands to the calling paths (`connection.Wire`). `Adapted` is
the same around ASGI: for every other path, and for all of them where another server runs the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from intermodel.web.http import Receive, Scope, Send, Watch, read_body

Field = tuple[bytes, bytes]
Fields = Sequence[Field]
"""Header fields, their names in small letters."""


class Exchange(Protocol):
    """An answer is either given whole (`answer`), or begun, written in pieces and ended.

    While entered (`with exchange:`), the current task is cancelled when the client hangs up. Enter after reading the
    body. What is written to a client who is gone is dropped.
    """

    scope: Scope
    """The head of the request, as ASGI tells it; the edges note there what they find out."""
    status: int
    """Of the answer; 0 until it has begun."""
    fields: Fields
    """What every answer's head says, besides what is given with it."""

    @property
    def left(self) -> bool:
        """Whether the client hung up while this was entered."""

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises `TooLarge` (for a declared length before anything is read), `Invalid`."""

    async def answer(self, status: int, fields: Fields, body: bytes) -> None:
        """Give a whole answer; its length is not among the fields."""

    async def begin(self, status: int, fields: Fields) -> None:
        """Give the head of an answer whose length is not known."""

    async def write(self, piece: bytes) -> None:
        """Give a piece of it, once the client has read what was given before, up to some bytes."""

    async def end(self) -> None:
        """Say that it was all. An answer that is never ended is seen to be cut off."""

    def __enter__(self) -> object: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool: ...


Serve = Callable[[Exchange], Awaitable[None]]


class Adapted:
    """An exchange over ASGI's `receive` and `send`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.status = 0
        self.fields: Fields = ()
        self._receive = receive
        self._send = send
        self._watch = Watch(receive)

    @property
    def left(self) -> bool:
        return self._watch.left

    async def send(self, message: Any) -> None:
        """ASGI's `send`, for what answers in that form."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self.fields]
        await self._send(message)

    async def body(self, limit: int) -> bytes:
        return await read_body(self.scope, self._receive, limit)

    async def answer(self, status: int, fields: Fields, body: bytes) -> None:
        await self.begin(status, [*fields, (b"content-length", b"%d" % len(body))])
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, status: int, fields: Fields) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": fields})

    async def write(self, piece: bytes) -> None:
        if piece:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    def __enter__(self) -> Adapted:
        self._watch.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return self._watch.__exit__(kind)
