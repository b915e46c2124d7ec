"""llm-comply, unmodified, against a node that listens: each of its suites, all of its checks, each kind of upstream.

Its specifications are those of the vendors, so an answer is in full, or it fails. What does not pass is listed here,
with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import llm_comply
import pytest
from llm_comply.schema import SpecLoader

from intermodel.engines.library import SHIPPED
from intermodel.settings import Deployment, Engines
from tests import gemini_server
from tests.protocol.vendors import vendors
from tests.support import Running, running, settings_for

COMPLY = Path(sys.executable).with_name("llm-comply")
SUITES: dict[str, tuple[str, ...]] = {
    "open-responses": (),
    "openai-chat": (),
    "anthropic": ("--auth-header", "x-api-key", "--no-bearer", "--header", "anthropic-version:2023-06-01"),
}
UPSTREAMS = ("openai", "compatible", "anthropic", "gemini", "echo")
NAME = "gpt-5.claude-opus."
"""Models whose names have this in them are asked for thoughts too: the suites go by the name."""

NO_FIELD = (
    "OpenAI's chat completions have no `reasoning` (nor has the suite's own copy of them): translated, it is refused"
)
NO_BUDGET = "thoughts have an effort in the chat form, and no budget in tokens: docs/protocols.md"
LEFT: dict[tuple[str, str], dict[str, str]] = {
    ("openai-chat", "anthropic"): {"chat-reasoning-summary": NO_FIELD},
    ("openai-chat", "gemini"): {"chat-reasoning-summary": NO_FIELD},
    **{
        ("anthropic", upstream): {"anth-thinking-display": NO_BUDGET}
        for upstream in UPSTREAMS
        if upstream != "anthropic"
    },
}
"""By suite and upstream, what is refused and why."""

NAMED = "the suite asks for thoughts only where the model's name is one of those it knows"
NO_EYES = "pebble sees no images, and says so"
LEFT_BY_PEBBLE = {
    "open-responses": {"image-input": NO_EYES, "reasoning-summary": NAMED},
    "openai-chat": {"chat-image-input": NO_EYES, "chat-reasoning-summary": NAMED},
    "anthropic": {"anth-image-input": NO_EYES, "anth-thinking-display": NAMED},
}

MESSAGES = SpecLoader(str(Path(llm_comply.__file__).parent / "specs" / "anthropic.json"))
EVENTS = {
    "message_start": "MessageStartEvent",
    "content_block_start": "ContentBlockStartEvent",
    "content_block_delta": "ContentBlockDeltaEvent",
    "content_block_stop": "ContentBlockStopEvent",
    "message_delta": "MessageDeltaEvent",
    "message_stop": "MessageStopEvent",
}
TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}
THINK = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "key").write_text(gemini_server.KEY)
    key: dict[str, Any] = {"key_file": (folder / "key",)}
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"location": ""}'}}
    (folder / "script.json").write_text(json.dumps(["one", "two", "three", {"content": "", "tool_calls": [call]}, "4"]))
    with vendors() as url, gemini_server.gemini_server() as google:
        deployments = {
            "openai": Deployment(base_url=f"{url}/v1", speaks=frozenset({"responses"})),
            "compatible": Deployment(base_url=f"{url}/v1"),
            "anthropic": Deployment(provider="anthropic", base_url=f"{url}/v1", **key),
            "gemini": Deployment(provider="gemini", base_url=f"{url}/v1beta", **key),
            "thinks": Deployment(provider="gemini", base_url=google.base, model="thinks", **key),
            "echo": Deployment(provider="echo", script=folder / "script.json"),
        }
        # one for each suite, since each begins the script
        named = {f"{NAME}{name}.{of}": given for name, given in deployments.items() for of in (*SUITES, "events")}
        with running(settings_for(folder, deployments=named)) as node:
            yield node


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_suite(node: Running, suite: str, upstream: str) -> None:
    results = _run(node, suite, f"{NAME}{upstream}.{suite}")
    left = LEFT.get((suite, upstream), {})
    assert complained(results) == left.keys(), results
    assert all(results[name][0].startswith("HTTP 400") for name in left), results


def test_thoughts_that_nobody_asked_for(node: Running) -> None:
    """They are streamed under OpenAI's names, for its clients know no other; the suite knows only the others."""
    ignored = ("--ignore", "unknown SSE event type: response.reasoning_text.")
    results = _run(node, "open-responses", f"{NAME}thinks.open-responses", *ignored)
    assert complained(results) == {"tool-calling"}, results  # that model knows no tools


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_the_model_that_ships(pebble: Running, suite: str) -> None:
    results = _run(pebble, suite, SHIPPED)
    assert complained(results) == LEFT_BY_PEBBLE[suite].keys(), results


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_for(tmp_path_factory.mktemp("pebble"), engines=Engines(), deployments={})
    with running(settings) as node:
        until = time.monotonic() + 60
        while SHIPPED not in httpx2.get(f"{node.api}/models", headers=node.headers).text:
            assert time.monotonic() < until, "the model that ships is not served"
            time.sleep(0.1)
        yield node


@pytest.mark.parametrize("upstream", [name for name in UPSTREAMS if name != "anthropic"])
@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # llm-comply's own affair
@pytest.mark.parametrize("more", [{}, {"tools": [TOOL], "tool_choice": {"type": "any"}}, THINK])
def test_the_events_of_messages(node: Running, upstream: str, more: dict[str, Any]) -> None:
    """The suite looks at their order alone, though its specification has their fields. Anthropic's pass as they are."""
    asked = {"model": f"{NAME}{upstream}.events", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(f"{node.api}/messages", json=asked | more | {"stream": True}, headers=node.headers)
    assert answer.status_code == 200, answer.text
    for event in _events(answer.text):
        assert not MESSAGES.validate(event, EVENTS[event["type"]]), event


def _events(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def complained(results: dict[str, list[str]]) -> set[str]:
    return {name for name, errors in results.items() if errors}


def _run(node: Running, suite: str, model: str, *more: str) -> dict[str, list[str]]:
    """What every check has to complain of; one that was skipped complains of that."""
    asked = ("--base-url", node.api, "--api-key", node.token, "--model", model, "--format", suite, "--json")
    done = subprocess.run(
        [COMPLY, *asked, *SUITES[suite], *more], capture_output=True, text=True, timeout=100, check=False
    )
    return {one["id"]: one.get("errors") or [] for one in json.loads(done.stdout)["results"]}
