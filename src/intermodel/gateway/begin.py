"""Reading an answer up to the point from which it is given to the caller: until then another candidate may answer."""

from __future__ import annotations

from intermodel.core import Upstream
from intermodel.gateway.pipe import Pipe
from intermodel.gateway.said import Seen
from intermodel.providers import Answer
from intermodel.providers.answer import EVENTS

ANSWER_BYTES = 64 * 1024**2
"""Largest answer that is held in memory when it is not streamed."""


async def first_token(answer: Answer, pipe: Pipe, *, events: bool) -> bytes:
    """The beginning of a stream, up to its first token. Raises `Upstream` where it is not what was asked for.

    `events` says that server-sent events were asked for.
    """
    if events and answer.media_type != EVENTS:
        raise _not(EVENTS, answer)
    head = b""
    while chunk := await answer.read():
        head = head + chunk if head else chunk  # bounded: `begun` gives up waiting at some length
        if pipe.begun(head):
            return head
    if not head:
        raise _empty()
    if not pipe.begun(head + b"\n\n"):  # a last event whose blank line was forgotten may still be one
        raise Upstream("The upstream ended its stream before it said anything.", code="upstream_broken")
    return head


async def whole_body(answer: Answer, seen: Seen, *, media_type: str | None) -> bytes:
    """All of an answer; None takes any media type. Raises `Upstream` for the wrong type, nothing, or too much."""
    if media_type is not None and answer.media_type != media_type:
        raise _not(media_type, answer)
    parts: list[bytes] = []
    while chunk := await answer.read():
        parts.append(chunk)
        seen.bytes += len(chunk)
        if seen.bytes > ANSWER_BYTES:
            raise Upstream(f"The answer is longer than {ANSWER_BYTES // 1024**2} MiB.", code="upstream_too_large")
    if not seen.bytes:
        raise _empty()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _not(wanted: str, answer: Answer) -> Upstream:
    return Upstream(
        f"The answer is {answer.media_type[:100]} instead of {wanted}.",
        code="upstream_protocol",
        hint="Is the deployment's base_url that of an API of its provider?",
    )


def _empty() -> Upstream:
    return Upstream("The answer is empty.", code="upstream_empty")
