"""Anthropic's protocol besides Messages themselves: counting the tokens of a request."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from intermodel.accounts import in_anthropic_words
from intermodel.core import Kind
from intermodel.gateway import Gateway
from intermodel.settings import Limits
from intermodel.web.anthropic_requests import call_of
from intermodel.web.auth import Auth
from intermodel.web.exchange import Adapted, Exchange
from intermodel.web.http import Receive, Scope, Send, parse_object


class CountTokens:
    """`POST /v1/messages/count_tokens`. Where nobody counts, the header `x-intermodel-estimated` says so."""

    def __init__(self, gateway: Gateway, auth: Auth, limits: Limits) -> None:
        self._gateway = gateway
        self._auth = auth
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The path as an ASGI application."""
        await self.serve(Adapted(scope, receive, send))

    async def serve(self, exchange: Exchange) -> None:
        scope = exchange.scope
        scope["protocol"] = Kind.MESSAGES
        caller = await self._auth.caller(scope)
        scope["caller"] = caller.token_id
        body = await exchange.body(self._limits.body_bytes)
        call = call_of(parse_object(body), request_id=scope["request_id"], size=len(body), counting=True)
        with exchange:
            counted = await self._gateway.count_tokens(call, caller)
            fields = [(b"content-type", b"application/json"), *in_anthropic_words(counted.headers, datetime.now(UTC))]
            if counted.is_estimated:
                fields.append((b"x-intermodel-estimated", b"true"))
            await exchange.answer(200, fields, orjson.dumps({"input_tokens": counted.tokens}))
        if exchange.left:
            scope["left"] = True
