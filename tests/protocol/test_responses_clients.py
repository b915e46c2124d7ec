"""OpenAI's Responses, asked by the official client, unmodified, of a node that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from intermodel.settings import Deployment
from tests import gemini_server
from tests.support import Running, running, settings_for

TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "key").write_text(gemini_server.KEY)
    with gemini_server.gemini_server() as google:
        shared: dict[str, Any] = {"provider": "gemini", "base_url": google.base, "key_file": (folder / "key",)}
        models = {"gemini": "plain", "thinks": "thinks", "tools": "tools", "cut": "cut", "blocked": "blocked"}
        deployments = {name: Deployment(model=model, **shared) for name, model in models.items()}
        deployments["echo"] = Deployment(provider="echo")
        with running(settings_for(folder, deployments=deployments)) as node:
            yield node


@pytest.fixture(scope="module")
def client(node: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=node.api, api_key=node.token, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", ["echo", "gemini"])
def test_an_answer_and_its_stream(client: openai.OpenAI, model: str) -> None:
    whole = client.responses.create(model=model, input="hello there")
    with client.responses.stream(model=model, input="hello there") as stream:
        final = stream.get_final_response()
    assert final.output_text == whole.output_text != ""
    assert final.usage == whole.usage
    assert (final.status, final.store) == ("completed", False)  # type: ignore[attr-defined] # an extra field


def test_a_conversation_with_calls_and_thoughts(client: openai.OpenAI) -> None:
    question: Any = [{"role": "user", "content": "rain?"}]
    with client.responses.stream(model="tools", input=question, tools=[TOOL]) as stream:  # type: ignore[list-item]
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["weather", "now"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "no"} for call in calls]
    given = [item.to_dict() for item in final.output]
    later = client.responses.create(model="tools", input=question + given + results)
    assert later.status == "completed"


def test_a_stream_that_breaks_off_says_so(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="cut", input="hi", stream=True))
    assert events[-1].type == "response.failed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.error is not None


def test_a_filtered_request(client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(model="blocked", input="hi", stream=stream)
        assert caught.value.code == "content_filter"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools.0"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
    ],
)
def test_what_is_refused_is_named(client: openai.OpenAI, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**({"model": "gemini", "input": "hi"} | more))
    assert caught.value.param == param


def test_embeddings_as_the_client_asks_for_them(client: openai.OpenAI) -> None:
    vector = client.embeddings.create(model="gemini", input=["abc"]).data[0].embedding
    assert vector == [3.0, 0.5]
