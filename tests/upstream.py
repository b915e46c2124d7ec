"""A server in OpenAI's form that misbehaves as asked: the model's name says how."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass
class Upstream:
    """Where it listens, and what it saw."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("Authorization"))
        how = body["model"]
        if how == "redirect":
            raise web.HTTPFound("http://169.254.169.254/v1/secret")
        if (odd := _odd(how, body)) is not None:
            return odd
        if body.get("stream"):
            return await self._stream(request, how)
        try:
            await asyncio.sleep(60 if how == "hang" else 0)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.json_response(whole(how))

    async def _stream(self, request: web.Request, how: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for piece in script(how):
                if piece is None:
                    assert request.transport is not None
                    request.transport.close()
                    return response
                await asyncio.sleep(60 if how == "hang" else 0.02 if how.startswith("slow") else 0)
                await response.write(piece)
        except (ConnectionResetError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


def _odd(how: str, body: dict[str, Any]) -> web.Response | None:
    """What is no answer, or None where one is to be given."""
    if how.startswith("status-"):
        error = {"message": f"said {how}", "code": "the_code", "param": "p", "type": "t"}
        return web.json_response({"error": error}, status=int(how[7:]), headers={"Retry-After": "7"})
    quoted = {"error": {"message": f"bad prompt: {body.get('messages')}"}}
    odd: dict[str, Callable[[], web.Response]] = {
        "html": lambda: web.Response(text="<html>Bad gateway</html>", status=502, content_type="text/html"),
        "json-to-stream": lambda: web.json_response(whole(how)),
        "page": lambda: web.Response(text="<html>Welcome</html>", content_type="text/html"),
        "error-in-200": lambda: web.json_response({"error": {"message": "overloaded"}}),
        "list": lambda: web.json_response([1]),
        "quotes": lambda: web.json_response(quoted, status=400),
        "empty": lambda: web.Response(body=b"", content_type="application/json"),
    }
    return odd[how]() if how in odd else None


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


def chunk(choices: list[Any], **more: Any) -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**head, "choices": choices, **more})


def delta(text: str | None = None, finish: str | None = None) -> bytes:
    return chunk([{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}])


ROLE = chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
USAGE = chunk([], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = event(b"[DONE]")


def script(how: str) -> list[bytes | None]:
    """The pieces of a stream; None cuts the connection."""
    scripts: dict[str, list[bytes | None]] = {
        "cut": [ROLE, delta("one "), delta("two "), None],
        "cut-before": [ROLE, None],
        "error-first": [ROLE, event({"error": {"message": "overloaded", "code": "busy"}}), DONE],
        "error-later": [ROLE, delta("one "), event({"error": {"message": "tired", "code": "tired"}})],
        "no-done": [ROLE, delta("one "), delta(None, "stop")],
        "unfinished": [ROLE, delta("one ")],
        "slow-100": [ROLE, *(delta(f"{i} ") for i in range(100)), delta(None, "stop"), DONE],
        "slow": [ROLE, *(delta(f"{i} ") for i in range(500)), delta(None, "stop"), DONE],
    }
    return scripts.get(how, [ROLE, delta("one "), delta("two"), delta(None, "stop"), USAGE, DONE])


def whole(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "one two"}
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }  # fmt: skip


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    """The server in a thread of its own, for the length of the block."""
    served, ready, stop = Upstream(), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        app = web.Application()
        app.router.add_post("/v1/{rest:.*}", served.handle)
        # a handler is told when its client leaves
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="upstream")
    thread.start()
    assert ready.wait(10)
    try:
        yield served
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
