"""What receipts keep of prompts and answers: nothing, or what `receipts.store_content` asks for."""

from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.core import Call, Kind
from intermodel.gateway.content import KEPT_BYTES, Content
from intermodel.settings import GuardTable, Receipts
from tests.gateway.calling import ask, calling, receipt

KEPT = Receipts(store_content=True)
ROUTES: dict[str, dict[str, Any]] = {
    "r": {"candidates": ("ok",), "cache_s": 60},
    "g": {"candidates": ("ok",), "guards": ("g",)},
}
GUARDS = {"g": GuardTable(actions={"*": "mask"}, on=("request",)), "n": GuardTable(actions={"*": "refuse"})}


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path, stream: bool) -> None:
    with calling(tmp_path, ROUTES) as (node, _):
        answer = ask(node, "r", stream=stream, messages=[{"role": "user", "content": "canary"}])
        assert answer.status_code == 200
        kept = receipt(node, answer)
    assert "content" not in kept
    written = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert written
    assert not any(b"canary" in data for data in written)


@pytest.mark.parametrize("stream", [False, True])
def test_prompt_and_answer_are_kept(tmp_path: Path, stream: bool) -> None:
    with calling(tmp_path, ROUTES, receipts=KEPT) as (node, _):
        first, again = ask(node, "r", stream=stream), ask(node, "r", stream=stream)
        kept = [receipt(node, answer) for answer in (first, again)]
        assert kept[1]["cache"] == kept[0]["id"]
        assert kept[0]["content"] == kept[1]["content"]
        content = kept[0]["content"]
        assert content["prompt"]["messages"] == [{"role": "user", "content": "count"}]
        if stream:
            said = [orjson.loads(line[6:]) for line in first.text.splitlines() if line.startswith("data: {")]
            texts = [c["delta"].get("content") or "" for one in said for c in one["choices"]]
            assert content["answer"] == {"choices": [{"content": "".join(texts)}]}
            assert any(texts)
        else:
            assert content["answer"] == first.json()
        listed = httpx2.get(f"{node.url}/api/v1/receipts", headers=node.headers).json()["data"]
        assert listed
        assert not any("content" in one for one in listed)


def test_what_guards_do_not_let_pass_is_not_kept(tmp_path: Path) -> None:
    routes = ROUTES | {"n": {"candidates": ("ok",), "guards": ("n",)}}
    with calling(tmp_path, routes, receipts=KEPT, guards=GUARDS) as (node, _):
        messages = [{"role": "user", "content": "write to jane.doe@example.com"}]
        masked, refused = ask(node, "g", messages=messages), ask(node, "n", messages=messages)
        assert (masked.status_code, refused.status_code) == (200, 403)
        assert "jane.doe" not in str(receipt(node, masked)["content"]["prompt"])
        assert "content" not in receipt(node, refused)


def of(call: Call, *pieces: bytes) -> dict[str, Any]:
    content = Content()
    content.ask(call)
    for piece in pieces:
        content.add(piece)
    told = content.told()
    assert told is not None
    return told


def test_it_is_bounded() -> None:
    long = "é" * KEPT_BYTES
    told = of(Call(Kind.CHAT, "m", {"messages": long}), b'"', long.encode())
    assert len(told["prompt"].encode()) <= KEPT_BYTES
    assert len(told["answer"].encode()) <= KEPT_BYTES
    assert told["cut"]
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % (b"x" * 1000)
    told = of(Call(Kind.CHAT, "m", {}, stream=True), *[event] * 1000)
    assert len(told["answer"]["choices"][0]["content"]) == KEPT_BYTES
    assert told["cut"]


def test_calls_of_tools_are_put_together() -> None:
    def event(**delta: Any) -> bytes:
        return b"data: %b\n\n" % orjson.dumps({"choices": [{"index": 1, "delta": delta}]})

    tools = [{"index": 0, "function": {"name": "f", "arguments": '{"a"'}}]
    rest = [{"index": 0, "function": {"arguments": ": 1}"}}]
    told = of(Call(Kind.CHAT, "m", {}, stream=True), event(role="assistant", tool_calls=tools), event(tool_calls=rest))
    assert told["answer"] == {"choices": [{"tool_calls": [{"name": "f", "arguments": '{"a": 1}'}]}]}
    assert "cut" not in told


def test_sound_is_told_of_by_its_size() -> None:
    assert of(Call(Kind.SPEECH, "m", {}), b"\xff\xfb\x90", b"\x00" * 7)["answer"] == {"bytes": 10}
    assert of(Call(Kind.TRANSCRIPTION, "m", {}), b"plain words")["answer"] == "plain words"
