"""Servers on loopback that answer as the vendors' references say, field for field, in each of their protocols.

Every model of theirs calls the tool where it must call one, and thinks where it is asked to.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from intermodel.protocols.responses import Responses
from tests import anthropic_server, gemini_server
from tests.protocols.conversations import in_full

Body = dict[str, Any]

THOUGHT = "Let me see."
TEXT = "One two three."
GIVEN = {"location": "San Francisco"}
USAGE = {
    "prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                  "rejected_prediction_tokens": 0},
}  # fmt: skip


def _call(tool: Body) -> Body:
    function = {"name": tool["name"], "arguments": orjson.dumps(GIVEN).decode()}
    return {"id": "call_1", "type": "function", "function": function}


def _chat_answer(asked: Body, tool: Body | None, **thoughts: str) -> Body:
    message: Body = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": [], **thoughts}
    if tool:
        message |= {"content": None, "tool_calls": [_call(tool)]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if tool else "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
    return {**head, "choices": [choice], "usage": USAGE, "service_tier": "default"}


def _chat_chunks(whole: Body, *, with_usage: bool) -> list[Body]:
    message, finish = whole["choices"][0]["message"], whole["choices"][0]["finish_reason"]
    said = message["tool_calls"] if finish == "tool_calls" else message["content"]
    deltas: list[Body] = [{"role": "assistant", "content": "", "refusal": None}]
    if finish == "tool_calls":
        deltas.append({"tool_calls": [{"index": i, **call} for i, call in enumerate(said)]})
    else:
        deltas += [{"content": said[:4]}, {"content": said[4:]}]
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish})
    chunk = whole | {"object": "chat.completion.chunk", "usage": None}
    chunks = [chunk | {"choices": [choice]} for choice in choices]
    return [*chunks, chunk | {"choices": [], "usage": USAGE}] if with_usage else chunks


async def _chat(request: Request) -> Response:
    asked: Body = orjson.loads(await request.body())
    tool = asked["tools"][0]["function"] if asked.get("tool_choice") == "required" else None
    whole = _chat_answer(asked, tool)
    if not asked.get("stream"):
        return JSONResponse(whole)
    chunks = _chat_chunks(whole, with_usage=bool((asked.get("stream_options") or {}).get("include_usage")))
    return _stream([*(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks), b"data: [DONE]\n\n"])


async def _responses(request: Request) -> Response:
    asked: Body = orjson.loads(await request.body())
    tool = asked["tools"][0] if asked.get("tool_choice") == "required" else None
    whole = _chat_answer(asked, tool, **({"reasoning_content": THOUGHT} if asked.get("reasoning") else {}))
    if not asked.get("stream"):
        return JSONResponse(Responses().answer_from_chat(whole, asked))
    encoder = Responses().encoder(asked)
    return _stream([encoder.feed(_chat_chunks(whole, with_usage=True)), encoder.end()])


async def _messages(request: Request) -> Response:
    asked: Body = orjson.loads(await request.body())
    blocks: list[Body] = [{"type": "text", "text": TEXT}]
    if (asked.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        blocks.insert(0, anthropic_server.THINKING)
    forced = (asked.get("tool_choice") or {}).get("type") == "any"
    if forced:
        blocks = [{"type": "tool_use", "id": "toolu_01", "name": asked["tools"][0]["name"], "input": GIVEN}]
    said = {"content": blocks, "stop_reason": "tool_use" if forced else "end_turn"}
    whole = in_full(anthropic_server.message(asked["model"]) | said)
    return _stream(anthropic_server.events(whole)) if asked.get("stream") else JSONResponse(whole)


async def _gemini(request: Request) -> Response:
    asked: Body = orjson.loads(await request.body())
    parts: list[Body] = [{"text": TEXT}]
    if (asked.get("generationConfig") or {}).get("thinkingConfig"):
        parts.insert(0, gemini_server.THOUGHT)
    if ((asked.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode") == "ANY":
        name = asked["tools"][0]["functionDeclarations"][0]["name"]
        parts = [{"functionCall": {"name": name, "args": GIVEN}}]
    whole = gemini_server.whole("plain")
    whole["candidates"][0]["content"]["parts"] = parts
    is_streamed = request.path_params["model"].endswith(":streamGenerateContent")
    return _stream(gemini_server.events(whole)) if is_streamed else JSONResponse(whole)


def _stream(events: list[bytes]) -> Response:
    return Response(b"".join(events), media_type="text/event-stream")


@contextlib.contextmanager
def vendors() -> Iterator[str]:
    """Where they listen, all of them in one thread, for the length of the block."""
    handlers = {
        "/v1/chat/completions": _chat,
        "/v1/responses": _responses,
        "/v1/messages": _messages,
        "/v1beta/models/{model:path}": _gemini,
    }
    app = Starlette(routes=[Route(path, handler, methods=["POST"]) for path, handler in handlers.items()])
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # it listens already, so whoever connects before it runs waits
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="vendors")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
