"""The official `openai` client, unmodified, against a model that llama.cpp runs for the node."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from intermodel.settings import Engines
from tests.engines import tiny
from tests.support import Running, running, settings_for

MODEL = "local/tiny"
ASKED: list[Any] = [{"role": "user", "content": "hello there"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "set_light",
            "parameters": {
                "type": "object",
                "properties": {"on": {"type": "boolean"}},
                "required": ["on"],
                "additionalProperties": False,
            },
        },
    }
]
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"],
          "additionalProperties": False}  # fmt: skip


def form(schema: dict[str, Any]) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("engine")
    watched = folder / "watched"
    watched.mkdir()
    tiny.write(watched / "tiny.gguf")
    settings = settings_for(folder / "data", engines=Engines(shipped=False, watch=watched), deployments={})
    with running(settings) as node:
        client = openai.OpenAI(base_url=node.api, api_key=node.token)
        until = time.monotonic() + 30
        while MODEL not in {m.id for m in client.models.list()}:
            assert time.monotonic() < until, "the watched file is not served"
            time.sleep(0.1)
        yield node


@pytest.fixture
def client(node: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=node.api, api_key=node.token, max_retries=0, timeout=60)


def test_a_stream_is_the_whole_answer_in_pieces(client: openai.OpenAI) -> None:
    more: dict[str, Any] = {"model": MODEL, "messages": ASKED, "max_tokens": 12, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(**more)
    events = list(client.chat.completions.create(**more, stream=True, stream_options={"include_usage": True}))
    text = "".join(e.choices[0].delta.content or "" for e in events if e.choices)
    assert text == whole.choices[0].message.content
    assert whole.usage is not None
    assert events[-1].usage is not None
    assert events[-1].usage.completion_tokens == whole.usage.completion_tokens == 12


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "set_light"}}])
def test_a_tool_is_called_when_it_must_be(client: openai.OpenAI, choice: Any) -> None:
    more: dict[str, Any] = {"model": MODEL, "messages": ASKED, "tools": TOOLS, "tool_choice": choice}
    answer = client.chat.completions.create(**more).choices[0]
    assert answer.finish_reason == "tool_calls"
    with client.chat.completions.stream(**more) as stream:
        streamed = stream.get_final_completion().choices[0].message
    for message in (answer.message, streamed):
        (call,) = json.loads(message.to_json())["tool_calls"]
        assert call["function"]["name"] == "set_light"
        assert json.loads(call["function"]["arguments"])["on"] in (True, False)


def test_a_schema_holds(client: openai.OpenAI) -> None:
    more: dict[str, Any] = {"model": MODEL, "messages": ASKED, "response_format": form(COLOUR)}
    for seed in range(3):
        answer = client.chat.completions.create(**more, seed=seed)
        assert json.loads(answer.choices[0].message.content or "")["colour"] in ("red", "blue")
    events = client.chat.completions.create(**more, stream=True)
    assert json.loads("".join(e.choices[0].delta.content or "" for e in events if e.choices))["colour"]


def test_a_schema_that_cannot_be_used_or_satisfied(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=ASKED, response_format=form({"type": "banana"}))
    assert wrong.value.code == "invalid_schema"
    impossible = {"type": "integer", "minimum": 10, "maximum": 5}
    with pytest.raises(openai.APIError) as unsatisfied:
        client.chat.completions.create(model=MODEL, messages=ASKED, response_format=form(impossible), max_tokens=40)
    assert unsatisfied.value.code in ("schema_not_satisfied", "invalid_schema", "invalid_request")
    assert client.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=2).choices


def test_logprobs(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(model=MODEL, messages=ASKED, max_tokens=3, logprobs=True, top_logprobs=2)
    logprobs = chat.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert [len(token.top_logprobs) for token in logprobs.content] == [2, 2, 2]
    legacy = client.completions.create(model=MODEL, prompt="hello", max_tokens=3, logprobs=2).choices[0].logprobs
    assert legacy is not None
    assert legacy.tokens is not None
    assert legacy.token_logprobs is not None
    assert len(legacy.tokens) == len(legacy.token_logprobs) == 3


def test_embeddings(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model=MODEL, input=["a", "b", "a"])  # asks for base64 by itself
    plain = client.embeddings.create(model=MODEL, input="a", encoding_format="float")
    first, second, third = (item.embedding for item in packed.data)
    assert first == third != second
    assert plain.data[0].embedding == pytest.approx(first, abs=1e-6)
    assert sum(x * x for x in first) == pytest.approx(1, abs=1e-3)


def test_requests_that_are_wrong(client: openai.OpenAI) -> None:
    image: list[Any] = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]}]
    with pytest.raises(openai.BadRequestError, match="vision"):
        client.chat.completions.create(model=MODEL, messages=image)
    long: list[Any] = [{"role": "user", "content": "hello " * 20_000}]
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(model=MODEL, messages=long)
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as too_many:
        client.chat.completions.create(model=MODEL, messages=ASKED, n=1000)
    assert too_many.value.param == "n"


async def test_many_streams_at_once_and_one_that_is_left(node: Running) -> None:
    async with openai.AsyncOpenAI(base_url=node.api, api_key=node.token, max_retries=0, timeout=60) as client:

        async def ask(length: int) -> int:
            stream = await client.chat.completions.create(
                model=MODEL, messages=ASKED, max_tokens=length, stream=True, extra_body={"ignore_eos": True}
            )
            return len([event async for event in stream])

        async with asyncio.TaskGroup() as group:
            left = group.create_task(ask(100_000))
            tasks = [group.create_task(ask(20)) for _ in range(8)]
            await asyncio.wait(tasks)
            left.cancel()
        assert min(task.result() for task in tasks) >= 20
        await asyncio.sleep(0.5)
        (state,) = node.node.engines.states()
        assert state.users == 0
