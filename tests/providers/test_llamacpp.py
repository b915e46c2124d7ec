"""Models of this machine as callers meet them: a real llama.cpp with a tiny model behind the provider."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from intermodel.core import Call, IntermodelError, Invalid, Kind, Upstream
from intermodel.engines import Engines, Library, Schemas
from intermodel.providers import Http, LlamaCpp
from intermodel.providers.answer import EVENTS, JSON, Answer
from intermodel.providers.http import Origin
from intermodel.settings import Engines as Settings
from intermodel.storage import Blobs, Database
from tests.engines import tiny

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESS = "local/tiny"
HELLO = [{"role": "user", "content": "Hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"rainy": {"$ref": "#/$defs/flag"}},
            "required": ["rainy"],
            "additionalProperties": False,
            "$defs": {"flag": {"type": "boolean"}},
        },
    },
}
NOOP = {"type": "function", "function": {"name": "noop"}}
CUSTOM = {"type": "custom", "custom": {"name": "grep"}}


def saying(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def taking(name: str, item: Any) -> dict[str, Any]:
    """A tool whose definition has the same name as those of the others."""
    parameters = {
        "type": "object",
        "properties": {"value": {"$ref": "#/$defs/Item"}},
        "required": ["value"],
        "additionalProperties": False,
        "$defs": {"Item": item},
    }
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


class Local:
    """A provider with its engines, and a short way to ask it."""

    def __init__(self, library: Library, engines: Engines, http: Http) -> None:
        self.engines = engines
        self.http = http
        self.provider = LlamaCpp(library, engines, http)

    async def begin(self, kind: Kind = Kind.CHAT, **body: Any) -> Answer:
        whole = {"model": ADDRESS, "temperature": 0, "max_tokens": 8} | body
        if kind is Kind.CHAT:
            whole.setdefault("messages", HELLO)
        return await self.provider.call(Call(kind, ADDRESS, whole, stream=bool(body.get("stream"))), ADDRESS)

    async def bytes(self, kind: Kind = Kind.CHAT, **body: Any) -> bytes:
        answer = await self.begin(kind, **body)
        try:
            assert answer.media_type == (EVENTS if body.get("stream") else JSON)
            said = b""
            while chunk := await answer.read():
                said += chunk
            return said
        finally:
            await answer.close()

    async def ask(self, kind: Kind = Kind.CHAT, **body: Any) -> dict[str, Any]:
        said: dict[str, Any] = orjson.loads(await self.bytes(kind, **body))
        return said

    async def stream(self, kind: Kind = Kind.CHAT, **body: Any) -> list[dict[str, Any]]:
        return parsed(await self.bytes(kind, stream=True, **body))

    async def slots(self) -> list[dict[str, Any]]:
        """llama.cpp's own account of what it is doing."""
        model = await self.provider._find(ADDRESS)
        async with self.engines.lease(model) as endpoint:
            origin = Origin("http://engine", socket=endpoint.socket)
            response = await self.http.get(
                origin, "/slots", headers={"Connection": "close"}, silence_s=60, name="the engine"
            )
            said = b""
            while piece := await response.read():
                said += piece
            found: list[dict[str, Any]] = orjson.loads(said)
            return found


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream that ended as it should."""
    *lines, end, rest = data.split(b"\n\n")
    assert (end, rest) == (b"data: [DONE]", b"")
    return [orjson.loads(line.removeprefix(b"data: ")) for line in lines]


def schema_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "wanted", "schema": schema}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Local]:
    """One for all tests here: an engine outlives whatever a test does to it."""
    folder = tmp_path_factory.mktemp("local")
    database = Database("", default=folder / "intermodel.db")
    await database.open()
    library = Library(database, Blobs(folder / "blobs"))
    await library.add(tiny.write(folder / "tiny.gguf"))
    engines, http = Engines(Settings(slots=4), folder / "logs"), Http()
    yield Local(library, engines, http)
    await http.close()
    await engines.close()
    await database.close()


async def test_a_whole_answer(local: Local) -> None:
    said = await local.ask()
    assert said["object"] == "chat.completion"
    assert said["model"] == ADDRESS
    (choice,) = said["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["role"] == "assistant"
    assert len(choice["message"]["content"]) == 8
    assert said["usage"]["completion_tokens"] == 8
    assert said["usage"]["total_tokens"] == 8 + said["usage"]["prompt_tokens"]


async def test_a_stream_says_the_same_and_tells_its_usage(local: Local) -> None:
    whole = await local.ask()
    events = await local.stream(stream_options={"include_usage": True})
    text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    assert {event["model"] for event in events} == {ADDRESS}
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 8


async def test_completions_in_words_and_in_tokens(local: Local) -> None:
    said = await local.ask(Kind.COMPLETION, prompt="the", max_tokens=3)
    assert said["object"] == "text_completion"
    assert len(said["choices"][0]["text"]) == 3
    assert (await local.ask(Kind.COMPLETION, prompt=[40, 41], max_tokens=3))["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_several_choices_are_all_paid_for(local: Local, streamed: bool) -> None:
    if streamed:
        events = await local.stream(n=3, stream_options={"include_usage": True})
        assert {c["index"] for e in events for c in e["choices"]} == {0, 1, 2}
        assert sum("usage" in event for event in events) == 1
        usage = events[-1]["usage"]
    else:
        said = await local.ask(n=3)
        assert [len(c["message"]["content"]) for c in said["choices"]] == [8, 8, 8]
        usage = said["usage"]
    once = (await local.ask())["usage"]
    assert usage["prompt_tokens"] == once["prompt_tokens"]
    assert usage["completion_tokens"] == 3 * once["completion_tokens"]


async def test_several_prompts(local: Local) -> None:
    said = await local.ask(Kind.COMPLETION, prompt=["one two", "three"], n=2, max_tokens=2)
    assert [choice["index"] for choice in said["choices"]] == [0, 1, 2, 3]
    assert said["usage"] == said["usage"] | {"prompt_tokens": 11, "completion_tokens": 8, "total_tokens": 19}
    events = await local.stream(Kind.COMPLETION, prompt=["one two", "three"], max_tokens=2)
    assert all(isinstance(event, dict) for event in events)


async def test_log_probabilities_of_a_chat_are_in_openais_form(local: Local) -> None:
    for asked, count in ((2, 2), (0, 0), (None, 0)):
        said = await local.ask(logprobs=True, top_logprobs=asked, max_tokens=2)
        tokens = said["choices"][0]["logprobs"]["content"]
        assert len(tokens) == 2
        for token in tokens:
            assert token.keys() == {"token", "bytes", "logprob", "top_logprobs"}
            assert len(token["top_logprobs"]) == count
            assert all(other.keys() == {"token", "bytes", "logprob"} for other in token["top_logprobs"])


@pytest.mark.parametrize("streamed", [False, True])
async def test_log_probabilities_of_a_completion_are_in_the_legacy_form(local: Local, streamed: bool) -> None:
    if streamed:
        events = await local.stream(Kind.COMPLETION, prompt="abc", logprobs=2, max_tokens=2)
        told = [c["logprobs"] for e in events for c in e["choices"] if c["logprobs"]]
        assert [offset for one in told for offset in one["text_offset"]] == [3, 4]
        return
    said = await local.ask(Kind.COMPLETION, prompt="abc", logprobs=2, max_tokens=2)
    told_whole = said["choices"][0]["logprobs"]
    assert told_whole.keys() == {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
    assert "".join(told_whole["tokens"]) == said["choices"][0]["text"]
    assert told_whole["text_offset"] == [3, 4]
    assert [len(top) for top in told_whole["top_logprobs"]] == [2, 2]
    none = await local.ask(Kind.COMPLETION, prompt="abc", logprobs=0, max_tokens=2)
    assert none["choices"][0]["logprobs"]["top_logprobs"] is None


async def test_a_schema_is_satisfied(local: Local) -> None:
    said = await local.ask(response_format=schema_format({"type": "boolean"}), max_tokens=60)
    assert orjson.loads(said["choices"][0]["message"]["content"]) in (True, False)
    assert said["choices"][0]["finish_reason"] == "stop"


UNENFORCED = {"not": {"type": "null"}, "type": "null"}
"""llama.cpp passes over `not`, so it writes null, which this forbids."""


async def test_an_answer_that_slipped_through_is_an_error_and_no_answer(local: Local) -> None:
    with pytest.raises(Upstream) as caught:
        await local.ask(response_format=schema_format(UNENFORCED), max_tokens=60)
    assert caught.value.code == "schema_not_satisfied"


async def test_in_a_stream_the_same_error_comes_at_its_end(local: Local) -> None:
    answer = await local.begin(response_format=schema_format(UNENFORCED), max_tokens=60, stream=True)
    said = b""

    async def read_on() -> None:
        nonlocal said
        while chunk := await answer.read():
            said += chunk

    with pytest.raises(Upstream) as caught:
        await read_on()
    await answer.close()
    assert caught.value.code == "schema_not_satisfied"
    assert b"[DONE]" not in said
    assert b'"content":"n' in said


async def test_an_answer_cut_by_its_limit_is_told_as_such(local: Local) -> None:
    wanted = schema_format({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
    said = await local.ask(response_format=wanted, max_tokens=3)
    assert said["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "string", "pattern": "("},
        {"$ref": "http://127.0.0.1:1/elsewhere"},
        {"$ref": "#"},
        False,
        {"type": "object", "properties": {f"p{n}": {} for n in range(300)}},
    ],
)
async def test_a_bad_schema_never_reaches_the_engine(local: Local, schema: Any) -> None:
    with pytest.raises(Invalid) as caught:
        await local.ask(response_format=schema_format(schema))
    assert caught.value.param == "response_format.json_schema.schema"
    assert (caught.value.code, caught.value.hint) == ("invalid_schema", "Mend the schema.")


async def test_a_schema_that_takes_for_ever_to_check_costs_seconds_and_not_the_node() -> None:
    schemas = Schemas(timeout_s=0.5)
    slow = {"type": "string", "pattern": "^(a+)+$"}
    started = time.monotonic()
    assert "could not be checked" in await schemas.complaint(slow, '"' + "a" * 60 + '!"')
    assert time.monotonic() - started < 8
    assert await schemas.complaint(slow, '"aaa"') == ""
    await schemas.close()


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_that_must_be_called_is_called(local: Local, choice: Any, streamed: bool) -> None:
    asked = {"tools": [WEATHER], "tool_choice": choice, "max_tokens": 300}
    if streamed:
        events = await local.stream(**asked)
        deltas = [c["delta"] for e in events for c in e["choices"]]
        assert not any(delta.get("content") for delta in deltas)
        parts = [call for delta in deltas for call in delta.get("tool_calls", ())]
        assert parts[0]["id"].startswith("call_")
        name, arguments = parts[0]["function"]["name"], "".join(p["function"]["arguments"] for p in parts)
        finish = events[-1]["choices"][0]["finish_reason"]
    else:
        (answered,) = (await local.ask(**asked))["choices"]
        (call,) = answered["message"]["tool_calls"]
        assert answered["message"]["content"] is None
        assert call["type"] == "function"
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        finish = answered["finish_reason"]
    assert (name, finish) == ("weather", "tool_calls")
    assert orjson.loads(arguments)["rainy"] in (True, False)


async def test_a_named_tool_is_the_one_called(local: Local) -> None:
    chosen = {"type": "function", "function": {"name": "noop"}}
    said = await local.ask(tools=[WEATHER, NOOP], tool_choice=chosen, max_tokens=200)
    assert said["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "noop"


async def test_tools_keep_definitions_of_the_same_name_apart(local: Local) -> None:
    nested = {"anyOf": [{"$ref": "#/$defs/Item/$defs/inner"}], "$defs": {"inner": {"const": 7}}}
    tools = [taking("first", {"const": "none"}), taking("second", nested)]
    named = [{"type": "function", "function": {"name": name}} for name in ("first", "second")]
    for choice in ("required", *named):
        for ordered in (tools, tools[::-1]):
            said = await local.ask(tools=ordered, tool_choice=choice, max_tokens=300)
            called = said["choices"][0]["message"]["tool_calls"][0]["function"]
            assert orjson.loads(called["arguments"]) == {"value": {"first": "none", "second": 7}[called["name"]]}


@pytest.mark.parametrize("definitions", [None, [1], {"Item": 3}])
async def test_bad_definitions_of_a_tool_are_refused(local: Local, definitions: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"$defs": definitions}}}
    with pytest.raises(Invalid) as caught:
        await local.ask(tools=[tool], tool_choice="required")
    assert (caught.value.code, caught.value.param) == ("invalid_schema", "tools")


async def test_a_refusal_in_the_history_is_read(local: Local) -> None:
    refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    said = await local.ask(messages=[*HELLO, refused, *HELLO])
    text = {"role": "assistant", "content": "No."}
    plain = await local.ask(messages=[*HELLO, text, *HELLO])
    assert said["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"]


async def test_a_request_nested_beyond_measure_is_refused(local: Local) -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    with pytest.raises(Invalid, match="too deeply"):
        await local.ask(metadata=deep)


async def test_tools_that_must_not_be_called_are_not_shown(local: Local) -> None:
    said = await local.ask(tools=[WEATHER], tool_choice="none")
    assert said["usage"]["prompt_tokens"] == (await local.ask())["usage"]["prompt_tokens"]


async def test_a_tool_call_cut_by_its_limit_is_told_as_far_as_it_came(local: Local) -> None:
    said = await local.ask(tools=[WEATHER], tool_choice="required", max_tokens=31)
    assert said["choices"][0]["finish_reason"] == "length"


async def test_tools_that_may_be_called_leave_the_model_free(local: Local) -> None:
    said = await local.ask(tools=[WEATHER])
    assert said["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("kind", "body", "param", "code"),
    [
        (Kind.CHAT, {"n": 5}, "n", "invalid_request"),
        (
            Kind.CHAT,
            {"messages": [{"role": "user", "content": "ab " * 2000}]},
            "messages",
            "context_length_exceeded",
        ),
        (Kind.COMPLETION, {"prompt": "ab " * 2000}, "prompt", "context_length_exceeded"),
        (Kind.EMBEDDING, {"input": "ab " * 2000}, "input", "context_length_exceeded"),
        (
            Kind.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "messages.0.content",
            "unsupported_content",
        ),
        (Kind.CHAT, {"messages": saying({"type": "hologram"})}, "messages.0.content", "unsupported_content"),
        (Kind.CHAT, {"messages": saying({"text": "a"})}, "messages.0.content", "unsupported_content"),
        (Kind.CHAT, {"messages": saying({"type": ["text"]})}, "messages.0.content", "unsupported_content"),
        (Kind.CHAT, {"messages": saying({"type": "text"})}, "messages.0.content", "unsupported_content"),
        (Kind.CHAT, {"messages": saying("a")}, "messages.0.content", "unsupported_content"),
        (
            Kind.CHAT,
            {"messages": [*HELLO, {"role": "assistant", "content": None, "tool_calls": [CUSTOM | {"id": "c"}]}]},
            "messages.1.tool_calls",
            "unsupported_content",
        ),
        (Kind.CHAT, {"tools": [NOOP, CUSTOM]}, "tools", "unsupported_content"),
        (Kind.CHAT, {"tools": [CUSTOM], "tool_choice": "required"}, "tools", "unsupported_content"),
        (Kind.CHAT, {"tools": [{"type": "function"}]}, "tools", "unsupported_content"),
        (Kind.CHAT, {"tools": ["noop"]}, "tools", "unsupported_content"),
        (Kind.CHAT, {"tools": [NOOP], "tool_choice": {"function": "noop"}}, "tool_choice", "invalid_request"),
        (Kind.CHAT, {"response_format": {"type": "grammar"}}, "response_format.type", "unsupported_content"),
        (Kind.CHAT, {"response_format": {"type": 3}}, "response_format.type", "unsupported_content"),
        (
            Kind.CHAT,
            {"tools": [NOOP], "tool_choice": "required", "response_format": {"type": "grammar"}},
            "response_format.type",
            "unsupported_content",
        ),
        (Kind.CHAT, {"functions": [{"name": "f"}]}, "functions", "invalid_request"),
        (Kind.CHAT, {"tools": [NOOP], "tool_choice": {"type": "allowed_tools"}}, "tool_choice", "invalid_request"),
        (Kind.CHAT, {"min_p": "x"}, "min_p", "invalid_request"),
        (Kind.CHAT, {"reasoning_format": "x"}, None, "invalid_request"),
        (Kind.COMPLETION, {"prompt": [999999]}, "prompt", "invalid_request"),
        (Kind.EMBEDDING, {"input": ""}, "input", "invalid_request"),
        (Kind.COMPLETION, {"prompt": "a", "echo": True}, "echo", "invalid_request"),
        (Kind.COMPLETION, {"prompt": "a", "suffix": "b"}, "suffix", "invalid_request"),
        (Kind.COMPLETION, {"prompt": "a", "best_of": 3}, "best_of", "invalid_request"),
        (Kind.EMBEDDING, {"input": "a", "dimensions": 8}, "dimensions", "invalid_request"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_field_at_fault(
    local: Local, kind: Kind, body: dict[str, Any], param: str | None, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await local.ask(kind, **body)
    assert (caught.value.param, caught.value.code) == (param, code)
    if code == "context_length_exceeded":
        assert "2048" in caught.value.message


async def test_a_limit_beyond_any_context_is_no_limit(local: Local) -> None:
    said = await local.ask(max_tokens=10**12, stop=["aaa"], n=None)
    assert said["usage"]["total_tokens"] <= 2048


async def test_embeddings_as_numbers_and_as_base64(local: Local) -> None:
    numbers = await local.ask(Kind.EMBEDDING, input=["a", "b"])
    assert numbers["model"] == ADDRESS
    assert numbers["usage"]["prompt_tokens"] == 2
    first = numbers["data"][0]["embedding"]
    assert sum(x * x for x in first) == pytest.approx(1, abs=1e-3)
    packed = await local.ask(Kind.EMBEDDING, input="a", encoding_format="base64")
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert struct.unpack(f"<{len(first)}f", raw) == pytest.approx(first, abs=1e-4)


async def test_eight_streams_at_once(local: Local) -> None:
    alone = await local.ask(max_tokens=64)
    streams = await asyncio.gather(*(local.stream(max_tokens=64) for _ in range(8)))
    for events in streams:
        text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        assert len(text) == len(alone["choices"][0]["message"]["content"])


async def test_an_engine_killed_in_a_stream_is_an_error_and_soon_back(local: Local) -> None:
    answer = await local.begin(stream=True, max_tokens=2000)
    assert await answer.read()
    pid = local.engines.states()[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)

    async def read_on() -> None:
        while await answer.read():
            pass

    with pytest.raises(Upstream) as caught:
        await read_on()
    assert caught.value.retryable
    assert caught.value.code == "engine_died"
    await answer.close()
    assert (await local.ask())["usage"]["completion_tokens"] == 8


async def test_a_call_made_while_the_engine_is_down_waits_for_it(local: Local) -> None:
    await local.ask()
    pid = local.engines.states()[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert (await local.ask())["usage"]["completion_tokens"] == 8


async def test_a_caller_who_leaves_stops_the_work(local: Local) -> None:
    answer = await local.begin(stream=True, max_tokens=2000)
    assert await answer.read()
    await answer.close()
    async with asyncio.timeout(3):
        while any(slot["is_processing"] for slot in await local.slots()):  # noqa: ASYNC110 - llama.cpp tells no event
            await asyncio.sleep(0.02)
    assert local.engines.states()[0].users == 0


async def test_a_caller_who_leaves_before_the_first_byte_leaves_no_lease(local: Local) -> None:
    await local.ask()
    asking = asyncio.create_task(local.ask(max_tokens=2000))
    await asyncio.sleep(0.02)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert local.engines.states()[0].users == 0


async def test_an_unknown_model_is_not_found(local: Local) -> None:
    with pytest.raises(IntermodelError, match="no model"):
        await local.provider.call(Call(Kind.CHAT, "x", {"messages": HELLO}), "local/unknown")
