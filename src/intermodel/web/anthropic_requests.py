"""What a request of Anthropic's Messages must look like. Fields not named here go on to the upstream as they are.

Source: Anthropic's API reference, "Create a Message" and "Count Message tokens".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, FailFast, Field, ValidationError

from intermodel.core import Call, Capability, Invalid, Kind
from intermodel.web.openai_requests import MODEL_LENGTH, Whole
from intermodel.web.requests import Open, explained

_TEXTS = frozenset({"text"})
_BY_ROLE = {
    "user": frozenset({"text", "image", "document", "search_result", "tool_result", "container_upload"}),
    "system": _TEXTS,
}
"""Blocks that may stand in a turn; an assistant's may hold whatever a model once said."""
_REQUIRED = {
    "text": ("text", str),
    "image": ("source", dict),
    "document": ("source", dict),
    "thinking": ("thinking", str),
    "redacted_thinking": ("data", str),
    "tool_use": ("input", dict),
    "tool_result": ("tool_use_id", str),
}
"""The field without which a block of this type says nothing, and its kind."""
_SOURCES = {"base64": ("data", "media_type"), "url": ("url",), "file": ("file_id",), "text": ("data",)}
_WORDS: dict[type, str] = {str: "a string", dict: "an object"}


def _content(content: Any) -> Any:
    """A string, or a list of blocks; blocks of types unknown today are the model's affair."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("must be a string or a list of content blocks")
    for i, block in enumerate(content):
        _check_block(block, f"block {i}")
        if block["type"] == "tool_result" and block.get("content") is not None:
            _given_back(block["content"], f"block {i}, tool_result")
    return content


def _given_back(content: Any, place: str) -> None:
    """What a tool gave back: as the content of a turn, but for further results in it."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise ValueError(f"{place}, must hold a string or a list of content blocks")
    for i, block in enumerate(content):
        _check_block(block, f"{place}, block {i}")


def _check_block(block: Any, place: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise ValueError(f"{place} must be an object with a 'type', such as text or image")
    name, shape = _REQUIRED.get(kind, ("type", str))
    if not isinstance(block.get(name), shape):
        raise ValueError(f"{place}, {kind}, must have a '{name}', {_WORDS[shape]}")
    if kind in ("image", "document"):
        _check_source(block["source"], place)
    if kind == "tool_use" and not (isinstance(block.get("id"), str) and isinstance(block.get("name"), str)):
        raise ValueError(f"{place}, tool_use, must have an 'id' and a 'name'")


def _check_source(source: dict[str, Any], place: str) -> None:
    kind = source.get("type")
    if not isinstance(kind, str):
        raise ValueError(f"{place} has a source without a 'type', such as base64 or url")
    for name in _SOURCES.get(kind, ()):
        if not isinstance(source.get(name), str):
            raise ValueError(f"{place} has a source of type {kind} without '{name}'")


def _system(system: Any) -> Any:
    """A string, null, or blocks of text."""
    if system is None or isinstance(system, str):
        return system
    _check_types(_content(system), _TEXTS, "the system prompt")
    return system


def _check_types(content: Any, allowed: frozenset[str], where: str) -> None:
    for i, block in enumerate(content if isinstance(content, list) else ()):
        if block["type"] not in allowed:
            raise ValueError(f"block {i} is of the type {block['type']}, which cannot stand in {where}")


def _listed(given: Any) -> Any:
    return [] if given is None else given


class _Message(Open):
    role: Literal["user", "assistant", "system"]
    content: Annotated[Any, AfterValidator(_content)]


def _turn(message: _Message) -> _Message:
    if (allowed := _BY_ROLE.get(message.role)) is not None:
        _check_types(message.content, allowed, f"a turn of the {message.role}")
    return message


class _Tool(Open):
    name: Annotated[str, Field(min_length=1, max_length=128)]
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class _ToolChoice(Open):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Format(Open):
    type: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class _OutputConfig(Open):
    effort: str | None = None
    format: _Format | None = None


class _Thinking(Open):
    type: str
    budget_tokens: Annotated[Whole, Field(ge=1)] | None = None


class _Metadata(Open):
    user_id: str | None = None


class _Conversation(Open):
    """What a request has whose tokens are only counted."""

    model: Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH)]
    # FailFast: a million wrong messages are one mistake to tell, not a million to collect
    messages: Annotated[list[Annotated[_Message, AfterValidator(_turn)]], Field(min_length=1), FailFast()]
    system: Annotated[Any, BeforeValidator(_system)] = None
    tools: Annotated[list[_Tool], FailFast(), BeforeValidator(_listed)] = Field(default_factory=list)
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None


class _Request(_Conversation):
    max_tokens: Annotated[Whole, Field(ge=0)]
    stream: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[Whole, Field(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    metadata: _Metadata | None = None


def call_of(body: dict[str, Any], *, request_id: str = "", size: int = 0, counting: bool = False) -> Call:
    """The call that `body` asks for, or whose tokens it asks to count. Raises `Invalid`; its `param` is the field."""
    try:
        form = (_Conversation if counting else _Request).model_validate(body)
    except ValidationError as error:
        raise explained(error, "Anthropic") from None
    _check_tools(form)
    _check_format(form)
    return Call(
        kind=Kind.MESSAGES,
        model=form.model,
        body=body,
        stream=isinstance(form, _Request) and bool(form.stream),
        needs=frozenset(_needs(form)),
        request_id=request_id,
        size=size,
    )


def _check_tools(form: _Conversation) -> None:
    for i, tool in enumerate(form.tools):
        if tool.type in (None, "custom") and tool.input_schema is None:
            param = f"tools.{i}.input_schema"
            raise Invalid(f"'{param}': this field is missing.", hint="It is the JSON schema of the input.", param=param)
    choice = form.tool_choice
    if choice is None or choice.type == "none":
        return
    if not form.tools:
        raise Invalid("'tool_choice' is set and there are no 'tools'.", param="tool_choice")
    if choice.type == "tool" and choice.name not in {tool.name for tool in form.tools}:
        raise Invalid(f"'tool_choice' names '{choice.name}', which is not among 'tools'.", param="tool_choice.name")


def _check_format(form: _Conversation) -> None:
    for param, wanted in _formats(form):
        if wanted.type == "json_schema" and wanted.schema_ is None:
            raise Invalid(
                f"'{param}' asks for a JSON schema and holds none.",
                hint='Send {"type": "json_schema", "schema": {...}}.',
                param=f"{param}.schema",
            )


def _formats(form: _Conversation) -> Iterator[tuple[str, _Format]]:
    if form.output_config and form.output_config.format:
        yield "output_config.format", form.output_config.format
    if form.output_format:
        yield "output_format", form.output_format


def _needs(form: _Conversation) -> Iterator[Capability]:
    yield Capability.CHAT
    if form.tools:
        yield Capability.TOOLS
    if any(_formats(form)):
        yield Capability.JSON_SCHEMA
    if any(_shows_image(message.content) for message in form.messages):
        yield Capability.VISION


def _shows_image(content: Any) -> bool:
    """Whether there is an image in a turn, or in what a tool gave back."""
    blocks = content if isinstance(content, list) else ()
    inner = (one for block in blocks if block["type"] == "tool_result" for one in block.get("content") or ())
    return any(isinstance(block, dict) and block["type"] == "image" for block in (*blocks, *inner))
