"""A site on loopback that a test's pages are read from, under names of the public network."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from intermodel.providers import addresses
from tests.providers.raw import Talk, serving

Route = bytes | Callable[[Talk], Awaitable[object]]
"""All bytes of an answer, or what to do with a connection on which this was asked."""


@dataclass
class Site:
    port: int = 0
    paths: list[str] = field(default_factory=list)
    """What was asked, in order."""
    heads: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def pages(self) -> list[str]:
        return [path for path in self.paths if path != "/robots.txt"]


def answer(body: bytes = b"", kind: str = "text/html", *fields: str, status: str = "200 OK") -> bytes:
    given = [f"Content-Type: {kind}"] if kind else []
    lines = [f"HTTP/1.1 {status}", *given, f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def moved(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", "text/html", f"Location: {location}", status=status)


MISSING = answer(b"no", "text/plain", status="404 Not Found")


@contextlib.asynccontextmanager
async def site(routes: Mapping[str, Route]) -> AsyncIterator[Site]:
    """A server of these paths; where nothing is said of robots.txt, there is none."""
    seen = Site()

    async def handler(talk: Talk) -> None:
        while head := await talk.request():
            path = head.split(b" ", 2)[1].decode()
            seen.paths.append(path)
            seen.heads.append(head)
            seen.times.append(time.monotonic())
            seen.at_once += 1
            seen.most_at_once = max(seen.most_at_once, seen.at_once)
            try:
                route = routes.get(path, MISSING)
                await (talk.send(route) if isinstance(route, bytes) else route(talk))
            finally:
                seen.at_once -= 1

    async with serving(handler) as server:
        seen.port = int(server.origin.base_url.rpartition(":")[2].partition("/")[0])
        yield seen


def public(monkeypatch: pytest.MonkeyPatch, names: Mapping[str, str | int]) -> None:
    """Names of the public network: a number is a port of this machine, at which the site of that name is served.

    For that 127.0.0.1 counts as public, and nothing else of this machine.
    """
    special = [ipaddress.ip_network("127.0.0.2/32"), *(net for net in addresses._SPECIAL if str(net) != "127.0.0.0/8")]
    monkeypatch.setattr(addresses, "_SPECIAL", tuple(special))

    async def resolve(host: str, port: int) -> list[Any]:
        await asyncio.sleep(0)
        if addresses.written(host) is not None:
            raise AssertionError(f"{host} was about to be called")
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = names[host]
        where = ("127.0.0.1", found) if isinstance(found, int) else (found, port)
        return [(socket.AF_INET6 if ":" in where[0] else socket.AF_INET, socket.SOCK_STREAM, 6, "", where)]

    monkeypatch.setattr(addresses, "_resolve", resolve)
