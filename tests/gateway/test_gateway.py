"""The gateway through a real node, in front of a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.cli.logs import JsonLines
from intermodel.settings import Deployment, Engines, Limits, Route
from tests.engines import tiny
from tests.support import Running, running, settings_for
from tests.upstream import DONE, Upstream

HOWS = [
    *("ok", "cut", "cut-before", "error-first", "error-later", "no-done", "unfinished", "slow", "hang"),
    *("html", "redirect", "empty", "json-to-stream", "page", "error-in-200", "list", "quotes"),
    *(f"status-{status}" for status in (400, 401, 404, 413, 429, 500, 503)),
]


@pytest.fixture
def node(tmp_path: Path, upstream_server: Upstream) -> Iterator[Running]:
    (tmp_path / "key").write_text("the-upstream-key")
    deployments = {how: Deployment(base_url=upstream_server.base, model=how, key_file=tmp_path / "key") for how in HOWS}
    deployments["gone"] = Deployment(base_url="http://127.0.0.1:9/v1")
    routes = {f"{how}-then-ok": Route(candidates=(how, "ok")) for how in [*HOWS, "gone"]}
    settings = settings_for(
        tmp_path / "data",
        deployments=deployments,
        routes=routes,
        limits=Limits(concurrent_calls=3, first_token_s=2, stop_grace_s=0.3),
    )
    with running(settings) as node:
        yield node


def ask(node: Running, model: str, *, stream: bool = False, **more: Any) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream} | more
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=20)


def text_of(response: httpx2.Response) -> str:
    lines = [json.loads(x[6:]) for x in response.text.splitlines() if x.startswith("data: {")]
    return "".join(c["delta"].get("content") or "" for e in lines for c in e.get("choices", ()))


@pytest.mark.parametrize("stream", [False, True])
def test_bytes_pass_through(node: Running, upstream_server: Upstream, stream: bool) -> None:
    response = ask(node, "ok", stream=stream, unknown_field={"a": [1, None]})
    assert response.status_code == 200
    assert response.headers["x-intermodel-model"] == "ok"
    assert upstream_server.bodies[0]["unknown_field"] == {"a": [1, None]}
    if stream:
        assert text_of(response) == "one two"
        assert response.content.endswith(DONE)
    else:
        assert response.json()["choices"][0]["message"]["content"] == "one two"


def test_the_key_goes_upstream_and_the_callers_token_does_not(node: Running, upstream_server: Upstream) -> None:
    ask(node, "ok", base_url="http://evil.test", api_base="http://evil.test")
    assert upstream_server.keys == ["Bearer the-upstream-key"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "how", ["gone", "status-401", "status-404", "status-429", "status-500", "status-503", "html", "redirect", "empty"]
)
def test_the_next_candidate_answers(node: Running, how: str, stream: bool) -> None:
    response = ask(node, f"{how}-then-ok", stream=stream)
    assert response.status_code == 200
    assert response.headers["x-intermodel-model"] == "ok"


@pytest.mark.parametrize("how", ["cut-before", "error-first", "hang"])
def test_a_stream_that_fails_before_its_first_token_is_tried_elsewhere(node: Running, how: str) -> None:
    response = ask(node, f"{how}-then-ok", stream=True)
    assert text_of(response) == "one two"
    assert response.headers["x-intermodel-model"] == "ok"


@pytest.mark.parametrize(
    ("how", "stream"),
    [("json-to-stream", True), ("page", False), ("page", True), ("error-in-200", False), ("list", False)],
)
def test_what_is_not_an_answer_is_not_given_for_one(node: Running, how: str, stream: bool) -> None:
    alone = ask(node, how, stream=stream)
    assert alone.status_code == 502
    assert alone.json()["error"]["code"] in ("upstream_protocol", "upstream_error")
    answered = ask(node, f"{how}-then-ok", stream=stream)
    assert answered.headers["x-intermodel-model"] == "ok"


def test_a_candidate_whose_context_is_too_short_is_passed_over(tmp_path: Path, upstream_server: Upstream) -> None:
    # a real engine with a short context stands first
    watched = tmp_path / "watched"
    watched.mkdir()
    tiny.write(watched / "tiny.gguf")
    settings = settings_for(
        tmp_path / "data",
        engines=Engines(shipped=False, watch=watched),
        deployments={"ok": Deployment(base_url=upstream_server.base, model="ok")},
        routes={"both": Route(candidates=("local/tiny", "ok"))},
    )
    with running(settings) as node:
        until = time.monotonic() + 20
        while httpx2.get(f"{node.api}/models/local/tiny", headers=node.headers).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        long = [{"role": "user", "content": "word " * 30_000}]
        assert ask(node, "both", messages=long).headers["x-intermodel-model"] == "ok"
        assert ask(node, "local/tiny", messages=long).json()["error"]["code"] == "context_length_exceeded"


def test_an_upstream_that_quotes_the_prompt_puts_nothing_into_the_log(
    node: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = ask(node, "quotes", messages=[{"role": "user", "content": "the-canary-sings"}])
    assert "the-canary-sings" in response.text
    assert all("the-canary-sings" not in JsonLines().format(r) for r in caplog.records if "intermodel" in r.name)


def test_a_node_that_stops_begins_no_new_attempt(node: Running, upstream_server: Upstream) -> None:
    answers: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask(node, "hang-then-ok")))
    thread.start()
    until = time.monotonic() + 10
    while not upstream_server.bodies:
        assert time.monotonic() < until
        time.sleep(0.01)
    asyncio.run_coroutine_threadsafe(node.node.gateway.stop(0.1), node.loop).result(10)
    thread.join()
    assert answers[0].json()["error"]["code"] == "node_stopping"
    assert [body["model"] for body in upstream_server.bodies] == ["hang"]


@pytest.mark.parametrize("how", ["status-400"])
def test_a_request_that_is_wrong_is_not_tried_again(node: Running, upstream_server: Upstream, how: str) -> None:
    response = ask(node, f"{how}-then-ok")
    assert response.status_code == int(how.split("-")[1])
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("the_code", "p")
    assert len(upstream_server.bodies) == 1


@pytest.mark.parametrize("how", ["cut", "unfinished"])
def test_a_broken_stream_never_ends_like_a_whole_one(node: Running, how: str) -> None:
    response = ask(node, how, stream=True)
    assert b"[DONE]" not in response.content
    last = json.loads(response.text.strip().splitlines()[-1][6:])
    assert last["error"]["code"] == "upstream_broken"


def test_an_error_of_the_upstream_inside_a_stream_is_passed_on_once(node: Running) -> None:
    response = ask(node, "error-later", stream=True)
    assert response.text.count('"error"') == 1
    assert b"[DONE]" not in response.content


def test_a_forgotten_done_is_added(node: Running) -> None:
    assert ask(node, "no-done", stream=True).content.endswith(DONE)


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("gone", 502, "upstream_unreachable"),
        ("status-401", 502, "upstream_credentials"),
        ("status-429", 429, "the_code"),
        ("status-503", 503, "the_code"),
        ("hang", 504, "upstream_timeout"),
    ],
)
def test_when_all_fail_the_caller_learns_which_credentials_were_meant(
    node: Running, how: str, status: int, code: str
) -> None:
    response = ask(node, how)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    if how == "status-429":
        assert response.headers["retry-after"] == "7"


def test_every_attempt_is_told(tmp_path: Path) -> None:
    deployments = {name: Deployment(base_url="http://127.0.0.1:9/v1") for name in ("a", "b")}
    settings = settings_for(tmp_path, deployments=deployments, routes={"ab": Route(candidates=("a", "b"))})
    with running(settings) as node:
        message = ask(node, "ab").json()["error"]["message"]
    assert "a after" in message
    assert "b after" in message


@pytest.mark.parametrize("stream", [False, True])
def test_when_the_client_leaves_the_upstream_is_left(node: Running, upstream_server: Upstream, stream: bool) -> None:
    body = {"model": "slow" if stream else "hang", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    with httpx2.Client() as client:
        if stream:
            with client.stream("POST", f"{node.api}/chat/completions", json=body, headers=node.headers) as response:
                next(response.iter_bytes())
        else:
            with pytest.raises(httpx2.TimeoutException):
                client.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=0.3)
    assert upstream_server.left.wait(10), "it would have gone on for a minute"
    time.sleep(0.1)
    metrics = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    assert f'intermodel_calls_total{{model="{body["model"]}",outcome="left"}} 1.0' in metrics


def test_too_many_calls_at_once_are_turned_away(node: Running) -> None:
    threads = [threading.Thread(target=ask, args=(node, "hang")) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    response = ask(node, "ok")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert response.headers["retry-after"] == "1"
    for thread in threads:
        thread.join()
    assert ask(node, "ok").status_code == 200


def test_stopping_ends_streams_with_an_error_event(node: Running) -> None:
    body = {"model": "slow", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with httpx2.stream("POST", f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=20) as response:
        pieces = response.iter_bytes()
        next(pieces)
        asyncio.run_coroutine_threadsafe(node.node.gateway.stop(0.1), node.loop).result(10)
        rest = b"".join(pieces)
    assert b'"code":"node_stopping"' in rest
    assert b"[DONE]" not in rest
    assert ask(node, "ok").json()["error"]["code"] == "node_stopping"


def test_calls_are_counted_without_saying_what_was_said(node: Running) -> None:
    ask(node, "ok")
    ask(node, "ok", stream=True)
    ask(node, "status-500")
    ask(node, "status-400")
    time.sleep(0.1)
    text = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    assert 'intermodel_calls_total{model="ok",outcome="ok"} 2.0' in text
    assert 'intermodel_tokens_total{kind="output",model="ok"} 4.0' in text
    assert 'intermodel_calls_total{model="status-500",outcome="failed"} 1.0' in text
    assert 'intermodel_calls_total{model="status-400",outcome="refused"} 1.0' in text
    assert 'intermodel_attempts_failed_total{code="status_500",model="status-500"} 1.0' in text
    assert "intermodel_calls_running 0.0" in text
    assert 'model="status-400"} ' not in text.partition("intermodel_attempts_failed")[2]  # the request was at fault


def test_a_request_that_is_wrong_is_no_failure_of_who_was_asked(node: Running) -> None:
    receipt = ask(node, "status-400").headers["x-intermodel-receipt"]
    told = httpx2.get(f"{node.url}/api/v1/receipts/{receipt}", headers=node.headers).json()
    assert [attempt["outcome"] for attempt in told["attempts"]] == ["refused"]
