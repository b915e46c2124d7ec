"""What guards see of calls and answers: every word, wherever it stands, and how it is told what they found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.core import Call, Invalid, Kind, Refused
from intermodel.gateway.screen import Screen, screened
from intermodel.guards.guard import load
from intermodel.settings import GuardTable, RateLimit
from tests.anthropic_server import KEY, anthropic_server
from tests.faults.server import DONE, ROLE, STOP, USAGE, chunk, framed, says, steps, streamed
from tests.gateway.calling import ask, body, calling, receipt

MAIL = "jane.doe@example.com"
CARD = 4111111111111111
TOOL = {"type": "function", "function": {"name": "f", "description": MAIL, "parameters": {}}}
SCHEMA = {"type": "object", "properties": {"data": {"type": "string", "description": MAIL}}}


def guard(action: str, on: tuple[Any, ...] = ("request", "answer")) -> GuardTable:
    return GuardTable(actions={"*": action}, on=on)


def seen(given: dict[str, Any], action: str = "mask", kind: Kind = Kind.CHAT) -> str:
    call = Call(kind, "m", body("m") | given)
    return orjson.dumps(screened(call, {"g": load("g", guard(action))}, Counter())).decode()


def block(**said: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [said]}]}


WORDS: dict[str, dict[str, Any]] = {
    "tool": {"tools": [TOOL]},
    "tool schema": {"tools": [{"name": "f", "input_schema": SCHEMA}]},
    "functions": {"functions": [{"name": "f", "description": MAIL}]},
    "prediction": {"prediction": {"type": "content", "content": MAIL}},
    "response format": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
    "suffix": {"suffix": MAIL},
    "user": {"user": MAIL},
    "metadata": {"metadata": {"url": MAIL}},
    "name of a speaker": {"messages": [{"role": "user", "content": "x", "name": MAIL}]},
    "document of text": block(type="document", source={"type": "text", "media_type": "text/plain", "data": MAIL}),
    "data that are none": block(type="image", source={"type": "base64", "media_type": "image/png", "data": MAIL}),
    "arguments": block(type="tool_use", id="a", name="f", input={"data": MAIL}),
    "arguments, deep": block(type="tool_use", id="a", name="f", input={"a": [{"url": MAIL, "name": MAIL}]}),
    "status of a tool": block(type="tool_use", id="a", name="f", input={"status": MAIL, "id": MAIL, "model": MAIL}),
    "documents": {"documents": [{"name": MAIL}]},
    "unknown": {"what_comes_next_year": [{"said": MAIL}]},
}
NAMES: dict[str, dict[str, Any]] = {
    "name of a tool": {"tools": [{"name": MAIL, "input_schema": {}}]},
    "address": block(type="image_url", image_url={"url": f"https://a.example/?of={MAIL}"}),
    "key": {"metadata": {MAIL: "x"}},
    "number": block(type="tool_use", id="a", name="f", input={"card": CARD}),
}


@pytest.mark.parametrize("given", WORDS.values(), ids=WORDS)
def test_words_are_seen_wherever_they_stand(given: dict[str, Any]) -> None:
    assert MAIL not in seen(given)
    assert "[EMAIL]" in seen(given)
    with pytest.raises(Refused):
        seen(given, "refuse")


@pytest.mark.parametrize("given", NAMES.values(), ids=NAMES)
def test_names_are_refused_but_not_changed(given: dict[str, Any]) -> None:
    assert seen(given) == seen(given, "allow")
    with pytest.raises(Refused):
        seen(given, "refuse")


def test_encoded_bytes_are_not_words() -> None:
    data = "sk-ant-api03-" + "A" * 93 + "AA"
    given = block(type="image", source={"type": "base64", "media_type": "image/png", "data": data.replace("-", "+")})
    assert seen(given, "refuse") == seen(given, "allow")
    given = block(type="image_url", image_url={"url": f"data:image/png;base64,{CARD}"})
    assert seen(given, "refuse") == seen(given, "allow")


def test_a_request_without_a_bottom_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(Invalid, match="too deeply"):
        screened(Call(Kind.CHAT, "m", {"messages": deep}), {"g": load("g", guard("mask"))}, Counter())


LOGPROBS = {"content": [{"token": "jane.doe@", "logprob": -0.1}, {"token": "example.com", "logprob": -0.1}]}
SAID: dict[str, dict[str, Any]] = {
    "reasoning": {"reasoning": MAIL},
    "function_call": {"function_call": {"name": "f", "arguments": MAIL}},
    "audio": {"audio": {"id": "a", "transcript": MAIL}},
    "parts": {"content": [{"type": "text", "text": MAIL}]},
    "unknown": {"what_comes_next_year": MAIL},
    "custom": {"tool_calls": [{"index": 0, "type": "custom", "custom": {"name": "f", "input": MAIL}}]},
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_answers_are_seen_wherever_they_say_it(said: dict[str, Any]) -> None:
    found: Counter[str] = Counter()
    guards = {"g": load("g", guard("mask"))}
    whole = Screen(guards, found).answer({"choices": [{"index": 0, "message": said, "logprobs": LOGPROBS}]})
    assert "[EMAIL]" in str(whole)
    assert "example.com" not in str(whole)
    screen = Screen(guards, found)
    pieces = screen.chunks([{"choices": [{"index": 0, "delta": said, "logprobs": LOGPROBS}], "prompt_logprobs": [1]}])
    pieces += screen.chunks([{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"a": 1}}])
    assert "[EMAIL]" in str(pieces)
    assert "example.com" not in str(pieces)
    assert "logprobs" not in str(pieces)
    assert pieces[-1]["usage"] == {"a": 1}
    assert found["email"] == 2


def test_what_a_stream_holds_back_comes_out_where_it_belongs() -> None:
    screen = Screen({"g": load("g", guard("mask"))}, Counter())
    said = {"tool_calls": [{"index": 3, "function": {"arguments": "call +49 30"}}]}
    shown = screen.chunks([{"id": "x", "choices": [{"index": 0, "delta": said}]}])
    shown += screen.end()
    calls = [c["delta"]["tool_calls"][0] for chunk in shown for c in chunk["choices"]]
    assert "".join(call["function"]["arguments"] for call in calls) == "call +49 30"
    assert {call["index"] for call in calls} == {3}


def test_logprobs_are_refused_where_answers_are_looked_at(tmp_path: Path) -> None:
    routes = {"r": {"candidates": ("m",), "guards": ("g",)}, "free": {"candidates": ("m",)}}
    with calling(tmp_path, routes, guards={"g": guard("mask")}) as (node, server):
        refused = ask(node, "r", logprobs=True)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_field")
        assert refused.json()["error"]["param"] == "logprobs"
        given = {"model": "r", "input": "x", "include": ["message.output_text.logprobs"]}
        asked = httpx2.post(f"{node.api}/responses", headers=node.headers, json=given)
        assert (asked.status_code, asked.json()["error"]["param"]) == (400, "include")
        assert not server.asked
        server.script = lambda _: steps("ok", stream=False)
        assert ask(node, "free", logprobs=True).status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_refused_is_on_the_receipt(tmp_path: Path, stream: bool) -> None:
    routes = {"r": {"candidates": ("m",), "guards": ("g",), "attempts": 1}}
    with calling(tmp_path, routes, guards={"g": guard("refuse", ("answer",))}) as (node, server):
        message = {"role": "assistant", "content": MAIL}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        whole |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        events = [ROLE, says("hello "), says(f"{MAIL} "), STOP, USAGE, DONE]
        server.script = lambda _: streamed(events) if stream else [framed(orjson.dumps(whole))]
        answer = ask(node, "r", stream=stream)
        told = receipt(node, answer)
        assert told["guards"] == [{"kind": "email", "count": 1}]


def test_a_stream_that_breaks_off_tells_what_was_found(tmp_path: Path) -> None:
    routes = {"r": {"candidates": ("m",), "guards": ("g",)}}
    with calling(tmp_path, routes, guards={"g": guard("mask")}) as (node, server):
        error = b'data: {"error": {"message": "no", "code": "server_error"}}\n\n'
        server.script = lambda _: streamed([ROLE, says(f"{MAIL} and more words "), chunk([]), error])
        told = receipt(node, ask(node, "r", stream=True))
        assert told["outcome"] == "broken"
        assert told["guards"] == [{"kind": "email", "count": 1}]


def test_counting_tokens_goes_past_no_guard_and_no_limit(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(KEY)
    limits = {"x": RateLimit(requests_per_minute=2)}
    with (
        anthropic_server() as server,
        calling(
            tmp_path,
            {"r": {"candidates": ("claude",), "guards": ("g",)}},
            {"claude": {"provider": "anthropic", "base_url": server.base, "key_file": (tmp_path / "k",)}},
            guards={"g": guard("refuse")},
            rate_limits=limits,
        ) as (node, _),
    ):

        def count(said: str) -> httpx2.Response:
            given = {"model": "r", "messages": [{"role": "user", "content": said}]}
            return httpx2.post(f"{node.api}/messages/count_tokens", headers=node.headers, json=given)

        assert count(MAIL).status_code == 403
        assert not server.bodies
        counted = count("plain")
        assert counted.status_code == 200
        assert counted.headers["anthropic-ratelimit-requests-limit"] == "2"
        assert count("plain").status_code == 429
        assert len(server.bodies) == 1
