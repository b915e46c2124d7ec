"""The official `openai` client, unmodified, sync and async, against a node that listens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from intermodel.settings import Deployment, Route
from tests.support import Running, running, settings_for


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    tool = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    (tmp_path / "tools.json").write_text(json.dumps([{"content": "", "tool_calls": [tool]}]))
    (tmp_path / "broken.json").write_text(json.dumps([{"content": "one two three", "break_after": 2}]))
    deployments = {
        "echo": Deployment(provider="echo"),
        "tools": Deployment(provider="echo", script=tmp_path / "tools.json"),
        "broken": Deployment(provider="echo", script=tmp_path / "broken.json"),
        "dead": Deployment(base_url="http://127.0.0.1:9/v1"),
    }
    routes = {"fast": Route(candidates=("dead", "echo"))}
    with running(settings_for(tmp_path / "data", deployments=deployments, routes=routes)) as node:
        yield node


@pytest.fixture
def client(node: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=node.api, api_key=node.token, max_retries=0)


@pytest.fixture
def aclient(node: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=node.api, api_key=node.token, max_retries=0)


def test_models(client: openai.OpenAI) -> None:
    assert {m.id for m in client.models.list()} == {"echo", "tools", "broken", "dead", "fast"}
    assert client.models.retrieve("echo").owned_by == "intermodel"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nope/never")


@pytest.mark.parametrize("model", ["echo", "fast"])
def test_chat(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "good day"}])
    assert answer.choices[0].message.content == "good day"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("model", ["echo", "fast"])
def test_chat_stream(client: openai.OpenAI, model: str) -> None:
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "a b c"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    events = list(stream)
    assert "".join(e.choices[0].delta.content or "" for e in events if e.choices) == "a b c"
    assert events[-1].usage is not None


def test_tool_calls_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "add"}]
    tools: list[Any] = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    answer = client.chat.completions.create(model="tools", messages=asked, tools=tools)
    assert json.loads(answer.to_json())["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "add"
    with client.chat.completions.stream(model="tools", messages=asked, tools=tools) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"a": 1}'


def test_completions_and_embeddings(client: openai.OpenAI) -> None:
    assert client.completions.create(model="echo", prompt="x y").choices[0].text == "x y"
    pieces = client.completions.create(model="echo", prompt="x y", stream=True)
    assert "".join(p.choices[0].text for p in pieces) == "x y"
    assert client.embeddings.create(model="echo", input="aab").data[0].embedding[:2] == [2.0, 1.0]


def test_errors_have_the_clients_own_classes(client: openai.OpenAI, node: Running) -> None:
    asked: list[Any] = [{"role": "user", "content": "x"}]
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="ecko", messages=asked)
    assert missing.value.code == "model_not_found"
    assert "Did you mean echo" in missing.value.message
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="echo", messages=[])
    assert wrong.value.param == "messages"
    with pytest.raises(openai.InternalServerError) as upstream:
        client.chat.completions.create(model="dead", messages=asked)
    assert upstream.value.code == "upstream_unreachable"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=node.api, api_key="wrong", max_retries=0).models.list()


def test_a_stream_that_breaks_off_raises(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="broken", messages=[{"role": "user", "content": "x"}], stream=True)
    got: list[str | None] = []
    with pytest.raises(openai.APIError, match="broke off"):
        got.extend(event.choices[0].delta.content for event in stream)
    assert got == ["one", " two"]


async def test_the_async_client(aclient: openai.AsyncOpenAI) -> None:
    async with aclient:
        stream = await aclient.chat.completions.create(
            model="echo", messages=[{"role": "user", "content": "a b"}], stream=True
        )
        assert "".join([e.choices[0].delta.content or "" async for e in stream]) == "a b"
        with pytest.raises(openai.NotFoundError):
            await aclient.chat.completions.create(model="nope", messages=[{"role": "user", "content": "x"}])
