"""What a request in OpenAI's form must look like. Fields not named here go on to the upstream as they are.

Source: OpenAI's API reference for chat completions, completions and embeddings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from intermodel.core import Call, Capability, Invalid, Kind

PARTS = {"text", "image_url", "input_audio", "file", "refusal"}


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


def _content(content: Any) -> Any:
    """A string, null, or a list of parts that have a known type."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("must be a string or a list of parts")
    for i, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PARTS:
            raise ValueError(f"part {i} must be an object whose 'type' is one of {', '.join(sorted(PARTS))}")
        if kind == "text" and not isinstance(part.get("text"), str):
            raise ValueError(f"part {i} has no 'text'")
    return content


class _Message(_Open):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[Any, AfterValidator(_content)] = None


class _Function(_Open):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    parameters: dict[str, Any] | None = None


class _Tool(_Open):
    type: Literal["function"]
    function: _Function


class _JsonSchema(_Open):
    name: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class _ResponseFormat(_Open):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(_Open):
    include_usage: bool | None = None


class _Sampling(_Open):
    model: Annotated[str, Field(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logit_bias: dict[str, float] | None = None


class _Chat(_Sampling):
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    response_format: _ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class _Completion(_Sampling):
    prompt: str | list[str] | list[int] | list[list[int]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class _Embedding(_Open):
    model: Annotated[str, Field(min_length=1)]
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None


_FORM: dict[Kind, type[_Open]] = {Kind.CHAT: _Chat, Kind.COMPLETION: _Completion, Kind.EMBEDDING: _Embedding}
_OWN_NEED = {Kind.CHAT: Capability.CHAT, Kind.COMPLETION: Capability.COMPLETION, Kind.EMBEDDING: Capability.EMBEDDING}


def call_of(kind: Kind, body: dict[str, Any], *, max_choices: int, request_id: str = "") -> Call:
    """The call that `body` asks for. Raises `Invalid`, whose `param` is the field at fault."""
    try:
        form = _FORM[kind].model_validate(body)
    except ValidationError as error:
        raise _explained(error) from None
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
    )


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
    names = {tool.function.name for tool in form.tools or ()}
    choice = form.tool_choice
    named = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if named is not None and named not in names:
        raise Invalid(f"'tool_choice' names '{named}', which is not among 'tools'.", param="tool_choice")
    if choice == "required" and not names:
        raise Invalid("'tool_choice' is 'required' and there are no 'tools'.", param="tool_choice")


def _needs(kind: Kind, form: _Open) -> set[Capability]:
    needs = {_OWN_NEED[kind]}
    if isinstance(form, _Completion) and form.logprobs:
        needs.add(Capability.LOGPROBS)
    if not isinstance(form, _Chat):
        return needs
    if form.tools:
        needs.add(Capability.TOOLS)
    if form.logprobs:
        needs.add(Capability.LOGPROBS)
    if form.response_format and form.response_format.type == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    parts = (part for m in form.messages if isinstance(m.content, list) for part in m.content)
    if any(part["type"] == "image_url" for part in parts):
        needs.add(Capability.VISION)
    return needs


def _explained(error: ValidationError) -> Invalid:
    """The first mistake, in words, with the path of its field."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = ".".join(str(p) for p in first["loc"] if not _is_type_name(p))
    said = first["msg"].removeprefix("Value error, ")
    said = said[0].lower() + said[1:]
    if first["type"] == "missing":
        said = "this field is missing"
    return Invalid(f"'{param}': {said}.", hint="See the API reference of OpenAI for its form.", param=param)


def _is_type_name(part: int | str) -> bool:
    """pydantic adds the tried type of a union to the path, such as `list[str]`."""
    return isinstance(part, str) and (part in ("str", "int", "float") or "[" in part)
