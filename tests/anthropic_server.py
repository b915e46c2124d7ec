"""A server in the form of Anthropic's Messages, on loopback: the model's name says what it answers.

It is strict where Anthropic is: unknown fields, a missing version and a wrong key are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "sk-ant-only-for-tests"
FIELDS = frozenset({
    "model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences", "tools",
    "tool_choice", "thinking", "metadata", "service_tier", "output_config", "cache_control",
})  # fmt: skip
COUNTED = FIELDS - {
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "service_tier",
}
VERSIONS: dict[str, frozenset[str]] = {
    "2023-06-01": frozenset(),
    "2026-10-21": frozenset({"temperature", "top_p", "top_k"}),
}
"""Versions of the API, and the fields that each has no longer."""
USAGE = {
    "input_tokens": 3,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 100,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 2},
}
TEXT = {"type": "text", "text": "one two ünïcode 🙂"}
THINKING = {"type": "thinking", "thinking": "let me see", "signature": "EqQBCgIYAhIM+/=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy="}
CALLS = [
    {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Zürich", "days": [1, 2]}},
    {"type": "tool_use", "id": "toolu_02", "name": "now", "input": {}},
]
ANSWERS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "thinks": ([THINKING, TEXT], "end_turn"),
    "thinks-twice": ([REDACTED, THINKING, THINKING | {"thinking": "more", "signature": "B=="}, *CALLS], "tool_use"),
    "tools": ([TEXT, *CALLS], "tool_use"),
    "refuses": ([], "refusal"),
    "short": ([TEXT], "max_tokens"),
}
ERRORS = {
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "rate": (429, "rate_limit_error", "too fast"),
    "permission": (403, "permission_error", "not yours"),
    "billing": (402, "billing_error", "pay"),
    "gone": (404, "not_found_error", "model: gone"),
    "large": (413, "request_too_large", "Request exceeds the maximum size"),
    "slow": (504, "timeout_error", "The request timed out"),
    "ill": (500, "api_error", "Internal server error"),
    "long": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    "wrong": (400, "invalid_request_error", "messages: no"),
}


def message(model: str) -> dict[str, Any]:
    content, reason = ANSWERS.get(model, ([TEXT], "end_turn"))
    details = (
        {"type": "refusal", "category": "bio", "explanation": "It could do harm."} if reason == "refusal" else None
    )
    return {
        "id": "msg_01", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": reason, "stop_sequence": None, "stop_details": details, "usage": USAGE,
    }  # fmt: skip


def event(kind: str, **said: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind} | said))


def events(whole: dict[str, Any]) -> list[bytes]:
    """The stream of a message, as the guide "Streaming Messages" shows it."""
    usage = whole["usage"] | {"output_tokens": 1}
    start = whole | {"content": [], "stop_reason": None, "stop_details": None, "usage": usage}
    said = [event("message_start", message=start), event("ping")]
    for i, block in enumerate(whole["content"]):
        said.append(event("content_block_start", index=i, content_block=_empty(block)))
        said += [event("content_block_delta", index=i, delta=delta) for delta in _deltas(block)]
        said.append(event("content_block_stop", index=i))
    delta = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    last = {name: whole["usage"][name] for name in ("output_tokens", "output_tokens_details")}
    return [*said, event("message_delta", delta=delta, usage=last), event("message_stop")]


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    empty = {"text": "", "thinking": "", "signature": "", "input": {}}
    return block | {name: empty[name] for name in block if name in empty}


def _deltas(block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["type"] == "text":
        return [{"type": "text_delta", "text": part} for part in (block["text"][:4], block["text"][4:])]
    if block["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return [{"type": "thinking_delta", "thinking": block["thinking"]}, signature]
    if block["type"] == "tool_use":
        text = orjson.dumps(block["input"]).decode() if block["input"] else ""
        return [
            {"type": "input_json_delta", "partial_json": part} for part in ("", text[:5], text[5:]) if part or not text
        ]
    return []


@dataclass
class Server:
    """Where it listens, and what it saw. `raw` are streams that it sends as they are, by model."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    async def messages(self, request: Request) -> Response:
        body = await self._taken(request)
        model = body.get("model", "")
        if (refused := _refused(request, body, FIELDS)) is not None:
            return refused
        if body.get("stream"):
            pieces = [self.raw[model]] if model in self.raw else script(model)
            return StreamingResponse(_sent(pieces), media_type="text/event-stream; charset=utf-8")
        return JSONResponse(message(model))

    async def count(self, request: Request) -> Response:
        body = await self._taken(request)
        refused = _refused(request, body, COUNTED)
        return refused or JSONResponse({"input_tokens": len(orjson.dumps(body["messages"]))})

    async def _taken(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = orjson.loads(await request.body())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        return body


def script(model: str) -> list[bytes]:
    """The pieces of a stream; an empty one cuts the connection."""
    whole = events(message(model))
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    scripts = {
        "error-first": [whole[0], error],
        "error-later": [*whole[:4], error],
        "cut": [*whole[:4], b""],
        "unfinished": whole[:4],
        "no-stop": whole[:-1],
    }
    return scripts.get(model, whole)


async def _sent(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if not piece:
            raise ConnectionError("cut, as asked")
        yield piece
        await asyncio.sleep(0.001)


def _refused(request: Request, body: dict[str, Any], fields: frozenset[str]) -> Response | None:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    if request.headers.get("x-api-key", bearer) != KEY:
        return _error(401, "authentication_error", "invalid x-api-key")
    version = request.headers.get("anthropic-version", "")
    if version not in VERSIONS:
        return _error(400, "invalid_request_error", "anthropic-version: header is required")
    fields -= VERSIONS[version]
    if others := body.keys() - fields:
        return _error(400, "invalid_request_error", f"{min(others)}: Extra inputs are not permitted")
    if "max_tokens" in fields and "max_tokens" not in body:
        return _error(400, "invalid_request_error", "max_tokens: Field required")
    if any(m["role"] == "system" for m in body["messages"][:1]):
        return _error(400, "invalid_request_error", "messages.0: a system message cannot be first")
    if body["model"] in ERRORS:
        return _error(*ERRORS[body["model"]])
    return None


def _error(status: int, kind: str, text: str) -> Response:
    error = {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_01"}
    return JSONResponse(error, status, headers={"retry-after": "7"})


@contextlib.contextmanager
def anthropic_server() -> Iterator[Server]:
    """The server in a thread of its own, for the length of the block."""
    served = Server()
    paths = [("/v1/messages", served.messages), ("/v1/messages/count_tokens", served.count)]
    app = Starlette(routes=[Route(path, handler, methods=["POST"]) for path, handler in paths])
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # it listens already, so whoever connects before it runs waits
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="anthropic")
    thread.start()
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
