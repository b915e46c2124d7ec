"""The paths on which models are called, in every protocol: one request in, one answer or stream out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from intermodel.accounts import in_anthropic_words
from intermodel.core import Call, IntermodelError, Kind
from intermodel.gateway import Gateway, Replay, Reply
from intermodel.settings import Limits
from intermodel.web import anthropic_requests, openai_requests, plain_requests, responses_requests
from intermodel.web.auth import Auth
from intermodel.web.errors import event_of
from intermodel.web.http import Receive, Scope, Send, Watch, parse_object, read_body, respond

_STREAM_HEADERS = [
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # asks nginx in front of a node not to hold events back
]


async def _openai(kind: Kind, scope: Scope, body: bytes, limits: Limits) -> Call:
    given, request_id = parse_object(body), scope["request_id"]
    return openai_requests.call_of(kind, given, max_choices=limits.choices, request_id=request_id, size=len(body))


async def _messages(_kind: Kind, scope: Scope, body: bytes, _limits: Limits) -> Call:
    return anthropic_requests.call_of(parse_object(body), request_id=scope["request_id"], size=len(body))


async def _responses(_kind: Kind, scope: Scope, body: bytes, _limits: Limits) -> Call:
    return responses_requests.call_of(parse_object(body), request_id=scope["request_id"], size=len(body))


async def _plain(kind: Kind, scope: Scope, body: bytes, _limits: Limits) -> Call:
    return await plain_requests.call_of(kind, scope, body)


_READ: dict[Kind, Callable[[Kind, Scope, bytes, Limits], Awaitable[Call]]] = {
    Kind.CHAT: _openai,
    Kind.COMPLETION: _openai,
    Kind.EMBEDDING: _openai,
    Kind.MESSAGES: _messages,
    Kind.RESPONSES: _responses,
}


class Calls:
    """One path that calls a model."""

    def __init__(self, kind: Kind, gateway: Gateway, auth: Auth, limits: Limits) -> None:
        self._kind = kind
        self._read = _READ.get(kind, _plain)
        self._gateway = gateway
        self._auth = auth
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["protocol"] = self._kind
        caller = await self._auth.caller(scope)
        scope["caller"] = caller.token_id
        body = await read_body(scope, receive, self._limits.body_bytes)
        call = await self._read(self._kind, scope, body, self._limits)
        async with Watch(receive) as watch:
            reply = await self._gateway.call(call, caller)
            try:
                scope["model"] = reply.address
                await (_stream(reply, self._kind, send) if reply.streamed else _whole(reply, self._kind, send))
            finally:
                await reply.close()
        if watch.left:
            scope["left"] = True


async def _whole(reply: Reply | Replay, kind: Kind, send: Send) -> None:
    body = await reply.read()
    await respond(send, 200, body, reply.media_type.encode(), _headers(reply, kind))


async def _stream(reply: Reply | Replay, kind: Kind, send: Send) -> None:
    media_type = f"{reply.media_type}; charset=utf-8" if reply.media_type.startswith("text/") else reply.media_type
    headers = [(b"content-type", media_type.encode()), *_STREAM_HEADERS, *_headers(reply, kind)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while chunk := await reply.read():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except IntermodelError as error:
        # a truncated answer must not end like a whole one: an error, and no end mark after this
        event = reply.failure(error) or event_of(kind, error)
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _headers(reply: Reply | Replay, kind: Kind) -> list[tuple[bytes, bytes]]:
    about = [(b"x-intermodel-model", reply.address.encode()), (b"x-intermodel-receipt", reply.id.encode())]
    if not reply.headers:
        return about
    limits = in_anthropic_words(reply.headers, datetime.now(UTC)) if kind is Kind.MESSAGES else reply.headers
    return [*about, *limits]
