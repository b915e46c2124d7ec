"""A request of Anthropic's Messages in the chat form; docs/protocols.md has the table of what is refused.

Source: Anthropic's API reference, "Create a Message"; OpenAI's, "Create chat completion".
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from intermodel.protocols.anthropic_thinking import sealed
from intermodel.protocols.dialect import Body
from intermodel.protocols.refusal import refuse_others, says_nothing, unsupported

CHAT = "OpenAI's chat form"
USER_LENGTH = 64
"""Longest name of a user that OpenAI takes; a longer one is said as its SHA-256."""

_SAME = frozenset({"model", "stream", "temperature", "top_p", "top_k"})
_NO_EFFECT = frozenset({"cache_control"})
"""Marks for Anthropic's prompt cache change the price of an answer there, and not the answer."""
_TAKEN = _SAME | _NO_EFFECT | {"system"}


def request_to_chat(body: Body) -> Body:
    """Raises `Invalid`, code `unsupported_field`, naming what has no place in the chat form."""
    asked = {name: value for name, value in body.items() if name in _SAME and value is not None}
    asked["messages"] = _system(body.get("system"))
    for name, value in body.items():
        if name in _READ and not says_nothing(value):
            _READ[name](value, asked)
        elif name not in _TAKEN and not says_nothing(value):
            raise unsupported(name, CHAT)
    return asked


def _system(system: Any) -> list[Body]:
    if says_nothing(system):
        return []
    return [{"role": "system", "content": _content(system, "system", {"text": _text})}]


# fields that are read by themselves


def _max_tokens(tokens: int, asked: Body) -> None:
    asked["max_completion_tokens"] = tokens


def _stop_sequences(stops: list[str], asked: Body) -> None:
    asked["stop"] = stops


def _metadata(metadata: Body, asked: Body) -> None:
    refuse_others(metadata, {"user_id"}, CHAT, "metadata.")
    if user := metadata.get("user_id"):
        asked["user"] = user if len(user) <= USER_LENGTH else hashlib.sha256(user.encode()).hexdigest()


def _service_tier(tier: str, asked: Body) -> None:
    asked["service_tier"] = {"standard_only": "default"}.get(tier, tier)


def _speed(speed: str, _asked: Body) -> None:
    if speed != "standard":
        raise unsupported("speed", CHAT)


def _thinking(thinking: Body, asked: Body) -> None:
    """How hard to think is said by `output_config.effort`; whether to show it (`display`) is the encoder's affair."""
    kind = thinking.get("type")
    refuse_others(thinking, {"type", "display"}, CHAT, "thinking.")
    if kind == "disabled":
        asked["reasoning_effort"] = "none"
    elif kind != "adaptive":
        raise unsupported("thinking.type", CHAT, "It may be adaptive, with output_config.effort, or disabled.")


def _output_config(config: Body, asked: Body) -> None:
    refuse_others(config, {"effort", "format"}, CHAT, "output_config.")
    if effort := config.get("effort"):
        asked.setdefault("reasoning_effort", effort)
    if form := config.get("format"):
        _format(form, asked)


def _format(form: Body, asked: Body) -> None:
    if form.get("type") != "json_schema":
        raise unsupported("output_config.format.type", CHAT)
    schema = {"name": "answer", "schema": form["schema"], "strict": True}
    asked["response_format"] = {"type": "json_schema", "json_schema": schema}


def _tools(tools: list[Body], asked: Body) -> None:
    asked["tools"] = [_tool(tool, f"tools.{i}") for i, tool in enumerate(tools)]


def _tool(tool: Body, place: str) -> Body:
    if tool.get("type") not in (None, "custom"):
        raise unsupported(f"{place}.type", CHAT, "Tools that run at the vendor's are not to be had elsewhere.")
    known = {"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"}
    refuse_others(tool, known, CHAT, f"{place}.")
    same = {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"type": "function", "function": {"name": tool["name"]} | same | {"parameters": tool["input_schema"]}}


def _tool_choice(choice: Body, asked: Body) -> None:
    kind = choice.get("type")
    if kind == "tool":
        asked["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif kind in _CHOICES:
        asked["tool_choice"] = _CHOICES[kind]
    else:
        raise unsupported("tool_choice.type", CHAT)
    if choice.get("disable_parallel_tool_use"):
        asked["parallel_tool_calls"] = False


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


# messages


def _messages(messages: list[Body], asked: Body) -> None:
    for i, message in enumerate(messages):
        place = f"messages.{i}"
        if message["role"] not in _TURNS:
            raise unsupported(f"{place}.role", CHAT)
        refuse_others(message, {"role", "content"}, CHAT, f"{place}.")
        asked["messages"] += _TURNS[message["role"]](message["content"], f"{place}.content")


def _system_turn(content: Any, place: str) -> Iterable[Body]:
    return [{"role": "system", "content": _content(content, place, {"text": _text})}]


def _user_turn(content: Any, place: str) -> Iterable[Body]:
    """The results of tools as messages of their own, in their order; what stands between them stays between them."""
    if isinstance(content, str) or not content:
        yield {"role": "user", "content": content or ""}
        return
    numbered = [(f"{place}.{i}", block) for i, block in enumerate(content)]
    for is_result, run in itertools.groupby(numbered, lambda one: one[1].get("type") == "tool_result"):
        if is_result:
            yield from (_result(block, where) for where, block in run)
        else:
            yield {"role": "user", "content": _plain([_block(block, where, _USER_BLOCKS) for where, block in run])}


def _result(block: Body, place: str) -> Body:
    known = {"type", "tool_use_id", "content", "is_error", "cache_control"}
    refuse_others(block, known, CHAT, f"{place}.")
    content = _content(block.get("content"), f"{place}.content", {"text": _text})
    if block.get("is_error"):  # the chat form can say it in words only
        content = f"Error: {content}" if isinstance(content, str) else [{"type": "text", "text": "Error:"}, *content]
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}


def _assistant_turn(content: Any, place: str) -> Iterable[Body]:
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    said = [_block(block, f"{place}.{i}", _ASSISTANT_BLOCKS) for i, block in enumerate(content)]
    text, seal = sealed(one for one in said if one["type"] in ("thinking", "redacted_thinking"))
    spoken = [one["text"] for one in said if one["type"] == "text"]
    calls = [one for one in said if one["type"] == "function"]
    message: Body = {"role": "assistant", "content": "".join(spoken) if spoken or not calls else None}
    message |= {"tool_calls": calls} if calls else {}
    message |= {"reasoning_content": text} if text else {}
    message |= {"reasoning_signature": seal} if seal else {}
    return [message]


_TURNS: dict[str, Callable[[Any, str], Iterable[Body]]] = {
    "system": _system_turn,
    "user": _user_turn,
    "assistant": _assistant_turn,
}


# content


Part = Callable[[Body, str], Body]


def _content(content: Any, place: str, kinds: dict[str, Part]) -> str | list[Body]:
    if content is None or isinstance(content, str):
        return content or ""
    return _plain([_block(block, f"{place}.{i}", kinds) for i, block in enumerate(content)])


def _plain(parts: list[Body]) -> str | list[Body]:
    """A single text as a string, which every chat server takes."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _block(block: Body, place: str, kinds: dict[str, Part]) -> Body:
    kind = block.get("type") or ""
    if kind not in kinds:
        raise unsupported(f"{place}.type", CHAT, f"Here it may be {' or '.join(kinds)}.")
    return kinds[kind](block, place)


def _text(block: Body, place: str) -> Body:
    refuse_others(block, {"type", "text", "cache_control"}, CHAT, f"{place}.")
    return {"type": "text", "text": block["text"]}


def _image(block: Body, place: str) -> Body:
    refuse_others(block, {"type", "source", "cache_control"}, CHAT, f"{place}.")
    source = block["source"]
    if source.get("type") == "url":
        return {"type": "image_url", "image_url": {"url": source["url"]}}
    return {"type": "image_url", "image_url": {"url": _data_url(source, place)}}


def _document(block: Body, place: str) -> Body:
    refuse_others(block, {"type", "source", "title", "cache_control"}, CHAT, f"{place}.")
    data = _data_url(block["source"], place)
    return {"type": "file", "file": {"filename": block.get("title") or "document.pdf", "file_data": data}}


def _data_url(source: Body, place: str) -> str:
    if source.get("type") != "base64":
        raise unsupported(f"{place}.source.type", CHAT)
    return f"data:{source['media_type']};base64,{source['data']}"


def _call(block: Body, place: str) -> Body:
    if (block.get("caller") or {}).get("type", "direct") != "direct":
        raise unsupported(f"{place}.caller", CHAT)
    refuse_others(block, {"type", "id", "name", "input", "caller", "cache_control"}, CHAT, f"{place}.")
    arguments = orjson.dumps(block["input"]).decode()
    return {"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def _kept(block: Body, _place: str) -> Body:
    return block


_USER_BLOCKS: dict[str, Part] = {"text": _text, "image": _image, "document": _document}
_ASSISTANT_BLOCKS: dict[str, Part] = {
    "text": _text,
    "tool_use": _call,
    "thinking": _kept,
    "redacted_thinking": _kept,
}
_READ: dict[str, Callable[[Any, Body], None]] = {
    "messages": _messages,
    "max_tokens": _max_tokens,
    "stop_sequences": _stop_sequences,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "speed": _speed,
    "thinking": _thinking,
    "output_config": _output_config,
    "output_format": _format,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
