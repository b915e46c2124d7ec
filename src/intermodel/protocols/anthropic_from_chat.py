"""A chat request as one of Anthropic's Messages; docs/protocols.md has the table of what is refused.

Source: Anthropic's API reference, "Create a Message", and its guides to tool use, vision, PDF support, structured
outputs, effort, extended thinking and mid-conversation system messages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from intermodel.core import Invalid
from intermodel.protocols.anthropic_thinking import blocks as thinking_blocks
from intermodel.protocols.chat import thought
from intermodel.protocols.dialect import Body
from intermodel.protocols.refusal import refuse_others, says_nothing, unsupported

MESSAGES = "Anthropic's Messages"
OUTPUT_TOKENS = 16_000
"""`max_tokens` of a request that names none, which Anthropic demands."""

_SAME = frozenset({"model", "stream", "temperature", "top_p", "top_k", "cache_control"})
_NO_EFFECT = frozenset({"stream_options", "store", "metadata", "prompt_cache_key", "prompt_cache_retention",
                        "prompt_cache_options"})  # fmt: skip
"""Fields that change nothing in an answer: they are left out. `stream_options` is the encoder's affair."""
_NEUTRAL = {"n": 1, "logprobs": False, "top_logprobs": 0, "presence_penalty": 0, "frequency_penalty": 0,
            "modalities": ["text"]}  # fmt: skip
"""Fields that may say what is the case anyway."""
_TOGETHER = frozenset({"messages", "max_tokens", "max_completion_tokens", "tool_choice", "parallel_tool_calls"})
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9_-]+")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SYSTEM = frozenset({"system", "developer"})


def request_from_chat(body: Body) -> Body:
    """Raises `Invalid`, code `unsupported_field`, naming what has no place in Messages."""
    asked = {name: value for name, value in body.items() if name in _SAME and value is not None}
    if (asked.get("temperature") or 0) > 1:
        raise unsupported("temperature", MESSAGES, "There it goes from 0 to 1.")
    asked["max_tokens"] = _output_tokens(body)
    for name, value in body.items():
        if name in _READ and not says_nothing(value):
            _READ[name](value, asked)
        elif not _passed_over(name, value):
            raise unsupported(name, MESSAGES)
    if asked.get("tools") and (choice := _tool_choice(body)):
        asked["tool_choice"] = choice
    _put_messages(body.get("messages") or [], asked)
    return asked


MOST_TOKENS = 2**53
"""Larger numbers are not exact in JSON (RFC 8259, section 6), nor meant."""


def _passed_over(name: str, value: Any) -> bool:
    known = name in _SAME or name in _NO_EFFECT or name in _TOGETHER
    return known or says_nothing(value) or (name in _NEUTRAL and value == _NEUTRAL[name])


def _output_tokens(body: Body) -> int:
    given = body.get("max_completion_tokens")
    given = body.get("max_tokens") if given is None else given
    if given is not None and abs(given) > MOST_TOKENS:
        raise Invalid(f"{given:g} is no number of tokens.", hint="Name a smaller one.", param="max_completion_tokens")
    return OUTPUT_TOKENS if given is None else int(given)


# fields that are read by themselves


def _stop(stop: str | list[str], asked: Body) -> None:
    stops = [stop] if isinstance(stop, str) else stop
    if not all(one.strip() for one in stops):
        raise unsupported("stop", MESSAGES, "There it must hold more than white space.")
    asked["stop_sequences"] = stops


def _user(user: str, asked: Body) -> None:
    asked["metadata"] = {"user_id": user}


def _service_tier(tier: str, asked: Body) -> None:
    tiers = {"auto": "auto", "default": "standard_only"}
    if tier not in tiers:
        raise unsupported("service_tier", MESSAGES, f"It may be one of {', '.join(tiers)}.")
    asked["service_tier"] = tiers[tier]


def _reasoning_effort(effort: str, asked: Body) -> None:
    if effort == "none":
        asked["thinking"] = {"type": "disabled"}
        return
    if effort not in ("low", "medium", "high", "xhigh", "max"):
        raise unsupported("reasoning_effort", MESSAGES, "There it goes from low to max, or is none.")
    asked["thinking"] = {"type": "adaptive", "display": "summarized"}
    asked["output_config"] = asked.get("output_config", {}) | {"effort": effort}


def _response_format(wanted: Body, asked: Body) -> None:
    kind, schema = wanted.get("type"), wanted.get("json_schema") or {}
    if kind == "text":
        return
    if kind != "json_schema":
        raise unsupported("response_format.type", MESSAGES, "It may be json_schema or text.")
    # the name is for the eyes of people, and a schema is always kept to there
    refuse_others(schema, {"name", "schema", "strict"}, MESSAGES, "response_format.json_schema.")
    form = {"type": "json_schema", "schema": schema.get("schema") or {}}
    asked["output_config"] = asked.get("output_config", {}) | {"format": form}


def _tools(tools: list[Body], asked: Body) -> None:
    asked["tools"] = [_tool(tool, f"tools.{i}") for i, tool in enumerate(tools)]


def _tool(tool: Body, place: str) -> Body:
    if tool.get("type") != "function":
        raise unsupported(f"{place}.type", MESSAGES, "Only functions can be given.")
    refuse_others(tool, {"type", "function", "cache_control"}, MESSAGES, f"{place}.")
    function = tool["function"]
    refuse_others(function, {"name", "description", "parameters", "strict"}, MESSAGES, f"{place}.function.")
    if not _TOOL_NAME.fullmatch(function["name"]):
        raise unsupported(f"{place}.function.name", MESSAGES, "There it may hold letters, digits, _ and -.")
    said = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    same = {name: function[name] for name in ("description", "strict") if function.get(name) is not None}
    return said | same | _cached(tool)


def _tool_choice(body: Body) -> Body | None:
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise unsupported("tool_choice.type", MESSAGES)
        said = {"type": "tool", "name": choice["function"]["name"]}
    elif choice in (None, "auto", "none", "required"):
        said = {"type": {"none": "none", "required": "any"}.get(choice or "", "auto")}
    else:
        raise unsupported("tool_choice", MESSAGES)
    if body.get("parallel_tool_calls") is False and said["type"] != "none":
        return said | {"disable_parallel_tool_use": True}
    return said if choice is not None else None


_READ: dict[str, Callable[[Any, Body], None]] = {
    "stop": _stop,
    "user": _user,
    "safety_identifier": _user,
    "service_tier": _service_tier,
    "reasoning_effort": _reasoning_effort,
    "response_format": _response_format,
    "tools": _tools,
}


# messages


def _put_messages(messages: list[Body], asked: Body) -> None:
    first = next((i for i, message in enumerate(messages) if message["role"] not in _SYSTEM), len(messages))
    if system := _joined_system(messages[:first]):
        asked["system"] = system
    said: list[Body] = []
    for i, message in enumerate(messages[first:], first):
        role = message["role"]
        if role not in _TURNS:
            raise unsupported(f"messages.{i}.role", MESSAGES)
        turn = _TURNS[role](message, f"messages.{i}")
        if role in _SYSTEM and not _may_stand(messages, i):
            raise unsupported(
                f"messages.{i}.role", MESSAGES, "There it stands first, or between a user's and a model's turn."
            )
        if role == "tool" and said and messages[i - 1]["role"] == "tool":
            said[-1]["content"] += turn["content"]  # the results of one turn's calls are one turn
        else:
            said.append(turn)
    asked["messages"] = said


def _may_stand(messages: list[Body], i: int) -> bool:
    after_user = messages[i - 1]["role"] in ("user", "tool")
    return after_user and (i + 1 == len(messages) or messages[i + 1]["role"] == "assistant")


def _joined_system(messages: list[Body]) -> str | list[Body]:
    contents = [_system_turn(message, f"messages.{i}")["content"] for i, message in enumerate(messages)]
    if len(contents) == 1:
        return contents[0]  # type: ignore[no-any-return] # a string or blocks
    return [block for content in contents for block in _as_blocks(content)]


def _as_blocks(content: str | list[Body]) -> list[Body]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _system_turn(message: Body, place: str) -> Body:
    refuse_others(message, {"role", "content"}, MESSAGES, f"{place}.")
    return {"role": "system", "content": _content(message.get("content"), place, {"text": _text})}


def _user_turn(message: Body, place: str) -> Body:
    refuse_others(message, {"role", "content"}, MESSAGES, f"{place}.")
    return {"role": "user", "content": _content(message.get("content"), place, _USER_PARTS)}


def _tool_turn(message: Body, place: str) -> Body:
    refuse_others(message, {"role", "content", "tool_call_id"}, MESSAGES, f"{place}.")
    content = _content(message.get("content"), place, {"text": _text})
    result = {"type": "tool_result", "tool_use_id": _identity(message.get("tool_call_id") or ""), "content": content}
    return {"role": "user", "content": [result]}


def _assistant_turn(message: Body, place: str) -> Body:
    known = {"role", "content", "tool_calls", "reasoning_content", "reasoning", "reasoning_signature"}
    refuse_others(message, known, MESSAGES, f"{place}.")
    content = _content(message.get("content"), place, {"text": _text})
    thinking = list(_thinking(message, place))
    calls = [_call(call, f"{place}.tool_calls.{i}") for i, call in enumerate(message.get("tool_calls") or ())]
    if not thinking and not calls:
        return {"role": "assistant", "content": content}
    return {"role": "assistant", "content": [*thinking, *_as_blocks(content), *calls]}


def _thinking(message: Body, place: str) -> Iterable[Body]:
    text, seal = thought(message), message.get("reasoning_signature") or ""
    if text and not seal:
        raise unsupported(
            f"{place}.reasoning_content", MESSAGES, "It takes thoughts back only with their reasoning_signature."
        )
    return thinking_blocks(text, seal) if seal else ()


def _call(call: Body, place: str) -> Body:
    if call.get("type", "function") != "function":
        raise unsupported(f"{place}.type", MESSAGES)
    function = call["function"]
    return {
        "type": "tool_use",
        "id": _identity(call.get("id") or ""),
        "name": function["name"],
        "input": _arguments(function.get("arguments") or "{}", f"{place}.function.arguments"),
    }


def _arguments(text: str, place: str) -> Body:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise unsupported(place, MESSAGES, "There it must be a JSON object.")
    return found


def _identity(given: str) -> str:
    """A tool call's id as Anthropic takes it: others are named after their digest, the same at each place."""
    return given if _ID.fullmatch(given) else "call_" + hashlib.sha256(given.encode()).hexdigest()[:40]


# content


Part = Callable[[Body, str], Body]


def _content(content: Any, place: str, kinds: dict[str, Part]) -> str | list[Body]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, f"{place}.content.{i}", kinds) for i, part in enumerate(content) if part.get("text") != ""]


def _part(part: Body, place: str, kinds: dict[str, Part]) -> Body:
    kind = part.get("type") or ""
    if kind not in kinds:
        raise unsupported(f"{place}.type", MESSAGES, f"Here it may be {' or '.join(kinds)}.")
    refuse_others(part, {"type", kind, "cache_control"}, MESSAGES, f"{place}.")
    return kinds[kind](part, place) | _cached(part)


def _cached(part: Body) -> Body:
    """The mark for Anthropic's prompt cache, which some clients set in the chat form too."""
    return {"cache_control": part["cache_control"]} if part.get("cache_control") else {}


def _text(part: Body, _place: str) -> Body:
    return {"type": "text", "text": part["text"]}


def _image(part: Body, place: str) -> Body:
    image = part["image_url"] if isinstance(part["image_url"], dict) else {"url": part["image_url"]}
    refuse_others(image, {"url", "detail"}, MESSAGES, f"{place}.image_url.")
    if image.get("detail") not in (None, "auto", "high"):
        raise unsupported(f"{place}.image_url.detail", MESSAGES, "There an image is always seen in full.")
    url = image["url"]
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    return {"type": "image", "source": _inline(url, _IMAGES, f"{place}.image_url.url")}


def _file(part: Body, place: str) -> Body:
    file = part["file"]
    refuse_others(file, {"filename", "file_data"}, MESSAGES, f"{place}.file.")
    source = _inline(file.get("file_data") or "", {"application/pdf"}, f"{place}.file.file_data")
    return {"type": "document", "source": source} | ({"title": file["filename"]} if file.get("filename") else {})


def _inline(url: str, kinds: Iterable[str], place: str) -> Body:
    """The source of something that is in the request itself (RFC 2397)."""
    match = _DATA.fullmatch(url)
    if match is None:
        raise Invalid(f"'{place}' must be a data: address in base64.", param=place)
    if match[1].lower() not in kinds:
        raise unsupported(place, MESSAGES, f"There it may be {', '.join(sorted(kinds))}.")
    return {"type": "base64", "media_type": match[1].lower(), "data": match[2]}


_USER_PARTS: dict[str, Part] = {"text": _text, "image_url": _image, "file": _file}
_TURNS: dict[str, Callable[[Body, str], Body]] = {
    "system": _system_turn,
    "developer": _system_turn,
    "user": _user_turn,
    "assistant": _assistant_turn,
    "tool": _tool_turn,
}
