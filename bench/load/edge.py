"""A node whose gateway answers at once. Usage: edge.py PORT wire|asgi FOLDER TOKEN

`wire` has the node's own connections, `asgi` those of uvicorn. Its log goes to standard error.
"""

import asyncio
import gc
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from intermodel.cli import logs
from intermodel.node import build
from intermodel.settings import Deployment, Engines, Settings
from intermodel.web.server import server_config

EVENTS = 52
ANSWER = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"%b"}}]}' % (b"word " * 190)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"w" * 250)
LEFT = [(b"x-ratelimit-%b-%b" % (what, of), b"99999") for of in (b"requests", b"tokens")
        for what in (b"limit", b"remaining", b"reset")]  # fmt: skip


class Reply:
    id, address, headers = "0123456789abcdef01234567", "mini", tuple(LEFT)

    def __init__(self, streamed):
        self.streamed = streamed
        self.media_type = "text/event-stream" if streamed else "application/json"
        self.left = EVENTS

    async def read(self):
        if not self.streamed:
            return ANSWER
        self.left -= 1
        await asyncio.sleep(0)  # each event is written by itself, as if it had come by itself
        return EVENT if self.left >= 0 else b""

    async def close(self):
        pass


async def main(port, kind, folder, token):
    settings = Settings(
        data=folder, token=token, engines=Engines(shipped=False), deployments={"mini": Deployment(provider="echo")}
    )
    tell = logs.configure(settings.log_level, settings.log_format)
    async with build(settings, tell=tell) as node:

        async def answer(call, _caller):
            return Reply(call.stream)

        node.gateway.call = answer
        own = server_config(node.app, settings.limits)
        theirs = uvicorn.Config(node.app, http="httptools", lifespan="off", access_log=False, log_config=None)
        server = uvicorn.Server(own if kind == "wire" else theirs)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            await server.serve([listener])


with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
