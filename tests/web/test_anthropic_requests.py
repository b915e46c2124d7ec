from __future__ import annotations

from typing import Any

import pytest

from intermodel.core import Capability, Invalid, Kind
from intermodel.web.anthropic_requests import call_of

BODY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
TOOL = {"name": "t", "input_schema": {"type": "object"}}


def turn(*blocks: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(blocks)}]}


def test_a_call() -> None:
    body = BODY | {"stream": True, "max_tokens": 9.0, "invented": 1}
    call = call_of(body, request_id="r")
    assert (call.kind, call.model, call.stream, call.request_id) == (Kind.MESSAGES, "m", True, "r")
    assert call.body is body
    assert call.needs == {Capability.CHAT}


@pytest.mark.parametrize(
    ("more", "need"),
    [
        ({"tools": [TOOL]}, Capability.TOOLS),
        (turn(IMAGE), Capability.VISION),
        (turn({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}), Capability.VISION),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, Capability.JSON_SCHEMA),
        ({"output_format": {"type": "json_schema", "schema": {}}}, Capability.JSON_SCHEMA),
    ],
)
def test_what_it_needs(more: dict[str, Any], need: Capability) -> None:
    assert call_of(BODY | more).needs == {Capability.CHAT, need}


@pytest.mark.parametrize(
    "more",
    [
        {"system": "s"},
        {"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [TOOL | {"type": "custom"}, {"type": "web_search_20260318", "name": "web_search"}]},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "t", "disable_parallel_tool_use": True}},
        {"tool_choice": {"type": "none"}},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        turn(
            {"type": "thinking", "thinking": "a", "signature": "b"},
            {"type": "new_kind", "content": [7]},
            role="assistant",
        ),
        turn({"type": "tool_use", "id": "t", "name": "n", "input": {}}, role="assistant"),
        turn({"type": "tool_result", "tool_use_id": "t", "content": "", "is_error": True}),
        turn({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"}}),
        turn(),
    ],
)
def test_what_is_taken(more: dict[str, Any]) -> None:
    assert call_of(BODY | more).body == BODY | more


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": 9.5}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        (turn("words"), "messages.0.content"),
        (turn({"type": "text"}), "messages.0.content"),
        (turn({"type": "image", "source": "x"}), "messages.0.content"),
        (turn({"type": "image", "source": {}}), "messages.0.content"),
        (turn({"type": "image", "source": {"type": "base64", "data": "AA"}}), "messages.0.content"),
        (turn({"type": "tool_use", "input": {}}, role="assistant"), "messages.0.content"),
        (turn({"type": "tool_result"}), "messages.0.content"),
        (turn({"type": "tool_result", "tool_use_id": "t", "content": 7}), "messages.0.content"),
        (turn({"type": "tool_result", "tool_use_id": "t", "content": ["x"]}), "messages.0.content"),
        (turn({"type": "tool_use", "id": "t", "name": "n", "input": {}}), "messages.0"),
        (turn(IMAGE, role="system"), "messages.0"),
        ({"system": 7}, "system"),
        ({"system": [IMAGE]}, "system"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"name": "t"}]}, "tools.0.input_schema"),
        ({"tool_choice": {"type": "auto"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ],
)
def test_what_is_refused_names_its_field(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        call_of(BODY | more)
    assert caught.value.param == param


def test_counting_needs_no_limit() -> None:
    body = {name: BODY[name] for name in ("model", "messages")}
    assert call_of(body, counting=True).stream is False
    with pytest.raises(Invalid, match="max_tokens"):
        call_of(body)


def test_results_in_results_have_an_end() -> None:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    for _ in range(5000):
        block = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    call_of(BODY | turn(block))
