"""Going on with an answer that broke off in the middle, with another candidate that can continue its words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from intermodel.core import Call, Capability, Kind, Upstream
from intermodel.gateway.pipe import about_tokens
from intermodel.protocols import Chunk, Resumed, inbound, outbound
from intermodel.protocols.responses_watch import resumed
from intermodel.protocols.sse import events_of

KEPT_BYTES = 1024**2
"""How much of a stream is kept to be continued; a longer one is not."""

_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class SoFar:
    """What the caller has read of the first choice, which is plain text."""

    text: str
    resumed: Resumed


def continuable(call: Call) -> bool:
    """Whether an answer to `call` can be gone on with elsewhere, as far as the request tells: it must be plain text."""
    if not (call.stream and call.kind.conversation):
        return False
    body = call.body
    bound = body.get("response_format") or body.get("tools") or body.get("logprobs") or body.get("functions")
    form = (body.get("text") or {}).get("format") if isinstance(body.get("text"), dict) else None
    return not bound and not form and not body.get("output_config") and int(body.get("n") or 1) == 1


def told_so_far(spoken: Kind, sent: Sequence[bytes]) -> SoFar | None:
    """What the upstream said in `sent`; None where that is not plain text that another can go on with."""
    if sum(map(len, sent)) > KEPT_BYTES:
        return None
    if spoken is Kind.RESPONSES:  # whose events are numbered
        found = resumed(b"".join(sent))
        return SoFar(found.text, found) if found and found.text else None
    decoder = outbound(spoken).decoder()
    chunks: list[Chunk] = []
    try:
        for event in events_of(b"".join(sent)):
            chunks += decoder.feed(event)
    except Upstream:
        pass  # what came before the error was said all the same
    text = ""
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            said = {key for key, value in delta.items() if value and key not in ("role", "content")}
            if said or choice.get("finish_reason"):
                return None
            text += delta.get("content") or ""
    if not text or not chunks:
        return None
    first = chunks[0]
    created = int(first.get("created") or time.time())
    return SoFar(text, Resumed(str(first.get("id") or ""), str(first.get("model") or ""), created, text))


def continued(call: Call, so_far: SoFar) -> Call:
    """The call that asks for the rest: in chat form, with the words so far as the beginning of the answer."""
    body = inbound(call.kind).request_to_chat(call.body) if call.kind is not Kind.CHAT else call.body
    messages = [*body["messages"], {"role": "assistant", "content": so_far.text}]
    less = about_tokens(so_far.text)
    limits = {key: max(1, body[key] - less) for key in _LIMITS if isinstance(body.get(key), int)}
    needs = call.needs | {Capability.CONTINUES}
    return replace(call, kind=Kind.CHAT, body=body | {"messages": messages} | limits, needs=needs, size=0)
