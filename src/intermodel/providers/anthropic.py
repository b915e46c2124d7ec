"""Anthropic's API, and servers that speak it. Its Messages pass through as bytes; chat is translated."""

from __future__ import annotations

from typing import Any

import orjson

from intermodel.core import Call, Kind, Upstream
from intermodel.protocols.anthropic import Messages
from intermodel.providers.answer import EVENTS, JSON, Answer
from intermodel.providers.faults import failed
from intermodel.providers.http import Http, Origin, Response
from intermodel.providers.translated import Translated, object_in
from intermodel.settings import Deployment

BASE_URL = "https://api.anthropic.com/v1"
VERSION = "2023-06-01"
"""The version of the API that is spoken. That of 2026-10-21 takes no temperature, top_p and top_k any more; it refuses
some requests that this one takes, and answers in the same form (Anthropic's API reference, "Versions").
"""

_COUNTED = frozenset({"messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"})
"""What of a request is taken where its tokens are counted."""
_LIMITS = ("max_completion_tokens", "max_tokens")


class Anthropic:
    """One server and key. The key goes to this origin alone."""

    kinds = frozenset({Kind.CHAT, Kind.MESSAGES})

    def __init__(self, name: str, deployment: Deployment, key: str, http: Http) -> None:
        self._name = name
        self._http = http
        self._origin = Origin(deployment.base_url or BASE_URL, private=deployment.private)
        self._silence_s = deployment.timeout_s
        self._output_tokens = deployment.output_tokens
        self._dialect = Messages()
        # a client's own `anthropic-beta` would be added to these
        self._headers = {"Content-Type": JSON, "anthropic-version": VERSION} | ({"x-api-key": key} if key else {})

    async def call(self, call: Call, model: str) -> Answer:
        response = await self._post("/messages", self._asked(call) | {"model": model})
        if call.kind is Kind.MESSAGES or response.media_type not in (JSON, EVENTS):
            return response
        return Translated(response, self._dialect, call.body)

    async def count_tokens(self, call: Call, model: str) -> int:
        """How many tokens the model would read for `call`, as the server counts them."""
        counted = {name: value for name, value in self._asked(call).items() if name in _COUNTED}
        response = await self._post("/messages/count_tokens", counted | {"model": model})
        try:
            found = (await object_in(response)).get("input_tokens")
        finally:
            await response.close()
        if not isinstance(found, int):
            raise Upstream(f"'{self._name}' did not say how many tokens these are.", code="upstream_protocol")
        return found

    def _asked(self, call: Call) -> dict[str, Any]:
        if call.kind is Kind.MESSAGES:
            return call.body
        body = call.body
        if self._output_tokens and all(body.get(limit) is None for limit in _LIMITS):
            body = body | {"max_completion_tokens": self._output_tokens}
        return self._dialect.request_from_chat(body)

    async def _post(self, path: str, body: dict[str, Any]) -> Response:
        response = await self._http.post(
            self._origin,
            path,
            orjson.dumps(body),
            headers=self._headers,
            silence_s=self._silence_s,
            name=f"'{self._name}'",
        )
        if response.status != 200:
            try:
                raise failed(self._name, response, await response.error_body())
            finally:
                await response.close()
        return response
