"""Anthropic's protocol besides Messages themselves: counting the tokens of a request."""

from __future__ import annotations

import orjson

from intermodel.core import Kind
from intermodel.gateway import Gateway
from intermodel.settings import Limits
from intermodel.web.anthropic_requests import call_of
from intermodel.web.auth import Auth
from intermodel.web.http import Receive, Scope, Send, parse_object, read_body, respond


class CountTokens:
    """`POST /v1/messages/count_tokens`. Where nobody counts, the header `x-intermodel-estimated` says so."""

    def __init__(self, gateway: Gateway, auth: Auth, limits: Limits) -> None:
        self._gateway = gateway
        self._auth = auth
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["protocol"] = Kind.MESSAGES
        scope["caller"] = (await self._auth.caller(scope)).token_id
        body = await read_body(scope, receive, self._limits.body_bytes)
        call = call_of(parse_object(body), request_id=scope["request_id"], size=len(body), counting=True)
        counted, is_estimated = await self._gateway.count_tokens(call)
        headers = [(b"x-intermodel-estimated", b"true")] if is_estimated else []
        await respond(send, 200, orjson.dumps({"input_tokens": counted}), b"application/json", headers)
