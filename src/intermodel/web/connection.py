"""A client's connection, as an asyncio protocol around llhttp (httptools).

uvicorn accepts connections, and stops them. Requests to the paths of the `lane` are answered without ASGI between; all
others go to the ASGI application (`asgi.py`). What a client can make us hold is bounded: connections, the size and the
time of a head, the time of a body, bodies that nobody reads yet, requests ahead of their turn, unread answers.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.server import ServerState

from intermodel.settings import Limits
from intermodel.web.asgi import Asgi
from intermodel.web.exchange import Serve
from intermodel.web.wire import Wire

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75.0
"""How long a connection may wait for its next request."""
LINGER_S = 10.0
"""How long the rest of a request is swallowed that was answered before it was whole: a reset could lose the answer."""
AHEAD = 1
"""The socket is not read while more requests than this wait behind the one that is answered."""
AHEAD_MOST = 64
"""More than this are not waited with; the connection ends."""

_EMPTY = b"connection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _EMPTY
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _EMPTY
_SLOW = b"HTTP/1.1 408 Request Timeout\r\n" + _EMPTY
_BAD = b"HTTP/1.1 400 Bad Request\r\n" + _EMPTY


class Connection(asyncio.Protocol):
    """One connection. It answers one request at a time, in their order."""

    def __init__(
        self,
        limits: Limits,
        lane: Mapping[bytes, Serve],
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._limits = limits
        self._lane = lane
        self._app = config.loaded_app
        self._server = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = _parser_for(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._current: Wire | None = None
        """Who is answered; also after the last answer, when the connection only waits to be closed."""
        self._coming: Wire | None = None
        """Whose body is read."""
        self._ahead: deque[Wire] = deque()
        self._accepts = True
        self._paused = False
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._in_head = True
        self._head_bytes = 0
        self._piece_bytes = 0
        self._body_began = 0.0
        """When the body began for which the client is waited; later by the time in which nobody read it."""
        self._body_moved = 0.0
        self._paused_at = 0.0
        self._due = math.inf
        self._rings = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._room: asyncio.Future[None] | None = None
        self.is_full = False
        """Whether more is to be written than the client reads."""

    # what asyncio and uvicorn tell it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._server.connections.add(self)  # type: ignore[arg-type]
        if len(self._server.connections) > self._limits.connections:
            self._refuse(_FULL)
        else:
            self._close_after(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._accepts = False
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        waiting = [wire for wire in (self._current, self._coming) if wire is not None]
        self._parser = self._current = self._coming = None  # they refer back to here
        self._ahead.clear()
        for wire in waiting:
            wire.lose()

    def shutdown(self) -> None:
        """Close the connection: at once, or behind the answer that is under way."""
        self._accepts = False
        self._ahead.clear()
        if self._current is None or self._current.is_done:
            self._transport.close()
        else:
            self._current.is_last = True

    def data_received(self, data: bytes) -> None:
        if not self._accepts:
            return
        self._piece_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(_BAD)
        if self._in_head and self._accepts:  # still, after this piece: most heads come in one, and need no timer
            if self._due == math.inf:
                self._close_after(self._limits.head_s)
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._refuse(_TOO_LARGE)
        elif self._coming is not None:
            self._body_moved = self._loop.time()
            self._await_body()

    def pause_writing(self) -> None:
        self.is_full = True
        self._patience = self._loop.call_later(self._limits.client_silence_s, self._transport.abort)

    def resume_writing(self) -> None:
        self.is_full = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # what the parser tells it

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes, self._due = True, 0, math.inf
        self._url, self._fields = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are nobody's: they could claim what a head did not
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head, self._due = False, math.inf
        if not self._accepts or self._parser.should_upgrade():
            return
        most = self._limits.head_bytes
        if self._piece_bytes > most and _size(self._url, self._fields) > most:
            self._refuse(_TOO_LARGE)
            return
        method, version = self._parser.get_method(), self._parser.get_http_version()
        serve = self._lane.get(self._url) if method == b"POST" else None
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": version,
            "method": method.decode(),
            "headers": self._fields,
        }
        if serve is None:
            serve = self._over_asgi
            scope |= _target(self._url)
        else:
            scope |= {"path": self._url.decode(), "query_string": b""}
        self._coming = wire = Wire(self, scope, serve)
        self._body_began = self._loop.time()
        wire.is_last = version != "1.1" or not self._parser.should_keep_alive()
        if self._current is None:
            self._start(wire)
        else:
            self._queue(wire)

    def on_body(self, body: bytes) -> None:
        if self._coming is not None:
            self._coming.feed(body)

    def on_message_complete(self) -> None:
        if self._coming is not None:
            self._coming.complete()
            self._coming = None
            if self._accepts:
                self._due = math.inf

    # what exchanges ask of it

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def write_both(self, head: bytes, body: bytes) -> None:
        self._transport.writelines((head, body))

    async def room(self) -> None:
        """Wait until the client has read, or is gone."""
        while self.is_full:
            self._room = self._loop.create_future()
            await self._room

    def pause_reading(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._paused_at = self._loop.time()
            self._transport.pause_reading()
            self._await_body()

    def resume_reading(self) -> None:
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
            self._body_moved = self._loop.time()
            self._body_began += self._body_moved - max(self._paused_at, self._body_began)
            self._await_body()

    def future(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def done(self, wire: Wire) -> None:
        """The answer was given whole: on to the next request, or to the end."""
        self._server.total_requests += 1
        if self._accepts and not wire.is_last:
            self._current = None
            if self._ahead:
                self._start(self._ahead.popleft())
            else:
                self._close_after(KEEP_ALIVE_S)
            if len(self._ahead) <= AHEAD:
                self.resume_reading()
        elif wire.is_whole:
            self._transport.close()
        else:
            self._accepts = False
            self._close_after(LINGER_S)
            self.resume_reading()

    # the rest

    def _queue(self, wire: Wire) -> None:
        self._ahead.append(wire)
        if len(self._ahead) > AHEAD:
            self.pause_reading()
        if len(self._ahead) > AHEAD_MOST:  # all in what was read at once
            self._refuse(_FULL)

    def _start(self, wire: Wire) -> None:
        self._current = wire
        if wire is self._coming:  # until its turn it was not waited for
            self._body_began = self._body_moved = self._loop.time()
            self._await_body()
        wire.task = self._loop.create_task(self._run(wire))
        self._server.tasks.add(wire.task)

    async def _run(self, wire: Wire) -> None:
        try:
            await wire.serve(wire)
        except Exception:
            log.exception("an answer could not be given")
        finally:
            self._server.tasks.discard(wire.task)
            if not wire.is_done:  # it must not look whole
                self._transport.close()

    async def _over_asgi(self, wire: Any) -> None:
        """Answer with the ASGI application."""
        wire.scope |= {
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "server": self._transport.get_extra_info("sockname"),
            "client": self._transport.get_extra_info("peername"),
            "scheme": "http" if self._transport.get_extra_info("sslcontext") is None else "https",
            "root_path": "",
        }
        asgi = Asgi(wire)
        await self._app(wire.scope, asgi.receive, asgi.send)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1, as a server may (RFC 9110, 7.8); Java's HttpClient asks for HTTP/2 in passing.

        The parser has stopped behind the head. What it left out is read by another, which is not told of the wish.
        """
        if self._parser.get_method() == b"CONNECT":
            self._refuse(_BAD)
            return
        fields = [f for f in self._fields if f[0] not in (b"upgrade", b"connection", b"http2-settings")]
        lines = [b"%b: %b\r\n" % field for field in fields]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self._parser.get_method(), self._url, b"".join(lines))
        self._parser = _parser_for(self)
        self.data_received(head)
        if rest:
            self.data_received(rest)

    def _refuse(self, answer: bytes) -> None:
        """Read no further. `answer` is given, unless an answer to an earlier request is under way."""
        self._accepts = False
        if self._current is None or (self._current is self._coming and not self._current.status):
            self._transport.write(answer)
            self._transport.close()
        elif self._current.is_done:
            self._transport.close()
        else:
            self._current.is_last = True
            self._ahead.clear()
        self._coming = None

    def _await_body(self) -> None:
        """Have the timer ring when the client has been silent for too long, or its body takes too long."""
        if self._accepts and self._coming is not None:
            left = self._body_left(self._coming) if self._coming is self._current and not self._paused else math.inf
            if left < math.inf:
                self._close_after(left)
            else:
                self._due = math.inf

    def _body_left(self, wire: Wire) -> float:
        whole_s = self._limits.body_s if "caller" in wire.scope else self._limits.head_s  # nobody knows who that is
        return min(self._body_moved + self._limits.client_silence_s, self._body_began + whole_s) - self._loop.time()

    def _close_after(self, seconds: float) -> None:
        """Close the connection, unless a request comes before that. One timer rings for all that is waited for."""
        self._due = self._loop.time() + seconds
        if self._timer is None or self._due < self._rings:
            if self._timer is not None:
                self._timer.cancel()
            self._rings = self._due
            self._timer = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._timer = None
        left = self._due - self._loop.time()
        if left <= 0 and self._coming is not None and self._accepts:
            if self._body_left(self._coming) > 0:  # the caller has become known meanwhile
                self._await_body()
            elif self._coming.status:  # who answers already may wait for more of it
                self._transport.close()
            else:
                self._refuse(_SLOW)
        elif left <= 0:
            self._transport.close()
        elif left < math.inf:
            self._close_after(left)


def _parser_for(connection: Connection) -> Any:
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # such data is passed over
    return parser


def _target(url: bytes) -> dict[str, Any]:
    """What a request asks for, as ASGI tells it."""
    parsed = httptools.parse_url(url)
    raw_path = parsed.path or b"/"
    path = raw_path.decode("ascii")
    return {
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": parsed.query or b"",
    }


def _size(url: bytes, fields: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in fields)
