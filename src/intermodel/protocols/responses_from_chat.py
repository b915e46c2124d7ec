"""A chat request as one of OpenAI's Responses, for upstreams that are asked in them.

Source: OpenAI's API reference, "Create a model response", and its guide "Migrate to the Responses API".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intermodel.protocols.chat import thought
from intermodel.protocols.dialect import Body
from intermodel.protocols.refusal import refuse_others, says_nothing, unsupported
from intermodel.protocols.responses_request import LOGPROBS, SAME

RESPONSES = "OpenAI's Responses"

_SAME = frozenset(SAME) - {"presence_penalty", "frequency_penalty"} | {"metadata", "stream"}
_NO_EFFECT = frozenset({"stream_options", "store"})
"""Fields that change nothing in an answer: usage is always told, and nothing is to be kept."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {"n": (1,), "logprobs": (False,), "modalities": (["text"],),
                                        "presence_penalty": (0,), "frequency_penalty": (0,)}  # fmt: skip
"""Fields that may say what is the case anyway."""
_OTHERS_SEALS = "google."


def request_from_chat(body: Body) -> Body:
    """Raises `Invalid`, code `unsupported_field`, naming what has no place in Responses."""
    asked: Body = {"store": False, "include": ["reasoning.encrypted_content"]}
    for name, value in body.items():
        if name in _SAME and value is not None:
            asked[name] = value
        elif name in _SAME or name in _NO_EFFECT or says_nothing(value) or value in _NEUTRAL.get(name, ()):
            continue
        elif name in _READ:
            _READ[name](value, asked)
        else:
            raise unsupported(name, RESPONSES)
    return asked


# fields that are read by themselves


def _limit(tokens: int, asked: Body) -> None:
    asked["max_output_tokens"] = tokens


def _effort(effort: str, asked: Body) -> None:
    asked["reasoning"] = {"effort": effort}


def _logprobs(_wanted: bool, asked: Body) -> None:
    asked["include"].append(LOGPROBS)


def _top_logprobs(number: int, asked: Body) -> None:
    asked["top_logprobs"] = number


def _verbosity(verbosity: str, asked: Body) -> None:
    asked.setdefault("text", {})["verbosity"] = verbosity


def _format(wanted: Body, asked: Body) -> None:
    given = {"type": wanted["type"]} | (wanted.get("json_schema") or {})
    if given["type"] != "text":
        asked.setdefault("text", {})["format"] = given


def _tools(tools: list[Body], asked: Body) -> None:
    asked["tools"] = [_tool(tool, f"tools.{i}") for i, tool in enumerate(tools)]


def _tool(tool: Body, place: str) -> Body:
    if tool.get("type") != "function":
        raise unsupported(f"{place}.type", RESPONSES, "Only functions can be given.")
    refuse_others(tool, {"type", "function"}, RESPONSES, f"{place}.")
    function = tool["function"]
    refuse_others(function, {"name", "description", "parameters", "strict"}, RESPONSES, f"{place}.function.")
    # a function is strict there unless it says otherwise, and here only if it says so
    return {"type": "function", "parameters": None, "strict": False, **function}


def _tool_choice(choice: Any, asked: Body) -> None:
    if isinstance(choice, dict):
        if choice.get("type") != "function":
            raise unsupported("tool_choice.type", RESPONSES)
        choice = {"type": "function", "name": choice["function"]["name"]}
    asked["tool_choice"] = choice


def _messages(messages: list[Body], asked: Body) -> None:
    asked["input"] = [item for i, message in enumerate(messages) for item in _items(message, f"messages.{i}")]


_READ: dict[str, Callable[[Any, Body], None]] = {
    "messages": _messages,
    "max_tokens": _limit,
    "max_completion_tokens": _limit,
    "reasoning_effort": _effort,
    "logprobs": _logprobs,
    "top_logprobs": _top_logprobs,
    "verbosity": _verbosity,
    "response_format": _format,
    "tools": _tools,
    "tool_choice": _tool_choice,
}


# the conversation


def _items(message: Body, place: str) -> list[Body]:
    role = message["role"]
    if role == "assistant":
        return _turn(message, place)
    if role == "tool":
        refuse_others(message, {"role", "content", "tool_call_id"}, RESPONSES, f"{place}.")
        output = _content(message.get("content"), place)
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": output}]
    if role not in ("system", "developer", "user"):
        raise unsupported(f"{place}.role", RESPONSES)
    refuse_others(message, {"role", "content"}, RESPONSES, f"{place}.")
    return [{"type": "message", "role": role, "content": _content(message.get("content"), place)}]


def _turn(message: Body, place: str) -> list[Body]:
    known = {"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning", "reasoning_signature"}
    refuse_others(message, known, RESPONSES, f"{place}.")
    items = _thoughts(message)
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
    said = [_said(part, f"{place}.content.{i}") for i, part in enumerate(parts)]
    if message.get("refusal"):
        said.append({"type": "refusal", "refusal": message["refusal"]})
    if said:
        items.append({"type": "message", "role": "assistant", "content": said})
    for i, call in enumerate(message.get("tool_calls") or ()):
        if call.get("type", "function") != "function":
            raise unsupported(f"{place}.tool_calls.{i}.type", RESPONSES)
        function = {"name": call["function"]["name"], "arguments": call["function"].get("arguments") or "{}"}
        items.append({"type": "function_call", "call_id": call["id"], **function})
    return items


def _thoughts(message: Body) -> list[Body]:
    """Sealed thoughts are told as a summary, as OpenAI gives them; what is not sealed, as servers of open models do."""
    text, seal = thought(message), message.get("reasoning_signature") or ""
    if seal and not seal.startswith(_OTHERS_SEALS):
        summary = [{"type": "summary_text", "text": text}] if text else []
        return [{"type": "reasoning", "summary": summary, "encrypted_content": seal}]
    if text:
        return [{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}]
    return []


def _said(part: Body, place: str) -> Body:
    if part.get("type") == "refusal":
        return {"type": "refusal", "refusal": part["refusal"]}
    if part.get("type") != "text":
        raise unsupported(f"{place}.type", RESPONSES)
    return {"type": "output_text", "text": part["text"]}


def _content(content: Any, place: str) -> str | list[Body]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, f"{place}.content.{i}") for i, part in enumerate(content)]


def _part(part: Body, place: str) -> Body:
    kind = part.get("type") or ""
    if kind not in ("text", "image_url", "input_audio", "file"):
        raise unsupported(f"{place}.type", RESPONSES)
    refuse_others(part, {"type", kind}, RESPONSES, f"{place}.")
    if kind == "text":
        return {"type": "input_text", "text": part["text"]}
    if kind == "image_url":
        image = part["image_url"] if isinstance(part["image_url"], dict) else {"url": part["image_url"]}
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail") or "auto"}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    return {"type": "input_file", **part["file"]}
