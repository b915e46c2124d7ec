"""Asking one place: the call in a form that it understands, and its answer up to the first token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intermodel.core import Call, Fault, IntermodelError, Invalid, Kind, Upstream, Usage
from intermodel.gateway import pipe as pipes
from intermodel.gateway.begin import first_token, whole_body
from intermodel.gateway.choose import Target
from intermodel.gateway.deadline import Deadline
from intermodel.gateway.meter import Meter
from intermodel.gateway.money import held
from intermodel.gateway.pipe import Pipe
from intermodel.gateway.said import Seen
from intermodel.gateway.screen import Screen
from intermodel.protocols import Resumed, inbound, is_read
from intermodel.providers import Answer, Provider
from intermodel.providers.answer import EVENTS, JSON

_PARSED = frozenset(
    {Kind.CHAT, Kind.COMPLETION, Kind.EMBEDDING, Kind.RESPONSES, Kind.MESSAGES, Kind.RERANK, Kind.IMAGE}
)
"""Kinds whose whole answer is a JSON object."""


@dataclass(frozen=True, slots=True)
class Resuming:
    """For the rest of an answer: the call as the caller made it, what they have of its answer, and how it came."""

    call: Call
    resumed: Resumed
    before: Pipe


@dataclass(slots=True)
class Asked:
    """An answer that has begun. `pipe` is None for a whole one, which is `head` then."""

    answer: Answer
    pipe: Pipe | None
    head: bytes
    media_type: str
    spoken: Kind
    usage: Usage | None = None
    meter: Meter | None = None
    """Where the money may end before the answer does."""


async def ask(
    provider: Provider,
    target: Target,
    call: Call,
    *,
    within_s: float,
    screen: Screen | None = None,
    most_tokens: int | None = None,
    resuming: Resuming | None = None,
    seen: Seen | None = None,
) -> Asked:
    """The beginning of `target`'s answer to `call`, or all of it where it is not streamed.

    `most_tokens` holds its answers together to a limit, `seen` is told what came of one that fails. Raises `Upstream`
    or `Invalid` where it gives none, or none within `within_s`.
    """
    try:
        with Deadline(within_s):
            spoken = _form(call, provider, target, screen)
            sent = _said(call, spoken, most_tokens)
            answer = await provider.call(sent, target.upstream)
            try:
                return await _begun(answer, call, spoken, screen, resuming, seen or Seen())
            except BaseException:
                await answer.close()
                raise
    except TimeoutError:
        raise Upstream(
            f"No answer came within {within_s:g} s.",
            code="upstream_timeout",
            hint="`limits.first_token_s`, or the route's, sets how long a candidate may take.",
        ) from None


def _form(call: Call, provider: Provider, target: Target, screen: Screen | None) -> Kind:
    """The protocol in which to ask: the caller's own where the provider speaks it, else chat."""
    if call.kind in provider.kinds and (screen is None or is_read(call.kind)):
        return call.kind
    if call.kind.conversation and Kind.CHAT in provider.kinds:
        return Kind.CHAT
    raise Upstream(
        f"'{target.address}' does not take {call.kind.value}.", code="unsupported_content", fault=Fault.UNSUPPORTED
    )


def _said(call: Call, spoken: Kind, most_tokens: int | None) -> Call:
    """The call as it is sent: in the protocol `spoken`, with usage asked for, held to its limit."""
    body: dict[str, Any] = call.body if most_tokens is None else held(call, most_tokens)
    if spoken is not call.kind:
        body = inbound(call.kind).request_to_chat(body)
    if call.stream and spoken in (Kind.CHAT, Kind.COMPLETION) and not pipes.wants_usage(body):
        body = body | {"stream_options": {**(body.get("stream_options") or {}), "include_usage": True}}
    if body is call.body and spoken is call.kind:
        return call
    return Call(spoken, call.model, body, call.stream, call.needs, call.request_id, call.upload)


async def _begun(
    answer: Answer, call: Call, spoken: Kind, screen: Screen | None, resuming: Resuming | None, seen: Seen
) -> Asked:
    if call.stream:
        pipe = resuming.before.rest(resuming.call, spoken, resuming.resumed) if resuming else Pipe(call, spoken, screen)
        head = await first_token(answer, pipe, events=spoken in _PARSED)
        return Asked(answer, pipe, head, EVENTS if spoken in _PARSED else answer.media_type, spoken)
    if spoken not in _PARSED or (spoken is Kind.RERANK and answer.media_type != JSON):
        body = await whole_body(answer, seen, media_type=None)
        usage = pipes.usage_told(spoken, body) if answer.media_type == JSON else None
        return Asked(answer, None, body, answer.media_type, spoken, usage)
    body = pipes.whole(call, spoken, await whole_body(answer, seen, media_type=JSON), screen, seen)
    return Asked(answer, None, body, JSON, spoken, seen.usage)


def named(error: IntermodelError, target: Target) -> IntermodelError:
    """The error, which says whose it is."""
    if f"'{target.address}'" not in error.message and not isinstance(error, Invalid):
        error.message = f"'{target.address}': {error.message}"
    return error
