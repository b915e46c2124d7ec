"""Small pieces of ASGI that the edges share: reading a body within a limit, answering, noticing who left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from intermodel.core import IntermodelError, Invalid, Kind
from intermodel.core.errors import TooLarge
from intermodel.web.errors import body_of, headers_of, status_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of that (lower-case) name, or b""."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises `TooLarge`, if its length is declared before anything of it is read."""
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(int(declared), limit)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Invalid("The client left before its request was complete.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(size, limit)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(size: int, limit: int) -> TooLarge:
    return TooLarge(
        f"The body has {size} bytes or more; this node takes {limit}.",
        hint="Send less, or raise limits.body_bytes.",
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises `Invalid`, with the place of the mistake."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(
            f"The body is not valid JSON: {error}.", hint="Send one JSON object in UTF-8.", code="invalid_json"
        ) from None
    if not isinstance(parsed, dict):
        raise Invalid("The body is JSON, but not an object.", hint='Send {"model": ..., ...}.', code="invalid_json")
    return parsed


async def respond(
    send: Send, status: int, body: bytes, media_type: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *(headers or ())],
        }
    )
    await send({"type": "http.response.body", "body": body})


def error_answer(error: IntermodelError, protocol: Kind | None = None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, header fields and body of an error in the protocol of the request; OpenAI's is also this node's own."""
    headers = [(b"content-type", b"application/json"), *headers_of(error)]
    if receipt := error.told.get("receipt"):
        headers.append((b"x-intermodel-receipt", receipt.encode()))
    return status_of(error), headers, orjson.dumps(body_of(protocol, error))


class Watch:
    """While entered, the current task is cancelled when the client hangs up; `left` says that it did.

    Enter it after the body was read.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.left = False

    def __enter__(self) -> Watch:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._watcher = asyncio.create_task(self._until_gone())
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._watcher.cancel()
        del self._watcher  # its CancelledError leads back here: a ring would be left to the garbage collector
        if self.left and kind is not None and issubclass(kind, asyncio.CancelledError):
            self._task.uncancel()
            return True
        return False

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._task.cancel()
