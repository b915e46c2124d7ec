"""The pages about calls, money and deployments as HTML: who sees what, and that they bear what they are given."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.accounts import Spent, Stretch
from intermodel.settings import GuardTable
from intermodel.web.pages.calls import PAGE
from intermodel.web.pages.periods import DAYS, HOURS, chosen
from intermodel.web.pages.plots import MOST_SERIES, by_day, failures, latency
from intermodel.web.pages.static import FOLDER
from intermodel.web.pages.timeline import timeline_of
from intermodel.web.pages.words import UNKNOWN, clock, exact, money, seconds, share, tick
from tests.support import Running, running, settings_for
from tests.traffic import call, make_calls, make_past, settings_with_traffic
from tests.web.test_pages import visit

UPLOT = {
    "uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot.LICENSE.txt": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
"""SHA-256 of the files of uplot 1.6.32 on npm: dist/uPlot.iife.min.js, dist/uPlot.min.css, LICENSE."""
PAGES = ["/calls", "/spending", "/deployments", "/budgets"]
HOSTILE = "</td><script>alert(1)</script>'\"&{{ 7*7 }}"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("traffic")
    with running(settings_with_traffic(folder)) as served:
        make_past(served, days=3, calls=120)
        make_calls(served)
        yield served


def text(answer: httpx2.Response) -> str:
    """What a person reads of a page."""
    shown = re.sub(r"<script.*?</script>", "", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", shown)))


def token(server: Running, name: str, **given: Any) -> str:
    made = server.node.tokens.create(name, **given)
    return asyncio.run_coroutine_threadsafe(made, server.loop).result(5)[1]


def visit_as(server: Running, secret: str) -> httpx2.Client:
    with visit(server, signed_in=False) as stranger:
        cookie = stranger.post("/signin", data={"token": secret}).cookies[server.node.auth.cookie_name]
    browser = visit(server, signed_in=False)
    browser.cookies.set(server.node.auth.cookie_name, cookie)
    return browser


def newest(server: Running, **query: str) -> dict[str, Any]:
    answer = httpx2.get(f"{server.url}/api/v1/receipts", params={"limit": "1", **query}, headers=server.headers)
    return dict(answer.json()["data"][0])


# Who sees what


@pytest.mark.parametrize("path", [*PAGES, "/calls/01M7WAXV3RVAWFW4WTE7WTAQ5D", "/spending.csv"])
def test_a_stranger_sees_nothing(node: Running, path: str) -> None:
    with visit(node, signed_in=False) as browser:
        assert browser.get(path).status_code == 303


def test_a_plain_token_sees_its_own_calls_alone(node: Running) -> None:
    secret = token(node, "ada's app", user="ada")
    call(node, "acme/small", "by the owner")
    theirs = newest(node)["id"]
    mine = httpx2.post(
        f"{node.api}/chat/completions",
        json={"model": "acme/small", "messages": [{"role": "user", "content": "by ada"}]},
        headers={"Authorization": f"Bearer {secret}"},
    ).headers["x-intermodel-receipt"]
    with visit_as(node, secret) as browser:
        listed = browser.get("/calls").text
        assert f"/calls/{mine}" in listed
        assert len(set(re.findall(r"/calls/(\w{26})", listed))) == 1
        assert browser.get(f"/calls/{mine}").status_code == 200
        assert browser.get(f"/calls/{theirs}").status_code == 404
        assert browser.get("/calls?token=environment").text.count("/calls/0") == 1, "not the filter of another token"
        spending = text(browser.get("/spending"))
        assert "The calls of your token" in spending
        assert "By token" not in spending
        rows = list(csv.reader(io.StringIO(browser.get("/spending.csv?by=day").text)))
        assert [row[1] for row in rows[1:]] == ["1"]
        budgets = text(browser.get("/budgets"))
        assert "No budget binds your token" in budgets
        assert "Make a budget" not in budgets
        assert browser.post("/budgets", data={"do": "make", "name": "x", "dollars": "1"}).status_code == 403


def test_another_site_cannot_change_a_budget(node: Running) -> None:
    with visit(node, Sec_Fetch_Site="cross-site") as browser:
        assert browser.post("/budgets", data={"do": "remove", "name": "node"}).status_code == 403


# Calls and receipts


def test_filters_and_pages_of_receipts(node: Running) -> None:
    with visit(node) as browser:
        first = browser.get("/calls")
        ids = re.findall(r'href="/calls/(\w{26})"', first.text)
        assert len(ids) == PAGE
        older = html.unescape(re.search(r'href="(/calls\?[^"]*before=[^"]*)"', first.text)[1])  # type: ignore[index]
        after = re.findall(r'href="/calls/(\w{26})"', browser.get(older).text)
        assert max(after) < min(ids)
        failed = browser.get("/calls?outcome=failed&model=&token=&route=&since=").text
        assert {"Failed"} == set(re.findall(r'class="state \w+">([^<]+)<', failed))
        route = browser.get("/calls", params={"route": "reliable"}).text
        assert len(re.findall(r'href="/calls/\w{26}"', route)) == 1
        assert "No receipt is like that" in browser.get("/calls?user=nobody").text
        assert browser.get("/calls?before=../../x&since=never").status_code == 200
        nonsense = browser.get("/calls?outcome=nonsense")
        assert nonsense.status_code == 400
        assert "outcome is one of ok, left, broken, refused, failed, lost" in text(nonsense)


def test_a_receipt_tells_everything(node: Running) -> None:
    receipt = newest(node, route="reliable")
    with visit(node) as browser:
        told = text(browser.get(f"/calls/{receipt['id']}"))
    assert "Answered by acme/large" in told
    assert "other/broken" in told
    assert "upstream_error (503)" in told
    assert "place 1 of the route" in told
    assert "$3 read, $15 made for a million tokens" in told
    assert "Budget node" in told
    assert "Budget tests" in told
    assert exact(receipt["spent"]) in told
    assert exact(receipt["reserved"]) in told


def test_a_kept_answer_leads_to_the_first_one(node: Running) -> None:
    receipt = newest(node, route="again")
    assert receipt["cache"]
    with visit(node) as browser:
        answer = browser.get(f"/calls/{receipt['id']}")
    assert f'href="/calls/{receipt["cache"]}"' in answer.text
    assert "given again at no cost" in text(answer)


@pytest.mark.parametrize("wrong", ["nothing", "01M7WAXV3RVAWFW4WTE7WTAQ5D", "%00", "..%2f..", "é" * 13])
def test_a_receipt_that_is_not_there(node: Running, wrong: str) -> None:
    with visit(node) as browser:
        answer = browser.get(f"/calls/{wrong}")
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_what_guards_found_is_counted_by_kind(tmp_path_factory: pytest.TempPathFactory) -> None:
    from intermodel.settings import Route

    settings = settings_for(
        tmp_path_factory.mktemp("guards"),
        guards={"personal": GuardTable()},
        routes={"screened": Route(candidates=("echo",), guards=("personal",))},
    )
    with running(settings) as served:
        call(served, "screened", "write to ada@example.org")
        with visit(served) as browser:
            told = text(browser.get(f"/calls/{newest(served)['id']}"))
    assert "Guards found email" in told
    assert "ada@example.org" not in told


def test_a_receipt_of_which_little_is_known_has_a_page(node: Running) -> None:
    lost: Any = {"id": "01M7WAXV3RVAWFW4WTE7WTAQ50", "at": 1.0, "outcome": "lost", "spent": 5, "model": HOSTILE}
    record = node.node.gateway.accounts.receipts.record(lost)
    asyncio.run_coroutine_threadsafe(record, node.loop).result(5)
    with visit(node) as browser:
        answer = browser.get("/calls/01M7WAXV3RVAWFW4WTE7WTAQ50")
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "The node was killed during this call" in text(answer)
        assert "<script>alert" not in browser.get("/calls?before=01M7WAXV3RVAWFW4WTE7WTAQ51").text


# Spending


def test_the_sums_are_those_of_the_api(node: Running) -> None:
    told = httpx2.get(f"{node.url}/api/v1/spending?by=model&since=2020-01-01", headers=node.headers).json()["data"]
    with visit(node) as browser:
        shown = text(browser.get("/spending?period=year"))
        rows = list(csv.DictReader(io.StringIO(browser.get("/spending.csv?by=model&period=year").text)))
    for one in told:
        assert f"{one['calls']:,}" in shown
        assert money(one["cost"]["nano"]) in shown
    assert {row["model"]: row["dollars"] for row in rows} == {one["key"]: one["cost"]["dollars"] for one in told}


@pytest.mark.parametrize("by", ["day", "model", "token", "user", "organisation"])
def test_every_sum_is_there_as_csv(node: Running, by: str) -> None:
    with visit(node) as browser:
        answer = browser.get(f"/spending.csv?by={by}")
        assert answer.headers["content-type"].startswith("text/csv")
        assert f"spending-by-{by}-month.csv" in answer.headers["content-disposition"]
        assert "nosniff" in answer.headers["x-content-type-options"]
        assert browser.get("/spending.csv?by=prompt").status_code == 400
    assert len(list(csv.reader(io.StringIO(answer.text)))) > 1


def test_a_name_is_no_formula(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings_for(tmp_path_factory.mktemp("formula"))) as served:
        secret = token(served, "=HYPERLINK(1)", user="@SUM(1)")
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"model": "echo", "messages": [{"role": "user", "content": "x"}]}
        httpx2.post(f"{served.api}/chat/completions", json=body, headers=headers)
        with visit(served) as browser:
            assert "'=HYPERLINK" in browser.get("/spending.csv?by=token").text
            assert "'@SUM(1)" in browser.get("/spending.csv?by=user").text


# Deployments and budgets


def test_deployments_tell_how_they_do_and_why_routes_choose(node: Running) -> None:
    for _ in range(3):
        call(node, "other/broken")
    with visit(node) as browser:
        answer = browser.get("/deployments?period=week")
    told = text(answer)
    assert "blended price $0.50 for a million tokens" in told
    assert "left out: it rests after failures" in told
    assert "Rests" in told
    plots = [json.loads(found) for found in re.findall(r'application/json">(.*?)</script>', answer.text)]
    assert [plot["title"] for plot in plots] == ["First token", "Failed attempts"]
    assert all(len(series) == len(plot["data"][0]) for plot in plots for series in plot["data"])
    assert "First token in numbers" in told


def test_an_empty_node_teaches(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(settings_for(tmp_path_factory.mktemp("empty"), deployments={})) as served, visit(served) as browser:
        taught = {path: text(browser.get(path)) for path in PAGES}
    assert "Every call leaves a receipt here" in taught["/calls"]
    assert "Nothing was called in this time" in taught["/spending"]
    assert "A deployment is one place where a model can be called" in taught["/deployments"]
    assert "A budget is a ceiling on what may be spent" in taught["/budgets"]


def test_a_budget_is_made_changed_and_removed_by_forms(node: Running) -> None:
    made = {"do": "make", "name": "research", "subject": "user", "who": "ada", "dollars": "12.50", "per": "day"}
    with visit(node) as browser:
        assert browser.post("/budgets", data=made).status_code == 303
        assert "left of $12.50" in text(browser.get("/budgets"))
        again = browser.post("/budgets", data=made)
        assert again.status_code == 409
        assert "There is a budget 'research' already" in text(again)
        assert browser.post("/budgets", data=made | {"do": "change", "dollars": "20"}).status_code == 303
        assert "left of $20.00" in text(browser.get("/budgets"))
        assert browser.post("/budgets", data={"do": "remove", "name": "research"}).status_code == 303
        assert "research" not in text(browser.get("/budgets")).replace("research 50", "")
        assert browser.post("/budgets", data={"do": "remove", "name": "research"}).status_code == 404
        fixed = browser.post("/budgets", data=made | {"do": "change", "name": "node"})
        assert fixed.status_code == 409
        assert "stands in the settings" in text(fixed)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"dollars": "lots"}, "dollars"),
        ({"dollars": "-1"}, "dollars"),
        ({"dollars": ""}, "dollars"),
        ({"name": "no/such/name/at/all"}, "name"),
        ({"name": HOSTILE}, "name"),
        ({"subject": "user", "who": ""}, "Say which user"),
        ({"subject": "node", "who": "ada"}, "nobody's"),
        ({"subject": "king"}, "is nobody"),
        ({"per": "hour"}, "per"),
    ],
)
def test_a_wrong_budget_comes_back_with_what_was_typed(node: Running, given: dict[str, str], told: str) -> None:
    form = {"do": "make", "name": "wrong", "subject": "node", "who": "", "dollars": "7.25", "per": "month"} | given
    with visit(node) as browser:
        answer = browser.post("/budgets", data=form)
    assert answer.status_code == 400
    assert told in text(answer)
    assert 'role="alert"' in answer.text
    assert "<script>alert" not in answer.text
    assert html.escape(form["dollars"]) in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_carry_the_same_strict_headers(node: Running, path: str) -> None:
    with visit(node) as browser:
        answer = browser.get(path)
    assert "script-src 'self'; style-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.findall(r"<[^>]+ (?:style|on\w+)=", answer.text), "the policy allows neither"


@pytest.mark.parametrize(("name", "digest"), UPLOT.items())
def test_the_plotting_library_is_the_one_that_was_published(name: str, digest: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


# Values


@given(
    st.lists(
        st.fixed_dictionaries(
            {"started_ms": st.floats(0, 1e7), "seconds": st.floats(0, 1e5)},
            optional={"first_token_s": st.none() | st.floats(0, 1e5)},
        ),
        max_size=5,
    ),
    st.none() | st.floats(0, 1e5),
)
def test_no_bar_leaves_the_timeline(attempts: list[dict[str, Any]], whole: float | None) -> None:
    found = timeline_of({"attempts": attempts, "seconds": whole})
    for bar in found.bars:
        assert min(bar.left, bar.waited, bar.spoke) >= 0
        assert bar.left + bar.waited + bar.spoke <= 100.01
    assert 1 <= len(found.ticks) <= 5
    assert found.ticks[0] == (0, 0)
    assert all(0 <= at <= 100 for at, _ in found.ticks)


@pytest.mark.parametrize(
    ("nano", "shown"),
    [(0, "$0"), (1, "$0.000000001"), (2_500, "$0.0000025"), (3_512_345, "$0.00351"), (10**9, "$1.00"),
     (12_345_678_900_000, "$12,345.68"), (-5 * 10**8, "-$0.5")],
)  # fmt: skip
def test_money_is_short_and_never_zero_by_rounding(nano: int, shown: str) -> None:
    assert money(nano) == shown


def test_lengths_of_time_read_well() -> None:
    assert [seconds(s) for s in (None, 0.00052, 0.0421, 0.35, 9.99, 42.4, 200, 7500)] == [
        UNKNOWN, "0.52 ms", "42 ms", "0.35 s", "9.99 s", "42 s", "3 min 20 s", "2 h 5 min",
    ]  # fmt: skip
    assert [tick(s) for s in (0, 0.25, 2.5)] == ["0", "250 ms", "2.5 s"]
    assert [share(s) for s in (0, 0.004, 0.37)] == ["0 %", "0.4 %", "37 %"]
    assert clock(86_400 * 365 + 3600, 86_400 * 365 + 7200) == "01:00:00"
    assert clock(86_400 * 365, 86_400 * 366) == "1 Jan, 00:00"


@pytest.mark.parametrize("period", HOURS, ids=lambda p: p.name)
def test_a_plot_has_a_value_for_each_of_its_times(period: Any) -> None:
    now = 1_790_000_123.0
    names = [f"m{i}" for i in range(MOST_SERIES + 3)]
    at = period.since(now) + period.step * 60
    stretches = [Stretch(at, name, 10 + i, i, 0.5 if i else None) for i, name in enumerate(names)]
    for plot in (latency(stretches, period, now), failures(stretches, period, now)):
        assert len(plot.series) == MOST_SERIES
        assert "m0" not in plot.series, "the busiest are shown"
        assert all(len(series) == len(plot.times) for series in plot.series.values())
        ((when, values),) = plot.rows
        assert when == at
        assert None not in values


def test_days_without_a_call_are_drawn_as_nothing() -> None:
    now = 1_790_000_123.0
    plot = by_day([Spent("2026-09-21", 3, 1, 1, 5 * 10**8)], chosen("week", DAYS, "month"), now)
    assert list(plot.series["Spent"]) == [0, 0, 0, 0, 0, 0, 0.5]
    assert chosen("nonsense", DAYS, "month").name == "month"
