"""Keys and servers that are left alone for a while: rotation, Retry-After, circuits and their probes."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2
import pytest

from tests.faults.server import DONE, ROLE, STOP, Asked, Step, event, framed, says, steps, streamed
from tests.gateway.calling import ask, attempts, body, by_turns, calling, receipt, until


def test_a_dead_key_gives_way_at_once_and_rests(tmp_path: Path) -> None:
    for name in ("dead", "good"):
        (tmp_path / name).write_text(f"the-{name}-key")
    keys = {"ok": {"key_file": (tmp_path / "dead", tmp_path / "good")}}

    def refuses_the_dead(asked: Asked) -> list[Step]:
        return steps("status-401" if "dead" in asked.key else "ok", stream=False)

    with calling(tmp_path, {"r": {"candidates": ("ok",)}}, keys) as (node, server):
        server.script = refuses_the_dead
        began = time.monotonic()
        first = ask(node, "r")
        assert time.monotonic() - began < 10
        assert first.status_code == 200
        assert attempts(node, first) == [("ok", 0, "upstream_credentials"), ("ok", 1, "ok")]
        assert attempts(node, ask(node, "r")) == [("ok", 1, "ok")], "the dead one rests"
        assert [asked.key for asked in server.asked] == ["Bearer the-dead-key", *["Bearer the-good-key"] * 2]
        assert "the-dead-key" not in first.text


def test_with_all_keys_dead_the_caller_learns_that_theirs_is_not_meant(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"key-{name}")
    keys = {"status-401": {"key_file": (tmp_path / "a", tmp_path / "b")}}
    with calling(tmp_path, {"r": {"candidates": ("status-401",)}}, keys) as (node, _):
        answer = ask(node, "r")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_credentials")
        assert [key for _, key, _ in attempts(node, answer)] == [0, 1]
        again = ask(node, "r")
        assert (again.status_code, again.json()["error"]["code"]) == (503, "deployment_resting")
        assert int(again.headers["retry-after"]) > 60, "a refused key rarely comes back by itself"


def test_a_short_retry_after_is_waited_for(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("m",)}}) as (node, server):
        server.script = by_turns(steps("status-429-1", stream=False), steps("ok", stream=False))
        began = time.monotonic()
        answer = ask(node, "r")
        assert answer.status_code == 200
        assert time.monotonic() - began >= 1
        assert attempts(node, answer) == [("m", 0, "some_code"), ("m", 0, "ok")]


def test_a_long_one_is_told_at_once_and_kept_by_the_next_caller(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("status-429-30",)}}) as (node, server):
        answer = ask(node, "r")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        next_one = ask(node, "r")
        assert (next_one.status_code, next_one.json()["error"]["code"]) == (503, "deployment_resting")
        assert 25 <= int(next_one.headers["retry-after"]) <= 34
        assert receipt(node, next_one)["attempts"] == []
        assert len(server.asked) == 1


def test_a_tired_candidate_is_passed_over_without_waiting(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("status-429-30", "ok")}}) as (node, server):
        began = time.monotonic()
        assert ask(node, "r").headers["x-intermodel-model"] == "ok"
        second = ask(node, "r")
        assert time.monotonic() - began < 10
        assert attempts(node, second) == [("ok", 0, "ok")]
        assert len(server.of("status-429-30")) == 1


def test_a_lone_deployment_that_is_broken_answers_fast_and_a_probe_closes_its_circuit(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("m",)}}) as (node, server):
        server.script = lambda _: steps("reset-before", stream=False)
        assert ask(node, "r").status_code == 502
        assert len(server.asked) == 3
        began = time.monotonic()
        resting = ask(node, "r")
        assert time.monotonic() - began < 10
        assert (resting.status_code, resting.json()["error"]["code"]) == (503, "deployment_resting")
        assert int(resting.headers["retry-after"]) >= 1
        assert len(server.asked) == 3, "nobody was asked"
        server.script = lambda _: steps("ok", stream=False)
        until(lambda: not node.node.gateway.standing("m").rests_s)
        assert ask(node, "r").status_code == 200
        assert node.node.gateway.standing("m").phase == "closed"


def test_a_deployment_whose_streams_always_break_is_found_out(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("reset-after", "ok"), "continues": False}}) as (node, _):
        answers = [ask(node, "r", stream=True) for _ in range(4)]
        assert [a.headers["x-intermodel-model"] for a in answers] == [*["reset-after"] * 3, "ok"]


def test_a_candidate_with_a_longer_context_takes_what_is_too_long(tmp_path: Path) -> None:
    sizes = {"status-413": {"context_length": 100}, "short": {"context_length": 90}, "ok": {"context_length": 200}}
    with calling(tmp_path, {"r": {"candidates": ("status-413", "short", "ok")}}, sizes) as (node, _):
        answer = ask(node, "r")
        assert attempts(node, answer) == [("status-413", 0, "context_length_exceeded"), ("ok", 0, "ok")]


@pytest.mark.parametrize("past_filters", [False, True])
def test_a_filter_is_routed_around_only_where_the_route_says_so(tmp_path: Path, past_filters: bool) -> None:
    refusal = b'{"error": {"message": "Blocked.", "code": "content_filter"}}'
    refused: list[Step] = [framed(refusal, "400 No")]
    with calling(tmp_path, {"r": {"candidates": ("m", "ok"), "past_filters": past_filters}}) as (node, server):
        server.script = lambda asked: refused if asked.model == "m" else None
        answer = ask(node, "r")
        assert answer.status_code == (200 if past_filters else 400)
        assert len(server.asked) == 1 + past_filters


def test_the_budget_of_attempts_holds(tmp_path: Path) -> None:
    names = tuple(f"status-{status}" for status in (500, 502, 504, 408))
    with calling(tmp_path, {"r": {"candidates": names, "attempts": 3}}) as (node, server):
        assert ask(node, "r").status_code == 502
        assert [asked.model for asked in server.asked] == list(names[:3])


@pytest.mark.parametrize("bound", [{"within_s": 0.5}, {"total_s": 0.5}, {"first_token_s": 0.5, "attempts": 1}])
@pytest.mark.parametrize("stream", [False, True])
def test_the_budget_of_time_holds(tmp_path: Path, bound: dict[str, float], stream: bool) -> None:
    with calling(tmp_path, {"r": {"candidates": ("silent-before", "ok"), **bound}}) as (node, server):
        began = time.monotonic()
        answer = ask(node, "r", stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        assert 0.5 <= time.monotonic() - began < 15
        assert [asked.model for asked in server.asked] == ["silent-before"]
        until(server.asked[0].left.is_set)


def test_a_long_answer_ends_at_its_total(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("only-comments",), "total_s": 0.7}}) as (node, server):
        answer = ask(node, "r", stream=True)
        assert '"upstream_timeout"' in answer.text
        assert "as a whole" in answer.text
        until(server.asked[0].left.is_set)


def test_a_slow_client_is_not_taken_for_a_silent_upstream(tmp_path: Path) -> None:
    much = streamed([ROLE, *[says("x" * 10_000)] * 3000, STOP, DONE])
    with calling(tmp_path, {"r": {"candidates": ("m",), "silence_s": 2}}) as (node, server):
        server.script = lambda _: much
        with httpx2.stream(
            "POST", f"{node.api}/chat/completions", headers=node.headers, timeout=60, json=body("r", stream=True)
        ) as answer:
            pieces = answer.iter_raw()
            text = next(pieces)
            time.sleep(3)
            text += b"".join(pieces)
        assert b"upstream_timeout" not in text
        assert text.endswith(DONE)


def test_every_call_has_a_receipt_also_a_failed_one(tmp_path: Path) -> None:
    with calling(tmp_path, {"r": {"candidates": ("status-400",)}, "q": {"candidates": ("gone",)}}) as (node, _):
        for model, path in (("r", "chat/completions"), ("unknown", "chat/completions"), ("r", "messages")):
            answer = ask(node, model, path=path, max_tokens=5)
            told = receipt(node, answer)
            assert told["outcome"] == "refused"
            assert told["id"] == answer.json()["error"]["receipt"]


def test_an_upstreams_words_stay_out_of_receipts_and_metrics(tmp_path: Path) -> None:
    said = b'{"error": {"message": "no: the canary sings", "code": "the canary sings"}}'
    refused = streamed([event(said)])
    with calling(tmp_path, {"r": {"candidates": ("m",), "attempts": 1}}) as (node, server):
        server.script = lambda _: refused
        answer = ask(node, "r", stream=True)
        assert "canary" in answer.text, "it is the caller's own"
        assert "canary" not in str(receipt(node, answer))
        metrics = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
        assert "canary" not in metrics
        assert 'code="upstream_error"' in metrics
