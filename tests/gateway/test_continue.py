"""An upstream dies in the middle of plain text, and another goes on: the client sees one answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.faults.server import (
    BEGUN,
    CUT,
    DONE,
    END,
    ERROR,
    EVENTS,
    ROLE,
    STOP,
    Server,
    Step,
    chunk,
    event,
    piece,
    says,
    streamed,
)  # fmt: skip
from tests.gateway.calling import calling, receipt
from tests.support import Running

CONTINUES: dict[str, Any] = {"capabilities": ("chat", "tools", "json_schema", "continues")}
PATHS = ["chat/completions", "messages", "responses"]
OTHER = {"id": "chatcmpl-2", "created": 2, "model": "other"}
COUNTS = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}


def other(data: bytes) -> bytes:
    """The event as another server sends it."""
    return data.replace(b"chatcmpl-1", b"chatcmpl-2").replace(b'"created": 1', b'"created": 2')


GOES_ON = streamed([other(e) for e in (ROLE, says("thr"), says("ee"), STOP, chunk([], usage=COUNTS))] + [DONE])
DEATHS: dict[str, list[Step]] = {
    "reset": streamed(BEGUN, 0.05, CUT),
    "closed": streamed(BEGUN),
    "in an event": streamed([*BEGUN, says("lost")[:40]], 0.05, CUT),
    "an error": streamed([*BEGUN, event(ERROR)]),
    "an error later": [EVENTS, *map(piece, BEGUN), 0.1, piece(event(ERROR)), END],
    "one write": [EVENTS, piece(b"".join(BEGUN)), 0.05, CUT],
    "silence": streamed(BEGUN, "hang"),
}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Running, Server]]:
    """A route whose first candidate dies, and whose second can go on."""
    route = {"candidates": ("dies", "goes-on"), "silence_s": 0.4}
    with calling(tmp_path, {"r": route}, {"goes-on": CONTINUES}) as (node, server):
        server.script = lambda asked: DEATHS["reset"] if asked.model == "dies" else GOES_ON
        yield node, server


def given(path: str) -> dict[str, Any]:
    """A request in the protocol of that path."""
    if path == "responses":
        return {"input": "count", "max_output_tokens": 50}
    return {"max_tokens": 50} | ({"stream_options": {"include_usage": True}} if path == "chat/completions" else {})


def call(node: Running, path: str, **more: Any) -> httpx2.Response:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "count"}]} if path != "responses" else {}
    body |= {"model": "r", "stream": True} | given(path) | more
    return httpx2.post(f"{node.api}/{path}", json=body, headers=node.headers, timeout=20)


def events_of(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Every event but [DONE], each of which must be readable."""
    blocks = [block for block in answer.text.split("\n\n") if block]
    data = [line[6:] for block in blocks for line in block.splitlines() if line.startswith("data: ")]
    assert len(data) == len(blocks), "one line of data in each event"
    return [json.loads(one) for one in data if one != "[DONE]"]


def words_of(events: list[dict[str, Any]]) -> str:
    text = ""
    for one in events:
        for choice in one.get("choices", ()):
            text += choice["delta"].get("content") or ""
        if one.get("type") == "content_block_delta":
            text += one["delta"]["text"]
        if one.get("type") == "response.output_text.delta":
            text += one["delta"]
    return text


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("path", PATHS)
def test_the_client_sees_one_answer(two: tuple[Running, Server], path: str, death: str) -> None:
    node, server = two
    server.script = lambda asked: DEATHS[death] if asked.model == "dies" else GOES_ON
    answer = call(node, path)
    events = events_of(answer)
    assert answer.headers["x-intermodel-model"] == "dies"
    told = receipt(node, answer)
    assert [a["outcome"] for a in told["attempts"]] == ["broken", "ok"], answer.text
    assert told["attempts"][1]["resumed"]
    assert told["outcome"] == "ok"
    asked_on = server.of("goes-on")[0].body["messages"][-1]
    assert asked_on["role"] == "assistant"
    assert words_of(events) == asked_on["content"] + "three", "it goes on after what the client has"
    _CHECKS[path](answer, events)


def _one_chat(answer: httpx2.Response, events: list[dict[str, Any]]) -> None:
    assert {event["id"] for event in events} == {"chatcmpl-1"}
    assert {event["created"] for event in events} == {1}
    assert answer.text.count("[DONE]") == 1
    assert answer.text.endswith("data: [DONE]\n\n")
    assert sum(c["delta"].get("role") is not None for e in events for c in e["choices"]) == 1
    usage = events[-1]["usage"]
    assert usage["total_tokens"] == 16, "as the one that went on counted"
    assert usage["completion_tokens"] > 4, "with the words before, which are the client's as made"


def _one_message(answer: httpx2.Response, events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert [kinds.count(kind) for kind in ("message_start", "content_block_start", "message_stop")] == [1, 1, 1]
    assert kinds[-1] == "message_stop"
    assert {event["index"] for event in events if "index" in event} == {0}


def _one_response(answer: httpx2.Response, events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    assert [kinds.count(f"response.{kind}") for kind in ("created", "output_item.added", "completed")] == [1, 1, 1]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    whole = events[-1]["response"]
    assert whole["output"][0]["content"][0]["text"] == words_of(events)
    assert whole["id"] == events[0]["response"]["id"]


_CHECKS = {"chat/completions": _one_chat, "messages": _one_message, "responses": _one_response}

SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
CALLING = chunk([{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c", "type": "function",
                 "function": {"name": "f", "arguments": "{"}}]}, "finish_reason": None}])  # fmt: skip


def _ends_with_an_error(answer: httpx2.Response) -> None:
    events = events_of(answer)
    assert "error" in events[-1] or events[-1].get("type") in ("error", "response.failed"), answer.text
    assert not any(e.get("type") in ("message_stop", "response.completed") for e in events)
    assert not ("[DONE]" in answer.text and events[-1].get("object") == "chat.completion.chunk")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("chat/completions", {"tools": TOOLS}),
        ("chat/completions", {"response_format": SCHEMA}),
        ("chat/completions", {"n": 2}),
        ("messages", {"tools": [{"name": "f", "input_schema": {"type": "object"}}]}),
        ("responses", {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}}),
    ],
)
def test_what_is_not_plain_text_ends_with_an_error(
    two: tuple[Running, Server], path: str, asked: dict[str, Any]
) -> None:
    node, server = two
    answer = call(node, path, **asked)
    _ends_with_an_error(answer)
    assert server.of("goes-on") == []
    assert receipt(node, answer)["outcome"] == "broken"


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_that_calls_a_tool_is_not_gone_on_with(two: tuple[Running, Server], path: str) -> None:
    node, server = two
    server.script = lambda asked: streamed([ROLE, CALLING], 0.05, CUT) if asked.model == "dies" else GOES_ON
    _ends_with_an_error(call(node, path))
    assert server.of("goes-on") == []


@pytest.mark.parametrize("path", PATHS)
def test_without_a_candidate_that_can_it_ends_with_an_error(tmp_path: Path, path: str) -> None:
    with calling(tmp_path, {"r": {"candidates": ("reset-after", "ok")}}) as (node, server):
        _ends_with_an_error(call(node, path))
        assert server.of("ok") == []


@pytest.mark.parametrize("path", PATHS)
def test_where_the_second_fails_too_it_ends_with_an_error_and_each_is_paid_once(
    two: tuple[Running, Server], path: str
) -> None:
    node, server = two
    bad: list[Step] = [b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]
    server.script = lambda asked: DEATHS["reset"] if asked.model == "dies" else bad
    answer = call(node, path)
    _ends_with_an_error(answer)
    told = receipt(node, answer)
    assert [a["outcome"] for a in told["attempts"]] == ["broken", "failed"]
    assert told["spent"] == told["attempts"][0]["cost"] > 0


def test_the_second_may_die_as_well(tmp_path: Path) -> None:
    route = {"candidates": ("dies", "also-dies", "goes-on")}
    able = {"also-dies": CONTINUES, "goes-on": CONTINUES}
    with calling(tmp_path, {"r": route}, able) as (node, server):
        server.script = lambda asked: GOES_ON if asked.model == "goes-on" else DEATHS["reset"]
        answer = call(node, "chat/completions")
        assert words_of(events_of(answer)) in ("one twö one twö three", "one twö one twö ")
