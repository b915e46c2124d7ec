"""The paths on which models are called, in every protocol: one request in, one answer or stream out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from intermodel.accounts import in_anthropic_words
from intermodel.core import Call, IntermodelError, Kind
from intermodel.gateway import Gateway, Replay, Reply
from intermodel.settings import Limits
from intermodel.web import anthropic_requests, openai_requests, plain_requests, responses_requests
from intermodel.web.auth import Auth
from intermodel.web.errors import event_of
from intermodel.web.exchange import Adapted, Exchange, Fields
from intermodel.web.http import Receive, Scope, Send, header, parse_object

_TRACE = 128
"""Of a `traceparent`, as much as is looked at."""
_STREAM_FIELDS = [
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
        """The path as an ASGI application."""
        await self.serve(Adapted(scope, receive, send))

    async def serve(self, exchange: Exchange) -> None:
        scope = exchange.scope
        scope["protocol"] = self._kind
        caller = await self._auth.caller(scope)
        scope["caller"] = caller.token_id
        body = await exchange.body(self._limits.body_bytes)
        call = await self._read(self._kind, scope, body, self._limits)
        if trace := header(scope, b"traceparent"):
            call = replace(call, trace=trace[:_TRACE].decode("latin-1"))
        with exchange:
            reply = await self._gateway.call(call, caller)
            try:
                scope["model"] = reply.address
                await (_stream(reply, self._kind, exchange) if reply.streamed else _whole(reply, self._kind, exchange))
            finally:
                await reply.close()
        if exchange.left:
            scope["left"] = True


async def _whole(reply: Reply | Replay, kind: Kind, exchange: Exchange) -> None:
    body = await reply.read()
    await exchange.answer(200, [(b"content-type", reply.media_type.encode()), *_fields(reply, kind)], body)


async def _stream(reply: Reply | Replay, kind: Kind, exchange: Exchange) -> None:
    media_type = f"{reply.media_type}; charset=utf-8" if reply.media_type.startswith("text/") else reply.media_type
    await exchange.begin(200, [(b"content-type", media_type.encode()), *_STREAM_FIELDS, *_fields(reply, kind)])
    try:
        while chunk := await reply.read():
            await exchange.write(chunk)
    except IntermodelError as error:
        # a truncated answer must not end like a whole one: an error, and no end mark after this
        await exchange.write(reply.failure(error) or event_of(kind, error))
    await exchange.end()


def _fields(reply: Reply | Replay, kind: Kind) -> Fields:
    about: Fields = ((b"x-intermodel-model", reply.address.encode()), (b"x-intermodel-receipt", reply.id.encode()))
    if isinstance(reply, Replay):
        about = (*about, (b"x-intermodel-cache", b"hit"))
    if not reply.headers:
        return about
    limits = in_anthropic_words(reply.headers, datetime.now(UTC)) if kind is Kind.MESSAGES else reply.headers
    return (*about, *limits)
