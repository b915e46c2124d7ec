from __future__ import annotations

import contextlib
import itertools
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Fault, Invalid, Kind, Upstream, Usage
from intermodel.protocols import Resumed, sse, usage_in
from intermodel.protocols.anthropic import Messages
from intermodel.protocols.anthropic_answer import usage_of
from intermodel.protocols.anthropic_from_chat import OUTPUT_TOKENS
from intermodel.protocols.anthropic_thinking import blocks, sealed
from intermodel.protocols.anthropic_watch import MessagesWatch
from intermodel.protocols.chat import ChatEncoder, chunk_of, usage_of_counts
from intermodel.protocols.openai_watch import OpenAIWatch
from intermodel.protocols.sse import Events
from tests import anthropic_server as server
from tests.protocols.conversations import (
    SIGNATURE,
    TEXT,
    answer,
    assistant,
    essence,
    folded,
    image_part,
    in_full,
    requests,
    spoilt,
    text_part,
)

MESSAGES = Messages()
HEAD = ("c", 1, "m")
ASKED = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
MODELS = ["plain", *server.ANSWERS]
USED = Usage(input=123, output=7, cached_input=100, cache_write=20, reasoning=2)
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


def from_chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return MESSAGES.request_from_chat({"model": "m", "messages": list(messages), **more})


def to_chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return MESSAGES.request_to_chat({"model": "m", "max_tokens": 9, "messages": list(messages), **more})


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def decoded(data: bytes, at: int = 0) -> list[dict[str, Any]]:
    decoder = MESSAGES.decoder()
    return decoder.feed(data[:at]) + decoder.feed(data[at:]) + decoder.end()


def said_in(model: str) -> list[dict[str, Any]]:
    return [orjson.loads(data) for _, data in Events().feed(stream(model))]


def stream(model: str) -> bytes:
    return b"".join(server.events(server.message(model)))


# requests


@given(requests())
def test_a_chat_request_comes_back_as_it_was(body: dict[str, Any]) -> None:
    assert MESSAGES.request_to_chat(MESSAGES.request_from_chat(body)) == body


def test_results_of_parallel_calls_are_one_turn_and_keep_their_order() -> None:
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": "t", "arguments": ""}} for i in (1, 2)]
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": f"r{i}"} for i in (2, 1)]
    said = from_chat(
        {"role": "user", "content": "go"}, {"role": "assistant", "content": "", "tool_calls": calls}, *results
    )["messages"]
    assert [block["input"] for block in said[1]["content"]] == [{}, {}]
    assert [(block["tool_use_id"], block["content"]) for block in said[2]["content"]] == [("c2", "r2"), ("c1", "r1")]
    assert len(said) == 3


def test_results_and_words_in_one_turn_become_messages_in_their_order() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [text_part("r")], "cache_control": {}}
    empty = {"type": "tool_result", "tool_use_id": "c2"}
    failed = {"type": "tool_result", "tool_use_id": "c3", "is_error": True, "content": "no such city"}
    said = to_chat(user(result, empty, failed, text_part("well?")))["messages"]
    assert said == [
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "tool", "tool_call_id": "c3", "content": "Error: no such city"},
        {"role": "user", "content": "well?"},
    ]


def test_a_failed_result_of_several_blocks_says_so_first() -> None:
    failed = {"type": "tool_result", "tool_use_id": "c", "is_error": True, "content": [text_part("a"), text_part("b")]}
    assert [part["text"] for part in to_chat(user(failed))["messages"][0]["content"]] == ["Error:", "a", "b"]


def test_the_system_prompt() -> None:
    one = {"role": "system", "content": "a"}
    two = {"role": "developer", "content": [text_part("b")]}
    asked = {"role": "user", "content": "?"}
    assert from_chat(one, asked)["system"] == "a"
    assert from_chat(one, two, asked)["system"] == [text_part("a"), text_part("b")]
    assert "system" not in from_chat(asked)
    assert from_chat(asked, one)["messages"][1] == {"role": "system", "content": "a"}
    assert to_chat(asked, one, system=[text_part("x"), text_part("y")])["messages"] == [
        {"role": "system", "content": [text_part("x"), text_part("y")]}, asked, one,
    ]  # fmt: skip


def test_an_instruction_where_anthropic_takes_none_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        from_chat(
            {"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}
        )
    assert caught.value.param == "messages.1.role"


def test_output_tokens() -> None:
    assert MESSAGES.request_from_chat(CHAT)["max_tokens"] == OUTPUT_TOKENS
    assert MESSAGES.request_from_chat(CHAT | {"max_tokens": 5})["max_tokens"] == 5
    assert MESSAGES.request_from_chat(CHAT | {"max_tokens": 5, "max_completion_tokens": 6})["max_tokens"] == 6


def test_cache_marks_of_a_chat_client_are_kept_and_those_of_messages_left_out() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    asked = from_chat(user(text_part("a") | mark, image_part("https://x/y")), tools=[TOOL | mark])
    assert asked["messages"][0]["content"][0] == text_part("a") | mark
    assert asked["tools"][0]["cache_control"] == mark["cache_control"]
    said = to_chat(user(text_part("a") | mark, text_part("b")), system=[text_part("s") | mark], cache_control=mark)
    assert b"cache_control" not in orjson.dumps(said)


def test_images_and_documents() -> None:
    png = image_part("data:image/png;base64,AAAA")
    png["image_url"]["detail"] = "high"
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
    said = from_chat(user(text_part("see"), png, file))["messages"][0]["content"]
    assert said[1] == {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert said[2] == {"type": "document", "source": PDF, "title": "a.pdf"}
    assert to_chat(user(*said))["messages"][0]["content"][2] == file
    assert to_chat(user(said[2] | {"title": None}))["messages"][0]["content"][0]["file"]["filename"] == "document.pdf"


def test_thinking_and_effort() -> None:
    asked = MESSAGES.request_from_chat(CHAT | {"reasoning_effort": "low"})
    assert asked["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert asked["output_config"] == {"effort": "low"}
    off = {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}
    assert MESSAGES.request_to_chat(ASKED | off)["reasoning_effort"] == "none"
    assert "reasoning_effort" not in MESSAGES.request_to_chat(ASKED | {"thinking": {"type": "adaptive"}})


def test_the_old_name_of_structured_outputs() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    old, new = (
        MESSAGES.request_to_chat(ASKED | more)
        for more in ({"output_format": form}, {"output_config": {"format": form}})
    )
    assert old == new
    assert old["response_format"]["json_schema"]["schema"] == form["schema"]


def test_names_of_users() -> None:
    assert MESSAGES.request_to_chat(ASKED | {"metadata": {"user_id": "u" * 64}})["user"] == "u" * 64
    assert len(MESSAGES.request_to_chat(ASKED | {"metadata": {"user_id": "u" * 65}})["user"]) == 64
    assert MESSAGES.request_from_chat(CHAT | {"safety_identifier": "s"})["metadata"] == {"user_id": "s"}


def test_ids_that_anthropic_would_not_take_are_named_anew_at_each_place() -> None:
    call = {"id": "functions.get:0", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "functions.get:0", "content": "r"}
    said = from_chat({"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call]}, result)["messages"]
    assert said[1]["content"][0]["id"] == said[2]["content"][0]["tool_use_id"]
    assert said[1]["content"][0]["id"].startswith("call_")


def test_what_changes_no_answer_is_left_out() -> None:
    more = {"store": False, "metadata": {"a": "b"}, "stream_options": {"include_usage": True}, "prompt_cache_key": "k",
            "n": 1, "logprobs": False, "seed": None, "logit_bias": {}, "presence_penalty": 0, "modalities": ["text"],
            "response_format": {"type": "text"}, "parallel_tool_calls": False}  # fmt: skip
    assert MESSAGES.request_from_chat(CHAT | more) == MESSAGES.request_from_chat(CHAT)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 1.1}, "temperature"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"seed": 0}, "seed"),
        ({"logit_bias": {"1": 2.0}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"audio": {"voice": "v"}}, "audio"),
        ({"functions": [{}]}, "functions"),
        ({"stop": ["\n"]}, "stop"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "minimal"}, "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "description": "d"}}},
            "response_format.json_schema.description",
        ),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "a.b"}}]}, "tools.0.function.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"invented": 1}, "invented"),
    ],
)
def test_fields_without_a_place_in_messages(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        MESSAGES.request_from_chat(CHAT | more)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "function", "name": "f", "content": "x"}, "messages.1.role"),
        ({"role": "user", "content": "x", "name": "n"}, "messages.1.name"),
        (user({"type": "input_audio", "input_audio": {}}), "messages.1.content.0.type"),
        (user(image_part("x") | {"image_url": {"url": "https://x", "detail": "low"}}),
         "messages.1.content.0.image_url.detail"),
        (user(image_part("data:image/bmp;base64,AA")), "messages.1.content.0.image_url.url"),
        (user({"type": "file", "file": {"file_id": "f"}}), "messages.1.content.0.file.file_id"),
        ({"role": "assistant", "content": "x", "reasoning_content": "r"}, "messages.1.reasoning_content"),
        ({"role": "assistant", "content": "x", "refusal": "r"}, "messages.1.refusal"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "t", "arguments": "[1]"}}]},
         "messages.1.tool_calls.0.function.arguments"),
        ({"role": "tool", "tool_call_id": "c", "content": [image_part("https://x")]}, "messages.1.content.0.type"),
    ],
)  # fmt: skip
def test_messages_without_a_place_in_messages(message: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_chat({"role": "user", "content": "a"}, message)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget"),
        ({"container": "c"}, "container"),
        ({"context_management": {"edits": [{}]}}, "context_management"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"metadata": {"other": "x"}}, "metadata.other"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools.0.type"),
        ({"tools": [{"name": "t", "input_schema": {}, "defer_loading": True}]}, "tools.0.defer_loading"),
        ({"messages": [user({"type": "search_result"})]}, "messages.0.content.0.type"),
        ({"messages": [user({"type": "image", "source": {"type": "file", "file_id": "f"}})]},
         "messages.0.content.0.source.type"),
        ({"messages": [user({"type": "document", "source": PDF, "citations": {"enabled": True}})]},
         "messages.0.content.0.citations"),
        ({"messages": [user({"type": "tool_result", "tool_use_id": "c", "content": [{"type": "image"}]})]},
         "messages.0.content.0.content.0.type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}, "messages.0.content.0.type"),
    ],
)  # fmt: skip
def test_fields_without_a_place_in_chat(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        MESSAGES.request_to_chat(ASKED | more)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


@pytest.mark.parametrize("message", [user({"type": "image_url"}), user(7), {"role": "user", "content": 7}, {}])
def test_what_is_no_request_of_its_form(message: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        from_chat(message)
    with pytest.raises(Invalid):
        to_chat(message)


def test_a_limit_that_is_no_number_of_tokens_is_refused() -> None:
    with pytest.raises(Invalid, match="no number of tokens"):
        MESSAGES.request_from_chat({"model": "m", "max_tokens": 1.9e19, "messages": [{"role": "user", "content": "0"}]})


@given(spoilt(requests()))
def test_whatever_a_chat_client_sends_is_translated_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(Invalid):
        orjson.dumps(MESSAGES.request_from_chat(body))


@given(spoilt(requests().map(MESSAGES.request_from_chat)))
def test_whatever_an_anthropic_client_sends_is_translated_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(Invalid):
        orjson.dumps(MESSAGES.request_to_chat(body))


@given(spoilt(st.sampled_from(MODELS).map(server.message)))
def test_whatever_an_upstream_answers_is_translated_or_its_failure(whole: dict[str, Any]) -> None:
    with contextlib.suppress(Upstream):
        orjson.dumps(MESSAGES.answer_to_chat(whole))


@given(st.integers(0, 6), spoilt(st.sampled_from(MODELS).flatmap(lambda model: st.sampled_from(said_in(model)))))
def test_whatever_an_upstream_streams_is_translated_or_its_failure(place: int, said: dict[str, Any]) -> None:
    events = server.events(server.message("tools"))
    name = said.get("type")
    events.insert(
        place, sse.event(orjson.dumps(said), name.encode() if isinstance(name, str) and name.isidentifier() else b"x")
    )
    data = b"".join(events)
    with contextlib.suppress(Upstream):
        orjson.dumps(decoded(data))
    watch, passed = watched(data)
    assert passed == data
    assert watch.end() == b""


@given(spoilt(st.sampled_from(MODELS).map(lambda model: MESSAGES.answer_to_chat(server.message(model)))))
def test_whatever_a_chat_server_answers_is_translated_or_its_failure(whole: dict[str, Any]) -> None:
    with contextlib.suppress(Upstream):
        orjson.dumps(MESSAGES.answer_from_chat(whole, {}))


@given(spoilt(st.sampled_from(MODELS).flatmap(lambda model: st.sampled_from(decoded(stream(model))))))
def test_whatever_a_chat_server_streams_is_translated_or_its_failure(chunk: dict[str, Any]) -> None:
    encoder = MESSAGES.encoder({})
    with contextlib.suppress(Upstream):
        encoder.feed([chunk])
        encoder.end()


# thinking


BLOCKS = st.lists(
    st.builds(
        lambda t, s: {"type": "thinking", "thinking": t, "signature": s}, TEXT | st.just(""), SIGNATURE | st.just("")
    )
    | SIGNATURE.map(lambda data: {"type": "redacted_thinking", "data": data}),
    min_size=1,
    max_size=4,
)


@given(BLOCKS)
def test_sealed_thinking_comes_back_block_by_block(given: list[dict[str, Any]]) -> None:
    text, seal = sealed(given)
    assert blocks(text, seal) == given
    assert text == "".join(block.get("thinking", "") for block in given)


def test_the_usual_seal_is_the_signature_itself() -> None:
    assert sealed([server.THINKING]) == (server.THINKING["thinking"], server.THINKING["signature"])
    assert blocks("a", "another vendor's seal") == [
        {"type": "thinking", "thinking": "a", "signature": "another vendor's seal"}
    ]


def test_thinking_goes_back_in_the_blocks_in_which_it_came() -> None:
    message = MESSAGES.answer_to_chat(server.message("thinks-twice"))["choices"][0]["message"]
    message = {name: value for name, value in message.items() if value is not None}
    again = from_chat({"role": "user", "content": "a"}, message)["messages"][1]["content"]
    assert again == server.message("thinks-twice")["content"]


# answers and streams


def encoded(chunks: list[dict[str, Any]], asked: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    encoder = MESSAGES.encoder(asked or {})
    events = Events()
    data = b"".join(encoder.feed([chunk]) for chunk in chunks) + encoder.end()
    named = events.feed(data)
    assert all(orjson.loads(said)["type"] == name.decode() for name, said in named)
    return [orjson.loads(said) for _, said in named]


def accumulated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client puts together; blocks must come one after the other."""
    message: dict[str, Any] = events[0]["message"]
    inputs: dict[int, str] = {}
    is_open = False
    for event in events[1:]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        if event["type"] == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            kind = delta.pop("type")
            name, text = delta.popitem()
            if kind == "input_json_delta":
                inputs[event["index"]] = inputs.get(event["index"], "") + text
            else:
                block[name] = text if kind == "signature_delta" else block[name] + text
        is_open = event["type"] in ("content_block_start", "content_block_delta")
        if event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] = event["usage"]
    assert events[-1]["type"] == "message_stop"
    for index, text in inputs.items():
        message["content"][index]["input"] = orjson.loads(text)
    return message


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_folded_is_the_whole_answer(model: str) -> None:
    whole = MESSAGES.answer_to_chat(server.message(model))
    assert folded(decoded(stream(model))) == essence(whole)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_may_be_cut_anywhere(model: str) -> None:
    data = stream(model)
    uncut = decoded(data)
    for i in range(0, len(data), 3):
        assert [c | {"created": 0} for c in decoded(data, i)] == [c | {"created": 0} for c in uncut]


@pytest.mark.parametrize("model", [model for model in MODELS if model != "refuses"])
def test_an_answer_comes_back_from_chat(model: str) -> None:
    whole = server.message(model)
    again = MESSAGES.answer_from_chat(MESSAGES.answer_to_chat(whole), {})
    assert again == in_full(whole)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "refuses"])
def test_a_stream_comes_back_from_chat(model: str) -> None:
    whole = server.message(model)
    again = accumulated(encoded(decoded(stream(model))))
    assert again == in_full(whole)


@pytest.mark.parametrize("model", MODELS)
def test_what_was_answered_can_be_given_back(model: str) -> None:
    """As clients do it: the blocks as they were, also the fields that say nothing."""
    chat = MESSAGES.answer_to_chat(server.message(model))
    turn = {"role": "assistant", "content": MESSAGES.answer_from_chat(chat, {})["content"]}
    (said,) = to_chat(turn)["messages"]
    message = chat["choices"][0]["message"]
    assert (said["content"] or "") == (message["content"] or "")
    assert said.get("tool_calls") == message.get("tool_calls")


def test_a_refusal() -> None:
    chat = MESSAGES.answer_to_chat(server.message("refuses"))["choices"][0]
    assert chat["finish_reason"] == "content_filter"
    assert chat["message"] == {"role": "assistant", "content": "", "refusal": "It could do harm."}
    again = accumulated(encoded(decoded(stream("refuses"))))
    assert again["stop_reason"] == "refusal"
    assert again["stop_details"] == {"type": "refusal", "category": None, "explanation": "It could do harm."}


@given(assistant(), st.integers(1, 7))
def test_a_chat_stream_accumulated_is_its_whole_answer_translated(message: dict[str, Any], size: int) -> None:
    usage = usage_of_counts(9, 5, cached=4, written=1, reasoning=2)
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    whole = MESSAGES.answer_from_chat(answer(message, finish, usage), {})
    assert (
        accumulated(encoded([*_deltas(message, size), chunk_of(HEAD, {}, finish), chunk_of(HEAD, usage=usage)]))
        == whole
    )


def _deltas(message: dict[str, Any], size: int) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "reasoning_signature", "content"):
        text = message.get(name) or ""
        deltas += [{name: text[i : i + size]} for i in range(0, len(text), size)]
    for number, call in enumerate(message.get("tool_calls", ())):
        text = call["function"]["arguments"]
        deltas.append({"tool_calls": [{"index": number, **call, "function": call["function"] | {"arguments": ""}}]})
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        deltas += [{"tool_calls": [{"index": number, "function": {"arguments": part}}]} for part in parts]
    return [chunk_of(HEAD, delta) for delta in deltas]


def test_thoughts_without_a_seal_are_shown_unless_they_are_to_be_omitted() -> None:
    chunks = [chunk_of(HEAD, {"reasoning": "hm"}), chunk_of(HEAD, {"content": "a"}), chunk_of(HEAD, {}, "stop")]
    shown = accumulated(encoded(chunks))["content"]
    spoken = {"type": "text", "text": "a", "citations": None}
    assert shown == [{"type": "thinking", "thinking": "hm", "signature": ""}, spoken]
    hidden = {"thinking": {"type": "adaptive", "display": "omitted"}}
    assert accumulated(encoded(chunks, hidden))["content"] == [spoken]
    message = {"content": "a", "reasoning": "hm"}
    assert MESSAGES.answer_from_chat(answer(message, "stop", {}), {})["content"] == shown
    assert MESSAGES.answer_from_chat(answer(message, "stop", {}), hidden)["content"] == shown[1:]


def test_a_stop_sequence_that_the_server_names() -> None:
    whole = answer({"content": "a"}, "stop", {})
    whole["choices"][0]["stop_reason"] = "END"
    said = MESSAGES.answer_from_chat(whole, {"stop_sequences": ["END"]})
    assert (said["stop_reason"], said["stop_sequence"]) == ("stop_sequence", "END")
    assert MESSAGES.answer_from_chat(whole, {})["stop_reason"] == "end_turn"


def test_calls_whose_arguments_are_no_object() -> None:
    message = {"tool_calls": [{"id": "c", "function": {"name": "t", "arguments": '{"a'}}]}
    assert MESSAGES.answer_from_chat(answer(message, "length", {}), {})["content"] == []
    with pytest.raises(Upstream, match="'t'"):
        MESSAGES.answer_from_chat(answer(message, "tool_calls", {}), {})


def test_servers_that_say_stop_for_calls_and_number_none() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "t", "arguments": "{}"}}
    chunks = [chunk_of(HEAD, {"tool_calls": [call, call | {"id": "b"}]}), chunk_of(HEAD, {}, "stop")]
    said = accumulated(encoded(chunks))
    assert [block["id"] for block in said["content"]] == ["a", "b"]
    assert said["stop_reason"] == "tool_use"
    assert MESSAGES.answer_from_chat(answer({"tool_calls": [call]}, "stop", {}), {})["stop_reason"] == "tool_use"


def test_mixed_calls_are_no_stream() -> None:
    calls = [{"index": i, "id": f"{i}", "function": {"name": "t", "arguments": "{"}} for i in (0, 1)]
    late = {"index": 0, "function": {"arguments": "}"}}
    with pytest.raises(Upstream, match="mixed"):
        encoded([chunk_of(HEAD, {"tool_calls": [*calls, late]})])


def test_a_stream_that_is_gone_on_with() -> None:
    encoder = MESSAGES.encoder({}, Resumed("old", "first", 1, "so far "))
    chunks = decoded(stream("plain"))
    said = [orjson.loads(data) for _, data in Events().feed(encoder.feed(chunks) + encoder.end())]
    assert [event["type"] for event in said] == [
        "content_block_delta", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert {event["index"] for event in said[:3]} == {0}


def test_a_stream_gone_on_with_by_one_that_thinks() -> None:
    encoder = MESSAGES.encoder({}, Resumed("old", "first", 1, "so far "))
    data = encoder.feed(decoded(stream("thinks-twice"))) + encoder.end()
    said = [orjson.loads(data) for _, data in Events().feed(data)]
    started = [event["content_block"]["type"] for event in said if event["type"] == "content_block_start"]
    assert started == ["redacted_thinking", "thinking", "thinking", "tool_use", "tool_use"]
    signatures = [event["delta"]["signature"] for event in said if "signature" in event.get("delta", {})]
    assert signatures == [server.THINKING["signature"], "B=="]


def test_a_call_that_begins_with_its_whole_input() -> None:
    block = server.CALLS[0]
    said = [
        server.event("content_block_start", index=0, content_block=block),
        server.event("content_block_stop", index=0),
        server.event("message_delta", delta={"stop_reason": "tool_use"}, usage={}),
    ]
    chunks = decoded(server.events(server.message("plain"))[0] + b"".join(said))
    assert orjson.loads(folded(chunks)["message"]["tool_calls"][0]["function"]["arguments"]) == block["input"]


def test_streams_that_are_not_whole() -> None:
    for model in ("unfinished", "error-later", "error-first"):
        with pytest.raises(Upstream) as caught:
            decoded(b"".join(server.script(model)))
        assert caught.value.retryable
    assert caught.value.fault is Fault.TIRED
    assert folded(decoded(b"".join(server.script("no-stop"))))["usage"]["total_tokens"] == 130


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"type": "content_block_delta"}', b'{"type": "message_start", "message": 7}']
)
def test_what_is_no_stream(data: bytes) -> None:
    with pytest.raises(Upstream) as caught:
        MESSAGES.decoder().feed(b"data: " + data + b"\n\n")
    assert caught.value.code == "upstream_protocol"


@pytest.mark.parametrize("whole", [{}, {"content": [7]}, {"error": {"message": "no"}}, {"content": None}])
def test_what_is_no_answer(whole: dict[str, Any]) -> None:
    with pytest.raises(Upstream):
        MESSAGES.answer_to_chat(whole)
    with pytest.raises(Upstream):
        MESSAGES.answer_from_chat(whole, {})


# what is watched


def watched(data: bytes, *cuts: int) -> tuple[MessagesWatch, bytes]:
    watch = MessagesWatch()
    ends = [0, *cuts, len(data)]
    return watch, b"".join(watch.feed(data[a:b]) for a, b in itertools.pairwise(ends))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_usage_and_the_end_are_seen_however_the_stream_is_cut(line_end: bytes) -> None:
    data = stream("tools").replace(b"\n", line_end)
    for i in range(len(data)):
        watch, passed = watched(data, i)
        assert passed == data
        assert watch.done
        assert watch.end() == b""
        assert watch.usage == USED


def test_byte_by_byte() -> None:
    data = stream("thinks")
    watch, passed = watched(data, *range(1, len(data)))
    assert (passed, watch.end(), watch.usage) == (data, b"", USED)


def test_what_a_model_says_of_events_is_no_event() -> None:
    text = {"type": "text", "text": '\nevent: error\ndata: {"type":"error"}\n\nevent: message_stop\n\n'}
    data = b"".join(server.events(server.message("plain") | {"content": [text]})[:-2])
    watch, _ = watched(data)
    assert not watch.failed
    assert not watch.done
    with pytest.raises(Upstream, match="in the middle"):
        watch.end()


def test_a_forgotten_end_is_sent_after() -> None:
    watch, _ = watched(b"".join(server.script("no-stop")))
    assert watch.end() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    watch, _ = watched(stream("plain").rstrip())
    assert watch.end() == b"\n\n"
    assert watch.done


def test_errors_in_a_stream() -> None:
    watch, _ = watched(b"".join(server.script("error-later")))
    assert watch.failed
    assert watch.end() == b""
    with pytest.raises(Upstream, match="Overloaded") as caught:
        MessagesWatch().begun(b"".join(server.script("error-first")))
    assert caught.value.fault is Fault.TIRED


def test_where_an_answer_begins() -> None:
    events = server.events(server.message("plain"))
    assert not MessagesWatch().begun(b"".join(events[:3]))
    assert MessagesWatch().begun(b"".join(events[:4]))
    assert MessagesWatch().begun(b"".join(server.script("error-later")))
    tools = server.events(server.message("thinks-twice") | {"content": server.CALLS})
    assert MessagesWatch().begun(b"".join(tools[:3]))
    assert MessagesWatch().begun(b"".join(server.events(server.message("refuses"))))
    assert MessagesWatch().begun(b": junk\n" * 2**16)
    assert not MessagesWatch().begun(b"".join(server.script("error-first"))[:-5])


def test_usage_in_several_events_is_not_added_up() -> None:
    watch, _ = watched(
        server.event("message_start", message={"usage": {"input_tokens": 5, "output_tokens": 1}})
        + server.event("message_delta", delta={}, usage={"output_tokens": 3, "input_tokens": 0})
        + server.event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
        + server.event("message_delta", delta=7)
    )
    assert watch.usage == Usage(input=5, output=9)


def test_usage_of_an_answer() -> None:
    assert usage_of(server.USAGE) == USED
    assert usage_of({}) == usage_of({"input_tokens": None}) == Usage()


KEPT = {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15}


def test_what_is_kept_for_an_hour_is_counted_apart() -> None:
    told = server.USAGE | {"cache_creation": KEPT}
    assert usage_of(told) == replace(USED, cache_write_1h=15)
    assert usage_of(server.USAGE).cache_write_1h is None, "nobody told them apart"
    assert usage_of(server.USAGE | {"cache_creation": {"ephemeral_1h_input_tokens": -1}}).cache_write_1h == 0
    watch, _ = watched(
        server.event("message_start", message={"usage": told | {"output_tokens": 1}})
        + server.event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
        + server.event("message_delta", delta={}, usage={"cache_creation": {"ephemeral_1h_input_tokens": 0}})
    )
    assert watch.usage == replace(USED, cache_write_1h=15)


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({"service_tier": "standard", "inference_geo": "global"}, ""),
        ({"service_tier": "standard", "speed": "standard"}, "standard"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"speed": "fast", "inference_geo": "us"}, "fast+us"),
        ({"inference_geo": "not_available"}, ""),
        ({"service_tier": ["x"]}, "other"),
    ],
)
def test_what_an_answer_was_served_at(told: dict[str, Any], tier: str) -> None:
    assert usage_of(server.USAGE | told).tier == tier


@pytest.mark.parametrize("stream", [False, True])
def test_what_changes_the_price_is_told_in_chat_form_too(stream: bool) -> None:
    usage = server.USAGE | {"cache_creation": KEPT, "service_tier": "standard", "speed": "fast"}
    message = server.message("plain") | {"usage": usage}
    if stream:
        decoder = MESSAGES.decoder()
        *_, last = decoder.feed(b"".join(server.events(message))) + decoder.end()
        watch = OpenAIWatch()
        watch.feed(ChatEncoder({"stream_options": {"include_usage": True}}, None).feed([last]) + b"data: [DONE]\n\n")
        assert watch.usage == replace(USED, cache_write_1h=15, tier="fast")
    else:
        assert usage_in(Kind.CHAT, MESSAGES.answer_to_chat(message)) == replace(USED, cache_write_1h=15, tier="fast")
