"""A cost that nobody knows is told as unknown, and never as nothing: on pages, in the API and on the command line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from intermodel.accounts import Spent
from intermodel.cli.receipts import account_of, cost_of
from intermodel.gateway import Directory, Target
from intermodel.settings import Deployment, Price, Route
from intermodel.web.api.costs import cost_known, sum_known, unpriced
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
    assert cost_of(receipt).startswith(shown.strip("$"))
    assert ("(no price is known of own)" in _printed(receipt)) is not known
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


def test_a_sum_says_what_is_not_in_it(node: Running) -> None:
    for model in ("own", "echo", "dear"):
        ask(node, model)
    by_model = {one["key"]: one for one in api(node, "/spending?by=model")["data"]}
    assert {key: one["cost_known"] for key, one in by_model.items() if key} == {
        "own": False,
        "echo": True,
        "dear": True,
    }
    assert by_model["own"]["cost"]["nano"] == 0
    with visit(node) as browser:
        page = browser.get("/spending")
        rows = {row["model"]: row for row in csv.DictReader(io.StringIO(browser.get("/spending.csv?by=model").text))}
    assert "No price is known of own: what its calls cost is in no sum here." in text(page)
    assert "≥ $" in text(page).split("Spent", 1)[1][:40], "the whole is at least what is known"
    assert (rows["own"]["dollars"], rows["echo"]["dollars"]) == ("", "0.00")


def test_which_sums_are_whole() -> None:
    directory = Directory(
        {"free": Target("free", "p", "free", local=True, price_input=Decimal(0)),
         "own": Target("own", "p", "own", local=False)}
    )  # fmt: skip
    assert unpriced([Spent("own", 1, 1, 1, 0), Spent("free", 1, 1, 1, 0), Spent("gone", 1, 1, 1, 0)], directory) == [
        "own"
    ]
    assert sum_known("day", Spent("2026-11-20", 1, 1, 1, 0), [])
    assert not sum_known("day", Spent("2026-11-20", 1, 1, 1, 0), ["own"])
    assert sum_known("day", Spent("2026-11-20", 1, 1, 1, 5), ["own"])
    assert sum_known("user", Spent("ada", 1, 0, 0, 0), ["own"]), "a call that was refused costs nothing"


@pytest.mark.parametrize(
    ("receipt", "known"),
    [
        ({"answered": "a", "spent": 0}, False),
        ({"answered": "a", "spent": 7}, False),
        ({"answered": "a", "price": {"input": "0"}}, True),
        ({"answered": "", "outcome": "failed"}, True),
        ({"answered": "a", "outcome": "lost", "spent": 7}, True),
        ({}, True),
    ],
)
def test_what_a_receipt_must_have(receipt: dict[str, Any], known: bool) -> None:
    assert cost_known(receipt) is known


def test_what_others_cost_is_the_least() -> None:
    receipt = {"dollars": {"spent": "0.07"}, "spent": 70_000_000, "cost_known": False}
    assert cost_of(receipt) == "≥ 0.07"
