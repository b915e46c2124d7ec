"""What calls are charged and held to, whatever upstreams report, callers ask for, or a vendor leaves out."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.core import Call, Capability, Kind, Usage
from intermodel.gateway import money
from intermodel.gateway.said import Said
from intermodel.protocols import usage_in
from intermodel.settings import Budget, GuardTable, RateLimit
from tests.faults.server import ROLE, STOP, chunk, framed, says, streamed
from tests.faults.table import find_receipt
from tests.gateway.calling import ask, calling, receipt

ROUTES: dict[str, dict[str, Any]] = {"r": {"candidates": ("m",)}}


def budgets(dollars: str) -> dict[str, Budget]:
    return {"all": Budget(dollars=Decimal(dollars), per="all")}


def answered(read: object, made: object, text: str = "one") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": read, "completion_tokens": made}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return framed(json.dumps(head | {"choices": [choice], "usage": usage}).encode())


@pytest.mark.parametrize("absurd", [2**63 - 1, 10**40, -5, "3", 1.5, True])
@pytest.mark.parametrize("kind", [Kind.CHAT, Kind.RESPONSES, Kind.MESSAGES])
def test_what_is_no_count_is_not_reported(kind: Kind, absurd: object) -> None:
    names = ("prompt_tokens", "completion_tokens") if kind is Kind.CHAT else ("input_tokens", "output_tokens")
    assert usage_in(kind, {"usage": {names[0]: 30, names[1]: absurd}}) == Usage()
    assert usage_in(kind, {"usage": {names[0]: 30, names[1]: 20}}) == Usage(30, 20)


@pytest.mark.parametrize("absurd", [2**63 - 1, "3"])
def test_an_absurd_usage_is_estimated_and_stops_nothing(tmp_path: Path, absurd: object) -> None:
    with calling(tmp_path, ROUTES, budgets=budgets("1")) as (node, server):
        server.script = lambda _: [answered(30, absurd)]
        told = receipt(node, ask(node, "r"))
        assert told["usage"]["estimated"]
        assert 0 < told["spent"] <= told["reserved"]
        assert httpx2.get(f"{node.url}/api/v1/spending", headers=node.headers).status_code == 200


def chat(**body: Any) -> Call:
    return Call(Kind.CHAT, "m", {"messages": []} | body)


def test_a_limit_is_one_of_the_protocol_that_is_sent() -> None:
    for foreign in (-(10**9), 5, True):
        sent = money.held(chat(max_output_tokens=foreign), 100)
        assert sent["max_completion_tokens"] == 100
        assert money.likely(chat(max_output_tokens=foreign)) >= 0
    assert money.likely(chat(max_tokens=7, max_completion_tokens=9)) - money.likely(chat()) >= 9
    assert money.held(chat(max_tokens=-1), 100) == {"messages": [], "max_completion_tokens": 1}
    assert money.held(chat(max_tokens=50), 100)["max_tokens"] == 50
    assert money.held(chat(max_tokens=500), 100)["max_tokens"] == 100


def test_a_negative_limit_opens_no_rate_limit(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, rate_limits={"x": RateLimit(tokens_per_minute=100)}) as (node, server):
        server.script = lambda _: [answered(30, 60)]
        assert [ask(node, "r", max_output_tokens=-(10**9)).status_code for _ in range(3)] == [200, 429, 429]


def test_what_cannot_be_bounded_is_refused_under_a_budget(tmp_path: Path) -> None:
    flat: dict[str, dict[str, Any]] = {"flat": {"price": {"request": "0.25"}}}
    with calling(tmp_path, ROUTES, flat, budgets=budgets("1")) as (node, server):
        picture = {"created": 1, "data": [{"b64_json": "aa"}], "usage": {"input_tokens": 10, "output_tokens": 4000}}
        server.script = lambda _: [framed(json.dumps(picture).encode())]

        def drawn(model: str) -> httpx2.Response:
            asked = {"model": model, "prompt": "cat"}
            return httpx2.post(f"{node.api}/images/generations", headers=node.headers, json=asked)

        refused = drawn("r")
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "unbounded_under_budget")
        told = receipt(node, drawn("flat"))
        assert told["spent"] == 250_000_000
        assert told["usage"] == {"input": 10, "output": 4000}
        file = {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
        answer = ask(node, "r", messages=[file])
        assert answer.json()["error"]["code"] == "unbounded_under_budget", answer.text


def test_an_answer_that_a_guard_refuses_is_paid_and_not_asked_for_again(tmp_path: Path) -> None:
    guards = {"g": GuardTable(actions={"*": "refuse"})}
    routes = {"r": {"candidates": ("m", "n"), "guards": ("g",)}}
    with calling(tmp_path, routes, budgets=budgets("1"), guards=guards) as (node, server):
        server.script = lambda _: [answered(30, 20, "write to jane.doe@example.com now")]
        refused = ask(node, "r")
        assert refused.status_code == 403
        assert len(server.asked) == 1
        told = find_receipt(node, refused.headers["x-intermodel-receipt"])
        assert told["spent"] == 70_000


def test_an_upstream_that_is_too_late_is_paid_by_estimate(tmp_path: Path) -> None:
    routes = {"r": {"candidates": ("m",), "first_token_s": 0.3, "attempts": 1}}
    with calling(tmp_path, routes, budgets=budgets("1")) as (node, server):
        server.script = lambda _: [1.0, answered(30, 20)]
        late = ask(node, "r")
        assert late.status_code == 504
        assert 0 < find_receipt(node, late.headers["x-intermodel-receipt"])["spent"] < 1_000_000


def test_a_stream_that_breaks_off_is_paid_by_its_words(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, budgets=budgets("1")) as (node, server):
        server.script = lambda _: streamed([ROLE, says("word " * 20_000)])
        broken = ask(node, "r", stream=True, max_tokens=40_000)
        told = receipt(node, broken)
        assert told["outcome"] == "broken"
        assert 24_000 < told["usage"]["output"] < 27_000


def test_a_token_for_each_event_and_for_four_bytes_in_long_ones() -> None:
    said = Said(Kind.CHAT)
    for _ in range(50):
        said.feed(says("word "))
    assert said.tokens == 50
    said.feed(says("x" * 4000))
    assert 1040 <= said.tokens <= 1060
    cut = Said(Kind.CHAT)
    for event in [says("word ")] * 50:
        cut.feed(event[:70])
        cut.feed(event[70:])
    assert cut.tokens <= 60


def test_usage_counts_before_the_end_mark(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES) as (node, server):
        usage = chunk([], usage={"prompt_tokens": 30, "completion_tokens": 20_000})
        server.script = lambda _: [*streamed([ROLE, says("one"), STOP, usage]), 5.0]
        with httpx2.stream(
            "POST",
            f"{node.api}/chat/completions",
            headers=node.headers,
            json=chat(model="r", stream=True).body
            | {"messages": [{"role": "user", "content": "x"}], "stream_options": {"include_usage": True}},
        ) as answer:
            assert any(b"20000" in piece for piece in answer.iter_raw())
        assert receipt(node, answer)["usage"] == {"input": 30, "output": 20_000}


def test_only_images_are_counted_as_images() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 900_000}}
    needs = frozenset({Capability.VISION})
    seen = Call(Kind.CHAT, "m", {"messages": [{"role": "user", "content": [picture]}]}, needs=needs, size=1)
    assert money.IMAGE_TOKENS < money.most_read(seen) < 20_000
    schema = {"type": "function", "function": {"name": "f", "parameters": {"data": "x" * 900_000, "i": picture}}}
    told = Call(Kind.CHAT, "m", seen.body | {"tools": [schema]}, needs=needs, size=1)
    assert money.most_read(told) > 1_800_000


def test_best_of_is_paid() -> None:
    call = Call(Kind.COMPLETION, "m", {"prompt": ["a", "b"], "n": 2, "best_of": 20, "max_tokens": 10})
    assert money.answers(call) == 40


def test_a_stream_with_less_money_is_held_to_what_it_buys(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, budgets=budgets("0.01")) as (node, server):
        server.script = lambda _: streamed([ROLE, says("one"), STOP, b"data: [DONE]\n\n"])
        told = receipt(node, ask(node, "r", stream=True, max_tokens=90_000))
        assert told["reserved"] <= 10_000_000
        assert server.asked[-1].body["max_tokens"] < 5_000
