"""uvicorn as this node runs it, with the bounds it does not have by itself.

uvicorn's httptools protocol neither limits the size of a request's head nor the time it may take, and waits without
end for a client that does not read. All three are closed here.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from intermodel.core import Conflict, Unavailable
from intermodel.settings import Limits

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"


def server_config(app: ASGIApp, limits: Limits, **more: Any) -> uvicorn.Config:
    """The configuration of uvicorn for a node's application."""
    return uvicorn.Config(
        app,
        http=functools.partial(Bounded, limits),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        **more,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port`. Raises `Conflict` if something else has them, `Unavailable` otherwise."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # bound is not enough: two sockets may share an address until one of them listens
        listener.listen(2048)
    except PermissionError:
        raise Unavailable(f"Port {port} needs rights this user has not.", hint="Choose one above 1023.") from None
    except (socket.gaierror, UnicodeError) as error:
        raise Unavailable(f"There is no address '{host}' here: {error}.", hint="Try --host 127.0.0.1.") from None
    except OSError as error:
        raise Conflict(
            f"Port {port} on {host} cannot be used: {error.strerror}.",
            hint="Is another node running? Stop it, or choose another port with --port (0 takes a free one).",
            code="port_in_use",
        ) from None
    return listener


class Bounded(HttpToolsProtocol):
    """One connection. A head that is too large or too slow, or a client that does not read, ends it."""

    def __init__(self, limits: Limits, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._in_head = True
        self._head_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.write(_FULL)
            transport.close()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        self._stop_reading_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:  # still, after this piece: most heads come in one, and need no timer
            self._await_head()
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(self._limits.client_silence_s, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_reading_timer()
        super().resume_writing()

    def _await_head(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self._limits.head_s, self.transport.close)

    def _head_is_there(self) -> None:
        self._in_head = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
