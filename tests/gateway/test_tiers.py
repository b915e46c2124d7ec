"""What a call costs that was served at another tier, or kept for an hour in a cache: exactly, or not known."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.accounts.prices import declared
from intermodel.core import Call, Kind, Usage
from intermodel.gateway import money
from intermodel.gateway.receipt import Heard
from intermodel.gateway.spans import Spans
from intermodel.settings import Budget, Price, TierPrice
from tests.faults.server import DONE, ROLE, STOP, Step, chunk, framed, says, streamed
from tests.gateway.calling import ask, calling, receipt

ROUTES: dict[str, dict[str, Any]] = {"r": {"candidates": ("m",)}}
TIERED = Price(input=Decimal(1), output=Decimal(2), tiers={"priority": TierPrice(input=Decimal(2), output=Decimal(4))})
USUAL, PRIORITY = 70_000, 140_000
"""Nano-dollars of 30 tokens read and 20 made."""
COUNTS = {"prompt_tokens": 30, "completion_tokens": 20}


def script(stream: bool, **more: Any) -> list[Step]:
    """An answer that says `more` of itself."""
    if stream:
        return streamed([ROLE, says("one"), STOP, chunk([], usage=COUNTS, **more), DONE])
    choice = {"index": 0, "message": {"role": "assistant", "content": "one"}, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return [framed(json.dumps(head | {"choices": [choice], "usage": COUNTS} | more).encode())]


def budget() -> dict[str, Budget]:
    return {"all": Budget(dollars=Decimal(1), per="all")}


def spent(node: Any) -> int:
    (one,) = httpx2.get(f"{node.url}/api/v1/budgets", headers=node.headers).json()["data"]
    return int(one["spent"]["nano"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    ("asked", "said", "cost", "tier"),
    [
        ({}, {}, USUAL, None),
        ({}, {"service_tier": "default"}, USUAL, None),
        ({}, {"service_tier": "priority"}, PRIORITY, "priority"),
        ({"service_tier": "auto"}, {"service_tier": "priority"}, PRIORITY, "priority"),
        ({"service_tier": "priority"}, {"service_tier": "default"}, USUAL, None),
        ({"service_tier": "priority"}, {}, PRIORITY, "priority"),
        ({"service_tier": "priority"}, {"service_tier": None}, PRIORITY, "priority"),
    ],
)
def test_a_call_costs_what_the_tier_costs_that_served_it(
    tmp_path: Path, asked: Any, said: Any, cost: int, tier: str | None, bound: bool, stream: bool
) -> None:
    with calling(tmp_path, ROUTES, {"m": {"price": TIERED}}, budgets=budget() if bound else {}) as (node, server):
        server.script = lambda _: script(stream, **said)
        told = receipt(node, ask(node, "r", stream=stream, max_tokens=50, **asked))
        assert (told["spent"], told["attempts"][0]["cost"], told["wasted"]) == (cost, cost, 0)
        assert told["attempts"][0].get("tier") == tier
        assert told["price"]["source"] == ("settings (priority)" if tier else "settings")
        assert told["usage"] == {"input": 30, "output": 20}
        if bound:
            assert [charge["nano"] for charge in told["budgets"]] == [cost]


def test_the_cost_at_a_tier_without_a_price_is_not_known(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, {"m": {"price": TIERED}}) as (node, server):
        server.script = lambda _: script(False, service_tier="ultrafast")
        told = receipt(node, ask(node, "r"))
        assert (told["spent"], told["spent_at_least"], told["wasted"]) == (None, 0, 0)
        assert (told["attempts"][0]["cost"], told["attempts"][0]["tier"]) == (None, "ultrafast")
        assert "price" not in told
        told_on = [span.attributes or {} for span in Spans("test", "n", content=False).spans(Heard(told, {}))]
        assert not any("intermodel.cost_dollars" in attributes for attributes in told_on), (
            "nor is it told on as nothing"
        )
        server.script = lambda _: script(False)
        asked = receipt(node, ask(node, "r", service_tier="ultrafast"))
        assert asked["spent"] is None, "nor is it where the answer does not say that it was not served so"


def test_what_is_free_is_free_at_every_tier(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, {"m": {"price": Price()}}, budgets=budget()) as (node, server):
        server.script = lambda _: script(False, service_tier="ultrafast")
        assert receipt(node, ask(node, "r", service_tier="ultrafast"))["spent"] == 0


def test_under_a_budget_a_tier_that_nothing_bounds_is_not_asked_for(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, {"m": {"price": TIERED}}, budgets=budget()) as (node, server):
        refused = ask(node, "r", service_tier="ultrafast")
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "unbounded_under_budget")
        assert "'service_tier'" in refused.json()["error"]["message"]
        assert not server.asked


def test_under_a_budget_what_nobody_knows_is_charged_its_bound(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, {"m": {"price": TIERED}}, budgets=budget()) as (node, server):
        server.script = lambda _: script(False, service_tier="ultrafast")
        dearer = receipt(node, ask(node, "r", max_tokens=50))
        assert (dearer["spent"], dearer["attempts"][0]["cost"]) == (None, None)
        assert [charge["nano"] for charge in dearer["budgets"]] == [dearer["reserved"]], "all that was set aside"
        server.script = lambda _: script(False, service_tier="flex")
        cheaper = receipt(node, ask(node, "r", service_tier="flex", max_tokens=50))
        assert cheaper["spent"] is None
        assert [charge["nano"] for charge in cheaper["budgets"]] == [USUAL], "flex costs no more than the usual tier"
        assert spent(node) == dearer["reserved"] + USUAL


def message(**usage: Any) -> list[Step]:
    """An answer of Anthropic's."""
    counts = {"input_tokens": 10, "output_tokens": 20, "cache_creation_input_tokens": 20}
    whole = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
             "content": [{"type": "text", "text": "one"}], "usage": counts | usage}  # fmt: skip
    return [framed(json.dumps(whole).encode())]


HOUR = {"cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15}}
KEEP = {"type": "text", "text": "x" * 400, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
WRITES = {"input": Decimal(1), "output": Decimal(2), "cache_write": Decimal("1.25")}


def claude(**price: Any) -> dict[str, dict[str, Any]]:
    return {"m": {"provider": "anthropic", "price": Price(**WRITES, **price)}}


@pytest.mark.parametrize("path", ["messages", "chat/completions"])
@pytest.mark.parametrize("bound", [False, True])
def test_what_is_kept_for_an_hour_has_its_own_price(tmp_path: Path, path: str, bound: bool) -> None:
    budgets = budget() if bound else {}
    with calling(tmp_path, ROUTES, claude(cache_write_1h=Decimal(2)), budgets=budgets) as (node, server):
        server.script = lambda _: message(**HOUR)
        told = receipt(node, ask(node, "r", path=path, max_tokens=50, messages=[{"role": "user", "content": [KEEP]}]))
        assert told["usage"] == {"input": 30, "output": 20, "cache_write": 20, "cache_write_1h": 15}
        assert told["spent"] == 10 * 1000 + 5 * 1250 + 15 * 2000 + 20 * 2000


def test_an_hour_without_a_price_is_not_known_and_charged_its_bound(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, claude(), budgets=budget()) as (node, server):
        server.script = lambda _: message(**HOUR)
        told = receipt(node, ask(node, "r", path="messages", max_tokens=50))
        assert (told["spent"], told["attempts"][0]["cost"]) == (None, None)
        assert told["price"]["cache_write"] == "1.25"
        bound = 10 * 1000 + 5 * 1250 + 15 * 2000 + 20 * 2000
        assert [charge["nano"] for charge in told["budgets"]] == [bound], "twice what reading costs"
        server.script = lambda _: message(cache_creation={"ephemeral_5m_input_tokens": 20})
        usual = receipt(node, ask(node, "r", path="messages", max_tokens=50))
        assert usual["spent"] == 10 * 1000 + 20 * 1250 + 20 * 2000, "what is kept for minutes is known"


def test_who_asks_for_an_hour_has_more_set_aside(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, claude(cache_write_1h=Decimal(2)), budgets=budget()) as (node, server):
        server.script = lambda _: message()
        minutes = KEEP | {"cache_control": {"type": "ephemeral"}}
        short, long = (
            receipt(
                node, ask(node, "r", path="messages", max_tokens=50, messages=[{"role": "user", "content": [part]}])
            )
            for part in (minutes, KEEP)
        )
        assert long["reserved"] > 1.5 * short["reserved"] > short["spent"]


def test_what_a_vendor_does_not_tell_apart_is_not_known() -> None:
    price = declared(Price(**WRITES, cache_write_1h=Decimal(2)))
    usage = Usage(30, 20, cache_write=20)
    keeps = Call(Kind.CHAT, "m", {"messages": [{"role": "user", "content": [KEEP]}]})
    assert money.billed(price, "", keeps, usage, 10**9) == (None, 10 * 1000 + 20 * 2000 + 20 * 2000, price)
    plain = Call(Kind.CHAT, "m", {"messages": [{"role": "user", "content": "x"}]})
    assert money.billed(price, "", plain, usage, None)[0] == 10 * 1000 + 20 * 1250 + 20 * 2000


@pytest.mark.parametrize(
    ("body", "keeps"),
    [
        ({"messages": [{"role": "user", "content": "ttl 1h"}]}, False),
        ({"messages": [], "cache_control": {"type": "ephemeral", "ttl": "1h"}}, True),
        ({"messages": [], "cache_control": {"type": "ephemeral", "ttl": "5m"}}, False),
        ({"messages": [], "system": [KEEP]}, True),
        ({"messages": [], "tools": [{"name": "t", "cache_control": {"ttl": "1h"}}]}, True),
        ({"messages": [{"content": [{"type": "tool_result", "content": [KEEP]}]}]}, True),
        ({"messages": [{"content": [{"type": "text", "text": "x", "cache_control": "1h"}]}]}, False),
    ],
)
def test_whether_a_call_keeps_something_for_an_hour(body: dict[str, Any], keeps: bool) -> None:
    assert money.keeps_an_hour(Call(Kind.MESSAGES, "m", body)) is keeps
    assert not money.keeps_an_hour(Call(Kind.EMBEDDING, "m", body))


@pytest.mark.parametrize(
    ("body", "tier"),
    [
        ({}, ""),
        ({"service_tier": "auto"}, ""),
        ({"service_tier": "standard_only"}, ""),
        ({"service_tier": "flex"}, "flex"),
        ({"speed": "fast", "inference_geo": "us"}, "fast+us"),
        ({"speed": 1.25}, ""),
        ({"inference_geo": "global", "service_tier": None}, ""),
    ],
)
def test_what_a_call_asks_for_that_changes_its_price(body: dict[str, Any], tier: str) -> None:
    assert money.tier_asked(Call(Kind.MESSAGES, "m", body)) == tier


def test_what_nobody_told_the_use_of_is_not_known() -> None:
    """Speech, say: without a price by the request nobody can tell what it came to."""
    call = Call(Kind.SPEECH, "m", {"input": "x"})
    by_token = declared(Price(input=Decimal(1), output=Decimal(2)))
    assert money.billed(by_token, "", call, None, None) == (None, 0, by_token)
    assert money.billed(by_token, "", call, None, 500) == (None, 500, by_token)
    by_request = declared(Price(request=Decimal("0.25")))
    assert money.billed(by_request, "", call, None, None) == (250_000_000, 250_000_000, by_request)
    assert money.billed(None, "", call, None, None) == (None, 0, None)
