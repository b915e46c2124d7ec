"""uvicorn as this node runs it: it listens and stops; connections are our own (`connection.py`)."""

from __future__ import annotations

import functools
import resource
import socket
from typing import Any

import uvicorn

from intermodel.core import Conflict, Unavailable
from intermodel.settings import Limits
from intermodel.web.app import Guard
from intermodel.web.connection import Connection


def server_config(app: Guard, limits: Limits, **more: Any) -> uvicorn.Config:
    """The configuration of uvicorn for a node's application."""
    return uvicorn.Config(
        app,
        http=functools.partial(Connection, limits, app.lane),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        **more,
    )


BESIDES = 256
"""Open files that a node needs besides connections: its database, journal, engines, pages."""


def files_needed(limits: Limits) -> int:
    """How many open files a node may come to: one for each connection, one more for each call's upstream."""
    return limits.connections + limits.concurrent_calls + BESIDES


def raise_file_limit() -> int:
    """Take as many open files as the system gives this process: the soft limit of 1,024 is for programs that use
    select(2), which nothing here does. How many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _MANY_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


_MANY_FILES = 2**20


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port`. Raises `Conflict` if something else has them, `Unavailable` otherwise."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named: asyncio sets TCP_NODELAY then
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
