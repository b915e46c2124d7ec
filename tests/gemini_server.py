"""A server in the form of Google's Gemini API, on loopback: the model's name says what it answers.

It is strict where Google is: unknown fields, turns without parts and a wrong key are refused.
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

KEY = "AIza-only-for-tests"
FIELDS = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"})
SETTINGS = frozenset({
    "temperature", "topP", "topK", "seed", "candidateCount", "presencePenalty", "frequencyPenalty", "maxOutputTokens",
    "stopSequences", "responseLogprobs", "logprobs", "responseMimeType", "responseJsonSchema", "thinkingConfig",
    "mediaResolution",
})  # fmt: skip
PARTS = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse", "thoughtSignature"})
USAGE = {
    "promptTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "toolUsePromptTokenCount": 3,
    "cachedContentTokenCount": 64, "totalTokenCount": 115,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "IMAGE", "tokenCount": 30},
                            {"modality": "AUDIO", "tokenCount": 10}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
}  # fmt: skip
TEXT: dict[str, Any] = {"text": "one two ünïcode 🙂"}
THOUGHT: dict[str, Any] = {"text": "let me see", "thought": True}
CALLS: list[dict[str, Any]] = [
    {"functionCall": {"name": "weather", "args": {"city": "Zürich"}}, "thoughtSignature": "CiQB+/=="},
    {"functionCall": {"id": "given", "name": "now", "args": {}}},
]
ANSWERS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "thinks": ([THOUGHT, TEXT | {"thoughtSignature": "QUJD"}], "STOP"),
    "tools": ([THOUGHT, TEXT, *CALLS], "STOP"),
    "short": ([TEXT], "MAX_TOKENS"),
    "unsafe": ([], "SAFETY"),
    "malformed": ([], "MALFORMED_FUNCTION_CALL"),
    "paints": ([{"inlineData": {"mimeType": "image/png", "data": "AA=="}}], "STOP"),
}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
ERRORS: dict[str, tuple[int, str, str]] = {
    "quota": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded."),
    "permission": (403, "PERMISSION_DENIED", "not yours"),
    "gone": (404, "NOT_FOUND", "models/gone is not found for API version v1beta"),
    "ill": (500, "INTERNAL", "An internal error has occurred."),
    "late": (504, "DEADLINE_EXCEEDED", "Deadline expired."),
    "place": (400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    "long": (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
    "wrong": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
}


def whole(model: str, **more: Any) -> dict[str, Any]:
    parts, reason = ANSWERS.get(model, ([TEXT], "STOP"))
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": model, "responseId": "r1", **more}


def event(said: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(said)


def events(answer: dict[str, Any]) -> list[bytes]:
    """The stream of a whole answer: each part in an event, texts in two, usage growing."""
    candidate = answer["candidates"][0]
    head = {name: answer[name] for name in ("modelVersion", "responseId")}
    said = []
    for part in candidate["content"]["parts"]:
        for piece in _pieces(part):
            content = {"role": "model", "parts": [piece]}
            usage = {"promptTokenCount": 100, "totalTokenCount": 100}
            said.append({"candidates": [{"content": content, "index": 0}], "usageMetadata": usage, **head})
    last = {name: candidate[name] for name in candidate if name != "content"} | {"content": {"parts": [{"text": ""}]}}
    return [event(one) for one in [*said, {"candidates": [last], "usageMetadata": answer["usageMetadata"], **head}]]


def _pieces(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "text" not in part:
        return [part]
    text, more = part["text"], {name: part[name] for name in part if name == "thought"}
    return [{"text": text[:4], **more}, part | {"text": text[4:]}]


@dataclass
class Server:
    """Where it listens, and what it saw."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"{self.url}/v1beta"

    async def handle(self, request: Request) -> Response:
        body: dict[str, Any] = orjson.loads(await request.body())
        self.paths.append(f"{request.scope['raw_path'].decode()}?{request.url.query}".rstrip("?"))
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        model, _, method = request.path_params["model"].rpartition(":")
        if (refused := _refused(request, body, model, method)) is not None:
            return refused
        if method == "batchEmbedContents":
            vectors = [{"values": [float(len(one["content"]["parts"][0]["text"])), 0.5]} for one in body["requests"]]
            told = {"usageMetadata": {"promptTokenCount": 2}} if model != "silent" else {}
            return JSONResponse({"embeddings": vectors, **told})
        if method == "streamGenerateContent":
            return StreamingResponse(_sent(script(model)), media_type="text/event-stream")
        return JSONResponse(blocked(model) if model == "blocked" else whole(model))


def blocked(model: str) -> dict[str, Any]:
    usage = {"promptTokenCount": 4, "totalTokenCount": 4}
    return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage, "modelVersion": model}


def script(model: str) -> list[bytes]:
    """The pieces of a stream; an empty one cuts the connection."""
    said = events(whole(model))
    error = event({"error": {"code": 503, "status": "UNAVAILABLE", "message": "The model is overloaded."}})
    scripts = {
        "blocked": [event(blocked(model))],
        "error-first": [error],
        "error-later": [said[0], error],
        "cut": [said[0], b""],
        "unfinished": said[:-1],
    }
    return scripts.get(model, said)


async def _sent(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        if not piece:
            raise ConnectionError("cut, as asked")
        yield piece
        await asyncio.sleep(0.001)


def _refused(request: Request, body: dict[str, Any], model: str, method: str) -> Response | None:
    if request.headers.get("x-goog-api-key") != KEY:
        return _error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", BAD_KEY)
    if model in ERRORS:
        return _error(*ERRORS[model], *([RETRY] if model == "quota" else []))
    if method == "batchEmbedContents":
        is_fine = 0 < len(body["requests"]) <= 100 and all(
            one["model"] == f"models/{model}" for one in body["requests"]
        )
        return None if is_fine else _error(400, "INVALID_ARGUMENT", "at most 100 requests can be in one batch")
    unknown = (body.keys() - FIELDS) | (body.get("generationConfig", {}).keys() - SETTINGS)
    for turn in body["contents"]:
        if not turn["parts"] or turn["role"] not in ("user", "model"):
            return _error(400, "INVALID_ARGUMENT", "contents.parts must not be empty.")
        unknown |= {name for part in turn["parts"] for name in part.keys() - PARTS}
    return _error(400, "INVALID_ARGUMENT", f"Unknown name: {min(unknown)}") if unknown else None


def _error(status: int, word: str, text: str, *details: dict[str, Any]) -> Response:
    return JSONResponse({"error": {"code": status, "message": text, "status": word, "details": details}}, status)


@contextlib.contextmanager
def gemini_server() -> Iterator[Server]:
    """The server in a thread of its own, for the length of the block."""
    served = Server()
    app = Starlette(routes=[Route("/v1beta/models/{model:path}", served.handle, methods=["POST"])])
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # it listens already, so whoever connects before it runs waits
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="gemini")
    thread.start()
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
