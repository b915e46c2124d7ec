"""What a request in OpenAI's form must look like. Fields not named here go on to the upstream as they are.

Source: OpenAI's API reference for chat completions, completions and embeddings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, FailFast, Field, ValidationError

from intermodel.core import Call, Capability, Invalid, Kind
from intermodel.web.requests import Open, explained

MODEL_LENGTH = 512
"""Longest name of a model, in characters."""


def _whole_number(value: Any) -> Any:
    """JSON does not tell 2.0 from 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _content(content: Any) -> Any:
    """A string, null, or a list of objects that have a type; what each type holds is the model's affair."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("must be a string or a list of parts")
    for i, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            raise ValueError(f"part {i} must be an object with a 'type', such as text or image_url")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise ValueError(f"part {i} has no 'text'")
    return content


def _texts(given: Any) -> Any:
    """A string, or a list of strings, tokens or lists of tokens, all of one kind."""
    if isinstance(given, str):
        return given
    if isinstance(given, list) and given:
        if all(isinstance(one, str) for one in given) or _are_tokens(given) or all(map(_are_tokens, given)):
            return given
        raise ValueError("must hold strings, or tokens, or lists of tokens, and not a mixture")
    raise ValueError("must be a string, or a list of strings or tokens that is not empty")


def _stops(given: Any) -> Any:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        return given
    raise ValueError("must be a string or a list of strings")


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(token) is int for token in given)


Whole = Annotated[int, BeforeValidator(_whole_number)]


class _Message(Open):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[Any, AfterValidator(_content)] = None


class _Function(Open):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    parameters: dict[str, Any] | None = None


class _JsonSchema(Open):
    name: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class _ResponseFormat(Open):
    type: str
    json_schema: _JsonSchema | None = None


class _StreamOptions(Open):
    include_usage: bool | None = None


class _Sampling(Open):
    model: Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Annotated[Whole, Field(ge=1)] | None = None
    max_tokens: Annotated[Whole, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Whole | None = None
    stop: Annotated[Any, AfterValidator(_stops)] = None
    logit_bias: dict[str, float] | None = None


class _Chat(_Sampling):
    # FailFast: a million wrong messages are one mistake to tell, not a million to collect
    messages: Annotated[list[_Message], Field(min_length=1), FailFast()]
    max_completion_tokens: Annotated[Whole, Field(ge=1)] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    """The form of `tools` before there were others than functions."""
    tool_choice: Any = None
    response_format: _ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None


class _Completion(_Sampling):
    prompt: Annotated[Any, AfterValidator(_texts)]
    logprobs: Annotated[Whole, Field(ge=0, le=20)] | None = None


class _Embedding(Open):
    model: Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH)]
    input: Annotated[Any, AfterValidator(_texts)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[Whole, Field(ge=1)] | None = None


_FORM: dict[Kind, type[Open]] = {Kind.CHAT: _Chat, Kind.COMPLETION: _Completion, Kind.EMBEDDING: _Embedding}
_OWN_NEED = {Kind.CHAT: Capability.CHAT, Kind.COMPLETION: Capability.COMPLETION, Kind.EMBEDDING: Capability.EMBEDDING}


def call_of(kind: Kind, body: dict[str, Any], *, max_choices: int, request_id: str = "", size: int = 0) -> Call:
    """The call that `body` asks for. Raises `Invalid`, whose `param` is the field at fault."""
    if kind is Kind.CHAT and is_plain(body):
        stream = body.get("stream") or False
        return Call(kind, body["model"], body, stream, _ONLY_CHAT, request_id, (), size, only_text=True)
    return examined(kind, body, max_choices=max_choices, request_id=request_id, size=size)


def is_plain(body: dict[str, Any]) -> bool:
    """Whether a chat is right at first sight, and asks for nothing that not every chat model can do.

    Most are, and cost a third then. What is not plain may be right too: `examined` tells, and explains.
    """
    if body.get("model") is None or body.get("messages") is None:
        return False
    for name, value in body.items():
        if value is not None and name in _AT_FIRST_SIGHT and not _AT_FIRST_SIGHT[name](value):
            return False
    return True


def _is_name(given: Any) -> bool:
    return type(given) is str and 0 < len(given) <= MODEL_LENGTH


def _are_texts(given: Any) -> bool:
    """Whether the messages are text, and nothing but text."""
    if type(given) is not list or not given:
        return False
    for message in given:
        if type(message) is not dict or message.get("role") not in _ROLES:
            return False
        content = message.get("content")
        if type(content) is not str and content is not None and not _are_parts_of_text(content):
            return False
    return True


def _are_parts_of_text(given: Any) -> bool:
    return type(given) is list and all(
        type(part) is dict and part.get("type") == "text" and type(part.get("text")) is str for part in given
    )


def _is_flag(given: Any) -> bool:
    return type(given) is bool


def _is_number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda given: (type(given) is float or type(given) is int) and least <= given <= most


def _is_count(least: int, most: int = 2**63) -> Callable[[Any], bool]:
    return lambda given: type(given) is int and least <= given <= most


def _takes_a_look(_given: Any) -> bool:
    return False


def examined(kind: Kind, body: dict[str, Any], *, max_choices: int, request_id: str = "", size: int = 0) -> Call:
    """As `call_of`, for whatever is asked for."""
    try:
        form = _FORM[kind].model_validate(body)
    except ValidationError as error:
        raise explained(error, "OpenAI") from None
    if isinstance(form, _Sampling) and form.n and form.n > max_choices:
        raise Invalid(
            f"'n' is {form.n}; this node gives at most {max_choices} answers to one request.",
            hint="Ask several times, or raise limits.choices.",
            param="n",
        )
    if isinstance(form, _Chat):
        _check_chat(form)
    return Call(
        kind=kind,
        model=body["model"],
        body=body,
        stream=isinstance(form, _Sampling) and bool(form.stream),
        needs=frozenset(_needs(kind, form)),
        request_id=request_id,
        size=size,
    )


_ROLES = get_args(_Message.model_fields["role"].annotation)
_AT_FIRST_SIGHT: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_Chat.model_fields, _takes_a_look),
    "model": _is_name,
    "messages": _are_texts,
    "stream": _is_flag,
    "n": _is_count(1, 1),
    "max_tokens": _is_count(0),
    "max_completion_tokens": _is_count(1),
    "temperature": _is_number(0, 2),
    "top_p": _is_number(0, 1),
    "frequency_penalty": _is_number(-2, 2),
    "presence_penalty": _is_number(-2, 2),
    "seed": _is_count(-(2**63)),
}
"""By field: whether it is right, and asks for nothing special. Null is right everywhere but in the first two."""
_ONLY_CHAT = frozenset({Capability.CHAT})


def _check_chat(form: _Chat) -> None:
    if form.response_format and form.response_format.type == "json_schema":
        wanted = form.response_format.json_schema
        if wanted is None or wanted.schema_ is None:
            raise Invalid(
                "'response_format' asks for a JSON schema and holds none.",
                hint='Send {"type": "json_schema", "json_schema": {"name": ..., "schema": {...}}}.',
                param="response_format.json_schema.schema",
            )
    if form.top_logprobs and not form.logprobs:
        raise Invalid("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    functions = [_function_name(f"tools.{i}", tool) for i, tool in enumerate(form.tools or ())]
    named = _named_function(form.tool_choice)
    if named is not None and named not in functions:
        raise Invalid(f"'tool_choice' names '{named}', which is not among 'tools'.", param="tool_choice")
    if form.tool_choice == "required" and not form.tools:
        raise Invalid("'tool_choice' is 'required' and there are no 'tools'.", param="tool_choice")


def _function_name(place: str, tool: Any) -> str | None:
    """The name of a tool that is a function; tools of other types go on as they are. Raises `Invalid`."""
    if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
        raise Invalid(f"'{place}' must be an object with a 'type', such as function.", param=place)
    if tool["type"] != "function":
        return None
    if "function" not in tool:
        raise Invalid(f"'{place}.function': this field is missing.", param=f"{place}.function")
    try:
        return _Function.model_validate(tool["function"]).name
    except ValidationError as error:
        raise explained(error, "OpenAI", f"{place}.function.") from None


def _named_function(choice: Any) -> str | None:
    """The function that `tool_choice` names, if it is an object that should name one. Raises `Invalid`."""
    if not isinstance(choice, dict) or choice.get("type") != "function":
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise Invalid(
            "'tool_choice' names no function.",
            hint='Send {"type": "function", "function": {"name": ...}}.',
            param="tool_choice",
        )
    return name


def _needs(kind: Kind, form: Open) -> set[Capability]:
    needs = {_OWN_NEED[kind]}
    if isinstance(form, _Completion) and form.logprobs:
        needs.add(Capability.LOGPROBS)
    if not isinstance(form, _Chat):
        return needs
    if form.tools or form.functions:
        needs.add(Capability.TOOLS)
    if form.logprobs:
        needs.add(Capability.LOGPROBS)
    if form.response_format and form.response_format.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    parts = (part for m in form.messages if isinstance(m.content, list) for part in m.content)
    if any(part["type"] == "image_url" for part in parts):
        needs.add(Capability.VISION)
    return needs
