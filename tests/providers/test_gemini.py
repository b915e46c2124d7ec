"""The provider against a server that speaks Google's Gemini API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest

from intermodel.core import Call, Fault, Invalid, Kind, Upstream
from intermodel.protocols.chat import ChatDecoder
from intermodel.providers.answer import EVENTS, JSON, Answer
from intermodel.providers.gemini import BASE_URL, Gemini, resource
from intermodel.providers.http import Http
from intermodel.providers.provider import connect
from intermodel.settings import Deployment
from tests import gemini_server as fake
from tests.protocols.conversations import essence, folded

QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server() -> Iterator[fake.Server]:
    with fake.gemini_server() as served:
        yield served


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


@pytest.fixture
def provider(server: fake.Server, http: Http) -> Gemini:
    return connected(server, http)


def connected(server: fake.Server, http: Http, key: str = fake.KEY) -> Gemini:
    return Gemini("google", Deployment(provider="gemini", base_url=server.base), key, http)


def chat(**more: Any) -> Call:
    body = {"model": "asked", "messages": QUESTION} | more
    return Call(Kind.CHAT, "asked", body, stream=bool(more.get("stream")))


def embedding(**more: Any) -> Call:
    return Call(Kind.EMBEDDING, "asked", {"model": "asked", "input": "abc"} | more)


async def read(answer: Answer) -> bytes:
    data = b""
    try:
        while piece := await answer.read():
            data += piece
    finally:
        await answer.close()
    return data


async def test_chat(provider: Gemini, server: fake.Server) -> None:
    answer = await provider.call(chat(temperature=0.5), "plain")
    whole = orjson.loads(await read(answer))
    assert answer.media_type == JSON
    assert whole["choices"][0]["message"]["content"] == fake.TEXT["text"]
    assert whole["usage"]["prompt_tokens"] == 103
    assert server.paths[-1] == "/v1beta/models/plain:generateContent"
    assert server.bodies[-1]["generationConfig"] == {"temperature": 0.5}
    assert server.headers[-1]["x-goog-api-key"] == fake.KEY
    assert fake.KEY not in server.paths[-1]
    assert "authorization" not in server.headers[-1]


@pytest.mark.parametrize("model", ["plain", "thinks", "tools", "short", "unsafe"])
async def test_a_stream_folded_is_the_whole_answer(provider: Gemini, server: fake.Server, model: str) -> None:
    answer = await provider.call(chat(stream=True, stream_options={"include_usage": True}), model)
    data = await read(answer)
    assert answer.media_type == EVENTS
    assert server.paths[-1] == f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    whole = orjson.loads(await read(await provider.call(chat(), model)))
    decoder = ChatDecoder()
    assert folded(decoder.feed(data) + decoder.end()) == essence(whole)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3-pro", "models/gemini-3-pro"),
        ("models/gemini-3-pro", "models/gemini-3-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("a/b?key=x#y", "models/a%2Fb%3Fkey%3Dx%23y"),
        ("models/../x", "models/..%2Fx"),
    ],
)
def test_a_models_name_cannot_leave_its_place(model: str, path: str) -> None:
    assert resource(model) == path


async def test_a_name_is_quoted_on_its_way(provider: Gemini, server: fake.Server) -> None:
    await read(await provider.call(chat(), "a/b c"))
    assert server.paths[-1] == "/v1beta/models/a%2Fb%20c:generateContent"


@pytest.mark.parametrize(
    ("model", "fault", "code"),
    [
        ("quota", Fault.TIRED, "RESOURCE_EXHAUSTED"),
        ("overloaded", Fault.TIRED, "UNAVAILABLE"),
        ("permission", Fault.KEY, "upstream_credentials"),
        ("gone", Fault.MISSING, "NOT_FOUND"),
        ("ill", Fault.BROKEN, "INTERNAL"),
        ("late", Fault.BROKEN, "DEADLINE_EXCEEDED"),
        ("place", Fault.UNSUPPORTED, "FAILED_PRECONDITION"),
        ("long", Fault.TOO_LONG, "context_length_exceeded"),
        ("wrong", Fault.WRONG, "INVALID_ARGUMENT"),
    ],
)
async def test_refusals(provider: Gemini, model: str, fault: Fault, code: str) -> None:
    for call in (chat(), chat(stream=True), embedding()):
        with pytest.raises(Upstream) as caught:
            await provider.call(call, model)
        assert (caught.value.fault, caught.value.code) == (fault, code)
        assert caught.value.retry_after_s == (17.5 if model == "quota" else None)


async def test_a_dead_key(server: fake.Server, http: Http) -> None:
    with pytest.raises(Upstream, match="own key") as caught:
        await connected(server, http, "wrong").call(chat(), "plain")
    assert caught.value.fault is Fault.KEY


@pytest.mark.parametrize(("model", "fault"), [("blocked", Fault.FILTERED), ("error-first", Fault.TIRED)])
async def test_a_stream_that_begins_with_a_refusal(provider: Gemini, model: str, fault: Fault) -> None:
    answer = await provider.call(chat(stream=True), model)
    with pytest.raises(Upstream) as caught:
        await read(answer)
    assert caught.value.fault is fault


@pytest.mark.parametrize("model", ["error-later", "cut", "unfinished"])
async def test_a_stream_that_breaks_off_has_no_end_mark(provider: Gemini, model: str) -> None:
    answer = await provider.call(chat(stream=True), model)
    data = [await answer.read()]
    assert b'"content":"one "' in data[0]
    with pytest.raises(Upstream):
        await _read_into(data, answer)
    await answer.close()
    assert b"[DONE]" not in b"".join(data)


async def _read_into(data: list[bytes], answer: Answer) -> None:
    while piece := await answer.read():
        data.append(piece)


async def test_a_whole_answer_that_a_filter_held_back(provider: Gemini) -> None:
    answer = await provider.call(chat(), "blocked")
    with pytest.raises(Upstream) as caught:
        await read(answer)
    assert caught.value.fault is Fault.FILTERED


async def test_what_cannot_be_said_is_not_sent(provider: Gemini, server: fake.Server) -> None:
    before = len(server.bodies)
    for call in (chat(logit_bias={"1": 2}), embedding(input=[1, 2])):
        with pytest.raises(Invalid) as caught:
            await provider.call(call, "plain")
        assert caught.value.code == "unsupported_field"
    assert len(server.bodies) == before


async def test_embeddings(provider: Gemini, server: fake.Server) -> None:
    whole = orjson.loads(await read(await provider.call(embedding(dimensions=2), "plain")))
    assert whole["data"] == [{"object": "embedding", "index": 0, "embedding": [3.0, 0.5]}]
    assert whole["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert whole["model"] == "plain"
    assert server.bodies[-1]["requests"][0]["outputDimensionality"] == 2
    assert "usage" not in orjson.loads(await read(await provider.call(embedding(), "silent")))


async def test_more_texts_than_one_request_takes(provider: Gemini, server: fake.Server) -> None:
    before = len(server.bodies)
    texts = ["x" * (i + 1) for i in range(230)]
    whole = orjson.loads(await read(await provider.call(embedding(input=texts), "plain")))
    assert [one["embedding"][0] for one in whole["data"]] == [float(len(text)) for text in texts]
    assert len(server.bodies) - before == 3
    assert whole["usage"]["prompt_tokens"] == 6


def test_it_is_found_by_its_name(http: Http) -> None:
    provider = connect("google", Deployment(provider="gemini"), "k", http)
    assert provider.kinds == {Kind.CHAT, Kind.EMBEDDING}
    assert BASE_URL.startswith("https://")
