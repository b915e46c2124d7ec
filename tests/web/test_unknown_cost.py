"""A cost that nobody knows is told as unknown, and never as nothing: on pages, in the API and on the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from intermodel.cli.receipts import account_of, cost_of
from intermodel.settings import Deployment, Price, Route
from intermodel.web.api.costs import cost_known, why_unknown
from tests.support import Running, running, settings_for
from tests.upstream import upstream
from tests.web.test_gateway_pages import text
from tests.web.test_pages import visit


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with upstream() as server:
        own = Deployment(base_url=server.base, model="ok")
        deployments = {
            "echo": Deployment(provider="echo"),
            "own": own,
            "dear": own.model_copy(update={"price": Price(input=Decimal(1000), output=Decimal(1000))}),
        }
        given = settings_for(tmp_path_factory.mktemp("costs"), deployments=deployments,
                             routes={"kept": Route(candidates=("own",), cache_s=60)})  # fmt: skip
        with running(given) as served:
            yield served


def ask(node: Running, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers)
    return str(answer.raise_for_status().headers["x-intermodel-receipt"])


def api(node: Running, path: str) -> Any:
    return httpx2.get(f"{node.url}/api/v1{path}", headers=node.headers).raise_for_status().json()


@pytest.mark.parametrize(("model", "known", "shown"), [("own", False, "—"), ("echo", True, "$0"), ("dear", True, "$")])
def test_a_receipt_says_whether_its_cost_is_known(node: Running, model: str, known: bool, shown: str) -> None:
    receipt = api(node, f"/receipts/{ask(node, model)}")
    assert receipt["cost_known"] is known
    amounts = (receipt["spent"], receipt["dollars"]["spent"], receipt["attempts"][0]["cost"])
    assert all(amount is not None for amount in amounts) is known
    assert (amounts == (None, None, None)) is not known
    assert (receipt["wasted"], receipt["dollars"]["wasted"]) == (0, "0.00")
    assert cost_of(receipt).startswith(shown.strip("$"))
    assert ("unknown: no price is known of own" in _printed(receipt)) is not known
    with visit(node) as browser:
        page = browser.get(f"/calls/{receipt['id']}")
        rows = browser.get("/calls").text.split("<tr>")
    row = next(row for row in rows if receipt["id"] in row)
    assert ("No price is known" in page.text or "no price is known" in page.text) is not known
    assert ("no price is known of own" in row, "$" in row) == (not known, known)
    told = text(page)
    assert shown in told.split("Cost", 1)[1][:30]
    assert ("cost not known" in told) is not known


def _printed(receipt: Any) -> str:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200).print(account_of(receipt))
    return out.getvalue()


def test_an_answer_that_is_given_again_costs_nothing(node: Running) -> None:
    ask(node, "kept")
    again = api(node, f"/receipts/{ask(node, 'kept')}")
    assert again["cache"]
    assert again["cost_known"] is True


def test_a_sum_says_how_many_calls_are_not_in_it(node: Running) -> None:
    for model in ("own", "echo", "dear"):
        ask(node, model)
    by_model = {one["key"]: one for one in api(node, "/spending?by=model")["data"]}
    own, dear = by_model["own"], by_model["dear"]
    assert (own["cost"], own["unknown_calls"]) == (None, own["calls"] - len(cached(node)))
    assert by_model["echo"]["cost"] == {"nano": 0, "dollars": "0.00"}, "free by declaration"
    assert (by_model["echo"]["unknown_calls"], dear["unknown_calls"]) == (0, 0)
    (day,) = api(node, "/spending?by=day")["data"]
    assert (day["cost"], day["unknown_calls"]) == (dear["cost"], own["unknown_calls"])
    with visit(node) as browser:
        page = browser.get("/spending")
        rows = {row["model"]: row for row in csv.DictReader(io.StringIO(browser.get("/spending.csv?by=model").text))}
    count = own["unknown_calls"]
    assert f"It is not known what {count} call{'s' * (count > 1)} cost (own)" in text(page)
    assert f"without {count} call" in text(page).split("Spent", 1)[1][:60], "the whole is at least what is known"
    assert (rows["own"]["dollars"], rows["own"]["unknown_calls"]) == ("", str(count))
    assert (rows["echo"]["dollars"], rows["echo"]["unknown_calls"]) == ("0.00", "0")


def cached(node: Running) -> list[Any]:
    return [one for one in api(node, "/receipts?model=own")["data"] if one.get("cache")]


def test_metrics_say_how_many_calls_are_in_no_sum(node: Running) -> None:
    ask(node, "own")
    ask(node, "echo")
    told = httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    assert 'intermodel_calls_cost_unknown_total{model="own"}' in told
    assert 'intermodel_calls_cost_unknown_total{model="echo"} 0.0' in told
    assert 'intermodel_dollars_total{model="echo"} 0.0' in told
    assert 'intermodel_dollars_total{model="own"}' not in told, "no sum is not a sum of nothing"


@pytest.mark.parametrize(
    ("receipt", "why"),
    [
        ({"spent": 7}, ""),
        ({}, ""),
        ({"spent": None, "attempts": [{"address": "a", "cost": None}]}, "no price is known of a"),
        (
            {"spent": None, "attempts": [{"address": "a", "cost": None, "tier": "priority"}]},
            "no price is known of a at 'priority'",
        ),
        (
            {"spent": None, "answered": "a", "price": {"input": "1"}, "usage": {"input": 1}}
            | {"attempts": [{"address": "b", "cost": 5}, {"address": "a", "cost": None}]},
            "the price of a does not say what all of this costs",
        ),
        (
            {"spent": None, "answered": "a", "price": {"input": "1"}, "attempts": [{"address": "a", "cost": None}]},
            "nobody told what a used",
        ),
    ],
)
def test_a_receipt_says_why_its_cost_is_not_known(receipt: dict[str, Any], why: str) -> None:
    assert why_unknown(receipt) == why
    assert cost_known(receipt) is not bool(why)


def test_what_others_cost_is_the_least() -> None:
    receipt = {"dollars": {"spent": None, "spent_at_least": "0.07"}, "spent_at_least": 70_000_000}
    assert cost_of(receipt) == "≥ 0.07"
    assert cost_of({"dollars": {"spent": None}}) == "—"
