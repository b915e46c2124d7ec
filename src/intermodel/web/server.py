"""uvicorn as this node runs it: it listens and stops; connections are our own (`connection.py`)."""

from __future__ import annotations

import functools
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
