"""Which addresses this node connects to, and the look-up of names that hands on only those.

A name that resolves to a private address could be an attacker's name for a machine in this network, so a host
name must resolve to public addresses unless the deployment says `private = true`. An address written out, or
`localhost`, is what the operator meant. Link-local addresses, and the others at which clouds are known to tell machines
their credentials, are never called; a cloud of its own may have one that is not among them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from typing import Any

from intermodel.core import Upstream

log = logging.getLogger(__name__)

REMEMBERED_S = 20.0
"""How long the addresses of a name are used before it is looked up again."""
_NAMES = 256

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
    "fd00:ec2::/32",  # AWS: fd00:ec2::254 and its neighbours
    "fd20:ce::254/128",  # Google Cloud
    "100.100.100.200/32",  # Alibaba Cloud
    "192.0.0.192/32",  # Oracle Cloud
    "168.63.129.16/32",  # Azure
)))  # fmt: skip
_CARRIES_V4 = ipaddress.ip_network("64:ff9b::/96")  # NAT64, RFC 6052
_MAY_CARRY_V4 = ipaddress.ip_network("64:ff9b:1::/48")  # NAT64 with a prefix of the network's own, RFC 8215
_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1; deprecated
_PLACES = ((6, 7, 9, 10), (7, 9, 10, 11), (9, 10, 11, 12), (12, 13, 14, 15))
"""Where the bytes of the IPv4 address lie behind prefixes of 48, 56, 64 and 96 bits (RFC 6052, 2.2)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Found = tuple[int, tuple[Any, ...]]
"""An address family and what a socket of it connects to."""


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
    if any(_among(one, _NEVER) for one in (address, *_perhaps(address))):
        return False
    return private or not _among(address, _SPECIAL)


def _among(address: Address, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(address.version == net.version and address in net for net in networks)


def _perhaps(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that it may stand for, where only the network knows how long its prefix is."""
    if address.version == 4 or address in _COMPATIBLE:
        return [ipaddress.IPv4Address(address.packed[-4:])]
    if address not in _MAY_CARRY_V4:
        return []
    return [ipaddress.IPv4Address(bytes(address.packed[place] for place in places)) for places in _PLACES]


def written(host: str) -> Address | None:
    """The address that `host` spells out; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Names:
    """Looks names up. What it returns was checked and is what is connected to: there is no second look-up."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[asyncio.Task[list[Any]], float]] = {}

    async def find(self, host: str, port: int, *, private: bool) -> list[Found]:
        """The addresses of `host` that may be called, best first.

        Raises `Upstream` where there is none that may, and `OSError` where the name does not resolve.
        """
        private = private or host == "localhost" or host.endswith(".localhost") or written(host) is not None
        found = [(family, address) for family, _, _, _, address in await self._look_up(host, port)]
        allowed = [(f, a) for f, a in found if reachable(ipaddress.ip_address(a[0]), private=private)]
        if not allowed:
            # not for callers: names and addresses of a network are its operator's
            log.warning("an address is not called", extra={"host": host, "found": [a[0] for _, a in found]})
            raise Upstream(
                "Its host name leads to an address this node does not call.",
                hint="Its operator finds the address in the log. If it is meant: 'private = true' in the deployment.",
                code="address_refused",
            )
        return allowed

    def forget(self, host: str, port: int) -> None:
        """Look the name up again next time: what was found could not be connected to."""
        known = self._known.get((host, port))
        if known is not None and known[0].done():
            del self._known[host, port]

    def close(self) -> None:
        for task, _ in self._known.values():
            task.cancel()
        self._known.clear()

    async def _look_up(self, host: str, port: int) -> list[Any]:
        """One look-up for all who ask meanwhile and shortly after."""
        task, until = self._known.get((host, port), (None, 0.0))
        if task is None or time.monotonic() > until:
            if len(self._known) >= _NAMES:
                self._known.pop(next(iter(self._known)))
            task = asyncio.create_task(_resolve(host, port), name=f"look up {host}")
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # those who asked may be gone
            self._known[host, port] = task, time.monotonic() + REMEMBERED_S
        try:
            return await asyncio.shield(task)
        except OSError:
            self.forget(host, port)
            raise


async def _resolve(host: str, port: int) -> list[Any]:
    if written(host) is not None:  # nothing to wait for
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, "Not a host name") from None
