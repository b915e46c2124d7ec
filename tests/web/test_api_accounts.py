"""/api/v1/budgets, receipts, spending, performance and tokens: what may be spent, what was, and by whom."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.settings import Budget, Deployment, Price, Route
from tests.support import Running, running, settings_for
from tests.upstream import Upstream

PRICED = Price(input="1000", output="2000")
"""Dollars for a million tokens: three read and two made cost $0.007."""


@pytest.fixture
def node(tmp_path: Path, upstream_server: Upstream) -> Iterator[Running]:
    settings = settings_for(
        tmp_path / "data",
        deployments={
            "dear": Deployment(base_url=upstream_server.base, model="ok", price=PRICED),
            "gone": Deployment(base_url="http://127.0.0.1:9/v1", price=PRICED),
        },
        routes={"both": Route(candidates=("gone", "dear"))},
        budgets={"in-the-file": Budget(dollars=100)},
    )
    with running(settings) as node:
        yield node


def api(node: Running, method: str, path: str, document: Any = None, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", node.headers)
    return httpx2.request(method, f"{node.url}/api/v1{path}", json=document, headers=headers, timeout=20, **more)


def token(node: Running, **given: Any) -> dict[str, str]:
    """The headers of a new plain token."""
    return {"Authorization": f"Bearer {api(node, 'POST', '/tokens', {'name': 'plain'} | given).json()['token']}"}


def ask(node: Running, model: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=headers or node.headers, timeout=20)


def test_a_budget_is_made_used_up_and_removed(node: Running) -> None:
    anna = token(node, user="anna", organisation="acme")
    made = api(node, "PUT", "/budgets/acme/anna", {"dollars": "0.50", "per": "day", "user": "anna"})
    assert (made.status_code, made.json()["ceiling"]) == (201, {"nano": 500_000_000, "dollars": "0.50"})
    assert (made.json()["declared_in"], made.json()["subject"], made.json()["who"]) == ("run time", "user", "anna")
    assert ask(node, "dear", anna).status_code == 200
    told = api(node, "GET", "/budgets/acme/anna").json()
    assert told["spent"] == {"nano": 7_000_000, "dollars": "0.007"}
    assert told["spent"]["nano"] + told["held"]["nano"] + told["left"]["nano"] == 500_000_000
    assert datetime.fromisoformat(told["begins_anew"]) > datetime.now(UTC)
    changed = api(node, "PUT", "/budgets/acme/anna", {"dollars": "0.008", "per": "day", "user": "anna"})
    assert (changed.status_code, changed.json()["spent"]["dollars"]) == (200, "0.007")
    refused = ask(node, "dear", anna)
    assert (refused.status_code, "acme/anna" in refused.json()["error"]["message"]) == (402, True)
    assert api(node, "DELETE", "/budgets/acme/anna").status_code == 204
    assert api(node, "DELETE", "/budgets/acme/anna").status_code == 404
    assert ask(node, "dear", anna).status_code == 200


@pytest.mark.parametrize(
    ("name", "document", "status", "param"),
    [
        ("x", {"dollars": "0"}, 400, "dollars"),
        ("x", {"dollars": "-1"}, 400, "dollars"),
        ("x", {"dollars": "1e3"}, 400, "dollars"),
        ("x", {"dollars": "0.0000000001"}, 400, "dollars"),
        ("x", {"dollars": 5}, 400, "dollars"),
        ("x", {"dollars": "1\n"}, 400, "dollars"),
        ("x", {}, 400, "dollars"),
        ("x", {"dollars": "1", "per": "year"}, 400, "per"),
        ("x", {"dollars": "1", "user": "a", "organisation": "b"}, 400, "organisation"),
        ("x", {"dollars": "1", "user": "a\u0000b"}, 400, "user"),
        ("-x", {"dollars": "1"}, 400, "name"),
        ("in-the-file", {"dollars": "1"}, 409, None),
    ],
)
def test_budgets_that_are_wrong(node: Running, name: str, document: Any, status: int, param: str | None) -> None:
    refused = api(node, "PUT", f"/budgets/{name}", document)
    assert (refused.status_code, refused.json()["error"]["param"]) == (status, param), refused.text
    assert [b["name"] for b in api(node, "GET", "/budgets").json()["data"]] == ["in-the-file"]


def test_a_plain_token_sees_its_own(node: Running) -> None:
    anna, ben = token(node, user="anna", organisation="acme"), token(node, user="ben")
    for name, subject in (("anna", {"user": "anna"}), ("acme", {"organisation": "acme"}), ("ben", {"user": "ben"})):
        api(node, "PUT", f"/budgets/{name}", {"dollars": "5"} | subject)
    hers = ask(node, "dear", anna).headers["x-intermodel-receipt"]
    his = ask(node, "dear", ben).headers["x-intermodel-receipt"]

    def ids(headers: dict[str, str], query: str = "") -> list[str]:
        return [r["id"] for r in api(node, "GET", f"/receipts{query}", headers=headers).json()["data"]]

    assert (ids(anna), ids(ben), ids(node.headers)) == ([hers], [his], [his, hers])
    assert ids(anna, "?user=ben") == ids(anna, "?token=environment") == []
    assert ids(node.headers, "?user=ben") == [his]
    assert api(node, "GET", f"/receipts/{hers}", headers=anna).status_code == 200
    foreign = api(node, "GET", f"/receipts/{his}", headers=anna)
    assert (foreign.status_code, foreign.json()) == (404, _unknown(node, his, anna))
    assert api(node, "POST", f"/receipts/{his}/quality", {"value": 0}, headers=anna).status_code == 404

    names = [b["name"] for b in api(node, "GET", "/budgets", headers=anna).json()["data"]]
    assert names == ["acme", "anna"]
    assert api(node, "GET", "/budgets/ben", headers=anna).status_code == 404
    (spent,) = api(node, "GET", "/spending?by=user", headers=anna).json()["data"]
    assert (spent["key"], spent["calls"], spent["cost"]["dollars"]) == ("anna", 1, "0.007")
    assert len(api(node, "GET", "/tokens", headers=anna).json()["data"]) == 1


def _unknown(node: Running, receipt: str, headers: dict[str, str]) -> Any:
    """What is said of a receipt that there is not, with this id in the place of its own."""
    nobodys = "0" * 26
    told = api(node, "GET", f"/receipts/{nobodys}", headers=headers).json()
    told["error"]["message"] = told["error"]["message"].replace(nobodys, receipt)
    return told


def test_a_receipt_tells_the_call(node: Running) -> None:
    api(node, "PUT", "/budgets/all", {"dollars": "5", "per": "all"})
    answer = ask(node, "both")
    told = api(node, "GET", f"/receipts/{answer.headers['x-intermodel-receipt']}").json()
    assert (told["model"], told["route"], told["answered"], told["outcome"]) == ("both", "both", "dear", "ok")
    assert (told["spent"], told["dollars"]["spent"], told["dollars"]["wasted"]) == (7_000_000, "0.007", "0.00")
    assert [(a["address"], a["outcome"], a["dollars"]) for a in told["attempts"]][-1] == ("dear", "ok", "0.007")
    assert [c["address"] for c in told["candidates"]] == ["gone", "dear"]
    assert {(b["budget"], b["dollars"]) for b in told["budgets"]} == {("in-the-file", "0.007"), ("all", "0.007")}
    assert told["price"]["input"] == "1000"


def test_receipts_are_filtered_and_paged(node: Running) -> None:
    for _ in range(5):
        ask(node, "dear")
    ask(node, "gone")
    first = api(node, "GET", "/receipts?limit=4").json()
    rest = api(node, "GET", f"/receipts?limit=4&before={first['next']}").json()
    ids = [r["id"] for r in first["data"] + rest["data"]]
    assert (len(ids), ids, rest["next"]) == (6, sorted(ids, reverse=True), None)
    (failed,) = api(node, "GET", "/receipts?outcome=failed").json()["data"]
    assert (failed["model"], failed["spent"]) == ("gone", 0)
    assert len(api(node, "GET", "/receipts?model=dear&since=2020-01-01").json()["data"]) == 5
    assert api(node, "GET", "/receipts?until=2020-01-01T00:00:00%2B02:00").json()["data"] == []
    days = api(node, "GET", "/spending?by=day&since=2020-01-01").json()["data"]
    assert [(d["key"], d["calls"]) for d in days] == [(f"{datetime.now(UTC):%Y-%m-%d}", 6)]
    performance = {p["address"]: p for p in api(node, "GET", "/performance").json()["data"]}
    assert (performance["dear"]["attempts"], performance["dear"]["failed"]) == (5, {})
    assert performance["gone"]["failed"]["failed"] >= 1


def test_a_rating_counts_once_and_moves_the_order_best(node: Running) -> None:
    mine = token(node)
    receipt = ask(node, "dear", mine).headers["x-intermodel-receipt"]
    path = f"/receipts/{receipt}/quality"
    for value in (-0.1, 1.1, "good", None):
        assert api(node, "POST", path, {"value": value}, headers=mine).status_code == 400
    rated = api(node, "POST", path, {"value": 0.75}, headers=mine)
    assert (rated.status_code, rated.json()) == (200, {"address": "dear", "quality": 0.75})
    again = api(node, "POST", path, {"value": 1})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_rated")
    assert api(node, "GET", f"/receipts/{receipt}").json()["quality"] == 0.75
    assert api(node, "GET", "/deployments/dear").json()["standing"]["quality"] == 0.75
    api(node, "PUT", "/routes/best", {"candidates": ["gone", "dear"], "order": "best"})
    told = api(node, "POST", "/explain", {"model": "best"}).json()["candidates"]
    assert (told[0]["address"], told[0]["reason"]) == ("dear", "measured quality 0.75")
    ask(node, "gone")
    (failed,) = api(node, "GET", "/receipts?outcome=failed").json()["data"]
    nothing = api(node, "POST", f"/receipts/{failed['id']}/quality", {"value": 1})
    assert (nothing.status_code, nothing.json()["error"]["code"]) == (409, "nothing_to_rate")


def test_tokens_are_made_shown_once_and_ended(node: Running) -> None:
    given = {"name": "ops", "expires_in": 3600, "user": "anna", "organisation": "acme", "admin": True}
    made = api(node, "POST", "/tokens", given)
    told = made.json()
    text = told.pop("token")
    assert (made.status_code, told["admin"], told["state"]) == (201, True, "valid")
    headers = {"Authorization": f"Bearer {text}"}
    listed = api(node, "GET", "/tokens", headers=headers)
    assert told in listed.json()["data"]
    assert text not in listed.text
    assert api(node, "GET", "/tokens?limit=1").json()["data"] == [told]
    assert api(node, "DELETE", f"/tokens/{told['id']}").status_code == 204
    assert api(node, "DELETE", f"/tokens/{told['id']}").status_code == 404
    assert api(node, "DELETE", "/tokens/ops").status_code == 404, "ids, not names"
    time.sleep(0.05)
    assert api(node, "GET", "/tokens", headers=headers).status_code == 401
    assert api(node, "GET", "/tokens?limit=1").json()["data"][0]["state"] == "revoked"
    assert api(node, "DELETE", f"/tokens/{told['id']}?forget=true").status_code == 204
    assert api(node, "DELETE", f"/tokens/{told['id']}?forget=true").status_code == 404
    assert told["id"] not in api(node, "GET", "/tokens").text
    environment = api(node, "DELETE", "/tokens/environment?forget=true")
    assert environment.status_code == 409
    environment = api(node, "DELETE", "/tokens/environment")
    assert (environment.status_code, "INTERMODEL_TOKEN" in environment.json()["error"]["message"]) == (409, True)
    for wrong in ({"name": ""}, {"name": "  "}, {"name": "x", "expires_in": 1}, {"name": "x\ny"}, {}):
        assert api(node, "POST", "/tokens", wrong).status_code == 400, wrong
