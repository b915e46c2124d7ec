"""Reading an answer up to the point from which it is given to the caller: until then another candidate may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from intermodel.core import Call, Kind, Upstream
from intermodel.gateway.stream import begun
from intermodel.providers import Answer
from intermodel.providers.answer import EVENTS, JSON

ANSWER_BYTES = 64 * 1024**2
"""Largest answer that is held in memory when it is not streamed."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """An answer that has begun: its bytes so far, and if it is whole already, what it used."""

    answer: Answer
    head: bytes
    usage: dict[str, Any] | None = None


async def begin(answer: Answer, call: Call, address: str) -> Beginning:
    """Read up to the first token of a stream, or all of a whole answer.

    Raises `Upstream` (retryable) where the answer is not what was asked for: the wrong media type, no JSON, an error in
    the place of an answer, nothing at all, or too much.
    """
    wanted = EVENTS if call.stream else JSON
    if answer.media_type != wanted:
        raise Upstream(
            f"'{address}' answered with {answer.media_type[:100]} instead of {wanted}.",
            code="upstream_protocol",
            hint="Is its base_url that of an OpenAI-compatible API?",
        )
    return await (_first_token if call.stream else _whole)(answer, address)


def choices_of(call: Call) -> int:
    """How many answers the call asks for: `n`, for each prompt of a completion."""
    prompt = call.body.get("prompt")
    several = call.kind is Kind.COMPLETION and isinstance(prompt, list) and not isinstance(prompt[0], int)
    return int(call.body.get("n") or 1) * (len(prompt) if several and prompt else 1)


async def _first_token(answer: Answer, address: str) -> Beginning:
    head = b""
    while chunk := await answer.read():
        head = head + chunk if head else chunk  # bounded: `begun` gives up waiting at 256 KiB
        if begun(head, address):
            return Beginning(answer, head)
    if not head:
        raise _empty(address)
    return Beginning(answer, head)


async def _whole(answer: Answer, address: str) -> Beginning:
    parts: list[bytes] = []
    size = 0
    while chunk := await answer.read():
        parts.append(chunk)
        size += len(chunk)
        if size > ANSWER_BYTES:
            raise Upstream(f"'{address}' sent more than {ANSWER_BYTES // 1024**2} MiB.", code="upstream_too_large")
    if not size:
        raise _empty(address)
    body = b"".join(parts)
    return Beginning(answer, body, _usage(body, address))


def _usage(body: bytes, address: str) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Upstream(f"'{address}' sent an answer that is not a JSON object.", code="upstream_protocol")
    if error := parsed.get("error"):
        said = error.get("message") if isinstance(error, dict) else error
        raise Upstream(f"'{address}' answered with an error: {said}", code="upstream_error")
    usage = parsed.get("usage")
    return usage if isinstance(usage, dict) else None


def _empty(address: str) -> Upstream:
    return Upstream(f"'{address}' sent an empty answer.", code="upstream_empty")
