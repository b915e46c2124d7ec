"""Any OpenAI-compatible server. Both sides speak the same protocol, so answers pass through as bytes."""

from __future__ import annotations

from typing import Any

import orjson

from intermodel.core import Call, Upstream
from intermodel.providers.answer import JSON, Answer
from intermodel.providers.http import Http, Origin, Response
from intermodel.settings import Deployment

ASK_AGAIN = frozenset({401, 402, 403, 404, 408, 409, 425, 429})
"""Statuses below 500 after which another candidate may answer; the rest say that the request itself is wrong."""

LONGEST_PAUSE_S = 24 * 3600.0
"""A server that asks to be left alone for longer is told to callers as this."""


class OpenAI:
    """One server and key. The key goes to this origin alone."""

    def __init__(self, name: str, deployment: Deployment, key: str, http: Http) -> None:
        self._name = name
        self._http = http
        self._origin = Origin(deployment.base_url, private=deployment.private)
        self._silence_s = deployment.timeout_s
        self._headers = {"Content-Type": JSON} | ({"Authorization": f"Bearer {key}"} if key else {})

    async def call(self, call: Call, model: str) -> Answer:
        response = await self._http.post(
            self._origin,
            f"/{call.kind.value}",
            orjson.dumps(call.body | {"model": model}),
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


def failed(name: str, response: Response, body: bytes) -> Upstream:
    """The error for an answer that is not 200. Credentials are this node's own, so 401 and 403 say so."""
    status = response.status
    said = error_object(body)
    message = str(said.get("message") or body[:200].decode(errors="replace") or "no reason given")
    if status in (401, 402, 403):
        return Upstream(
            f"'{name}' refused this node's own key ({status}).",
            code="upstream_credentials",
            hint="The token you sent to this node is fine; its operator must mend the key of that deployment.",
            status=status,
        )
    return Upstream(
        f"'{name}' answered {status}: {message}",
        code=str(said.get("code") or "upstream_error"),
        param=said.get("param") if isinstance(said.get("param"), str) else None,
        retryable=status >= 500 or status < 400 or status in ASK_AGAIN,
        status=status,
        retry_after_s=_seconds(response.headers.get("Retry-After")),
    )


def error_object(body: bytes) -> dict[str, Any]:
    """The `error` object of an OpenAI-shaped body; empty where there is none."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); the date form is left to the caller's own back-off."""
    digits = (header or "").strip()
    return min(float(digits), LONGEST_PAUSE_S) if digits.isascii() and digits.isdigit() else None
