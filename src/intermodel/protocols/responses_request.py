"""A request of OpenAI's Responses in the chat form. Stateless: the whole conversation is in `input`.

Sources: OpenAI's API reference, "Create a model response"; the Open Responses specification, "CreateResponseBody".
What is only given back in the response object (`metadata`) or says what is so anyway (`store: false`) has no place in
the chat form and needs none; docs/protocols.md lists it. Everything else without a place is refused by name.
"""

from __future__ import annotations

from typing import Any

from intermodel.core import Invalid
from intermodel.protocols.dialect import Body

LOGPROBS = "message.output_text.logprobs"

_STATELESS = "This node keeps no responses: send the whole conversation in 'input'."
_KEPT: dict[str, str] = {
    "previous_response_id": _STATELESS,
    "conversation": _STATELESS,
    "store": "This node keeps no responses; leave it out, or say false.",
    "background": "An answer is given at once or streamed, and not kept to be fetched; leave it out.",
}
SAME = (
    "model", "temperature", "top_p", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "user",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier",
)  # fmt: skip
_ECHOED = frozenset({"metadata", "max_tool_calls"})  # the latter counts calls of built-in tools, and there are none
_TRANSLATED = frozenset({"input", "instructions", "tools", "tool_choice", "text", "reasoning", "max_output_tokens",
                         "top_logprobs", "include", "stream", "stream_options"})  # fmt: skip
_KNOWN = _TRANSLATED | _ECHOED | frozenset(SAME)
_ONLY_WITHIN: dict[str, dict[str, Any]] = {
    "reasoning": {"context": "auto", "mode": "standard"},
    "stream_options": {"include_obfuscation": False},
}
"""The one value that these may have."""
_NOT_CUT = ("truncation", "disabled")
_ITEMS = frozenset({"message", "function_call", "function_call_output", "reasoning"})
_TOOL_FIELDS = frozenset({"type", "name", "description", "parameters", "strict"})
# an item's id, status and phase, and a text's annotations, are labels; they change nothing for the model
_ITEM_FIELDS = frozenset({"type", "id", "status", "phase", "role", "content", "call_id", "name", "arguments", "output",
                          "summary", "encrypted_content"})  # fmt: skip
_PART_FIELDS = frozenset({"type", "text", "annotations", "logprobs", "image_url", "detail", "input_audio", "filename",
                          "file_data", "file_id", "file_url"})  # fmt: skip


def request_to_chat(body: Body) -> Body:
    """Raises `Invalid`, code `unsupported_field`, for what has no place there."""
    check_stateless(body)
    _refuse(body)
    chat: Body = {name: body[name] for name in SAME if body.get(name) is not None}
    chat["messages"] = messages(body.get("instructions"), body.get("input") or [])
    if (limit := body.get("max_output_tokens")) is not None:
        chat["max_completion_tokens"] = limit
    _reasoning(body, chat)
    _text(body.get("text") or {}, chat)
    _tools(body, chat)
    if LOGPROBS in (body.get("include") or ()) or body.get("top_logprobs"):
        chat["logprobs"] = True
        chat["top_logprobs"] = body.get("top_logprobs") or 0
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat


def refused(param: str, hint: str = "") -> Invalid:
    return Invalid(
        f"'{param}' is not supported by this node.", hint=hint or "Leave it out.", code="unsupported_field", param=param
    )


def check_stateless(body: Body) -> None:
    """Raise `Invalid` for a request that rests on something kept, or wants something kept."""
    for name, hint in _KEPT.items():
        if body.get(name) not in (None, False):
            raise refused(name, hint)
    given = body.get("input")
    for i, item in enumerate(given if isinstance(given, list) else ()):
        if item.get("type") == "item_reference" or ("type" not in item and "role" not in item):
            raise refused(f"input.{i}", _STATELESS)


def _refuse(body: Body) -> None:
    for name, value in body.items():
        if value is not None and name not in _KNOWN and name not in _KEPT and (name, value) != _NOT_CUT:
            raise refused(name)
    for name in body.get("include") or ():
        if name not in (LOGPROBS, "reasoning.encrypted_content"):
            raise refused("include", f"'{name}' belongs to a tool or a store that this node does not have.")
    for name, only_values in _ONLY_WITHIN.items():
        for field, only in only_values.items():
            if (body.get(name) or {}).get(field) not in (None, only):
                raise refused(f"{name}.{field}")


# how the answer is to be


def _reasoning(body: Body, chat: Body) -> None:
    """`summary` says how thoughts are given, and so belongs to the answer (`responses_stream`)."""
    given = body.get("reasoning") or {}
    if given.get("effort") is not None:
        chat["reasoning_effort"] = given["effort"]
    if unknown := given.keys() - {"effort", "summary", "generate_summary", *_ONLY_WITHIN["reasoning"]}:
        raise refused(f"reasoning.{min(unknown)}")


def _text(text: Body, chat: Body) -> None:
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    wanted = text.get("format") or {"type": "text"}
    if wanted["type"] == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif wanted["type"] == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type" and value is not None}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wanted["type"] != "text":
        raise refused("text.format.type")


# tools


def _tools(body: Body, chat: Body) -> None:
    tools = [_tool(f"tools.{i}", tool) for i, tool in enumerate(body.get("tools") or ())]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {_named(f"tool_choice.tools.{i}", tool) for i, tool in enumerate(choice.get("tools") or ())}
        tools = [tool for tool in tools if tool["function"]["name"] in allowed]
        choice = choice.get("mode") or "auto"
    elif isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": _named("tool_choice", choice)}}
    if tools:
        chat["tools"] = tools
    if choice is not None and (tools or choice != "auto"):
        chat["tool_choice"] = choice


def _tool(place: str, tool: Body) -> Body:
    if tool["type"] != "function":
        raise refused(place, f"'{tool['type']}' is a tool that OpenAI runs; here models call your functions.")
    _refuse_others(place, tool, _TOOL_FIELDS)
    function = {name: value for name, value in tool.items() if name in _TOOL_FIELDS and value is not None}
    del function["type"]
    return {"type": "function", "function": function}


def _named(place: str, tool: Body) -> str:
    if tool.get("type") != "function":
        raise refused(f"{place}.type", "Only functions can be chosen here.")
    return str(tool["name"])


# the conversation


def messages(instructions: str | None, given: str | list[Body]) -> list[Body]:
    """Chat messages; what the model said in one turn (thoughts, words, calls) becomes one message again."""
    written: list[Body] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(given, str):
        return [*written, {"role": "user", "content": given}]
    for i, item in enumerate(given):
        _item(f"input.{i}", item, written)
    return written


def _item(place: str, item: Body, written: list[Body]) -> None:
    kind = item.get("type") or "message"
    if kind not in _ITEMS:
        raise refused(f"{place}.type", f"'{kind}' items are not known here.")
    _refuse_others(place, item, _ITEM_FIELDS)
    if kind == "message":
        _message(f"{place}.content", item, written)
    elif kind == "function_call":
        _call(item, written)
    elif kind == "function_call_output":
        _output(f"{place}.output", item, written)
    else:
        _thought(item, written)


def _refuse_others(place: str, given: Body, known: frozenset[str]) -> None:
    for name, value in given.items():
        if name not in known and value not in (None, False):
            raise refused(f"{place}.{name}")


def _message(place: str, item: Body, written: list[Body]) -> None:
    role = item["role"]
    if role != "assistant":
        content = item["content"]
        if not isinstance(content, str):
            content = _parts(place, content)
        written.append({"role": "system" if role == "developer" else role, "content": content})
        return
    text, refusal = _said(place, item["content"])
    message = _turn(written)
    if (message["content"] or message.get("refusal")) and not message.get("tool_calls"):  # calls bind what follows
        message = {"role": "assistant", "content": None}
        written.append(message)
    message["content"] = "\n\n".join(filter(None, (message["content"], text))) or (None if refusal else "")
    if refusal:
        message["refusal"] = refusal


def _call(item: Body, written: list[Body]) -> None:
    call = {"id": item["call_id"], "type": "function"}
    call["function"] = {"name": item["name"], "arguments": item["arguments"]}
    _turn(written).setdefault("tool_calls", []).append(call)


def _output(place: str, item: Body, written: list[Body]) -> None:
    output = item["output"]
    content = output if isinstance(output, str) else _parts(place, output)
    written.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})


def _thought(item: Body, written: list[Body]) -> None:
    """Thoughts and seals of one turn are joined with nothing between: a seal may count the text's characters."""
    told = item.get("content") or item.get("summary") or ()
    message = _turn(written)
    for name, text in (
        ("reasoning_content", "\n\n".join(part["text"] for part in told)),
        ("reasoning_signature", item.get("encrypted_content")),
    ):
        if text:
            message[name] = message.get(name, "") + text


def _turn(written: list[Body]) -> Body:
    """The model's message that is being put together, or a new one."""
    if not written or written[-1]["role"] != "assistant":
        written.append({"role": "assistant", "content": None})
    return written[-1]


def _said(place: str, content: str | list[Body]) -> tuple[str, str]:
    """What the model said earlier: words, and refusal."""
    if isinstance(content, str):
        return content, ""
    said = {"output_text": "", "input_text": "", "refusal": ""}
    for i, part in enumerate(content):
        kind = part["type"]
        if kind not in said:
            raise refused(f"{place}.{i}.type", f"'{kind}' parts are not known in the model's own messages.")
        said[kind] += part["refusal" if kind == "refusal" else "text"]
    return said["output_text"] + said["input_text"], said["refusal"]


def _parts(place: str, content: list[Body]) -> str | list[Body]:
    """Chat's parts; a single text is written as a string, which every server takes."""
    parts = [_part(f"{place}.{i}", part) for i, part in enumerate(content)]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(place: str, part: Body) -> Body:
    kind = part["type"]
    _refuse_others(place, part, _PART_FIELDS)
    if part.get("file_id") is not None:
        raise refused(f"{place}.file_id", "This node keeps no files: send the content itself.")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part["text"]}
    if kind == "input_image":
        image = {"url": part.get("image_url")} | ({"detail": part["detail"]} if part.get("detail") else {})
        return {"type": "image_url", "image_url": image}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    if kind == "input_file" and part.get("file_url") is None:
        return {"type": "file", "file": {key: part[key] for key in ("filename", "file_data") if part.get(key)}}
    raise refused(f"{place}.file_url" if kind == "input_file" else f"{place}.type")
