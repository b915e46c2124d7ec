"""What this node refuses is refused in figures and on pages, and no failure of the deployment that was to answer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.core import Fault, Unavailable, Upstream
from intermodel.gateway.account import Attempt
from intermodel.gateway.choose import Target
from intermodel.gateway.receipt import Heard
from intermodel.gateway.spans import Spans
from intermodel.settings import Budget, GuardTable
from tests.faults.server import DONE, ROLE, STOP, USAGE, says, steps, streamed
from tests.gateway.calling import ask, calling, receipt
from tests.support import Running
from tests.web.test_gateway_pages import text
from tests.web.test_pages import visit

ROUTES: dict[str, dict[str, Any]] = {"r": {"candidates": ("m",)}, "looked-at": {"candidates": ("m",), "guards": ("g",)}}
GUARDS = {"g": GuardTable(actions={"*": "refuse"}, on=("answer",))}
MAIL = "write to jane.doe@example.com now"


def budgets(dollars: str) -> dict[str, Budget]:
    return {"all": Budget(dollars=Decimal(dollars), per="all")}


def performance(node: Running) -> dict[str, Any]:
    (told,) = httpx2.get(f"{node.url}/api/v1/performance", headers=node.headers).json()["data"]
    return dict(told)


def nothing_failed(node: Running) -> None:
    """Neither in figures, nor on the page, nor in metrics."""
    told = performance(node)
    assert (told["address"], told["failed"]) == ("m", {"refused": told["attempts"]})
    with visit(node) as browser:
        page = text(browser.get("/deployments"))
    assert "refused" in page
    assert "0 %" in page.split("Takes calls", 1)[1][:120]
    metrics = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    assert "intermodel_attempts_failed_total{" not in metrics
    assert node.node.gateway.standing("m").error_ratio == 0


def test_what_is_over_budget_is_refused(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, budgets=budgets("0.000001")) as (node, server):
        told = receipt(node, ask(node, "r"))
        assert (told["outcome"], told["attempts"][0]["outcome"]) == ("refused", "refused")
        assert not server.asked
        nothing_failed(node)


def test_a_stream_that_a_guard_ends_is_refused(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, guards=GUARDS) as (node, server):
        server.script = lambda _: streamed([ROLE, says("hello "), says(f"{MAIL} "), STOP, USAGE, DONE])
        answer = ask(node, "looked-at", stream=True)
        assert "guard_refused" in answer.text
        assert "[DONE]" not in answer.text
        told = receipt(node, answer)
        assert (told["outcome"], told["answered"]) == ("refused", "m")
        (attempt,) = told["attempts"]
        assert (attempt["outcome"], attempt["code"]) == ("refused", "guard_refused")
        assert told["spent"] > 0
        assert told["wasted"] == 0, "its caller has a part of it"
        call, one = Spans("test", "n", content=False).spans(Heard(told, {}))
        assert call.status.is_ok or call.status.is_unset
        assert one.attributes is not None
        assert "error.type" not in one.attributes
        nothing_failed(node)


def test_a_stream_whose_money_is_used_up_is_refused(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, budgets=budgets("0.01")) as (node, server):
        server.script = lambda _: streamed([ROLE, says("word " * 20_000), says("more"), STOP, DONE])
        answer = ask(node, "r", stream=True, max_tokens=90_000)
        assert "budget_exhausted" in answer.text
        told = receipt(node, answer)
        assert (told["outcome"], told["attempts"][0]["outcome"]) == ("refused", "refused")
        assert told["attempts"][0]["code"] == "budget_exhausted"
        nothing_failed(node)


def test_a_failure_of_the_deployment_is_one_all_the_same(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, guards=GUARDS) as (node, server):
        server.script = lambda _: streamed([ROLE, says("hello ")])
        assert receipt(node, ask(node, "looked-at", stream=True))["outcome"] == "broken"
        server.script = lambda _: steps("ok", stream=True)
        ask(node, "r", stream=True)
        assert performance(node)["failed"] == {"broken": 1}


@pytest.mark.parametrize(
    ("begun", "error", "outcome"),
    [
        (False, Unavailable("The database is gone."), "refused"),
        (True, Unavailable("The engine is gone."), "failed"),
        (True, Upstream("no", fault=Fault.BROKEN), "failed"),
        (True, Upstream("no", fault=Fault.WRONG), "refused"),
        (False, Upstream("busy", code="deployment_limited", fault=Fault.TIRED), "refused"),
    ],
)
def test_who_was_never_asked_did_not_fail(begun: bool, error: Any, outcome: str) -> None:
    attempt = Attempt(Target("m", "m", "m", local=False), 0, 0.0, 0.0, begun=begun)
    attempt.failed(error)
    assert attempt.outcome == outcome
