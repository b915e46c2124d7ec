"""The node's one way out: pooled HTTP connections whose addresses are checked.

A name that resolves to a private address could be an attacker's name for a machine in this network, so a host
name must resolve to public addresses unless the deployment says `private = true`. An address written out, or
`localhost`, is what the operator meant. Cloud metadata services (link-local) are never reached.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from intermodel.core import Invalid, Upstream
from intermodel.providers.answer import JSON

ERROR_BYTES = 64 * 1024
"""How much of an upstream's error body is read."""

# IANA's special-purpose registries (RFC 6890 and successors). The list is ours because what
# ipaddress.is_global says of it differs between Python versions.
_SPECIAL = tuple(map(ipaddress.ip_network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "fc00::/7", "fec0::/10",
    "5f00::/16",
)))  # fmt: skip
_NEVER = tuple(map(ipaddress.ip_network, (
    "169.254.0.0/16", "fe80::/10", "224.0.0.0/4", "ff00::/8", "255.255.255.255/32",
)))  # fmt: skip
_CARRIES_V4 = ipaddress.ip_network("64:ff9b::/96")  # NAT64, RFC 6052

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (v4-mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address in _CARRIES_V4:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def reachable(address: Address, *, private: bool) -> bool:
    """Whether this node may connect to `address`."""
    address = unmapped(address)
    if any(address.version == net.version and address in net for net in _NEVER):
        return False
    return private or not any(address.version == net.version and address in net for net in _SPECIAL)


class _Checked(AbstractResolver):
    """Resolves once and hands on only the addresses that were checked, so that a second look-up cannot differ."""

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        private = self._private or host == "localhost" or host.endswith(".localhost")
        found = await self._inner.resolve(host, port, family)
        allowed = [r for r in found if reachable(ipaddress.ip_address(r["host"]), private=private)]
        if not allowed:
            raise Upstream(
                f"{host} resolves to {found[0]['host'] if found else 'nothing'}, an address this node does not call.",
                hint="If that server is meant, add 'private = true' to the deployment.",
                code="address_refused",
            )
        return allowed

    async def close(self) -> None:
        await self._inner.close()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect: a base address, or llama.cpp's socket on this machine."""

    base_url: str
    private: bool = False
    socket: Path | None = None

    def __post_init__(self) -> None:
        host = urlsplit(self.base_url).hostname or ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        if not reachable(address, private=True):
            raise Invalid(
                f"{host} is a link-local or multicast address, which this node never calls.",
                hint="Those hold cloud credentials. Use the server's real address.",
                code="address_refused",
            )


class Response:
    """An answer whose head has come. Reading maps connection failures to `Upstream`."""

    def __init__(self, inner: aiohttp.ClientResponse, name: str) -> None:
        self._inner = inner
        self._name = name
        self.status = inner.status
        self.headers = inner.headers
        self.media_type = inner.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        try:
            return await self._inner.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise broken(self._name, error) from error

    async def error_body(self) -> bytes:
        """The beginning of the body, at most `ERROR_BYTES`; empty if it cannot be read."""
        data = b""
        try:
            while len(data) < ERROR_BYTES and (piece := await self._inner.content.readany()):
                data += piece
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        return data[:ERROR_BYTES]

    async def close(self) -> None:
        self._inner.close()  # returns a finished connection to the pool and drops an unfinished one


class Http:
    """The pool. One for the node; `await close()` at the end."""

    def __init__(self) -> None:
        self._sessions: dict[bool | Path, aiohttp.ClientSession] = {}

    async def post(
        self, origin: Origin, path: str, body: bytes, *, headers: dict[str, str], silence_s: float, name: str
    ) -> Response:
        """POST `body` and return once the response's head is there.

        `silence_s` bounds the wait for the first byte and between two; `name` is how errors call the server.
        Raises `Upstream` (retryable) when there is no connection or no head. Redirects are not followed: a key
        must not travel to another origin.
        """
        try:
            inner = await self._session(origin).post(
                origin.base_url + path,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=_timeout(silence_s),
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise broken(name, error) from error
        return Response(inner, name)

    def _session(self, origin: Origin) -> aiohttp.ClientSession:
        key = origin.socket or origin.private
        session = self._sessions.get(key)
        if session is None:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(str(origin.socket), limit=0)
                if origin.socket
                else aiohttp.TCPConnector(limit=0, resolver=_Checked(private=origin.private), keepalive_timeout=60)
            )
            session = self._sessions[key] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True
            )
        return session

    async def forget(self, socket: Path) -> None:
        """Close the connections to a socket that is gone."""
        session = self._sessions.pop(socket, None)
        if session is not None:
            await session.close()

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        await asyncio.sleep(0)  # lets aiohttp's transports notice


@functools.cache
def _timeout(silence_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence_s)


def broken(name: str, error: BaseException) -> Upstream:
    """What to say when a connection could not be made, or broke."""
    if isinstance(error, TimeoutError):
        return Upstream(f"{name} did not answer in time.", code="upstream_timeout", hint="Is the server overloaded?")
    if isinstance(error, aiohttp.ClientConnectorError):
        return Upstream(
            f"{name} could not be reached: {error.strerror or error}.",
            code="upstream_unreachable",
            hint="Is the server running, and is its base_url right?",
        )
    return Upstream(f"{name} broke off the connection.", code="upstream_broken")
