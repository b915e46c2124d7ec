from __future__ import annotations

import base64
import itertools
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Fault, Invalid, Upstream, Usage
from intermodel.protocols.anthropic import Messages
from intermodel.protocols.chat import chunk_of
from intermodel.protocols.gemini import Gemini, embeddings_answer
from intermodel.protocols.gemini_conversation import UNSIGNED
from intermodel.protocols.gemini_request import embeddings_requests
from intermodel.protocols.openai_watch import usage_of
from intermodel.protocols.responses import Responses
from tests import gemini_server as server
from tests.protocols.conversations import JSON, SIGNATURE, TEXT, essence, folded, image_part, messages, text_part

GEMINI = Gemini()
MESSAGES = Messages()
ASKED = {"model": "m", "max_tokens": 9, "messages": [], "thinking": {"type": "adaptive"}}
QUESTION = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}
CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "rain"}
MODELS = ["plain", "thinks", "tools", "short", "unsafe"]


def asked(*said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return GEMINI.request_from_chat({"model": "gemini-3-pro", "messages": list(said) or [QUESTION], **more})


def settings(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = asked(**more)["generationConfig"]
    return found


def streamed(data: bytes) -> list[dict[str, Any]]:
    decoder = GEMINI.decoder()
    return decoder.feed(data) + decoder.end()


# requests


def test_a_conversation() -> None:
    said = asked(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [text_part("Be kind.")]},
        QUESTION,
        {"role": "user", "content": [text_part("see"), image_part("data:image/png;base64,iVBORw0K"), text_part("")]},
        {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": [CALL]},
        RESULT,
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": ""},
    )
    call = {"functionCall": {"name": "weather", "args": {"a": 1}, "id": "c1"}, "thoughtSignature": UNSIGNED}
    result = {"functionResponse": {"name": "weather", "response": {"output": "rain"}, "id": "c1"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}
    assert said == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"text": "see"}, image]},
            {"role": "model", "parts": [{"text": "I look."}, call]},
            {"role": "user", "parts": [result]},
            {"role": "model", "parts": [{"text": "no"}]},
        ],
    }


def test_parts_that_are_elsewhere_or_not_pictures() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
    pictures = [image_part("https://example.com/a.JPG?x=1"), image_part("https://example.com/picture")]
    parts = asked({"role": "user", "content": [*pictures, audio, file]})["contents"][0]["parts"]
    assert parts == [
        {"fileData": {"fileUri": "https://example.com/a.JPG?x=1", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://example.com/picture"}},
        {"inlineData": {"mimeType": "audio/mp3", "data": "AA=="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "AA=="}},
    ]


def test_what_a_call_gave_is_an_object() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    for text, response in (('{"t": 3}', {"t": 3}), ("[1]", {"output": "[1]"}), ("", {"output": ""})):
        part = asked(QUESTION, call, RESULT | {"content": text})["contents"][2]["parts"][0]
        assert part["functionResponse"]["response"] == response
    named = asked(QUESTION, {"role": "tool", "name": "weather", "content": "x"})["contents"][0]["parts"][1]
    assert named["functionResponse"]["name"] == "weather"
    with pytest.raises(Invalid, match="no call above") as caught:
        asked(QUESTION, RESULT)
    assert caught.value.param == "messages.1.tool_call_id"


def test_settings() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    given = settings(
        temperature=0.5, top_p=0.9, top_k=5, seed=7, n=2, presence_penalty=0.1, frequency_penalty=0.2, max_tokens=5,
        max_completion_tokens=6, stop="x", logprobs=True, top_logprobs=3, response_format=schema, stream=True,
        stream_options={"include_usage": True}, user="u", store=False, service_tier="auto", parallel_tool_calls=True,
        modalities=["text"], logit_bias={}, metadata={"a": "b"}, prompt_cache_key="k",
    )  # fmt: skip
    assert given == {
        "temperature": 0.5, "topP": 0.9, "topK": 5, "seed": 7, "candidateCount": 2, "presencePenalty": 0.1,
        "frequencyPenalty": 0.2, "maxOutputTokens": 6, "stopSequences": ["x"], "responseLogprobs": True, "logprobs": 3,
        "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
    }  # fmt: skip
    assert settings(response_format={"type": "json_object"}, stop=["a", "b"]) == {
        "responseMimeType": "application/json",
        "stopSequences": ["a", "b"],
    }
    assert "generationConfig" not in asked(response_format={"type": "text"}, top_logprobs=0)


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3-pro", "low", {"thinkingLevel": "low", "includeThoughts": True}),
        ("models/gemini-flash-latest", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("models/gemini-2.5-flash", "none", {"thinkingBudget": 0}),
    ],
)
def test_thinking(model: str, effort: str, thinking: dict[str, Any]) -> None:
    assert settings(model=model, reasoning_effort=effort) == {"thinkingConfig": thinking}


@pytest.mark.parametrize(("model", "effort"), [("gemini-3-pro", "none"), ("gemini-2.5-pro", "xhigh")])
def test_an_effort_that_a_model_does_not_know(model: str, effort: str) -> None:
    with pytest.raises(Invalid) as caught:
        settings(model=model, reasoning_effort=effort)
    assert caught.value.param == "reasoning_effort"


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "weather"}}, {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tools(choice: Any, calling: dict[str, Any]) -> None:
    said = asked(tools=[TOOL], tool_choice=choice)
    declared = {"name": "weather", "description": "d", "parametersJsonSchema": {"type": "object"}}
    assert said["tools"] == [{"functionDeclarations": [declared]}]
    assert said["toolConfig"] == {"functionCallingConfig": calling}


def test_tools_that_the_model_may_call() -> None:
    assert "toolConfig" not in asked(tools=[TOOL], tool_choice="auto")
    strict = {"type": "function", "function": {"name": "now", "strict": True}}
    assert asked(tools=[TOOL, strict])["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}


def test_the_detail_of_pictures_is_one_for_all() -> None:
    def picture(detail: str) -> dict[str, Any]:
        return {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c", "detail": detail}}],
        }

    assert asked(picture("low"), picture("low"))["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    assert "generationConfig" not in asked(picture("high"), picture("auto"))
    for wrong in ([picture("low"), picture("high")], [picture("high"), picture("original")]):
        with pytest.raises(Invalid) as caught:
            asked(*wrong)
        assert caught.value.param == "messages.1.content.0.image_url.detail"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"prediction": {"type": "content"}}, "prediction"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"tools": [{"type": "custom"}]}, "tools.0.type"),
        ({"tools": [TOOL | {"cache_control": {"type": "ephemeral"}}]}, "tools.0.cache_control"),
        ({"tools": [TOOL], "tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"messages": [QUESTION, {"role": "system", "content": "x"}]}, "messages.1.role"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages.0.role"),
        ({"messages": [QUESTION | {"name": "Ann"}]}, "messages.0.name"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages.0.audio"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, "messages.0.content.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
            "messages.0.content.0.file.file_id",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL | {"function": {"name": "a", "arguments": "["}}]}]},
            "messages.0.tool_calls.0.function.arguments",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "custom"}]}]}, "messages.0.tool_calls.0.type"),
    ],
)
def test_what_has_no_place_is_refused_by_name(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        asked(**({"messages": [QUESTION]} | more))
    assert (caught.value.code, caught.value.param) == ("unsupported_field", param)


def test_what_is_no_data_address() -> None:
    with pytest.raises(Invalid, match="data: address"):
        asked({"role": "user", "content": [image_part("data:image/png,abc")]})


@given(st.dictionaries(st.sampled_from(["messages", "tools", "stop", "response_format", "tool_choice"]), JSON))
def test_a_request_of_any_shape_is_translated_or_told_what_is_wrong(body: dict[str, Any]) -> None:
    try:
        GEMINI.request_from_chat({"model": "m"} | body)
    except Invalid:
        return


@given(messages())
def test_turns_alternate_and_none_is_empty(said: list[dict[str, Any]]) -> None:
    contents = asked(*said)["contents"]
    roles = [content["role"] for content in contents]
    assert all(one != other for one, other in itertools.pairwise(roles))
    assert all(content["parts"] for content in contents)


# signatures


@given(SIGNATURE, SIGNATURE)
def test_signatures_come_back_where_they_were(text: str, call: str) -> None:
    parts = [{"text": "hm", "thoughtSignature": text}, server.CALLS[0] | {"thoughtSignature": call}, server.CALLS[1]]
    answer = server.whole("m") | {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    whole = GEMINI.answer_to_chat(answer)
    message = whole["choices"][0]["message"]
    result = [RESULT | {"tool_call_id": one["id"]} for one in message["tool_calls"]]
    assert whole["choices"][0]["message"]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": call}}
    # as a client of chat sends it back, one that knows no extra fields of calls, one of Responses, one of Messages
    bare = message | {
        "tool_calls": [{k: v for k, v in c.items() if k != "extra_content"} for c in message["tool_calls"]]
    }
    output = Responses().answer_from_chat(whole, {"model": "m"})["output"]
    through = Responses().request_to_chat({"model": "m", "input": output})["messages"]
    stream = MESSAGES.encoder(ASKED)
    told = stream.feed(streamed(b"".join(server.events(answer)))) + stream.end()
    decoder = MESSAGES.decoder()
    read = [folded(decoder.feed(told) + decoder.end())["message"]]
    for said in ([message], [bare], through, read):
        found = asked(QUESTION, *said, *result)["contents"][1]["parts"]
        assert [part.get("thoughtSignature") for part in found] == [text, call, None]


def test_another_vendors_signature_is_not_shown_to_google() -> None:
    said = {"role": "assistant", "content": "a", "reasoning_signature": "EqQB", "tool_calls": [CALL]}
    parts = asked(QUESTION, said, RESULT)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, UNSIGNED]
    parts = asked(QUESTION, said, RESULT, model="gemini-2.5-flash")["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, None]


# answers


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_folded_is_the_whole_answer(model: str) -> None:
    whole = server.whole(model)
    assert folded(streamed(b"".join(server.events(whole)))) == essence(GEMINI.answer_to_chat(whole))


@given(st.sampled_from(MODELS), st.data())
def test_every_cut_gives_the_same_chunks(model: str, data: st.DataObject) -> None:
    stream = b"".join(server.events(server.whole(model)))
    first, second = sorted(data.draw(st.lists(st.integers(0, len(stream)), min_size=2, max_size=2)))
    decoder = GEMINI.decoder()
    chunks = [chunk for part in (stream[:first], stream[first:second], stream[second:]) for chunk in decoder.feed(part)]
    for chunk in (cut := chunks + decoder.end()) + (uncut := streamed(stream)):
        chunk["created"] = 0
    assert cut == uncut


def test_what_an_answer_says() -> None:
    choice = GEMINI.answer_to_chat(server.whole("tools"))["choices"][0]
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls"
    assert (message["content"], message["reasoning_content"]) == (server.TEXT["text"], "let me see")
    assert [call["id"] for call in message["tool_calls"]] == ["call_r1_0_0", "given"]
    assert [orjson.loads(call["function"]["arguments"]) for call in message["tool_calls"]] == [{"city": "Zürich"}, {}]
    assert all("index" not in call for call in message["tool_calls"])
    assert (choice["logprobs"], message["refusal"]) == (None, None)


def test_usage() -> None:
    usage = GEMINI.answer_to_chat(server.whole("plain"))["usage"]
    assert usage_of(usage) == Usage(input=103, output=12, cached_input=64, audio_input=10, image_input=30, reasoning=7)
    assert streamed(b"".join(server.events(server.whole("plain"))))[-1]["usage"] == usage


def test_several_candidates() -> None:
    one = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
    answer = server.whole("m") | {"candidates": [one, one | {"index": 1, "finishReason": "MAX_TOKENS"}]}
    assert [c["finish_reason"] for c in GEMINI.answer_to_chat(answer)["choices"]] == ["stop", "length"]
    decoder = GEMINI.decoder()
    decoder.feed(server.event(answer | {"candidates": [one, {"index": 1, "content": {"parts": [{"text": "b"}]}}]}))
    with pytest.raises(Upstream, match="middle"):
        decoder.end()


def test_logprobs() -> None:
    top = {"candidates": [{"token": "é", "logProbability": -0.1}, {"token": "e", "logProbability": -2}]}
    result = {"chosenCandidates": [{"token": "é", "logProbability": -0.1}], "topCandidates": [top]}
    answer = server.whole("plain")
    answer["candidates"][0]["logprobsResult"] = result
    content = GEMINI.answer_to_chat(answer)["choices"][0]["logprobs"]["content"]
    assert content[0] == {
        "token": "é",
        "logprob": -0.1,
        "bytes": [0xC3, 0xA9],
        "top_logprobs": [
            {"token": "é", "logprob": -0.1, "bytes": [0xC3, 0xA9]},
            {"token": "e", "logprob": -2, "bytes": [0x65]},
        ],
    }


def test_a_filter_that_holds_the_request_back() -> None:
    for read in (GEMINI.answer_to_chat, lambda answer: streamed(server.event(answer))):
        with pytest.raises(Upstream, match="PROHIBITED_CONTENT") as caught:
            read(server.blocked("m"))
        assert (caught.value.fault, caught.value.code) == (Fault.FILTERED, "content_filter")


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (server.whole("malformed"), Fault.BROKEN, "MALFORMED_FUNCTION_CALL"),
        (server.whole("paints"), Fault.UNSUPPORTED, "inlineData"),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "busy"}}, Fault.TIRED, "busy"),
        ({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad"}}, Fault.WRONG, "bad"),
        ({"candidates": [{"content": {"parts": [{"functionCall": {}}]}}]}, Fault.BROKEN, "shape"),
        ({"candidates": 7}, Fault.BROKEN, "shape"),
    ],
)
def test_answers_that_are_none(answer: dict[str, Any], fault: Fault, said: str) -> None:
    for read in (GEMINI.answer_to_chat, lambda one: streamed(server.event(one))):
        with pytest.raises(Upstream, match=said) as caught:
            read(answer)
        assert caught.value.fault is fault


@pytest.mark.parametrize("answer", [{}, {"candidates": []}, {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}])
def test_an_answer_that_is_not_whole(answer: dict[str, Any]) -> None:
    with pytest.raises(Upstream):
        GEMINI.answer_to_chat(answer)
    with pytest.raises(Upstream, match="middle"):
        streamed(server.event(answer))


def test_a_stream_of_something_else() -> None:
    with pytest.raises(Upstream):
        streamed(b"data: <html>\n\n")
    with pytest.raises(Upstream):
        streamed(b"")


@given(TEXT)
def test_chunks_say_their_head(text: str) -> None:
    part = {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}], "responseId": "r"}
    chunk = streamed(server.event(part))[0]
    head = (chunk["id"], chunk["created"], chunk["model"])
    assert chunk == chunk_of(head, {"role": "assistant", "content": text}, "stop")
    assert chunk["id"] == "chatcmpl-r"


# embeddings


def test_embeddings() -> None:
    body = {"model": "m", "input": ["a", "b"], "dimensions": 2, "user": "u"}
    assert embeddings_requests(body, "models/m") == [
        {"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 2} for text in "ab"
    ]
    answers = [{"embeddings": [{"values": [1, 0.5]}], "usageMetadata": {"promptTokenCount": 3}}] * 2
    whole = embeddings_answer(answers, body, "m")
    assert [one["embedding"] for one in whole["data"]] == [[1, 0.5], [1, 0.5]]
    assert [one["index"] for one in whole["data"]] == [0, 1]
    assert whole["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    packed = embeddings_answer(answers, body | {"encoding_format": "base64"}, "m")["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (1, 0.5)
    assert "usage" not in embeddings_answer([{"embeddings": []}], body, "m")


@pytest.mark.parametrize(("more", "param"), [({"input": [1, 2]}, "input"), ({"new": 1}, "new")])
def test_embeddings_that_cannot_be_asked_for(more: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        embeddings_requests({"model": "m", "input": "a"} | more, "models/m")
    assert caught.value.param == param
