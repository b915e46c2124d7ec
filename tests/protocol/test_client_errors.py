"""What the official clients raise, unmodified, for each fault of an upstream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from tests.gateway.calling import calling
from tests.support import Running

FAULTS = {
    "status-400": (openai.BadRequestError, anthropic.BadRequestError),
    "status-401": (openai.InternalServerError, anthropic.InternalServerError),
    "status-404": (openai.InternalServerError, anthropic.InternalServerError),
    "status-413": (openai.APIStatusError, anthropic.RequestTooLargeError),
    "status-418": (openai.BadRequestError, anthropic.BadRequestError),
    "status-422": (openai.UnprocessableEntityError, anthropic.UnprocessableEntityError),
    "status-429-30": (openai.RateLimitError, anthropic.RateLimitError),
    "status-500": (openai.InternalServerError, anthropic.InternalServerError),
    "status-503-30": (openai.InternalServerError, anthropic.InternalServerError),
    "status-529-30": (openai.InternalServerError, anthropic.InternalServerError),
    "reset-before": (openai.InternalServerError, anthropic.InternalServerError),
}
BROKEN = ("reset-after", "reset-in-event", "no-end", "error-later", "silent-between")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # one of its own for each test, for a deployment may rest after its first failure
    models = {f"{how}.{client}.{stream}": how for how in (*FAULTS, *BROKEN) for client in "oar" for stream in (0, 1)}
    routes = {f"r.{name}": {"candidates": (name,), "attempts": 1, "silence_s": 2} for name in models}
    folder: Path = tmp_path_factory.mktemp("clients")
    with calling(folder, routes, {name: {"model": how} for name, how in models.items()}) as (node, _):
        yield node


@pytest.fixture(scope="module")
def chat(node: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=node.api, api_key=node.token, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def messages(node: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=node.url, api_key=node.token, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", FAULTS)
def test_openai(chat: openai.OpenAI, how: str, stream: bool) -> None:
    with pytest.raises(FAULTS[how][0]) as raised:
        chat.chat.completions.create(
            model=f"r.{how}.o.{stream:d}", messages=[{"role": "user", "content": "hi"}], stream=stream
        )
    assert isinstance(raised.value, openai.APIStatusError)
    assert raised.value.response.headers["x-intermodel-receipt"]
    assert raised.value.code


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", FAULTS)
def test_anthropic(messages: anthropic.Anthropic, how: str, stream: bool) -> None:
    with pytest.raises(FAULTS[how][1]) as raised:
        messages.messages.create(
            model=f"r.{how}.a.{stream:d}",
            max_tokens=9,
            messages=[{"role": "user", "content": "hi"}],
            stream=stream,
        )
    assert isinstance(raised.value, anthropic.APIStatusError)
    assert raised.value.response.headers["x-intermodel-receipt"]


@pytest.mark.parametrize("how", BROKEN)
def test_openai_never_takes_a_broken_stream_for_a_whole_one(chat: openai.OpenAI, how: str) -> None:
    said = ""
    with pytest.raises(openai.APIError):  # noqa: PT012 - the words before it are part of it
        for chunk in chat.chat.completions.create(
            model=f"r.{how}.o.1", messages=[{"role": "user", "content": "hi"}], stream=True
        ):
            said += chunk.choices[0].delta.content or ""
    assert said == "one twö "


@pytest.mark.parametrize("how", BROKEN)
def test_nor_does_anthropic(messages: anthropic.Anthropic, how: str) -> None:
    said = ""
    with pytest.raises(anthropic.APIError):  # noqa: PT012, SIM117 - the words before it are part of it
        with messages.messages.stream(
            model=f"r.{how}.a.1", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
        ) as stream:
            for text in stream.text_stream:
                said += text
    assert said == "one twö "


@pytest.mark.parametrize("how", BROKEN)
def test_nor_do_responses(chat: openai.OpenAI, how: str) -> None:
    kinds = ["nothing"]
    try:
        kinds.extend(event.type for event in chat.responses.create(model=f"r.{how}.r.1", input="hi", stream=True))
    except openai.APIError:
        kinds.append("error")
    assert kinds[-1] in ("error", "response.failed")
    assert "response.completed" not in kinds


def test_a_wrong_token(node: Running) -> None:
    with pytest.raises(openai.AuthenticationError), openai.OpenAI(base_url=node.api, api_key="no") as client:
        client.chat.completions.create(model="r.status-400.o.0", messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(anthropic.AuthenticationError), anthropic.Anthropic(base_url=node.url, api_key="no") as other:
        other.messages.create(model="r.status-400.o.0", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
