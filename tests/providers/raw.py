"""A server on loopback that sends exactly the bytes a test wants, when it wants them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from intermodel.providers.http import Origin


@dataclass
class Talk:
    """One connection as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: Server
    number: int

    async def request(self) -> bytes:
        """The next request, head and body; b"" when the client has left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
        whole = head + await self.reader.readexactly(length)
        self.server.requests.append(whole)
        return whole

    async def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause_s)

    async def left(self) -> bool:
        """Whether the client leaves within two seconds."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(2):
                return await self.reader.read() == b""
        return True


@dataclass
class Server:
    """Where it listens, and what it saw."""

    origin: Origin
    requests: list[bytes] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)


Handler = Callable[[Talk], Awaitable[object]]


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, *, tls: ssl.SSLContext | None = None, socket: Path | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server that runs `handler` for each connection, and closes it after that."""
    server = Server(Origin("http://not-yet"))
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        talk = Talk(reader, writer, server, len(server.talks))
        server.talks.append(talk)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError, ssl.SSLError, RuntimeError):
                await handler(talk)
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()
            tasks.discard(task)

    if socket is not None:
        listener = await asyncio.start_unix_server(serve, str(socket))
        server.origin = Origin("http://engine/v1", socket=socket)
    else:
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
        server.origin = Origin(f"{'https' if tls else 'http'}://{host}:{port}/v1", private=True)
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


def whole(body: bytes = b"{}", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A response with its length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join([*lines, b"", b""]) + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """The body of a chunked response."""
    return b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailers + b"\r\n"


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def always(response: bytes) -> Handler:
    """Answers every request of a connection with the same bytes."""

    async def handler(talk: Talk) -> None:
        while await talk.request():
            await talk.send(response)

    return handler
