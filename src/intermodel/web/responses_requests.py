"""What a request in the form of OpenAI's Responses must look like. What cannot be translated is refused later.

Sources: OpenAI's API reference, "Create a model response"; the Open Responses specification.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from intermodel.core import Call, Capability, Invalid, Kind
from intermodel.protocols.responses_request import LOGPROBS, check_stateless
from intermodel.web.openai_requests import MODEL_LENGTH, Whole
from intermodel.web.requests import Open, explained

_TEXT_OR_LIST = (str, list)
_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "message": {"role": str, "content": _TEXT_OR_LIST},
    "function_call": {"call_id": str, "name": str, "arguments": str},
    "function_call_output": {"call_id": str, "output": _TEXT_OR_LIST},
    "reasoning": {"summary": list},
}
"""What an item of each type must have, and its type."""
_PART_FIELDS: dict[str, tuple[str, type]] = {
    "input_text": ("text", str), "output_text": ("text", str), "summary_text": ("text", str),
    "reasoning_text": ("text", str), "refusal": ("refusal", str), "input_audio": ("input_audio", dict),
}  # fmt: skip
_ROLES = ("user", "assistant", "system", "developer")
_HINT = "See the API reference of OpenAI for its form."


class _Format(Open):
    type: str
    name: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class _Text(Open):
    format: _Format | None = None


class _Tool(Open):
    type: str
    name: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] = None
    parameters: dict[str, Any] | None = None


class _Reasoning(Open):
    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class _Responses(Open):
    model: Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH)]
    input: Any
    instructions: str | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    store: bool | None = None
    background: bool | None = None
    max_output_tokens: Annotated[Whole, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None
    include: list[str] | None = None
    text: _Text | None = None
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    reasoning: _Reasoning | None = None
    metadata: dict[str, str] | None = None


def call_of(body: dict[str, Any], *, request_id: str = "", size: int = 0) -> Call:
    """The call that `body` asks for; it says `store: false` itself. Raises `Invalid`, whose `param` is at fault."""
    try:
        form = _Responses.model_validate(body)
    except ValidationError as error:
        raise explained(error, "OpenAI") from None
    _check_input(form.input)
    check_stateless(body)
    _check(form)
    return Call(
        kind=Kind.RESPONSES,
        model=form.model,
        body=body | {"store": False},  # OpenAI's default is true, also where a stream is passed on to it
        stream=bool(form.stream),
        needs=frozenset(_needs(form)),
        request_id=request_id,
        size=size,
    )


def _check_input(given: Any) -> None:
    """A string, or a list of items; what an item of an unknown type holds is the upstream's affair."""
    if isinstance(given, str):
        return
    if not isinstance(given, list) or not given:
        raise Invalid("'input' must be a string, or a list of items that is not empty.", hint=_HINT, param="input")
    for i, item in enumerate(given):
        _check_item(f"input.{i}", item)


def _check_item(place: str, item: Any) -> None:
    if not isinstance(item, dict):
        raise Invalid(f"'{place}' must be an object.", hint=_HINT, param=place)
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    for name, form in _FIELDS.get(kind, {}).items():
        _must_hold(place, item, name, form)
    if kind == "message" and item["role"] not in _ROLES:
        place += ".role"
        raise Invalid(f"'{place}' must be one of {', '.join(_ROLES)}.", hint=_HINT, param=place)
    for name in ("content", "output", "summary"):
        parts = item.get(name)
        for i, part in enumerate(parts if isinstance(parts, list) else ()):
            _check_part(f"{place}.{name}.{i}", part)


def _check_part(place: str, part: Any) -> None:
    if not isinstance(part, dict):
        raise Invalid(f"'{place}' must be an object with a 'type', such as input_text.", hint=_HINT, param=place)
    _must_hold(place, part, "type", str)
    if part["type"] in _PART_FIELDS:
        _must_hold(place, part, *_PART_FIELDS[part["type"]])
    if part["type"] == "input_image" and part.get("file_id") is None:
        _must_hold(place, part, "image_url", str)


def _must_hold(place: str, given: dict[str, Any], name: str, form: type | tuple[type, ...]) -> None:
    if not isinstance(given.get(name), form):
        said = "has the wrong type" if given.get(name) is not None else "is missing"
        raise Invalid(f"'{place}.{name}': this field {said}.", hint=_HINT, param=f"{place}.{name}")


def _check(form: _Responses) -> None:
    _check_tools(form)
    wanted = form.text.format if form.text else None
    if wanted and wanted.type == "json_schema" and (wanted.schema_ is None or wanted.name is None):
        raise Invalid(
            "'text.format' asks for a JSON schema and lacks its name or the schema.",
            hint='Send {"type": "json_schema", "name": ..., "schema": {...}}.',
            param="text.format.name" if wanted.schema_ is not None else "text.format.schema",
        )


def _check_tools(form: _Responses) -> None:
    functions = {tool.name for tool in form.tools or () if tool.type == "function"}
    if None in functions:
        raise Invalid("A function among 'tools' has no name.", param="tools")
    if not isinstance(form.tool_choice, dict) and form.tool_choice not in (None, "none", "auto", "required"):
        raise Invalid("'tool_choice' must be none, auto, required or an object.", hint=_HINT, param="tool_choice")
    for named in _named(form.tool_choice):
        if named not in functions:
            raise Invalid(f"'tool_choice' names '{named}', which is not among 'tools'.", param="tool_choice")
    if form.tool_choice == "required" and not form.tools:
        raise Invalid("'tool_choice' is 'required' and there are no 'tools'.", param="tool_choice")


def _named(choice: Any) -> list[Any]:
    """The functions that `tool_choice` names."""
    if not isinstance(choice, dict):
        return []
    if choice.get("type") == "function":
        return [choice.get("name")]
    tools = choice.get("tools") if choice.get("type") == "allowed_tools" else None
    return [tool.get("name") for tool in tools or () if isinstance(tool, dict) and tool.get("type") == "function"]


def _needs(form: _Responses) -> set[Capability]:
    needs = {Capability.CHAT}
    if form.tools:
        needs.add(Capability.TOOLS)
    if form.top_logprobs or LOGPROBS in (form.include or ()):
        needs.add(Capability.LOGPROBS)
    if form.text and form.text.format and form.text.format.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    if isinstance(form.input, list) and any(map(_shows, form.input)):
        needs.add(Capability.VISION)
    return needs


def _shows(item: dict[str, Any]) -> bool:
    parts = item.get("content") or item.get("output")
    return isinstance(parts, list) and any(part["type"] == "input_image" for part in parts)
