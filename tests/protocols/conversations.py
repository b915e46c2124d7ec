"""Conversations, requests and answers in the chat form, for property tests; and what a client makes of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
IMAGE = st.sampled_from(
    ["data:image/png;base64,iVBORw0K", "https://example.com/a.jpg?b=c", "data:image/webp;base64,UklG"]
)
SIGNATURE = st.from_regex(r"[A-Za-z0-9+/]{4,12}={0,2}", fullmatch=True)


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


PARTS = st.lists(TEXT.map(text_part) | IMAGE.map(image_part), min_size=2, max_size=4)
USER = (TEXT | PARTS).map(lambda content: {"role": "user", "content": content})
CALL = st.builds(
    lambda name, given: {"type": "function", "function": {"name": name, "arguments": orjson.dumps(given).decode()}},
    NAME,
    OBJECT,
)


@st.composite
def assistant(draw: st.DrawFn) -> dict[str, Any]:
    """What a model says: words or calls or both, with thoughts or without."""
    calls = draw(st.lists(CALL, max_size=3))
    words = draw(TEXT if not calls else st.none() | TEXT)
    message: dict[str, Any] = {"role": "assistant", "content": words}
    if calls:
        message["tool_calls"] = [{"id": f"call_{i}", **call} for i, call in enumerate(calls)]
    if draw(st.booleans()):
        message |= {"reasoning_content": draw(TEXT), "reasoning_signature": draw(SIGNATURE)}
    return message


@st.composite
def turn(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A model's turn, with the results of its calls."""
    said = draw(assistant())
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT | st.just(""))}
        for call in said.get("tool_calls", ())
    ]
    return [said, *results]


@st.composite
def messages(draw: st.DrawFn) -> list[dict[str, Any]]:
    system = [{"role": "system", "content": draw(TEXT)}] if draw(st.booleans()) else []
    turns = draw(st.lists(turn() | USER.map(lambda one: [one]), max_size=5))
    return [*system, draw(USER), *(message for one in turns for message in one)]


@st.composite
def tools(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAME, min_size=1, max_size=3, unique=True))
    given = [
        {"type": "function", "function": {"name": name, "description": draw(TEXT), "parameters": {"type": "object"}}}
        for name in names
    ]
    choices = ["auto", "none", "required", {"type": "function", "function": {"name": names[0]}}]
    choice = draw(st.sampled_from(choices))
    alone = {"parallel_tool_calls": False} if choice != "none" and draw(st.booleans()) else {}
    return {"tools": given, "tool_choice": choice} | alone


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    schema = {"name": "answer", "schema": {"type": "object", "title": draw(TEXT)}, "strict": True}
    optional = {
        "stream": st.booleans(),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop": st.lists(TEXT.filter(str.strip), min_size=1, max_size=4),
        "user": NAME,
        "reasoning_effort": st.sampled_from(["none", "low", "medium", "high", "xhigh", "max"]),
        "response_format": st.just({"type": "json_schema", "json_schema": schema}),
        "service_tier": st.sampled_from(["auto", "default"]),
    }
    said = draw(
        st.fixed_dictionaries({"model": NAME, "max_completion_tokens": st.integers(1, 9999)}, optional=optional)
    )
    return said | {"messages": draw(messages())} | (draw(tools()) if draw(st.booleans()) else {})


def answer(message: dict[str, Any], finish: str, usage: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def folded(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The whole answer that a client puts together from its chunks."""
    message: dict[str, Any] = {}
    calls: dict[int, dict[str, Any]] = {}
    finish, usage = None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish = choice["finish_reason"] or finish
            for name, value in choice["delta"].items():
                if name == "tool_calls":
                    _fold_calls(calls, value)
                else:
                    message[name] = message.get(name, "") + value if name != "role" else value
    message["content"] = message["content"] or None if calls else message["content"]
    if calls:
        message["tool_calls"] = [calls[i] for i in sorted(calls)]
    head = {name: chunks[0][name] for name in ("id", "model")}
    return head | {"message": message, "finish_reason": finish, "usage": usage}


def _fold_calls(calls: dict[int, dict[str, Any]], deltas: list[dict[str, Any]]) -> None:
    for delta in deltas:
        call = calls.setdefault(delta["index"], {"function": {"name": "", "arguments": ""}})
        call |= {name: delta[name] for name in ("id", "type", "extra_content") if name in delta}
        function = delta["function"]
        call["function"]["name"] += function.get("name", "")
        call["function"]["arguments"] += function["arguments"]


def essence(whole: dict[str, Any]) -> dict[str, Any]:
    """What of a whole answer a stream tells too: nothing that is null, and no time."""
    choice = whole["choices"][0]
    message = {name: value for name, value in choice["message"].items() if name == "content" or value is not None}
    finish = choice["finish_reason"]
    return {name: whole[name] for name in ("id", "model", "usage")} | {"message": message, "finish_reason": finish}


@st.composite
def spoilt(draw: st.DrawFn, whole: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    """Something of the right shape but for one place, where anything may stand."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(draw(whole)))
    here: Any = found
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = draw(st.sampled_from(keys))
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            here[key] = draw(JSON)
            return found
        here = inner


def in_full(message: dict[str, Any]) -> dict[str, Any]:
    """The message with every field that Anthropic's reference says is there, also where it says nothing."""
    more: dict[str, dict[str, Any]] = {"text": {"citations": None}, "tool_use": {"caller": {"type": "direct"}}}
    content = [more.get(block["type"], {}) | block for block in message["content"]]
    unknown = dict.fromkeys(("cache_creation", "inference_geo", "server_tool_use", "service_tier"))
    return {"container": None} | message | {"content": content, "usage": unknown | message["usage"]}
