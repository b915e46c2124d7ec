"""The connections to one origin: making them, and keeping those that nobody uses for the next call."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from intermodel.providers.addresses import Names
from intermodel.providers.connection import Connection

CONNECT_S = 10.0
"""Longest time from the look-up of the name to a connection that can be asked, TLS included."""
ATTEMPT_S = 2.0
"""Longest time for one of several addresses; the last one has what is left."""
IDLE_S = 60.0
"""An unused connection is closed after this."""
IDLE_MOST = 64
"""Unused connections kept for one origin. There is no limit to those in use."""


class Place(NamedTuple):
    """Whom connections of one pool lead to. `private` is part of it: a checked connection is kept from others."""

    host: str = ""
    port: int = 0
    is_tls: bool = False
    private: bool = False
    socket: Path | None = None


class Pool:
    """The connections to one place."""

    def __init__(self, place: Place, names: Names, tls: Callable[[], ssl.SSLContext], *, idle_s: float) -> None:
        self._place = place
        self._names = names
        self._tls = tls
        self._idle_s = idle_s
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting = 0
        self._is_closed = False

    def __len__(self) -> int:
        """Connections: used, unused and about to be."""
        return len(self._all) + self._connecting

    def take(self) -> Connection | None:
        """The connection used last of those that can be asked now."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable(self._idle_s):
                return connection
            connection.close()
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises `OSError` (`TimeoutError`, `ssl.SSLError`), or `Upstream` for a refused address."""
        self._connecting += 1
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self._connect()
        finally:
            self._connecting -= 1
        if self._is_closed:
            connection.close()
            raise ConnectionAbortedError("closed meanwhile")
        if connection.is_open:  # it may be lost again already
            self._all.add(connection)
        return connection

    def keep(self, connection: Connection) -> None:
        if self._is_closed or len(self._idle) >= IDLE_MOST:
            connection.close()
        else:
            self._idle.append(connection)

    def lose(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Close what has been unused for too long."""
        for connection in [c for c in self._idle if not c.is_usable(self._idle_s)]:
            self._idle.remove(connection)
            connection.close()

    def close(self) -> None:
        """Close all connections, used ones too."""
        self._is_closed = True
        self._idle.clear()
        for connection in list(self._all):
            connection.close()

    def _make(self) -> Connection:
        return Connection(self)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._place.socket is not None:
            return (await loop.create_unix_connection(self._make, str(self._place.socket)))[1]
        sock = await self._dial()
        if self._place.is_tls:
            return await self._secured(sock)
        return (await loop.create_connection(self._make, sock=sock))[1]

    async def _secured(self, sock: socket.socket) -> Connection:
        """TLS over it, for the name that the base address has."""
        loop, host = asyncio.get_running_loop(), self._place.host
        try:
            return (await loop.create_connection(self._make, sock=sock, ssl=self._tls(), server_hostname=host))[1]
        except ConnectionError as error:
            raise ssl.SSLError(0, "it closed the connection while it was secured") from error

    async def _dial(self) -> socket.socket:
        """A socket connected to the first address that takes it. Each address is one that was checked."""
        place = self._place
        found = await self._names.find(place.host, place.port, private=place.private)
        *others, last = found
        for family, address in others:
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    return await _connected(family, address)
            except OSError:  # TimeoutError too
                continue
        try:
            return await _connected(*last)
        except OSError:
            self._names.forget(place.host, place.port)
            raise


async def _connected(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
