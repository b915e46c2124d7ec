"""A chat request, or one for embeddings, as one of Google's Gemini API; docs/protocols.md tells what is refused.

Source: the Gemini API reference, v1beta: "models.generateContent" (GenerateContentRequest, GenerationConfig, Content,
Tool), "models.batchEmbedContents", and its guides to function calling, thinking, thought signatures, structured output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from intermodel.protocols.dialect import Body
from intermodel.protocols.gemini_conversation import GEMINI, conversation, detail_of_images
from intermodel.protocols.refusal import refuse_others, says_nothing, unsupported

_NAMES = {
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "seed": "seed", "n": "candidateCount",
    "presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty", "logprobs": "responseLogprobs",
    "max_tokens": "maxOutputTokens",
}  # fmt: skip
"""Fields of the generation's settings, by the chat form's name."""
_NO_EFFECT = frozenset({"model", "stream", "stream_options", "store", "metadata", "user", "safety_identifier",
                        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"})  # fmt: skip
"""Fields that change nothing in an answer: they are left out."""
_NEUTRAL: dict[str, tuple[Any, ...]] = {"modalities": (["text"],), "service_tier": ("auto", "default"),
                                        "parallel_tool_calls": (True,), "top_logprobs": (0,)}  # fmt: skip
"""Fields that may say what is the case anyway."""
_TOGETHER = frozenset({"messages", "tools", "tool_choice", "reasoning_effort", "max_completion_tokens"})
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""Tokens of thought, as Google's own OpenAI-compatible API has them for Gemini 2.5 ("OpenAI compatibility")."""
_LEVELS = ("minimal", "low", "medium", "high")
_BEFORE_LEVELS = re.compile(r"gemini-[12]\b")


def request_from_chat(body: Body) -> Body:
    """Raises `Invalid`, code `unsupported_field`, naming what has no place in the Gemini API."""
    settings: Body = {}
    for name, value in body.items():
        if name in _TOGETHER or name in _NO_EFFECT or says_nothing(value) or value in _NEUTRAL.get(name, ()):
            continue
        if name in _NAMES:
            settings[_NAMES[name]] = value
        elif name in _READ:
            settings |= _READ[name](value)
        else:
            raise unsupported(name, GEMINI)
    has_levels = not _BEFORE_LEVELS.search(body.get("model") or "")
    if body.get("max_completion_tokens") is not None:
        settings["maxOutputTokens"] = body["max_completion_tokens"]
    if body.get("reasoning_effort") is not None:
        settings["thinkingConfig"] = _thinking(body["reasoning_effort"], has_levels=has_levels)
    messages = body.get("messages") or []
    if detail_of_images(messages) == "low":
        settings["mediaResolution"] = "MEDIA_RESOLUTION_LOW"
    asked = _tools(body) | conversation(messages, is_checked=has_levels)
    return asked | ({"generationConfig": settings} if settings else {})


# settings that are read by themselves


def _stop(stop: str | list[str]) -> Body:
    return {"stopSequences": [stop] if isinstance(stop, str) else stop}


def _top_logprobs(number: int) -> Body:
    return {"logprobs": number}


def _response_format(wanted: Body) -> Body:
    kind = wanted.get("type")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    if kind != "json_schema":
        raise unsupported("response_format.type", GEMINI)
    given = wanted["json_schema"]  # its name is for the eyes of people, and a schema is always kept to there
    refuse_others(given, {"name", "schema", "strict"}, GEMINI, "response_format.json_schema.")
    return {"responseMimeType": "application/json", "responseJsonSchema": given["schema"]}


_READ: dict[str, Callable[[Any], Body]] = {
    "stop": _stop,
    "top_logprobs": _top_logprobs,
    "response_format": _response_format,
}


def _thinking(effort: str, *, has_levels: bool) -> Body:
    """Thoughts are shown where an effort is asked for; a model that cannot think refuses to be asked for any."""
    known = _LEVELS if has_levels else tuple(_BUDGETS)
    if effort not in known:
        raise unsupported("reasoning_effort", GEMINI, f"For this model it may be {', '.join(known)}.")
    if has_levels:
        return {"thinkingLevel": effort, "includeThoughts": True}
    budget = _BUDGETS[effort]
    return {"thinkingBudget": budget} | ({"includeThoughts": True} if budget else {})


# tools


def _tools(body: Body) -> Body:
    declared = [_declaration(tool, f"tools.{i}") for i, tool in enumerate(body.get("tools") or ())]
    if not declared:
        return {}
    asked: Body = {"tools": [{"functionDeclarations": declared}]}
    is_strict = any(tool["function"].get("strict") for tool in body["tools"])
    if calling := _calling(body.get("tool_choice"), is_strict=is_strict):
        asked["toolConfig"] = {"functionCallingConfig": calling}
    return asked


def _declaration(tool: Body, place: str) -> Body:
    if tool.get("type") != "function":
        raise unsupported(f"{place}.type", GEMINI, "Only functions can be given.")
    function = tool["function"]
    refuse_others(tool, {"type", "function"}, GEMINI, f"{place}.")
    refuse_others(function, {"name", "description", "parameters", "strict"}, GEMINI, f"{place}.function.")
    declaration = {"name": function["name"]}
    if function.get("description"):
        declaration["description"] = function["description"]
    if function.get("parameters"):
        declaration["parametersJsonSchema"] = function["parameters"]
    return declaration


def _calling(choice: Any, *, is_strict: bool) -> Body | None:
    if choice is None or choice == "auto":
        return {"mode": "VALIDATED"} if is_strict else None
    if choice in ("none", "required"):
        return {"mode": {"none": "NONE", "required": "ANY"}[choice]}
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = [tool["function"]["name"] for tool in allowed["tools"]]
        return {"mode": "ANY" if allowed["mode"] == "required" else "VALIDATED", "allowedFunctionNames": names}
    raise unsupported("tool_choice", GEMINI)


# embeddings


def embeddings_requests(body: Body, model: str) -> list[Body]:
    """A request in OpenAI's form for embeddings, one of each text; `model` is the resource's name (`models/NAME`)."""
    refuse_others(body, {"model", "input", "dimensions", "encoding_format", "user"}, GEMINI)
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        raise unsupported("input", GEMINI, "It takes texts and no tokens.")
    size = {"outputDimensionality": body["dimensions"]} if body.get("dimensions") else {}
    return [{"model": model, "content": {"parts": [{"text": text}]}, **size} for text in texts]
