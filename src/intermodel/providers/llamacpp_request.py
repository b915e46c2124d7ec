"""What is said to llama.cpp, and what is refused before it is: pure functions over a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intermodel.core import Call, Invalid, Kind

ANY_OBJECT = {"type": "object"}

DATA = frozenset({"const", "default", "enum", "examples"})
"""Keywords of JSON schema whose values are no schemas."""
NAMED = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose values hold schemas by names, which are not keywords."""

LIMITS = frozenset({"max_tokens", "max_completion_tokens"})
LONGEST = 2**31 - 1
"""llama.cpp keeps limits in 32 bits, and takes larger ones for negative."""

UNSUPPORTED: dict[Kind, dict[str, str]] = {
    Kind.CHAT: {
        "functions": "Use 'tools'.",
        "function_call": "Use 'tool_choice'.",
        "audio": "Models of this machine write text.",
        "web_search_options": "Models of this machine do not search.",
    },
    Kind.COMPLETION: {
        "echo": "Put the prompt before the answer yourself.",
        "suffix": "Models of this machine only continue a text.",
    },
    Kind.EMBEDDING: {"dimensions": "Shorten the vector yourself, or leave it out."},
}
"""Parameters that llama.cpp ignores in silence, where silence would be a wrong answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What goes to llama.cpp, and what must be mended in its answer. Without mending, bytes pass through."""

    body: dict[str, Any]
    asked: Call
    choices: int = 1
    """Answers of one prompt."""
    prompts: int = 1
    schema: Any = None
    """What the answer must satisfy; None where nothing was asked."""
    is_tool_call: bool = False
    """Whether the answer, which satisfies `schema`, is to be told as a tool call."""
    logprobs: int | None = None
    """How many alternatives to each token were asked for; None: no log-probabilities at all."""

    @property
    def is_mended(self) -> bool:
        return (
            self.choices > 1 or self.prompts > 1 or self.schema is not None or self.logprobs is not None
        ) and self.asked.kind is not Kind.EMBEDDING


def request(call: Call, model: str, slots: int) -> Request:
    """The request for a call of `model`. Raises `Invalid`, whose `param` is the field at fault."""
    body = {name: value for name, value in call.body.items() if value is not None} | {"model": model}
    for name, instead in UNSUPPORTED[call.kind].items():
        if body.get(name):
            raise Invalid(f"'{name}' is not supported by models of this machine.", hint=instead, param=name)
    if call.kind is Kind.EMBEDDING:
        return Request(body, call)
    for name in LIMITS & body.keys():
        body[name] = min(body[name], LONGEST)
    choices = body.get("n", 1)
    if choices > slots:
        raise Invalid(
            f"'n' is {choices}; this model gives at most {slots} answers at once.",
            hint="Ask several times, or raise 'slots' in [engines].",
            param="n",
        )
    wanted = _chat(body, call, choices) if call.kind is Kind.CHAT else _completion(body, call, choices)
    if wanted.is_mended:
        # a whole answer is a fold over the stream, which tells the usage of each choice
        wanted.body.update(stream=True, stream_options={"include_usage": True})
    return wanted


def _chat(body: dict[str, Any], call: Call, choices: int) -> Request:
    body["messages"] = [_message(message, i) for i, message in enumerate(body["messages"])]
    if body.get("tool_choice") == "none":
        body.pop("tools", None)  # shown to the model they would be called, in plain text
    schema = _asked_schema(body)
    tools = _forced_tools(body)
    if tools:
        schema = tool_schema(tools)
        body |= {"tool_choice": "none", "response_format": _response_format(schema)}
    logprobs = body.get("top_logprobs", 0) if body.get("logprobs") else None
    if logprobs == 0:
        body["top_logprobs"] = 1  # llama.cpp takes none to mean twenty
    return Request(body, call, choices, 1, schema, bool(tools), logprobs)


def _completion(body: dict[str, Any], call: Call, choices: int) -> Request:
    if body.pop("best_of", choices) != choices:
        raise Invalid("'best_of' must equal 'n'.", hint="Ask for 'n' answers and choose yourself.", param="best_of")
    prompt = body["prompt"]
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    logprobs = body.get("logprobs")
    if logprobs == 0:
        body["logprobs"] = 1  # 0 asks for the chosen tokens' alone, which llama.cpp gives only with one alternative
    return Request(body, call, choices, prompts, logprobs=logprobs)


def _message(message: dict[str, Any], number: int) -> dict[str, Any]:
    """The message with its parts as llama.cpp takes them, which is as text."""
    calls = message.get("tool_calls")
    for called in calls if isinstance(calls, list) else ():
        if (kind := _of_type(called)) != "function":
            raise _unsupported(
                f"This model calls functions alone, and message {number} holds a call of {_quoted(kind)}.",
                "Leave it out, or choose another model.",
                f"messages.{number}.tool_calls",
            )
    content = message.get("content")
    return message | {"content": [_part(part, number) for part in content]} if isinstance(content, list) else message


def _part(part: Any, number: int) -> dict[str, Any]:
    kind = _of_type(part)
    if kind == "text" and isinstance(part.get("text"), str):
        return dict(part)
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return {"type": "text", "text": part["refusal"]}
    raise _unsupported(
        f"This model reads text alone, and message {number} holds {_quoted(kind)}.",
        "Choose a model that can see or hear.",
        f"messages.{number}.content",
    )


def _of_type(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else None


def _quoted(kind: Any) -> str:
    return f"'{kind[:80]}'" if isinstance(kind, str) else "something without a type"


def _unsupported(message: str, hint: str, param: str) -> Invalid:
    return Invalid(message, hint=hint, code="unsupported_content", param=param)


def _asked_schema(body: dict[str, Any]) -> Any:
    wanted = body.get("response_format") or {"type": "text"}
    kind = _of_type(wanted)
    if kind == "json_object":
        return ANY_OBJECT
    if kind == "json_schema":
        return wanted["json_schema"].get("schema", ANY_OBJECT)
    if kind != "text":
        raise _unsupported(
            f"Models of this machine do not answer in the form {_quoted(kind)}.",
            "Ask for text, json_object or json_schema.",
            "response_format.type",
        )
    return None


def _forced_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions of which one must be called; none where the model is free."""
    choice = body.get("tool_choice")
    functions = [_function(tool) for tool in body.get("tools") or ()]
    if choice == "required":
        return functions
    if not isinstance(choice, dict):
        return []
    chosen = choice.get("function")
    name = chosen.get("name") if isinstance(chosen, dict) else None
    named = [function for function in functions if function["name"] == name]
    if not named:
        raise Invalid(
            "'tool_choice' names no function of 'tools'.",
            hint='Send "auto", "none", "required" or {"type": "function", "function": {"name": ...}}.',
            param="tool_choice",
        )
    return named


def _function(tool: Any) -> dict[str, Any]:
    kind = _of_type(tool)
    function = tool.get("function") if kind == "function" else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        return function
    raise _unsupported(
        "This model calls functions alone, and 'tools' holds "
        + ("a function without a name." if kind == "function" else f"{_quoted(kind)}."),
        'Send {"type": "function", "function": {"name": ...}}, or choose another model.',
        "tools",
    )


def tool_schema(functions: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of one call of one of `functions`: its name, then its arguments.

    Each function's definitions stay in its own parameters, and its references lead there. Raises `Invalid` for
    parameters that are nested beyond measure.
    """
    return {"anyOf": [_call_schema(function, f"#/anyOf/{i}") for i, function in enumerate(functions)]}


def _call_schema(function: dict[str, Any], place: str) -> dict[str, Any]:
    parameters = function.get("parameters") or ANY_OBJECT
    try:
        parameters = _moved(parameters, f"{place}/properties/arguments")
    except RecursionError:
        raise Invalid(
            f"The parameters of '{function['name']}' are nested too deeply.",
            hint="Mend the schema.",
            code="invalid_schema",
            param="tools",
        ) from None
    if isinstance(parameters, dict):
        parameters.pop("$id", None)  # references would start there, and not at the root
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": parameters},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, place: str) -> Any:
    """A copy of a schema in which references to its own root lead to `place`."""
    if isinstance(schema, list):
        return [_moved(each, place) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {keyword: _moved_value(keyword, value, place) for keyword, value in schema.items()}


def _moved_value(keyword: str, value: Any, place: str) -> Any:
    if keyword in DATA:
        return value
    if keyword == "$ref" and isinstance(value, str):
        return place + value[1:] if value == "#" or value.startswith("#/") else value
    if keyword in NAMED and isinstance(value, dict):
        return {name: _moved(each, place) for name, each in value.items()}
    return _moved(value, place)


def _response_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "tool_call", "schema": schema}}
