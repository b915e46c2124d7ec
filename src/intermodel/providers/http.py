"""The node's one way out: a small pooled HTTP/1.1 client whose every address is checked (`addresses.py`).

It promises, to whoever holds an `Http`:

- **A request is sent once.** Every call is paid for, and a POST is not idempotent (RFC 9110, 9.2.2). A kept
  connection that the server closes just as it is used (RFC 9112, 9.3.1) is reported as `Upstream`, code
  `upstream_broken`, retryable: the caller decides. It is made rare by looking at a connection before its use.
- **Redirects are not followed**: a key must not travel to another origin. No proxy, no cookies.
- **What comes is bounded**: heads, the wait for a connection, silence, what is buffered, what compression hides.
- **Framing is strict** (RFC 9112, 6.3), and what is left over on a connection never answers another call.
- **Cancelling closes the connection**, so that the server stops working.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from intermodel.core import IntermodelError, Invalid, Unavailable, Upstream
from intermodel.providers.addresses import Names, reachable, unmapped, written
from intermodel.providers.answer import JSON
from intermodel.providers.inflate import Inflater
from intermodel.providers.pool import IDLE_S, Place, Pool
from intermodel.providers.reply import Broken, Headers, Reply

__all__ = ["Headers", "Http", "Origin", "Response", "broken", "reachable", "unmapped"]

ERROR_BYTES = 64 * 1024
"""How much of an upstream's error body is read."""
ERROR_S = 10.0
"""How long that may take."""

_HEADS = 512
_OURS = frozenset({"host", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"})
"""Fields that frame the message or steer the connection: the client writes them itself, or never."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5
_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "intermodel"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect: a base address, or llama.cpp's socket on this machine."""

    base_url: str
    private: bool = False
    socket: Path | None = None

    def __post_init__(self) -> None:
        host = _host(self.base_url)
        address = written(host)
        if address is not None and not reachable(address, private=True):
            raise Invalid(
                f"{host} is a link-local or multicast address, which this node never calls.",
                hint="Those hold cloud credentials. Use the server's real address.",
                code="address_refused",
            )


class Response:
    """An answer whose head has come. Reading maps connection failures to `Upstream`."""

    __slots__ = ("_name", "_read", "_reply", "media_type", "status")

    def __init__(self, reply: Reply, name: str) -> None:
        self._reply = reply
        self._name = name
        self.status = reply.status
        self.media_type = _media_type(reply.fields.get(b"content-type", b""))
        self._read = reply.read
        coding = reply.fields.get(b"content-encoding")
        if coding is not None and coding != b"identity":
            self._read = Inflater(coding.decode("latin-1"), reply.read).read

    @property
    def headers(self) -> Headers:
        return Headers(self._reply.fields)

    async def read(self) -> bytes:
        """All that has come since the last time, or b"" at the end. Raises `Upstream` if the answer breaks off."""
        try:
            return await self._read()
        except OSError as error:
            raise broken(self._name, error) from error

    async def error_body(self) -> bytes:
        """The beginning of the body, at most `ERROR_BYTES`; empty if it cannot be read."""
        data = b""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(ERROR_S):
                while len(data) < ERROR_BYTES and (piece := await self._read()):
                    data += piece
        return data[:ERROR_BYTES]

    async def close(self) -> None:
        """Close the connection, unless the answer has ended: then it waits for another call already."""
        self._reply.abort()


class Http:
    """The pool. One for the node; `await close()` at the end."""

    def __init__(self, *, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._pools: dict[Place, Pool] = {}
        self._heads: dict[tuple[object, ...], tuple[bytes, bool]] = {}
        self._names = Names()
        self._sweeper: asyncio.TimerHandle | None = None
        self._tls = functools.cache(_tls)

    async def post(
        self, origin: Origin, path: str, body: bytes, *, headers: dict[str, str], silence_s: float, name: str
    ) -> Response:
        """POST `body` and return once the response's head is there.

        `silence_s` bounds the wait for the head and between two reads; `name` is how errors call the server.
        Raises `Upstream` (retryable) when there is no connection or no head.
        """
        head, is_last = self._head("POST", origin, path, headers, name)
        return await self._send(origin, b"%b%d\r\n\r\n" % (head, len(body)), body, silence_s, name, is_last=is_last)

    async def get(self, origin: Origin, path: str, *, headers: dict[str, str], silence_s: float, name: str) -> Response:
        """The same for GET, which has no body."""
        head, is_last = self._head("GET", origin, path, headers, name)
        return await self._send(origin, head, b"", silence_s, name, is_last=is_last)

    async def forget(self, socket: Path) -> None:
        """Close the connections to a socket that is gone."""
        pool = self._pools.pop(Place(socket=socket), None)
        if pool is not None:
            pool.close()

    async def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._heads.clear()
        self._names.close()
        await asyncio.sleep(0)  # lets the transports notice

    async def _send(
        self, origin: Origin, head: bytes, body: bytes, silence_s: float, name: str, *, is_last: bool
    ) -> Response:
        place = _place(origin.base_url, origin.private, origin.socket)
        pool = self._pools.get(place)
        if pool is None:
            pool = self._pools[place] = Pool(place, self._names, self._tls, idle_s=self._idle_s)
        try:
            connection = pool.take()
            if connection is None:
                connection = await pool.connect()
                self._sweep_later()
            reply = connection.ask(head, body, silence_s=silence_s, is_last=is_last)
            await reply.head()
        except OSError as error:
            raise broken(name, error) from error
        return Response(reply, name)

    def _head(self, method: str, origin: Origin, path: str, headers: dict[str, str], name: str) -> tuple[bytes, bool]:
        """The request up to its length, made once, and whether it says that the connection ends with it."""
        key = (method, origin.base_url, path, *headers.items())
        found = self._heads.get(key)
        if found is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            found = self._heads[key] = _request_head(method, origin.base_url + path, headers, name)
        return found

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s / 6, self._sweep)

    def _sweep(self) -> None:
        """One timer for all idle connections; it rings as long as there are connections at all."""
        self._sweeper = None
        for place, pool in list(self._pools.items()):
            pool.sweep()
            if not pool:
                del self._pools[place]
        if self._pools:
            self._sweep_later()


@functools.lru_cache(_HEADS)
def _host(url: str) -> str:
    """Raises `Invalid` unless there is one, and a port that can be."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    except ValueError:
        pass
    raise Invalid(f"'{url}' is no address of a server.", hint="Write http://host or https://host.")


@functools.lru_cache(_HEADS)
def _place(base_url: str, private: bool, socket: Path | None) -> Place:
    if socket is not None:
        return Place(socket=socket)
    parts = urlsplit(base_url)
    is_tls = parts.scheme == "https"
    return Place(_host(base_url), parts.port or (443 if is_tls else 80), is_tls, private)


def _request_head(method: str, url: str, headers: dict[str, str], name: str) -> tuple[bytes, bool]:
    """RFC 9112, 3: everything up to the number of bytes in the body, or to the empty line where there is none."""
    parts = urlsplit(url)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
        f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    )
    given = {field.lower() for field in headers}
    fields = {"Host": _authority(url)} | {k: v for k, v in _DEFAULTS.items() if k.lower() not in given} | headers
    for field, value in fields.items():
        _check(field, value, name)
    if ours := given & _OURS:
        raise ValueError(f"{', '.join(sorted(ours))}: for the client to write, not for its callers")
    lines = [f"{method} {target} HTTP/1.1", *(f"{field}: {value}" for field, value in fields.items())]
    is_last = any(k.lower() == "connection" and "close" in v.lower() for k, v in headers.items())
    end = "\r\n\r\n" if method == "GET" else "\r\nContent-Length: "
    return ("\r\n".join(lines) + end).encode("latin-1"), is_last


def _authority(url: str) -> str:
    """What the Host field says: no user, no port that goes without saying (RFC 9110, 7.2)."""
    parts = urlsplit(url)
    host = _host(url)
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, 443 if parts.scheme == "https" else 80) else f"{host}:{parts.port}"


def _check(field: str, value: str, name: str) -> None:
    """A line break would let a value write fields of its own. The value may be a key, and is not told."""
    if not _TOKEN.fullmatch(field) or not _VALUE.fullmatch(value):
        raise Upstream(
            f"{name} cannot be asked: the field {field!r} of the request holds what HTTP cannot carry.",
            hint="A line break, or a letter beyond Latin-1. Is the key of that deployment right?",
            code="upstream_request",
        )


@functools.lru_cache(64)
def _media_type(content_type: bytes) -> str:
    return content_type.partition(b";")[0].strip().lower().decode("latin-1") or JSON


def _tls() -> ssl.SSLContext:
    """The system's trust (SSL_CERT_FILE and SSL_CERT_DIR replace it), host names checked."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def broken(name: str, error: BaseException) -> IntermodelError:
    """What to say when a connection could not be made, or broke: an `Upstream`, unless this node is at fault."""
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        return Unavailable(
            "This node has as many connections and files open as it may.",
            hint="Its operator can raise the limit of open files (ulimit -n); a call takes two of them.",
            code="overloaded",
        )
    if isinstance(error, TimeoutError):
        return Upstream(f"{name} did not answer in time.", code="upstream_timeout", hint="Is the server overloaded?")
    if isinstance(error, Broken):
        how = f": {error}" if str(error) else ""
        return Upstream(f"{name} broke off the connection{how}.", code="upstream_broken")
    if isinstance(error, ssl.SSLError):
        return Upstream(
            f"{name} could not be reached securely: {_reason(error)}.",
            code="upstream_tls",
            hint="Is its base_url right? A certificate of your own authority is trusted through SSL_CERT_FILE.",
        )
    number = getattr(error, "errno", None) or 0  # below 0 where a name was not found
    why = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
    return Upstream(
        f"{name} could not be reached: {why}.",
        code="upstream_unreachable",
        hint="Is the server running, and is its base_url right?",
    )


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's `WRONG_VERSION_NUMBER`, in small letters; what is no OpenSSL error speaks for itself.

    Of a certificate that is for another host it says no more: the host's name is not for callers.
    """
    if verified := getattr(error, "verify_message", ""):
        return str(verified).partition(", certificate is not valid for")[0]
    reason: str | None = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if reason else error.strerror or str(error)
