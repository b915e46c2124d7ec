"""What several rooms' tests share: a node that really listens on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from intermodel.node import Node, build
from intermodel.settings import Deployment, Engines, Settings
from intermodel.web.server import server_config

TOKEN = "a-token-that-only-tests-use"
NO_ENGINES = Engines(shipped=False)


@dataclass(frozen=True)
class Running:
    """A node in a thread of its own, and how to reach it."""

    url: str
    token: str
    node: Node
    loop: asyncio.AbstractEventLoop

    @property
    def api(self) -> str:
        return f"{self.url}/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def settings_for(data: Path, **given: Any) -> Settings:
    """Settings of a node without engines, whose token is TOKEN and whose model `echo` repeats the question."""
    values: dict[str, Any] = {
        "engines": NO_ENGINES,
        "token": TOKEN,
        "deployments": {"echo": Deployment(provider="echo")},
    }
    return Settings(data=data, **(values | given))


class _Server(uvicorn.Server):
    """uvicorn, which says when it listens."""

    ready: threading.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """A node that serves `settings` on a free port of loopback for the length of the block."""
    ready: list[Running] = []
    failed: list[BaseException] = []
    started = threading.Event()
    stop: list[Any] = []

    async def serve() -> None:
        # named TCP, so that asyncio knows to send small pieces at once (TCP_NODELAY); uvloop always does
        with socket.socket(proto=socket.IPPROTO_TCP) as listener:
            listener.bind(("127.0.0.1", 0))
            async with build(settings) as node:
                server = _Server(server_config(node.app, settings.limits, timeout_graceful_shutdown=1))
                server.ready = started
                url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                ready.append(Running(url, node.new_token or TOKEN, node, asyncio.get_running_loop()))
                stop.append(server)
                await server.serve(sockets=[listener])

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="node")
    thread.start()
    started.wait(30)
    if failed:
        thread.join()
        raise failed[0]
    try:
        yield ready[0]
    finally:
        stop[0].should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the node did not stop"
