"""What is said to llama.cpp, and what is refused before it is: pure functions over a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intermodel.core import Call, Invalid, Kind

ANY_OBJECT = {"type": "object"}
TEXT_PARTS = frozenset({"text", "refusal"})

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
    _check_parts(body["messages"])
    if body.get("tool_choice") == "none":
        body.pop("tools", None)  # shown to the model they would be called, in plain text
    tools = _forced_tools(body)
    if tools:
        schema: Any = tool_schema(tools)
        body |= {"tool_choice": "none", "response_format": _response_format(schema)}
    else:
        schema = _asked_schema(body)
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


def _check_parts(messages: list[dict[str, Any]]) -> None:
    for i, message in enumerate(messages):
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") not in TEXT_PARTS:
                raise Invalid(
                    f"This model reads text alone, and message {i} holds '{part.get('type')}'.",
                    hint="Choose a model that can see or hear.",
                    code="unsupported_content",
                    param=f"messages.{i}.content",
                )


def _asked_schema(body: dict[str, Any]) -> Any:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return ANY_OBJECT
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"].get("schema", ANY_OBJECT)
    return None


def _forced_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions of which one must be called; none where the model is free."""
    choice = body.get("tool_choice")
    functions = [tool["function"] for tool in body.get("tools") or ()]
    if choice == "required":
        return functions
    if not isinstance(choice, dict):
        return []
    name = (choice.get("function") or {}).get("name")
    named = [function for function in functions if function["name"] == name]
    if not named:
        raise Invalid(
            "'tool_choice' names no function of 'tools'.",
            hint='Send "auto", "none", "required" or {"type": "function", "function": {"name": ...}}.',
            param="tool_choice",
        )
    return named


def tool_schema(functions: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of one call of one of `functions`: its name, then its arguments."""
    calls = []
    shared: dict[str, Any] = {}
    for function in functions:
        parameters = dict(function.get("parameters") or ANY_OBJECT)
        for key in ("$defs", "definitions"):  # references start at the root, so definitions move there
            shared.setdefault(key, {}).update(parameters.pop(key, {}))
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": function["name"]}, "arguments": parameters},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return {"anyOf": calls} | {key: found for key, found in shared.items() if found}


def _response_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "tool_call", "schema": schema}}
