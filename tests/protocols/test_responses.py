from __future__ import annotations

import itertools
import pathlib
from dataclasses import replace
from typing import Any

import httpx2
import llm_comply
import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from llm_comply.config import ComplianceConfig
from llm_comply.schema import SSE_EVENT_TO_SCHEMA, SpecLoader
from llm_comply.test_case import TestCase as Case
from llm_comply.test_case import ValidatorContext
from llm_comply.tests.open_responses import OPEN_RESPONSES_TESTS
from openai import APIError, OpenAI

from intermodel.core import Fault, Invalid, Upstream, Usage
from intermodel.protocols import Resumed
from intermodel.protocols.chat import chunk_of
from intermodel.protocols.responses import Responses, error_event
from intermodel.protocols.responses_watch import ResponsesWatch, resumed, usage_of
from tests.protocols.conversations import TEXT, answer, assistant, essence, folded, requests

RESPONSES = Responses()
HEAD = ("chatcmpl-9", 1, "m")
ASKED: dict[str, Any] = {"model": "m", "input": "hi"}
USAGE = {
    "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}  # fmt: skip
USED = Usage(input=9, output=5, cached_input=4, cache_write=1, reasoning=2)
TOOL = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
SPEC = SpecLoader(str(pathlib.Path(llm_comply.__file__).parent / "specs" / "openresponses.json"))
OPENAIS_NAMES = {
    f"response.reasoning_{place}.{what}" for place in ("text", "summary_text") for what in ("delta", "done")
}
"""Events that Open Responses calls otherwise than OpenAI's clients do."""


def to_chat(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return RESPONSES.request_to_chat({"model": "m", "input": list(items), **more})


def message(role: str, *parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def spoken(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text}


def pieces(text: str) -> list[str]:
    return [piece for piece in (text[:2], text[2:]) if piece]


def streamed(said: dict[str, Any], finish: str = "stop", usage: dict[str, Any] | None = USAGE) -> list[dict[str, Any]]:
    """The chunks in which a server would send a message."""
    chunks = [chunk_of(HEAD, {"role": "assistant", "content": ""})]
    chunks += [chunk_of(HEAD, {"reasoning_content": text}) for text in pieces(said.get("reasoning_content") or "")]
    chunks += [chunk_of(HEAD, {"reasoning_signature": text}) for text in pieces(said.get("reasoning_signature") or "")]
    chunks += [chunk_of(HEAD, {"content": text}) for text in pieces(said.get("content") or "")]
    chunks += [chunk_of(HEAD, {"refusal": text}) for text in pieces(said.get("refusal") or "")]
    for i, call in enumerate(said.get("tool_calls") or ()):
        function = call["function"]
        first = call | {"index": i, "function": {"name": function["name"], "arguments": ""}}
        chunks.append(chunk_of(HEAD, {"tool_calls": [first]}))
        deltas = [{"index": i, "function": {"arguments": text}} for text in pieces(function["arguments"])]
        chunks += [chunk_of(HEAD, {"tool_calls": [delta]}) for delta in deltas]
    chunks.append(chunk_of(HEAD, {}, finish))
    return [*chunks, chunk_of(HEAD, usage=usage)] if usage else chunks


def events_of(data: bytes) -> list[dict[str, Any]]:
    """The events of whole bytes, whose names must say their types and whose end must be the end mark."""
    *blocks, done, end = data.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    events = []
    for block in blocks:
        name, text = block.split(b"\n")
        events.append(event := orjson.loads(text.removeprefix(b"data: ")))
        assert name == b"event: " + event["type"].encode()
    return events


def encoded(chunks: list[dict[str, Any]], asked: dict[str, Any] = ASKED) -> bytes:
    encoder = RESPONSES.encoder(asked)
    return encoder.feed(chunks[:2]) + b"".join(encoder.feed([chunk]) for chunk in chunks[2:]) + encoder.end()


# requests


def test_a_string_with_instructions() -> None:
    chat = RESPONSES.request_to_chat({"model": "m", "input": "hi", "instructions": "Be brief.", "store": False})
    assert chat == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    }


def test_what_the_model_said_in_one_turn_is_one_message_again() -> None:
    thoughts = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}", "id": "fc_1"}
    result = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "rain"}]}
    said = to_chat(
        {"role": "user", "content": "?"},
        thoughts | {"encrypted_content": "A"},
        message("assistant", spoken("I "), spoken("look.")),
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "!"}], "encrypted_content": " 2:B"},
        call,
        call | {"call_id": "c2"},
        result,
        result | {"call_id": "c2", "output": "snow"},
        message("assistant", {"type": "refusal", "refusal": "no"}),
    )["messages"]
    function = {"name": "weather", "arguments": "{}"}
    assert said[1] == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": "hm!",
        "reasoning_signature": "A 2:B",
        "tool_calls": [{"id": name, "type": "function", "function": function} for name in ("c1", "c2")],
    }
    assert said[2:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": "snow"},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]


def test_messages_of_the_model_that_follow_each_other_stay_apart() -> None:
    said = to_chat(
        {"role": "assistant", "phase": "commentary", "content": "one"},
        {"role": "assistant", "phase": "final_answer", "content": "two"},
    )["messages"]
    assert [one["content"] for one in said] == ["one", "two"]


def test_nothing_comes_between_calls_and_their_results() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
    said = to_chat(message("assistant", spoken("a")), call, message("assistant", spoken("b")))["messages"]
    assert [(one["content"], len(one["tool_calls"])) for one in said] == [("a\n\nb", 1)]


def test_parts() -> None:
    said = to_chat(
        message(
            "user",
            {"type": "input_text", "text": "see"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        ),
        message("developer", {"type": "input_text", "text": "x"}),
    )["messages"]
    assert said == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            ],
        },
        {"role": "system", "content": "x"},
    ]


def test_settings() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    chat = RESPONSES.request_to_chat(
        ASKED | {
            "max_output_tokens": 50, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 3, "stream": True,
            "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": schema, "verbosity": "low"},
            "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "tools": [TOOL],
            "parallel_tool_calls": False, "metadata": {"a": "b"}, "truncation": "disabled", "background": False,
            "tool_choice": {"type": "function", "name": "weather"}, "prompt_cache_key": "k", "max_tool_calls": 2,
            "stream_options": {"include_obfuscation": False}, "previous_response_id": None,
        }
    )  # fmt: skip
    del chat["messages"]
    assert chat == {
        "model": "m", "max_completion_tokens": 50, "temperature": 0.5, "top_p": 0.9, "logprobs": True,
        "top_logprobs": 3, "stream": True, "stream_options": {"include_usage": True}, "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {k: v for k, v in schema.items() if k != "type"}},
        "verbosity": "low", "parallel_tool_calls": False, "prompt_cache_key": "k",
        "tools": [{"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }  # fmt: skip


def test_of_allowed_tools_only_those_are_given() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}
    chat = RESPONSES.request_to_chat(ASKED | {"tools": [TOOL, TOOL | {"name": "b"}], "tool_choice": choice})
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["b"]
    assert chat["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"seed": 7}, "seed"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"new": 1}}, "reasoning.new"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools.0.defer_loading"),
        ({"tools": [TOOL], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0"),
        ({"input": [{"id": "msg_1"}]}, "input.0"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input.0.type"),
        ({"input": [message("user", {"type": "input_image", "file_id": "f"})]}, "input.0.content.0.file_id"),
        ({"input": [message("user", {"type": "input_file", "file_url": "u"})]}, "input.0.content.0.file_url"),
        ({"input": [message("user", {"type": "input_video", "text": "u"})]}, "input.0.content.0.type"),
        ({"input": [message("assistant", {"type": "input_image"})]}, "input.0.content.0.type"),
        ({"input": [message("user", {"type": "input_text", "text": "a", "new": 1})]}, "input.0.content.0.new"),
        ({"input": [message("user") | {"new": 1}]}, "input.0.new"),
    ],
)
def test_what_has_no_place_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        RESPONSES.request_to_chat(ASKED | more)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


@given(
    st.recursive(
        st.none() | st.text(max_size=3) | st.integers(-(2**63), 2**64 - 1),
        lambda s: st.lists(s) | st.dictionaries(TEXT, s),
    )
)
def test_a_request_of_any_shape_is_told_what_is_wrong_with_it(given: Any) -> None:
    for place in ("input", "tools", "text", "tool_choice", "reasoning"):
        try:
            RESPONSES.request_to_chat(ASKED | {place: given})
        except Invalid:
            continue


# answers


def test_a_whole_answer() -> None:
    said = {"role": "assistant", "content": "hi", "reasoning_content": "hm", "reasoning_signature": "S"}
    whole = RESPONSES.answer_from_chat(answer(said | {"tool_calls": [CALL]}, "tool_calls", USAGE), ASKED)
    assert (whole["id"], whole["status"], whole["store"], whole["error"]) == ("resp_c", "completed", False, None)
    thoughts, words, call = whole["output"]
    assert thoughts == {
        "type": "reasoning", "id": "rs_c_0", "summary": [], "encrypted_content": "S",
        "content": [{"type": "reasoning_text", "text": "hm"}],
    }  # fmt: skip
    assert words["content"] == [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]
    assert call == {
        "type": "function_call", "id": "fc_c_2", "call_id": "c1", "name": "weather",
        "arguments": CALL["function"]["arguments"], "status": "completed",
    }  # fmt: skip
    assert usage_of(whole["usage"]) == USED


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut(finish: str, reason: str) -> None:
    whole = RESPONSES.answer_from_chat(answer({"role": "assistant", "content": "hi"}, finish, USAGE), ASKED)
    assert (whole["status"], whole["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert whole["output"][0]["status"] == "incomplete"
    assert whole["completed_at"] is None


def test_an_empty_answer_is_an_empty_message() -> None:
    whole = RESPONSES.answer_from_chat(answer({"role": "assistant", "content": None}, "stop", USAGE), ASKED)
    assert [part["text"] for part in whole["output"][0]["content"]] == [""]


@given(assistant(), st.sampled_from(["stop", "length"]), st.booleans())
def test_a_stream_tells_what_the_whole_answer_does(said: dict[str, Any], finish: str, summary: bool) -> None:
    asked = ASKED | ({"reasoning": {"summary": "auto"}} if summary else {})
    whole = RESPONSES.answer_from_chat(answer(said, finish, USAGE) | {"id": HEAD[0]}, asked)
    events = events_of(encoded(streamed(said, finish), asked))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["response"] | {"completed_at": 0} == whole | {"completed_at": 0}
    items = {e["output_index"]: e["item"] for e in events if e["type"] == "response.output_item.done"}
    assert [items[i] for i in sorted(items)] == whole["output"]


@given(assistant())
def test_what_is_streamed_comes_back_as_the_message_that_it_was(said: dict[str, Any]) -> None:
    output = events_of(encoded(streamed(said)))[-1]["response"]["output"]
    assert to_chat(*output)["messages"] == [said]


def test_deltas_add_up_and_each_part_is_opened_and_closed_once() -> None:
    said = {"reasoning_content": "thinking", "content": "words", "refusal": "but no", "tool_calls": [CALL]}
    events = events_of(encoded(streamed(said)))
    texts: dict[str, str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            texts[event["type"]] = texts.get(event["type"], "") + event["delta"]
        elif event["type"].removesuffix(".done") + ".delta" in texts:
            told = event.get("text") or event.get("refusal") or event.get("arguments")
            assert told == texts[event["type"].removesuffix(".done") + ".delta"]
    assert len(texts) == 4
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds.count("output_item.added") == kinds.count("output_item.done") == 3
    assert kinds.count("content_part.added") == kinds.count("content_part.done") == 3
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds[-1] == "completed"


def test_calls_that_a_server_does_not_number_or_interleaves_are_told_apart() -> None:
    deltas: list[dict[str, Any]] = [
        {"id": "a", "function": {"name": "x", "arguments": "{}"}},
        {"id": "b", "function": {"name": "y", "arguments": "{}"}},
        {"index": 0, "id": "c", "function": {"name": "z", "arguments": "{"}},
        {"index": 1, "id": "d", "function": {"name": "z", "arguments": "["}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "function": {"arguments": "]"}},
    ]
    chunks = [chunk_of(HEAD, {"tool_calls": [delta]}) for delta in deltas] + [chunk_of(HEAD, {}, "tool_calls")]
    output = events_of(encoded(chunks))[-1]["response"]["output"]
    assert [(call["call_id"], call["arguments"]) for call in output] == [
        ("a", "{}"),
        ("b", "{}"),
        ("c", "{}"),
        ("d", "[]"),
    ]


def test_logprobs() -> None:
    given = {"token": "é", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "e", "logprob": -1.0}]}
    chunk = chunk_of(HEAD, {"content": "é"})
    chunk["choices"][0]["logprobs"] = {"content": [given]}
    events = events_of(encoded([chunk, chunk_of(HEAD, {}, "stop")]))
    told = {
        "token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9],
        "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": [0x65]}],
    }  # fmt: skip
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == [[told]]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [told]


def test_other_choices_are_passed_over() -> None:
    other = chunk_of(HEAD, {"content": "no"})
    other["choices"][0]["index"] = 1
    output = events_of(encoded([other, *streamed({"content": "yes"})]))[-1]["response"]["output"]
    assert [item["content"][0]["text"] for item in output] == ["yes"]


# going on, and failing


@given(TEXT, TEXT)
def test_a_resumed_stream_goes_on_as_if_nothing_had_been(before: str, after: str) -> None:
    first = RESPONSES.encoder(ASKED)
    seen = first.feed([chunk_of(HEAD, {"content": before})])
    found = first.resumed()
    assert found == Resumed("resp_9", "m", 1, before, 4)
    assert found == resumed(seen)
    other = ("chatcmpl-other", 2, "other")
    second = RESPONSES.encoder(ASKED, found)
    rest = [chunk_of(other, {"role": "assistant"}), chunk_of(other, {"content": after}), chunk_of(other, {}, "stop")]
    events = events_of(seen + second.feed(rest) + second.end())
    one = events_of(encoded([chunk_of(HEAD, {"content": text}) for text in (before, after)]))
    for event in (events[-1], one[-1]):
        event["response"]["completed_at"] = 0
    assert events == one


def test_a_stream_that_showed_no_words_is_resumed_with_its_first() -> None:
    first = RESPONSES.encoder(ASKED)
    seen = first.feed([chunk_of(HEAD, {"role": "assistant"})])
    second = RESPONSES.encoder(ASKED, first.resumed())
    rest = second.feed(streamed({"content": "hi"})) + second.end()
    assert events_of(seen + rest)[-1]["response"]["output"][0]["content"][0]["text"] == "hi"


@pytest.mark.parametrize("more", [{"reasoning_content": "hm"}, {"refusal": "no"}, {"tool_calls": [CALL]}])
def test_more_than_words_cannot_be_resumed(more: dict[str, Any]) -> None:
    encoder = RESPONSES.encoder(ASKED)
    seen = encoder.feed([chunk_of(HEAD, {"content": "a"} | more)])
    assert encoder.resumed() is None
    assert resumed(seen) is None


def test_nothing_and_a_finished_stream_cannot_be_resumed() -> None:
    encoder = RESPONSES.encoder(ASKED)
    assert encoder.resumed() is None
    assert resumed(b"") is None
    seen = encoder.feed(streamed({"content": "a"}))
    assert encoder.resumed() is None
    assert resumed(seen) is None


def test_a_stream_that_fails() -> None:
    encoder = RESPONSES.encoder(ASKED)
    seen = encoder.feed([chunk_of(HEAD, {"content": "half"})])
    events = events_of(seen + encoder.failed("It broke.", "upstream_broken"))
    assert events[-1]["type"] == "response.failed"
    assert events[-1]["sequence_number"] == 5
    assert events[-1]["response"]["error"] == {"code": "upstream_broken", "message": "It broke."}
    assert events[-1]["response"]["output"][0]["status"] == "incomplete"
    assert events_of(RESPONSES.encoder(ASKED).failed("no", "x"))[0]["type"] == "response.created"


# what others say of it


def client(data: bytes) -> OpenAI:
    def respond(_: httpx2.Request) -> httpx2.Response:
        kind = "application/json" if data.startswith(b"{") else "text/event-stream"
        return httpx2.Response(200, headers={"Content-Type": kind}, content=data)

    return OpenAI(
        base_url="http://node.test/v1",
        api_key="k",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(respond)),
    )


@settings(deadline=None)  # the client's first use is slow
@given(assistant(), st.booleans())
def test_openais_client_puts_the_same_response_together(said: dict[str, Any], summary: bool) -> None:
    asked: dict[str, Any] = {"reasoning": {"summary": "auto"}} if summary else {}
    data = encoded(streamed(said), ASKED | asked)
    with client(data).responses.stream(model="m", input="hi", **asked) as stream:
        final = stream.get_final_response()
    assert final.output_text == (said["content"] or "")
    calls = [item.arguments for item in final.output if item.type == "function_call"]
    assert calls == [call["function"]["arguments"] for call in said.get("tool_calls", ())]
    thoughts = [
        part.text for item in final.output if item.type == "reasoning" for part in (item.content or item.summary)
    ]
    assert "".join(thoughts) == said.get("reasoning_content", "")
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens == 2
    whole = RESPONSES.answer_from_chat(answer(said, "stop", USAGE), ASKED)
    assert client(orjson.dumps(whole)).responses.create(model="m", input="hi").output_text == final.output_text


def test_openais_client_raises_an_error_of_a_stream() -> None:
    data = RESPONSES.encoder(ASKED).feed(streamed({"content": "half"})[:3])
    broken = data + error_event("It broke.", "upstream_broken", sequence=4)
    with pytest.raises(APIError, match="It broke"):
        list(client(broken).responses.create(model="m", input="hi", stream=True))


CASES = [case for case in OPEN_RESPONSES_TESTS if case.endpoint == "/responses" and case.schema_name]


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # llm-comply's own affair
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_the_open_responses_specification(case: Case) -> None:
    asked = case.build_request(ComplianceConfig(base_url="", api_key="", model="gpt-5"))
    chat = RESPONSES.request_to_chat(asked)
    said: dict[str, Any] = {"role": "assistant", "content": "hi", "reasoning_content": "hm"}
    said |= {"tool_calls": [CALL]} if chat.get("tools") else {}
    whole = RESPONSES.answer_from_chat(answer(said, "stop", USAGE), asked)
    events = events_of(encoded(streamed(said), asked))
    for event in events:
        if event["type"] not in OPENAIS_NAMES:
            assert event["type"] in SSE_EVENT_TO_SCHEMA
            assert SPEC.validate_sse_event(event["type"], event) == []
    context = ValidatorContext(streaming=True, sse_events=[{"type": e["type"], "data": e} for e in events])
    for response in (whole, events[-1]["response"]):
        assert SPEC.validate(response, "ResponseResource") == []
        for validator in case.validators:
            assert validator(response, context) == []


# watching


@given(assistant(), st.data())
def test_a_watch_sees_the_same_however_the_stream_is_cut(said: dict[str, Any], data: st.DataObject) -> None:
    stream = encoded(streamed(said))
    at = data.draw(st.integers(0, len(stream)))
    watch = ResponsesWatch()
    assert watch.feed(stream[:at]) + watch.feed(stream[at:]) + watch.end() == stream
    assert (watch.usage, watch.failed, watch.done) == (replace(USED, tier="default"), False, True)


def test_a_watch_counts_and_tells_what_failed() -> None:
    encoder = RESPONSES.encoder(ASKED)
    watch = ResponsesWatch()
    assert watch.sequence == -1
    watch.feed(encoder.feed([chunk_of(HEAD, {"content": '"sequence_number": 99 "type":"error"'})]))
    assert watch.sequence == encoder.sequence == 4
    assert not watch.failed
    watch.feed(encoder.failed("no", "x"))
    assert (watch.failed, watch.done) == (True, False)
    assert watch.end() == b""


def test_a_watch_reads_other_line_ends_and_a_forgotten_one() -> None:
    stream = encoded(streamed({"content": "hi"})).removesuffix(b"data: [DONE]\n\n")
    for data in (stream.replace(b"\n", b"\r\n"), stream.removesuffix(b"\n\n")):
        watch = ResponsesWatch()
        watch.feed(data)
        watch.end()
        assert (watch.usage, watch.done) == (replace(USED, tier="default"), True)


def test_a_stream_that_breaks_off_does_not_look_whole() -> None:
    watch = ResponsesWatch()
    watch.feed(RESPONSES.encoder(ASKED).feed(streamed({"content": "half"})[:3]))
    with pytest.raises(Upstream, match="middle"):
        watch.end()


def test_where_a_stream_begins() -> None:
    chunks = streamed({"content": "hi"})
    opening = RESPONSES.encoder(ASKED).feed(chunks[:1])
    assert not ResponsesWatch().begun(b"")
    assert not ResponsesWatch().begun(opening)
    assert ResponsesWatch().begun(RESPONSES.encoder(ASKED).feed(chunks[:2]))
    assert ResponsesWatch().begun(encoded(streamed({})))
    error = {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "sequence_number": 0}
    for failure in (b"data: %b\n\n" % orjson.dumps(error), RESPONSES.encoder(ASKED).failed("slow down", "x")):
        with pytest.raises(Upstream, match="slow down") as caught:
            ResponsesWatch().begun(failure)
        assert caught.value.fault is Fault.BROKEN
    with pytest.raises(Upstream):
        ResponsesWatch().begun(b"data: <html>\n\n")


# upstreams that are asked in them


def from_chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return RESPONSES.request_from_chat({"model": "m", "messages": list(messages), **more})


@given(requests())
def test_a_chat_request_comes_back_as_it_was(body: dict[str, Any]) -> None:
    body.pop("stop", None)
    roles = [message["role"] for message in body["messages"]]
    assume(("assistant", "assistant") not in itertools.pairwise(roles))  # there, they are one turn
    back = RESPONSES.request_to_chat(RESPONSES.request_from_chat(body))
    for tool in back.get("tools", ()):
        assert tool["function"].pop("strict") is False
    usage = {"stream_options": {"include_usage": True}} if body.get("stream") else {}
    silent = {} if body.get("stream", True) else {"stream": False}
    assert back | silent == _pictures_in_full(body) | usage


def _pictures_in_full(body: dict[str, Any]) -> dict[str, Any]:
    """The same, with the detail that goes without saying said."""
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else ():
            if part["type"] == "image_url":
                part["image_url"]["detail"] = "auto"
    return body


def test_a_chat_request() -> None:
    asked = from_chat(
        {"role": "user", "content": [{"type": "file", "file": {"filename": "a", "file_data": "data:b"}}]},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "refusal": "b", "reasoning_signature": "S"},
        {"role": "assistant", "content": "c", "reasoning_signature": "google.call:S"},
        max_tokens=5, logprobs=True, top_logprobs=2, verbosity="low", reasoning_effort="low", n=1, store=True,
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}, stop=[], metadata=None,
    )  # fmt: skip
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": CALL["function"]["arguments"]}
    assert asked == {
        "model": "m", "store": False, "max_output_tokens": 5, "top_logprobs": 2, "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}}},
        "input": [
            message("user", {"type": "input_file", "filename": "a", "file_data": "data:b"}),
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            call,
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"type": "reasoning", "summary": [], "encrypted_content": "S"},
            message("assistant", spoken("a"), {"type": "refusal", "refusal": "b"}),
            message("assistant", spoken("c")),
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"stop": "x"}, "stop"),
        ({"seed": 1}, "seed"),
        ({"n": 2}, "n"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"tools": [{"type": "custom"}]}, "tools.0.type"),
        ({"tool_choice": {"type": "custom"}}, "tool_choice.type"),
        ({"messages": [{"role": "function", "content": ""}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "", "name": "Ann"}]}, "messages.0.name"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]}, "messages.0.tool_calls.0.type"),
    ],
)
def test_what_has_no_place_there_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_chat(**({"messages": []} | more))
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


@given(assistant(), st.sampled_from(["stop", "length", "content_filter"]), st.booleans(), st.data())
def test_what_is_said_in_responses_is_read_from_them(
    said: dict[str, Any], finish: str, summary: bool, data: st.DataObject
) -> None:
    asked = ASKED | ({"reasoning": {"summary": "auto"}} if summary else {})
    finish = "tool_calls" if finish == "stop" and said.get("tool_calls") else finish
    chat = answer(said, finish, USAGE) | {"id": HEAD[0]}
    whole = RESPONSES.answer_to_chat(RESPONSES.answer_from_chat(chat, asked))
    assert essence(whole) == essence(chat)
    choice = whole["choices"][0]
    assert (choice["logprobs"], choice["message"]["refusal"]) == (None, None)
    stream = encoded(streamed(said, finish), asked)
    at = data.draw(st.integers(0, len(stream)))
    decoder = RESPONSES.decoder()
    chunks = decoder.feed(stream[:at]) + decoder.feed(stream[at:]) + decoder.end()
    assert folded(chunks) == essence(chat)


def read(*events: dict[str, Any]) -> list[dict[str, Any]]:
    decoder = RESPONSES.decoder()
    head = {"id": "resp_1", "created_at": 1.0, "model": "m"}
    begun = {"type": "response.created", "response": head}
    return decoder.feed(b"".join(b"data: %b\n\n" % orjson.dumps(event) for event in (begun, *events))) + decoder.end()


ENDED = {"type": "response.completed", "response": {"status": "completed", "output": []}}


def test_a_stream_of_another_server() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": ""}
    logprob = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    chunks = read(
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}},
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "one"},
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 1},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "two"},
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "the same again"},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "a", "logprobs": [logprob]},
        {"type": "response.refusal.delta", "output_index": 1, "delta": "no"},
        {"type": "response.output_item.added", "output_index": 2, "item": call},
        {"type": "response.output_item.done", "output_index": 2, "item": call | {"arguments": "{}"}},
        {"type": "response.unknown"},
        ENDED,
    )
    message = folded(chunks)["message"]
    assert (message["reasoning_content"], message["content"], message["refusal"]) == ("one\n\ntwo", "a", "no")
    assert message["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}
    assert [c["choices"][0]["logprobs"]["content"] for c in chunks if "logprobs" in c["choices"][0]] == [[logprob]]


FILTERED = {"type": "response.failed", "response": {"error": {"code": "content_filter", "message": "oh"}}}
SEARCHES = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}}


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([{"type": "error", "code": "server_error", "message": "oh"}], Fault.BROKEN),
        ([FILTERED], Fault.FILTERED),
        ([SEARCHES], Fault.UNSUPPORTED),
        ([{"type": "response.output_text.delta"}], Fault.BROKEN),
        ([], Fault.BROKEN),
    ],
)
def test_streams_that_are_none(events: list[dict[str, Any]], fault: Fault) -> None:
    with pytest.raises(Upstream) as caught:
        read(*events)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"error": {"code": "content_filter", "message": "oh"}, "status": "failed"}, Fault.FILTERED),
        ({"status": "in_progress"}, Fault.BROKEN),
        ({"output": [{"type": "web_search_call"}]}, Fault.UNSUPPORTED),
        ({"output": [{"type": "message"}]}, Fault.BROKEN),
        ({"output": 7}, Fault.BROKEN),
    ],
)
def test_answers_that_are_none(more: dict[str, Any], fault: Fault) -> None:
    whole = RESPONSES.answer_from_chat(answer({"role": "assistant", "content": "a"}, "stop", USAGE), ASKED)
    with pytest.raises(Upstream) as caught:
        RESPONSES.answer_to_chat(whole | more)
    assert caught.value.fault is fault
