"""Whole answers of Anthropic's Messages, and what they used, in the chat form and from it.

Source: Anthropic's API reference, "Create a Message" (response), and its guide to stop reasons; OpenAI's, "The chat
completion object".
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from intermodel.core import Upstream, Usage, countable, counted, tier_told
from intermodel.protocols.anthropic_thinking import blocks as thinking_blocks
from intermodel.protocols.anthropic_thinking import sealed
from intermodel.protocols.chat import as_promised, thought, usage_of_counts
from intermodel.protocols.dialect import Body
from intermodel.protocols.faults import told

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
UNSTOPPED: Body = {"stop_sequence": None, "stop_details": None, "container": None}
"""What goes with a `stop_reason` that says everything by itself."""
_UNCOUNTED: Body = {"cache_creation": None, "inference_geo": None, "server_tool_use": None, "service_tier": None}
"""What of usage nothing is known of here."""


def usage_of(usage: Body) -> Usage:
    """What an answer used; all 0 where its numbers cannot be counts.

    Anthropic counts apart what came from its cache or went there; here they are parts.
    """
    read, made = usage.get("input_tokens"), usage.get("output_tokens")
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    if not countable(read, made, cached, written):
        return Usage()
    cached, written = cached or 0, written or 0
    details, kept = usage.get("output_tokens_details"), usage.get("cache_creation")
    return Usage(
        input=(read or 0) + cached + written,
        output=made or 0,
        cached_input=cached,
        cache_write=written,
        reasoning=counted(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
        cache_write_1h=counted(kept.get("ephemeral_1h_input_tokens")) if isinstance(kept, dict) else None,
        tier=_tier(usage),
    )


def _tier(usage: Body) -> str:
    """What may change the price: a service tier that is not the standard one, a fast speed, inference in one place."""
    speed = tier_told(usage.get("speed"))
    told = (speed, tier_told(usage.get("service_tier")), tier_told(usage.get("inference_geo")))
    return "+".join(word for word in told if word not in _STANDARD) or speed


_STANDARD = frozenset({"", "standard", "global", "not_available"})


def merged(usage: Body, later: Body) -> Body:
    """A stream's usage: its counts are running totals, told in several events, so the last that is not zero holds."""
    return usage | {name: merged(usage.get(name) or {}, one) if type(one) is dict else one
                    for name, one in later.items() if one}  # fmt: skip


def usage_to_chat(usage: Body) -> Body:
    used = usage_of(usage)
    return usage_of_counts(
        used.input, used.output, cached=used.cached_input, written=used.cache_write, hour=used.cache_write_1h,
        reasoning=used.reasoning,
    )  # fmt: skip


def tier_to_chat(usage: Body) -> Body:
    """`service_tier` as an answer in chat form has it; nothing where it is the usual one."""
    tier = _tier(usage)
    return {"service_tier": tier} if tier not in _STANDARD else {}


def usage_from_chat(usage: Body) -> Body:
    read, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    cached, written = _count(read, "cached_tokens"), _count(read, "cache_write_tokens")
    said: Body = {
        "input_tokens": max(0, _count(usage, "prompt_tokens") - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": _count(usage, "completion_tokens"),
    }
    reasoning = _count(made, "reasoning_tokens")
    said["output_tokens_details"] = {"thinking_tokens": reasoning} if reasoning else None
    return said | _UNCOUNTED


def _count(usage: Body, name: str) -> int:
    return counted(usage.get(name))


def finish_of(stop_reason: str | None) -> str:
    return _FINISH.get(stop_reason or "", "stop")


def refusal_of(said: Body) -> str | None:
    """What a message, or the end of a stream, tells of a refusal."""
    return (said.get("stop_details") or {}).get("explanation") or None


def ending(choice: Body, *, calls: bool, refusal: str, asked: Body) -> Body:
    """`stop_reason` and what goes with it, as a message and the end of a stream tell them. Some servers say `stop`
    where tools are called.
    """
    finish, matched = choice.get("finish_reason") or "stop", choice.get("stop_reason")
    said: Body = {"stop_reason": _STOP.get(finish, "end_turn"), **UNSTOPPED}
    if refusal:
        said["stop_reason"] = "refusal"
    elif finish == "stop" and calls:
        said["stop_reason"] = "tool_use"
    elif finish == "stop" and isinstance(matched, str) and matched in (asked.get("stop_sequences") or ()):
        said |= {"stop_reason": "stop_sequence", "stop_sequence": matched}  # vLLM tells which
    if said["stop_reason"] == "refusal":
        said["stop_details"] = {"type": "refusal", "category": None, "explanation": refusal or None}
    return said


def message_of(said: Body, content: list[Body], end: Body) -> Body:
    """A message in full: Anthropic leaves no field out, also where it has nothing to say there. `said` is an answer or
    a chunk in chat form, `end` what `ending` tells.
    """
    return {
        "id": said.get("id") or "",
        "type": "message",
        "role": "assistant",
        "model": said.get("model") or "",
        "content": content,
        **end,
        "usage": usage_from_chat(said.get("usage") or {}),
    }


def text_block(text: str) -> Body:
    return {"type": "text", "text": text, "citations": None}


def call_block(identity: str, name: str, arguments: Body) -> Body:
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments, "caller": {"type": "direct"}}


def answer_to_chat(answer: Body) -> Body:
    if answer.get("error"):
        raise told(answer["error"])
    with as_promised():
        content = answer["content"]
        text = "".join(block["text"] for block in content if block["type"] == "text")
        calls = [_call(block) for block in content if block["type"] == "tool_use"]
        thinking = [block for block in content if block["type"] in ("thinking", "redacted_thinking")]
        message: Body = {"role": "assistant", "content": text if text or not calls else None}
        message["refusal"] = refusal_of(answer)
        message |= {"tool_calls": calls} if calls else {}
        message |= _thoughts(thinking)
        finish = finish_of(answer.get("stop_reason"))
        return {
            "id": answer.get("id") or "",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": answer.get("model") or "",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": usage_to_chat(answer.get("usage") or {}),
            **tier_to_chat(answer.get("usage") or {}),
        }


def _thoughts(thinking: list[Body]) -> Body:
    text, seal = sealed(thinking)
    return ({"reasoning_content": text} if text else {}) | ({"reasoning_signature": seal} if seal else {})


def _call(block: Body) -> Body:
    arguments = orjson.dumps(block["input"]).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def answer_from_chat(answer: Body, asked: Body) -> Body:
    if answer.get("error"):
        raise told(answer["error"])
    with as_promised():
        choice = answer["choices"][0]
        message = choice["message"]
        calls = [block for call in message.get("tool_calls") or () if (block := _tool_use(call, choice))]
        content = [*_thinking(message, asked), *_text(message), *calls]
        end = ending(choice, calls=bool(calls), refusal=message.get("refusal") or "", asked=asked)
        return message_of(answer, content, end)


def shows_thinking(asked: Body) -> bool:
    return (asked.get("thinking") or {}).get("display") != "omitted"


def _thinking(message: Body, asked: Body) -> list[Body]:
    text, seal = thought(message), message.get("reasoning_signature") or ""
    shown = text if shows_thinking(asked) else ""
    return thinking_blocks(shown, seal) if shown or seal else []


def _text(message: Body) -> list[Body]:
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    return [text_block(content)] if content else []


def _tool_use(call: Body, choice: Body) -> Body | None:
    """None for a call that the length of the answer cut off: nothing can be made of half its arguments."""
    function = call["function"]
    try:
        arguments: Any = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        if choice.get("finish_reason") == "length":
            return None
        arguments = None
    if not isinstance(arguments, dict):
        raise Upstream(
            f"The model called the tool '{function['name']}' with arguments that are not a JSON object.",
            code="upstream_protocol",
        )
    return call_block(call["id"], function["name"], arguments)
