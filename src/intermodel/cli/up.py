"""`intermodel up`: run the node until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from intermodel.cli import logs
from intermodel.cli.output import Config, Data, Json, cell, err, out, print_json
from intermodel.cli.running import note
from intermodel.node import Node, build
from intermodel.settings import Settings, load
from intermodel.settings.load import default_config
from intermodel.web.server import listen, raise_file_limit, server_config
from intermodel.web.told import Tell


def up(
    data: Data = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8080")] = None,
    as_json: Json = False,
) -> None:
    """Run the node: every model it can reach, under one address.

    The first start makes a token and prints it once. Ctrl-C ends it cleanly; a second Ctrl-C at once.

    Examples:

        intermodel up

        intermodel up --port 0 --data /srv/intermodel --config intermodel.toml --json
    """
    settings = load(config, data=data, host=host, port=port)
    source = config or default_config()
    tell = logs.configure(settings.log_level, settings.log_format)
    raise_file_limit()
    listener = listen(settings.host, settings.port)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, source, listener, tell, as_json=as_json))
    finally:
        listener.close()


async def _serve(settings: Settings, source: Path, listener: socket.socket, tell: Tell, *, as_json: bool) -> None:
    async with build(settings, tell=tell) as node:
        note(settings, source if source.exists() else None)
        server = _Server(node)
        # what was imported and built lives as long as the process: collections need not look at it again
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)  # a call leaves no rings behind, so there is little to look for
        await server.run(listener, lambda: _announce(node, listener, as_json=as_json))


class _Server(uvicorn.Server):
    """uvicorn, which on a signal first lets the gateway end its streams and only then closes connections."""

    def __init__(self, node: Node) -> None:
        super().__init__(server_config(node.app, node.settings.limits, timeout_graceful_shutdown=2))
        self._node = node
        self._ending: asyncio.Task[None] | None = None

    async def run(self, listener: socket.socket, ready: Any) -> None:  # type: ignore[override]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        ready()
        await self.main_loop()
        await self.shutdown(sockets=[listener])

    def _on_signal(self) -> None:
        if self._ending is not None:
            self.should_exit = self.force_exit = True
            return
        self._ending = asyncio.ensure_future(self._end())
        # past the buffer: what cannot be written (a full disk, a closed terminal) must not fail the exit later
        with contextlib.suppress(OSError):
            os.write(2, b"Stopping; answers in progress may go on a little. Again to stop at once.\n")

    async def _end(self) -> None:
        await self._node.gateway.stop(self._node.settings.limits.stop_grace_s)
        self.should_exit = True


def _announce(node: Node, listener: socket.socket, *, as_json: bool) -> None:
    """One line of JSON for scripts, or a few lines for a person."""
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    node.folder.announce(url)
    here = f"http://127.0.0.1:{port}" if host in ("0.0.0.0", "::") else url  # noqa: S104 - not an address to open
    page = f"{here}/signin?code={node.auth.make_code()}"
    if as_json:
        ready: dict[str, Any] = {"url": url, "api": f"{url}/v1", "page": page, "data": str(node.folder.path)}
        if node.new_token:
            ready["token"] = node.new_token
        print_json(ready)
        return
    out.print(f"\n[bold]Intermodel is up.[/]  API: [cyan]{url}/v1[/]", soft_wrap=True)
    out.print(f"Open    [cyan]{page}[/]", soft_wrap=True)
    if node.new_token:
        out.print(f"Token   [bold yellow]{node.new_token}[/]", soft_wrap=True)
        out.print("        Shown this once, and kept only as a hash: store it now.", style="dim")
    elsewhere = f" --data {node.folder.path}" if node.folder.path != Settings().data else ""
    out.print(f"Chat    [green]{_command()} chat{elsewhere}[/] in another terminal. Ctrl-C stops.\n", soft_wrap=True)
    for name, problem in node.gateway.registry.declared.problems.items():
        err.print(cell(f"'{name}' cannot be used. {problem}", "yellow"), soft_wrap=True)
    if host not in ("127.0.0.1", "::1"):
        err.print(f"[yellow]This node listens on {host}: others can reach it, with a token and without TLS.[/]")


def _command() -> str:
    """How this command can be called again: by its name if that is on the PATH, else as it was called now."""
    return "intermodel" if shutil.which("intermodel") else sys.argv[0]


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # Windows has none
        return None
    return uvloop.new_event_loop
