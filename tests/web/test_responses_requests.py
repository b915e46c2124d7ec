from __future__ import annotations

from typing import Any

import pytest

from intermodel.core import Capability, Invalid, Kind
from intermodel.web.responses_requests import call_of

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


def call(**more: Any) -> Any:
    return call_of({"model": "m", "input": "hi"} | more, request_id="r", size=7)


def test_a_call_says_that_nothing_is_kept() -> None:
    found = call(stream=True, seed=3)
    assert (found.kind, found.model, found.stream, found.request_id, found.size) == (Kind.RESPONSES, "m", True, "r", 7)
    assert found.body == {"model": "m", "input": "hi", "stream": True, "seed": 3, "store": False}


def test_what_it_needs() -> None:
    assert call().needs == {Capability.CHAT}
    schema = {"format": {"type": "json_schema", "name": "n", "schema": {}}}
    image = {"type": "input_image", "image_url": "https://example.com/a.png"}
    found = call(
        tools=[TOOL],
        text=schema,
        include=["message.output_text.logprobs"],
        input=[{"role": "user", "content": [image]}],
    )
    assert found.needs == {
        Capability.CHAT, Capability.TOOLS, Capability.JSON_SCHEMA, Capability.LOGPROBS, Capability.VISION,
    }  # fmt: skip
    result = {"type": "function_call_output", "call_id": "c", "output": [image]}
    assert Capability.VISION in call(input=[result]).needs


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [7]}, "input.0"),
        ({"input": ["a"]}, "input.0"),
        ({"input": [{"role": "user", "content": "a"}, {"role": "user"}]}, "input.1.content"),
        ({"input": [{"role": "critic", "content": "a"}]}, "input.0.role"),
        ({"input": [{"type": "message", "content": "a"}]}, "input.0.role"),
        ({"input": [{"role": "user", "content": ["a"]}]}, "input.0.content.0"),
        ({"input": [{"role": "user", "content": [{}]}]}, "input.0.content.0.type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input.0.content.0.image_url"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]}, "input.0.arguments"),
        ({"input": [{"type": "function_call_output", "output": "o"}]}, "input.0.call_id"),
        ({"input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}, "input.0.summary.0.text"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [TOOL | {"name": "a b"}]}, "tools.0.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}, "tools": [TOOL]}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "x"}]}, "tools": [TOOL]},
            "tool_choice",
        ),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ],
)
def test_mistakes_are_told_by_their_place(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        call(**more)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "c"}}, "conversation"),
        ({"background": True}, "background"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0"),
        ({"input": [{"id": "msg_1"}]}, "input.0"),
    ],
)
def test_what_rests_on_something_kept_is_refused(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        call(**more)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


def test_what_is_the_upstreams_affair_passes() -> None:
    items = [{"type": "web_search_call", "id": "ws", "status": "completed"}, {"role": "user", "content": "hi"}]
    assert call(input=items, tools=[{"type": "web_search"}], tool_choice={"type": "web_search"}).body["input"] == items
