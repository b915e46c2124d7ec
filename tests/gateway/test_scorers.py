"""Judges of answers, and that what they say makes the order `best`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.core import Call, Kind
from intermodel.gateway.scorers import Finished, KeepsSchema, judged, load
from intermodel.settings import Deployment, Route
from tests.support import running, settings_for

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASKED = {
    "model": "m",
    "messages": [{"role": "user", "content": "n?"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
}


@pytest.mark.parametrize(("content", "score"), [('{"n": 1}', 1.0), ('{"n": "one"}', 0.0), ("no JSON", 0.0), ("", 0.0)])
def test_a_schema_is_kept_or_not(content: str, score: float) -> None:
    assert KeepsSchema().score(ASKED, {"content": content}, "stop") == score


def test_judges_say_nothing_where_nothing_was_asked() -> None:
    assert KeepsSchema().score({"messages": []}, {"content": "x"}, "stop") is None
    assert KeepsSchema().score(ASKED, {"content": None, "tool_calls": [{}]}, "tool_calls") is None
    assert Finished().score({}, {}, "length") == 0.0


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_judged_as_they_came(stream: bool) -> None:
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    said = {"role": "assistant", "content": '{"n": 2}'}
    body = {"id": "x", "choices": [choice | {"delta" if stream else "message": said}]}
    answer = [b"data: " + orjson.dumps(body) + b"\n\ndata: [DONE]\n\n"] if stream else [orjson.dumps(body)]
    call = Call(Kind.CHAT, "m", ASKED, stream=stream)
    assert judged([Finished(), KeepsSchema()], call, Kind.CHAT, answer) == 1.0
    assert judged([Finished()], call, Kind.CHAT, [b"rubbish"]) is None


def test_the_best_by_what_was_measured_comes_first(tmp_path: Path) -> None:
    for name, content in (("bad", "no JSON"), ("good", '{"n": 3}')):
        (tmp_path / f"{name}.json").write_text(json.dumps([content]))
    deployments = {name: Deployment(provider="echo", script=tmp_path / f"{name}.json") for name in ("bad", "good")}
    routes = {
        **{name: Route(candidates=(name.split("-")[1],), scorers=("keeps-schema",)) for name in ("to-bad", "to-good")},
        "best": Route(candidates=("bad", "good"), order="best"),
    }
    with running(settings_for(tmp_path / "data", deployments=deployments, routes=routes)) as node:

        def answered(model: str) -> str:
            body = ASKED | {"model": model}
            answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers)
            return answer.headers["x-intermodel-model"]

        assert answered("best") == "bad"
        answered("to-bad")
        answered("to-good")
        ends = time.monotonic() + 5
        while node.node.gateway.standing("good").quality is None and time.monotonic() < ends:
            time.sleep(0.02)
        assert answered("best") == "good"


def test_one_that_was_never_rated_is_tried_and_so_rated(tmp_path: Path) -> None:
    for name, content in (("bad", "no JSON"), ("good", '{"n": 3}')):
        (tmp_path / f"{name}.json").write_text(json.dumps([content]))
    deployments = {name: Deployment(provider="echo", script=tmp_path / f"{name}.json") for name in ("bad", "good")}
    route = Route(candidates=("bad", "good"), order="best", scorers=("keeps-schema",), explore=0.5)
    routes = {"best": route, "never": route.model_copy(update={"explore": 0.0})}
    with running(settings_for(tmp_path / "data", deployments=deployments, routes=routes)) as node:

        def answered(model: str) -> str:
            answer = httpx2.post(f"{node.api}/chat/completions", json=ASKED | {"model": model}, headers=node.headers)
            return str(answer.headers["x-intermodel-model"])

        health = node.node.gateway.health
        health.judged("bad", 0.0)
        assert {answered("never") for _ in range(20)} == {"bad"}, "it is measured, and so stays the best"
        assert health.standing("good").quality is None
        ends = time.monotonic() + 20
        while health.standing("good").quality is None and time.monotonic() < ends:
            answered("best")
        assert health.standing("good").quality == 1.0
        assert answered("never") == "good"


def test_both_ship_through_the_door_of_others() -> None:
    assert {"finished", "keeps-schema"} <= set(load())
