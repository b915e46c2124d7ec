"""The provider against a server that speaks Anthropic, which the official client checks too."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import orjson
import pytest

from intermodel.core import Call, Fault, Invalid, Kind, Upstream
from intermodel.protocols.anthropic import Messages
from intermodel.protocols.anthropic_from_chat import OUTPUT_TOKENS
from intermodel.protocols.chat import ChatDecoder
from intermodel.providers.answer import EVENTS, JSON, Answer
from intermodel.providers.anthropic import BASE_URL, Anthropic
from intermodel.providers.http import Http
from intermodel.settings import Deployment
from tests import anthropic_server as fake
from tests.protocols.conversations import essence, folded

MESSAGES = Messages()
QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
USAGE = {"stream_options": {"include_usage": True}}
MODELS = ["plain", "thinks", "thinks-twice", "tools", "short", "refuses"]


@pytest.fixture(scope="module")
def server() -> Iterator[fake.Server]:
    with fake.anthropic_server() as served:
        yield served


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.close()


@pytest.fixture
def provider(server: fake.Server, http: Http) -> Anthropic:
    return connected(server, http)


@pytest.fixture
def client(server: fake.Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key=fake.KEY, max_retries=0) as client:
        yield client


def connected(server: fake.Server, http: Http, key: str = fake.KEY, **more: Any) -> Anthropic:
    return Anthropic("claude", Deployment(provider="anthropic", base_url=server.base, **more), key, http)


def chat(**more: Any) -> Call:
    body = {"model": "asked", "messages": QUESTION} | more
    return Call(Kind.CHAT, "asked", body, stream=bool(more.get("stream")))


def messages(**more: Any) -> Call:
    body = {"model": "asked", "max_tokens": 9, "messages": QUESTION} | more
    return Call(Kind.MESSAGES, "asked", body, stream=bool(more.get("stream")))


async def read(answer: Answer) -> bytes:
    try:
        return b"".join([piece async for piece in _pieces(answer)])
    finally:
        await answer.close()


async def _pieces(answer: Answer) -> AsyncIterator[bytes]:
    while piece := await answer.read():
        yield piece


def chunks(data: bytes) -> list[dict[str, Any]]:
    decoder = ChatDecoder()
    return decoder.feed(data) + decoder.end()


async def test_chat(provider: Anthropic, server: fake.Server) -> None:
    answer = await provider.call(chat(), "plain")
    whole = orjson.loads(await read(answer))
    assert answer.media_type == JSON
    assert whole["choices"][0]["message"]["content"] == fake.TEXT["text"]
    assert whole["usage"]["prompt_tokens"] == 123
    assert server.bodies[-1] == {"model": "plain", "max_tokens": OUTPUT_TOKENS, "messages": QUESTION}
    assert server.headers[-1]["anthropic-version"] == "2023-06-01"
    assert "authorization" not in server.headers[-1]


@pytest.mark.parametrize("model", MODELS)
async def test_a_chat_stream_folded_is_the_whole_answer(provider: Anthropic, model: str) -> None:
    answer = await provider.call(chat(stream=True, **USAGE), model)
    assert answer.media_type == EVENTS
    data = await read(answer)
    whole = orjson.loads(await read(await provider.call(chat(), model)))
    assert data.endswith(b"data: [DONE]\n\n")
    assert folded(chunks(data)) == essence(whole)


async def test_usage_is_streamed_only_where_it_was_asked_for(provider: Anthropic) -> None:
    assert b'"usage"' not in await read(await provider.call(chat(stream=True), "plain"))


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_pass_as_bytes(provider: Anthropic, server: fake.Server, stream: bool) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    result = {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": []} | mark
    given = {"messages": [{"role": "user", "content": [result]}], "thinking": {"type": "between_tools"}}
    call = messages(stream=stream, **given)
    answer = await provider.call(call, "tools")
    whole = fake.message("tools")
    assert await read(answer) == (b"".join(fake.events(whole)) if stream else orjson.dumps(whole))
    assert server.bodies[-1] == call.body | {"model": "tools"}
    assert call.body["model"] == "asked"


async def test_output_tokens_of_the_deployment(server: fake.Server, http: Http) -> None:
    provider = connected(server, http, output_tokens=4096)
    await read(await provider.call(chat(), "plain"))
    assert server.bodies[-1]["max_tokens"] == 4096
    await read(await provider.call(chat(max_tokens=5), "plain"))
    assert server.bodies[-1]["max_tokens"] == 5


async def test_what_cannot_be_said_is_not_sent(provider: Anthropic, server: fake.Server) -> None:
    before = len(server.bodies)
    with pytest.raises(Invalid, match="'seed'"):
        await provider.call(chat(seed=7), "plain")
    assert len(server.bodies) == before


@pytest.mark.parametrize("call", [chat(temperature=0.5, stop="x"), messages(temperature=0.5, stream=True)])
async def test_counting(provider: Anthropic, server: fake.Server, call: Call) -> None:
    assert await provider.count_tokens(call, "plain") == len(orjson.dumps(QUESTION))
    assert server.bodies[-1] == {"model": "plain", "messages": QUESTION}


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("overloaded", Fault.TIRED),
        ("rate", Fault.TIRED),
        ("permission", Fault.KEY),
        ("billing", Fault.KEY),
        ("gone", Fault.MISSING),
        ("large", Fault.TOO_LONG),
        ("long", Fault.TOO_LONG),
        ("slow", Fault.BROKEN),
        ("ill", Fault.BROKEN),
        ("wrong", Fault.WRONG),
    ],
)
async def test_errors(provider: Anthropic, model: str, fault: Fault) -> None:
    with pytest.raises(Upstream) as caught:
        await provider.call(chat(), model)
    assert caught.value.fault is fault
    assert caught.value.status == fake.ERRORS[model][0]
    assert caught.value.retry_after_s == 7


async def test_a_key_that_is_dead_there(server: fake.Server, http: Http) -> None:
    with pytest.raises(Upstream) as caught:
        await connected(server, http, key="").call(messages(), "plain")
    assert caught.value.fault is Fault.KEY
    assert caught.value.code == "upstream_credentials"
    with pytest.raises(Upstream):
        await connected(server, http, key="wrong").count_tokens(messages(), "plain")


@pytest.mark.parametrize("model", ["error-first", "error-later", "cut", "unfinished"])
async def test_streams_that_break_off(provider: Anthropic, model: str) -> None:
    with pytest.raises(Upstream) as caught:
        await read(await provider.call(chat(stream=True), model))
    assert caught.value.retryable


async def test_a_forgotten_end(provider: Anthropic) -> None:
    data = await read(await provider.call(chat(stream=True, **USAGE), "no-stop"))
    assert data.endswith(b"data: [DONE]\n\n")
    assert folded(chunks(data))["usage"]["completion_tokens"] == 7


def test_where_it_is_and_what_it_answers() -> None:
    provider = Anthropic("claude", Deployment(provider="anthropic"), "k", Http())
    assert provider._origin.base_url == BASE_URL
    assert provider.kinds == {Kind.CHAT, Kind.MESSAGES}


# the official client


def test_the_server_is_one_for_the_official_client(client: anthropic.Anthropic) -> None:
    asked: Any = {"model": "tools", "max_tokens": 9, "messages": QUESTION}
    with client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    whole = client.messages.create(**asked)
    names = ["content", "stop_reason", "usage"]
    assert streamed.to_dict(mode="json").keys() >= set(names)
    assert [streamed.to_dict()[name] for name in names] == [whole.to_dict()[name] for name in names]
    assert client.messages.count_tokens(model="plain", messages=[{"role": "user", "content": "hi"}]).input_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_official_client_reads_what_is_written(
    server: fake.Server, client: anthropic.Anthropic, model: str
) -> None:
    """A chat stream, written as Messages, accumulated by the client: the same as the whole answer translated."""
    whole = MESSAGES.answer_to_chat(fake.message(model))
    decoder, encoder = MESSAGES.decoder(), MESSAGES.encoder({})
    pieces = [encoder.feed(decoder.feed(piece)) for piece in fake.events(fake.message(model))]
    server.raw[model] = b"".join(pieces) + encoder.end()
    try:
        with client.messages.stream(model=model, max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream:
            kinds = [event.type for event in stream]
            accumulated = stream.get_final_message().to_dict(mode="json")
    finally:
        del server.raw[model]
    expected = MESSAGES.answer_from_chat(whole, {})
    for name in ("id", "role", "content", "stop_reason", "usage"):
        assert _bare(accumulated[name]) == _bare(expected[name]), name
    assert [kind for kind, _ in itertools.groupby(kinds)][-1] == "message_stop"


def test_the_official_client_takes_a_whole_answer(client: anthropic.Anthropic) -> None:
    answer = MESSAGES.answer_from_chat(MESSAGES.answer_to_chat(fake.message("thinks-twice")), {})
    parsed = anthropic.types.Message.model_validate(answer, strict=True)
    assert [block.type for block in parsed.content] == [block["type"] for block in answer["content"]]


def _bare(value: Any) -> Any:
    """Without fields that are null, which the client adds."""
    if isinstance(value, dict):
        return {name: _bare(one) for name, one in value.items() if one is not None}
    return [_bare(one) for one in value] if isinstance(value, list) else value
