"""The pure parts: telling llama.cpp's answers anew."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Call, Invalid, Kind, Upstream
from intermodel.providers.llamacpp import failed
from intermodel.providers.llamacpp_answer import Fold, ToolCall, events, legacy_logprobs
from intermodel.providers.llamacpp_request import request, tool_schema

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab{}[]"\\ \n😀'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a}{"', max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4), st.data())
def test_a_tool_call_is_told_whole_however_its_text_is_cut(arguments: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps({"name": 'a"b', "arguments": arguments}, indent=data.draw(st.sampled_from([None, 1])))
    call = ToolCall()
    deltas = []
    while text:
        cut = data.draw(st.integers(1, len(text)))
        deltas.append(call.feed(text[:cut]))
        text = text[cut:]
    parts = [delta["tool_calls"][0] for delta in (*deltas, call.end()) if delta]
    assert parts[0]["function"]["name"] == 'a"b'
    assert sum("id" in part for part in parts) == 1
    assert json.loads("".join(part["function"]["arguments"] for part in parts)) == arguments


def test_text_that_never_becomes_a_tool_call_tells_none() -> None:
    call = ToolCall()
    assert call.feed('{"name": "f", "arg') is None
    assert call.end() is None


async def test_events_are_found_however_the_bytes_are_cut() -> None:
    stream = b'data: null\n\ndata: {"a": 1}\n\n: a comment\n\ndata: {"b": "x\\n"}\n\ndata: [DONE]\n\n'
    for size in (1, 7, 1000):

        async def chunks(size: int = size) -> Any:
            for start in range(0, len(stream), size):
                yield stream[start : start + size]

        assert [event async for event in events(chunks(), "m")] == [{"a": 1}, {"b": "x\n"}]


async def test_an_error_among_events_is_raised() -> None:
    async def chunks() -> Any:
        yield b'data: {"error": {"message": "no more memory"}}\n\n'

    with pytest.raises(Upstream, match="no more memory"):
        [event async for event in events(chunks(), "m")]


def test_a_fold_gathers_text_thoughts_and_tool_calls() -> None:
    fold = Fold(Kind.CHAT)
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    more = {"index": 0, "function": {"arguments": "}"}}
    for delta in ({"role": "assistant"}, {"reasoning_content": "hm"}, {"content": "a"}, {"content": "b"},
                  {"tool_calls": [call]}, {"tool_calls": [more]}):  # fmt: skip
        fold.add({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]})
    body = json.loads(fold.body({"total_tokens": 1}))
    message = body["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("ab", "hm")
    assert message["tool_calls"] == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert (body["object"], body["usage"]) == ("chat.completion", {"total_tokens": 1})


def test_legacy_logprobs_count_characters() -> None:
    tokens = [{"token": "ab", "logprob": -1, "top_logprobs": [{"token": "ab", "logprob": -1}]},
              {"token": "c", "logprob": -2, "top_logprobs": []}]  # fmt: skip
    assert legacy_logprobs(tokens, 1, 5) == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-1, -2],
        "top_logprobs": [{"ab": -1}, {}],
        "text_offset": [5, 7],
    }


def test_references_of_parameters_lead_to_their_own_definitions() -> None:
    parameters = {
        "$id": "https://example.org/own",
        "properties": {"a": {"$ref": "#/$defs/x"}, "const": {"$ref": "#"}, "$ref": {"items": [{"$ref": "#/$defs/x"}]}},
        "$defs": {"x": {"enum": [{"$ref": "#/$defs/x"}], "$ref": "elsewhere"}},
    }
    before = json.dumps(parameters)
    schema = tool_schema([{"name": "g"}, {"name": "f", "parameters": parameters}])
    assert schema["anyOf"][0]["properties"]["arguments"] == {"type": "object"}
    here = "#/anyOf/1/properties/arguments"
    assert schema["anyOf"][1]["properties"]["arguments"] == {
        "properties": {
            "a": {"$ref": f"{here}/$defs/x"},
            "const": {"$ref": here},
            "$ref": {"items": [{"$ref": f"{here}/$defs/x"}]},
        },
        "$defs": {"x": {"enum": [{"$ref": "#/$defs/x"}], "$ref": "elsewhere"}},
    }
    assert json.dumps(parameters) == before, "the caller's own is not changed"


def test_parameters_nested_beyond_measure_are_refused() -> None:
    parameters: dict[str, Any] = {}
    for _ in range(1000):
        parameters = {"items": parameters}
    with pytest.raises(Invalid, match="too deeply") as caught:
        tool_schema([{"name": "f", "parameters": parameters}])
    assert (caught.value.code, caught.value.param) == ("invalid_schema", "tools")


def test_a_refusal_in_the_history_is_told_as_text() -> None:
    parts = [{"type": "text", "text": "Well,", "more": 1}, {"type": "refusal", "refusal": "no."}]
    body = {"model": "fast", "messages": [{"role": "assistant", "content": parts}]}
    wanted = request(Call(Kind.CHAT, "fast", body), "local/m", slots=8)
    assert wanted.body["messages"][0]["content"] == [parts[0], {"type": "text", "text": "no."}]
    assert body["messages"] == [{"role": "assistant", "content": parts}]


def test_a_plain_call_is_not_mended_and_its_body_not_changed() -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "a"}], "n": 1, "top_p": None}
    wanted = request(Call(Kind.CHAT, "fast", body), "local/m", slots=8)
    assert not wanted.is_mended
    assert wanted.body == {"model": "local/m", "messages": body["messages"], "n": 1}
    assert body["model"] == "fast"


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "Field 'stop': no", Invalid),
        (500, "image input is not supported", Invalid),
        (500, "out of memory", Upstream),
        (503, "Loading model", Upstream),
    ],
)
def test_refusals_are_told_apart_from_failures(status: int, message: str, kind: type[Exception]) -> None:
    said = json.dumps({"error": {"code": status, "message": message}}).encode()
    assert isinstance(failed("local/m", Kind.CHAT, status, said), kind)
    assert isinstance(failed("local/m", Kind.CHAT, 500, b"\xffnot json"), Upstream)
