"""One HTTP/1.1 connection to an upstream server, as an asyncio protocol around llhttp (httptools).

What it holds servers to: RFC 9112 for framing, RFC 9110 for meaning. A response whose end cannot be known for sure
(RFC 9112, 6.3) is an error, for what would be taken for the next response may be an attacker's: `Content-Length`
together with `Transfer-Encoding`, several lengths, a transfer coding other than chunked. A connection is used again
only after a response that ended by its own framing, with nothing behind it.
"""

from __future__ import annotations

import asyncio
import re
import select
import ssl
import time
from typing import Protocol

import httptools

from intermodel.providers.reply import Broken, Reply

HEAD_BYTES = 64 * 1024
"""Most bytes of a response that are not its body: heads, chunk sizes with their extensions, trailers."""
HEAD_FIELDS = 256
"""Most fields of one head, its trailers included."""
BUFFERED_BYTES = 256 * 1024
"""The socket is not read while more of a body than this waits for its reader."""
COPIED_BYTES = 64 * 1024
"""Bodies up to this are copied behind their head: cheaper than two buffers."""

_VERSIONS = frozenset({"1.0", "1.1"})
_NO_CONTENT = frozenset({204, 304})
_TIMEOUT = re.compile(rb"timeout\s*=\s*\"?(\d{1,9})")


class Owner(Protocol):
    """Who keeps connections while nothing is asked of them."""

    def keep(self, connection: Connection) -> None:
        """The response has ended, and another request may follow."""

    def lose(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """One connection; asks one thing at a time."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._reply: Reply | None = None
        self._parts: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._framing_bytes = 0
        self._has_ended = False
        self._ends_by_close = False
        self._is_reusable = False
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._since = self._silence_s = self._due = 0.0
        self._unsent = 0
        self._idle_since = 0.0
        self._hint_s: float | None = None

    def ask(self, head: bytes, body: bytes, *, silence_s: float, is_last: bool = False) -> Reply:
        """Send a request, in one write. `is_last`: it says `Connection: close` (RFC 9112, 9.6).

        Raises `Broken` where the connection is closed already; nothing was sent then.
        """
        if self._transport is None or self._transport.is_closing():
            raise Broken("it closed the connection at once")
        assert self._reply is None, "something else is asked"
        self._reply = reply = Reply(self, silence_s)
        self._has_ended = self._ends_by_close = False
        self._is_reusable = not is_last
        self._head_bytes = self._framing_bytes = 0
        self._hint_s = None
        self._unsent = 0
        if len(body) < COPIED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return reply

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    def is_usable(self, idle_s: float) -> bool:
        """Whether an idle connection may be asked again: young enough, open, and nothing has come meanwhile.

        The socket is looked at too, for the loop may not have come to it yet: a late `408 Request Timeout` in it
        would be taken for the answer to the next request. A server that closes from now on is found out only
        later; the call then fails as broken off.
        """
        idle = time.monotonic() - self._idle_since
        if self._transport is None or self._transport.is_closing() or idle > idle_s:
            return False
        if self._hint_s is not None and idle >= self._hint_s - 1:
            return False
        return self._poll is None or not self._poll.poll(0)

    def wait(self, silence_s: float) -> asyncio.Future[None]:
        """A future that ends when more has come, or nothing for `silence_s` from now."""
        self._since = now = self._loop.time()
        self._silence_s = silence_s
        if self._timer is None or self._due > now + silence_s:
            self._arm(silence_s)
        return self._loop.create_future()

    def resume(self) -> None:
        """Read the socket again if it was paused."""
        if self._is_paused:
            self._is_paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def fail(self, error: Exception) -> None:
        """Close the connection at once, and end the reply that is under way with `error`."""
        reply, self._reply = self._reply, None
        if self._transport is not None:
            self._transport.abort()
        if reply is not None:
            reply.end(error)

    def close(self) -> None:
        self.fail(Broken("the connection was closed on this side"))

    # what asyncio tells it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None or self._parser is None:
            self.close()  # nothing was asked: such bytes must not become the answer to the next request
            return
        error: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as wrong:
            error = _reason(wrong)
        if self._parts:
            self._deliver(reply)
        elif not self._has_ended:
            self._framing_bytes += len(data)
            if self._framing_bytes > HEAD_BYTES:
                error = error or Broken("it sent too long a head")
        if self._has_ended:
            self._finish(reply, is_clean=error is None)
        elif error is not None:
            self.fail(error)

    def eof_received(self) -> None:
        self._end_of_input(None if self._said_goodbye() else Broken("it ended TLS without a goodbye"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._reply is not None:  # no end was said before
            self._end_of_input(exc or Broken())
        self._transport = self._parser = self._poll = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.lose(self)

    # what the parser tells it

    def on_message_begin(self) -> None:
        if self._has_ended:
            raise Broken("more came than was asked for")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES or len(self._fields) > HEAD_FIELDS:
            raise Broken("it sent too long a head")

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        assert self._reply is not None
        status, version = self._parser.get_status_code(), self._parser.get_http_version()
        if version not in _VERSIONS:
            raise Broken(f"it answered in HTTP/{version}")
        if status < 200:
            self._interim(status)
            return
        fields = dict(self._fields)
        if len(fields) < len(self._fields):
            fields = _joined(self._fields)
        coding = fields.get(b"transfer-encoding")
        if coding is not None:
            if coding.strip().lower() != b"chunked":
                raise Broken("it used a transfer coding that was not asked for")
            if version == "1.0":  # framing is in doubt (RFC 9112, 6.1), so not another time
                self._is_reusable = False
        elif b"content-length" not in fields:
            self._ends_by_close = status not in _NO_CONTENT
        if b"keep-alive" in fields and (hint := _TIMEOUT.search(fields[b"keep-alive"])):
            self._hint_s = float(hint[1])
        self._is_reusable = self._is_reusable and self._parser.should_keep_alive()
        self._reply.fields = fields
        self._reply.status = status
        self._reply.wake()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        assert self._reply is not None
        self._has_ended = self._reply.status != 0  # an interim response is not the end

    # the rest

    def _interim(self, status: int) -> None:
        """1xx says that the server is at work (RFC 9110, 15.2); 101 would leave HTTP, which nobody asked for."""
        if status < 100 or status == 101:
            raise Broken(f"it answered {status}")
        self._since = self._loop.time()

    def _deliver(self, reply: Reply) -> None:
        parts, self._parts = self._parts, []
        self._framing_bytes = 0
        waiting = reply.add(parts[0] if len(parts) == 1 else b"".join(parts))
        if waiting > BUFFERED_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _finish(self, reply: Reply, *, is_clean: bool) -> None:
        """The response has come whole. The connection waits for the next request, or is closed."""
        transport = self._transport
        self._reply = None
        reply.end()
        if (
            transport is None
            or not (is_clean and self._is_reusable)
            or transport.is_closing()
            or transport.get_write_buffer_size()  # it answered before it had read the request
        ):
            self.close()
            return
        self.resume()
        self._idle_since = time.monotonic()
        self._owner.keep(self)

    def _end_of_input(self, error: Exception | None) -> None:
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if self._ends_by_close and reply.status and error is None:
            reply.end()
            return
        broken = Broken("" if error is None else str(error))
        broken.__cause__ = error
        reply.end(broken)

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._tick)

    def _tick(self) -> None:
        """The one timer of the connection. It is left running between waits, and looks at the clock when it rings."""
        self._timer = None
        if self._reply is None or not self._reply.is_awaited or self._transport is None:
            return  # the next wait starts it again
        left = self._since + self._silence_s - self._loop.time()
        unsent = self._transport.get_write_buffer_size()
        if left > 0:
            self._arm(left)
        elif unsent != self._unsent:  # a long request is still on its way
            self._unsent = unsent
            self._arm(self._silence_s)
        else:
            self.fail(TimeoutError())

    def _said_goodbye(self) -> bool:
        """Whether the end is the server's. Over TLS anyone can cut a connection, but not say so (RFC 9112, 9.8)."""
        assert self._transport is not None
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        if tls is None or not self._ends_by_close:
            return True
        try:
            return not tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False


def _joined(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    joined: dict[bytes, bytes] = {}
    for name, value in fields:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def _reason(error: Exception) -> Exception:
    """What the parser, or one of our own checks within it, found wrong."""
    if isinstance(error.__context__, Broken):
        return error.__context__
    return Broken(f"it sent what is no HTTP/1.1 response ({error})")
