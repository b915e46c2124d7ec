"""The writer's pages and its part of the API: who may, what they show of a run, and bad input."""

from __future__ import annotations

import asyncio
import html
import json
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.cli.door import Door
from intermodel.core import IntermodelError
from intermodel.settings import Deployment, Price
from intermodel.web.pages.writer import _plan, _plan_text
from intermodel.web.pages.writing import _diff, shown
from intermodel.writer import export
from intermodel.writer.journal import Called, Journal
from intermodel.writer.listed import new_id
from intermodel.writer.run import go_on
from intermodel.writer.runs import Run
from intermodel.writer.state import state_of
from intermodel.writer.values import Brief, Plan, Section
from tests.support import Running, running, settings_for
from tests.web.test_pages import HOSTILE, HTML, visit
from tests.writer.script import BETTER, PLAN, TOPIC, WORSE, Web, entry, script

BRIEF = Brief(TOPIC, "scripted", words=20)
HOSTILE_DRAFT = f"# {HOSTILE}\n\n{HOSTILE} ![x](http://evil.example/x.png) [y](javascript:alert(1)) Apache [1]."


@dataclass(frozen=True)
class Told:
    """A node with runs that are over, or wait."""

    node: Running
    finished: str
    waiting: str
    failed: str
    hostile: str
    wished: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("writer")
    price = Price(input=Decimal(1), output=Decimal(100))
    deployments = {"echo": Deployment(provider="echo")}
    for name, entries in (("scripted", script()), ("hostile", script(writer=[entry("writer", HOSTILE_DRAFT)]))):
        file = folder / f"{name}.json"
        file.write_text(json.dumps(entries))
        deployments[name] = Deployment(provider="echo", script=file, price=price)
    deployments["far/unpriced"] = Deployment(base_url="https://models.example.org/v1", model="big")
    with running(settings_for(folder / "data", deployments=deployments)) as node:
        yield Told(
            node,
            written(node, BRIEF),
            written(node, replace(BRIEF, pause=True)),
            written(node, BRIEF, Web({})),
            written(
                node, replace(BRIEF, model="hostile", rounds=2), Web({HOSTILE: "Apache allows it, <b>bold</b>." * 9})
            ),
            written(node, replace(BRIEF, language="de")),
        )


def written(node: Running, brief: Brief, web: Web | None = None) -> str:
    """A run in the node's folder, played in this process."""
    found, name = web or Web(), new_id()
    folder = node.node.folder.path / "writer" / name
    try:
        asyncio.run(go_on(folder, brief, Door(node.node.settings, node.url), [found], found))
    except IntermodelError:
        assert web is not None
    return name


def plain_token(node: Running) -> str:
    with httpx2.Client(base_url=node.url, headers=node.headers) as admin:
        return str(admin.post("/api/v1/tokens", json={"name": "plain"}).json()["token"])


def text(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def api(node: Running) -> httpx2.Client:
    return httpx2.Client(base_url=f"{node.url}/api/v1/writer", headers=node.headers)


# Who may


def test_only_an_admin_writes_and_reads(told: Told) -> None:
    node, token = told.node, plain_token(told.node)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=node.url, headers=HTML | headers) as plain:
        page = plain.get("/writer")
        assert page.status_code == 200
        assert TOPIC not in page.text.replace(f'placeholder="{TOPIC}"', "")
        assert "--admin" in page.text
        assert "<textarea" not in page.text
        path = f"/writer/{told.finished}"
        for answer in (plain.get(path), plain.get(f"{path}/article.md"), plain.post(path, data={"do": "remove"})):
            assert answer.status_code == 403
        assert plain.post("/writer", data={"do": "begin", "topic": "x"}).status_code == 403
        for method, path in (("GET", "/runs"), ("POST", "/runs"), ("GET", f"/runs/{told.finished}")):
            assert plain.request(method, f"/api/v1/writer{path}").status_code == 403


def test_another_site_cannot_begin_a_run(told: Told) -> None:
    with visit(told.node, Sec_Fetch_Site="cross-site") as browser:
        answer = browser.post("/writer", data={"do": "begin", "topic": "x", "model": "scripted"})
    assert answer.status_code == 403


# What the pages show


def test_the_runs_so_far_with_state_score_and_cost(told: Told) -> None:
    with visit(told.node) as browser:
        said = text(browser.get("/writer").text)
    assert said.count(TOPIC) >= 4
    for word in ("Finished", "Waits for you", "Failed", "Drafts so far"):
        assert word in said


def test_a_finished_run_in_full(told: Told) -> None:
    with visit(told.node) as browser:
        page = browser.get(f"/writer/{told.finished}").text
    said = text(page)
    assert "The critic accepted it." in said
    assert "The Apache licence allows commercial use since 2004" in said
    assert "The post is the draft of round 2, polished by the editor: 9 of 10, the highest score." in said
    assert "So far the post is" not in said
    assert re.search(r'<a [^>]*href="#source-1"', page)
    assert 'id="source-1"' in page
    assert "<del>2005</del><ins>2004</ins>" in page
    assert "There is no source 9." in said
    assert "must be mended, found by code" in said
    assert "It says nothing." in said
    assert "should be better, said by the critic" in said
    assert "sha256:000000" in said
    assert "retrieved 20" in said
    for role in ("Researcher", "Planner", "Writer", "Critic", "Editor"):
        assert role in said
    assert "data-live" not in page
    assert "live.js" not in page
    assert "Change the plan" in said
    assert f"{PLAN['sections'][0]['heading']} | 1" in said  # type: ignore[index]


def test_the_chart_has_a_table_with_the_same_numbers(told: Told) -> None:
    with visit(told.node) as browser:
        page = browser.get(f"/writer/{told.finished}").text
    chart = page[page.index('<figure class="scores">') : page.index("</figure>")]
    with api(told.node) as client:
        rounds = client.get(f"/runs/{told.finished}").json()["rounds"]
    assert len(rounds) == 2
    for one in rounds:
        assert f">{one['score']:g}</text>" in chart
        assert f"<strong>{one['score']:g}</strong>" in page


def test_what_a_run_costs_is_what_its_receipts_say(told: Told) -> None:
    with api(told.node) as client:
        state = client.get(f"/runs/{told.finished}").json()
    assert Decimal(state["dollars"]) == sum(Decimal(one["dollars"]) for one in state["spent"].values()) > 0
    with visit(told.node) as browser:
        assert f"${Decimal(state['dollars']).normalize():f}" in browser.get(f"/writer/{told.finished}").text


@pytest.mark.parametrize(
    ("name", "kind", "starts"),
    [
        ("article.md", "text/markdown", "---\ntitle:"),
        ("article.html", "text/html", "<!doctype html>"),
        ("article.json", "application/json", "{"),
        ("article.bundle.json", "application/json", "{"),
        ("scores.svg", "image/svg+xml", "<svg"),
    ],
)
def test_every_file_is_downloaded_and_none_is_shown(told: Told, name: str, kind: str, starts: str) -> None:
    with visit(told.node) as browser:
        assert f"/writer/{told.finished}/{name}" in browser.get(f"/writer/{told.finished}").text
        answer = browser.get(f"/writer/{told.finished}/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith(starts)


@pytest.mark.parametrize("path", ["journal.sqlite3", "errors.txt", ".lock", "..%2f..%2fsecret", "article.md%00"])
def test_nothing_else_is_given_out(told: Told, path: str) -> None:
    with visit(told.node) as browser:
        assert browser.get(f"/writer/{told.finished}/{path}").status_code == 404


@pytest.mark.parametrize("name", ["nothing", "0" * 32, "%2e%2e", "Z" * 32])
def test_a_run_that_is_not_there(told: Told, name: str) -> None:
    with visit(told.node) as browser:
        assert browser.get(f"/writer/{name}").status_code in (404,)
        assert browser.post(f"/writer/{name}", data={"do": "remove"}).status_code in (404,)
    with api(told.node) as client:
        assert client.get(f"/runs/{name}").status_code == 404


def test_a_failed_run_says_why_and_what_to_do(told: Told) -> None:
    with visit(told.node) as browser:
        said = text(browser.get(f"/writer/{told.failed}").text)
    assert "No source was found" in said
    assert "Go on" in said
    assert "What was not found" in said


def test_what_models_and_pages_write_is_never_markup(told: Told) -> None:
    with visit(told.node) as browser:
        page = browser.get(f"/writer/{told.hostile}").text
    assert "alert(1)" in page
    for wrong in (
        "<script>alert",
        "<img src=x",
        "onerror=alert(2)>",
        'evil.example/x.png"',
        'href="javascript',
        "<b>bold",
    ):
        assert wrong not in page
    assert 'src="http' not in page


def test_a_draft_that_nobody_has_judged_cites_as_the_run_reads_it(tmp_path: Path) -> None:
    content = "# Post\n\nIt is so [1, 2], and so [Quelle 3]; the list is [7, 8]."
    answer = json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()
    journal = Journal(tmp_path)
    journal.begin(BRIEF)
    journal.tell("draft", round=1, sources=3)
    journal.keep_call("x", Called("writer", "draft 1", "m", answer, "", 1, 1))
    journal.close()
    [drafted] = shown(Run("r", tmp_path, state_of(tmp_path), "running")).rounds
    assert drafted.text == "# Post\n\nIt is so [1][2], and so [3]; the list is [7, 8]."


@pytest.mark.parametrize("where", ["all", "calls"])
def test_a_damaged_run_keeps_nobody_from_the_others_and_can_be_removed(told: Told, where: str) -> None:
    name = new_id()
    folder = told.node.node.folder.path / "writer" / name
    folder.mkdir()
    journal = Journal(folder)
    journal.begin(BRIEF)
    for number in range(300):
        data = f"{number} " + "x" * 200
        if where == "all":
            journal.tell("page", what=data, why="")
        else:
            journal.keep_call(data, Called("writer", "draft 1", "m", data.encode() * 50, "", 1, 1))
    journal.close()
    file = folder / "journal.sqlite3"
    spoilt = bytearray(file.read_bytes())
    first = {"all": 8, "calls": 30}[where]
    spoilt[4096 * first : -4096] = b"\x5a" * (len(spoilt) - 4096 * (first + 1))
    file.write_bytes(spoilt)
    with visit(told.node) as browser, api(told.node) as client:
        page = browser.get("/writer")
        assert (page.status_code, client.get("/runs").status_code) == (200, 200)
        assert text(page.text).count(TOPIC) >= 4
        one = browser.get(f"/writer/{name}")
        assert one.status_code == 200
        assert "cannot be read" in text(one.text)
        assert client.get(f"/runs/{name}").status_code == 200
        assert browser.post(f"/writer/{name}", data={"do": "remove"}).status_code == 303
        assert browser.get(f"/writer/{name}").status_code == 404


def test_a_difference_is_made_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def slow(before: str, after: str) -> list[export.Change]:
        made.append(before)
        time.sleep(0.1)
        return [export.Change("same", after)]

    monkeypatch.setattr(export, "diff", slow)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: _diff("once and", "for all"), range(8)))
    assert made == ["once and"]
    assert told == [(export.Change("same", "for all"),)] * 8


# What the reader says


def test_no_run_waits_for_a_round_that_is_not_there(told: Told) -> None:
    with visit(told.node) as browser:
        page = f"/writer/{told.waiting}"
        for number, status in (("4", 409), ("", 400), ("one", 400), ("99999", 400)):
            answer = browser.post(page, data={"do": "revise", "round": number, "note": "Say & more."})
            assert answer.status_code == status, number
            assert "Say &amp; more." in answer.text, "what was written is still there"
            assert 'role="alert"' in answer.text
        answer = browser.post(page, data={"do": "fly"})
        assert answer.status_code == 400
    with api(told.node) as client:
        choice = {"round": 3, "action": "accept"}
        assert client.post(f"/runs/{told.waiting}/choice", json=choice).status_code == 409
        assert client.get(f"/runs/{told.waiting}").json()["standing"] == "waiting"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sections": "Freely 1"}, "has no claims"),
        ({"sections": "| 1"}, "has no heading"),
        ({"sections": "Freely | one"}, "by something that is no number"),
        ({"sections": "Freely | 99"}, "names claim 99; there are 2"),
        ({"sections": " \n"}, "no title or no section"),
        ({"title": " "}, "no title or no section"),
        ({"questions": "x" * 100_000}, "at most 100,000"),
    ],
)
def test_a_plan_that_is_wrong_is_said_so_and_kept(told: Told, changed: dict[str, str], said: str) -> None:
    form = {"do": "plan", "title": "Another", "audience": "all", "sections": "Freely | 1", "questions": "Why?"}
    with visit(told.node) as browser:
        answer = browser.post(f"/writer/{told.waiting}", data=form | changed)
        assert answer.status_code == 400
        assert said in text(answer.text)
        for given in (form | changed).values():
            assert html.escape(given.strip()[:40]) in answer.text
        assert str(PLAN["title"]) in browser.get(f"/writer/{told.waiting}").text


def test_a_heading_with_a_bar_and_no_claims_comes_back_as_it_was() -> None:
    sections = [
        Section(heading="A | B", claims=[]),
        Section(heading="C", claims=[]),
        Section(heading="D | 1", claims=[2]),
    ]
    plan = Plan(title="T", audience="all", sections=sections)
    assert Plan.model_validate_json(_plan(_plan_text(plan), 2)) == plan


# Beginning one


FORM = {"topic": TOPIC, "model": "scripted", "rounds": "5", "accept": "8", "words": "700", "dollars": "1"}


def test_an_estimate_comes_first_and_begins_nothing(told: Told) -> None:
    with visit(told.node) as browser:
        before = browser.get("/writer").text.count('href="/writer/')
        answer = browser.post("/writer", data=FORM | {"do": "estimate", "search": ["folder"]})
        assert answer.status_code == 200
        said = text(answer.text)
        assert "Calls 6 to " in said
        assert "$1, whatever happens" in said
        assert re.search(r'name="id" value="[0-9a-f]{32}"', answer.text)
        assert 'value="begin"' in answer.text
        assert browser.get("/writer").text.count('href="/writer/') == before


def test_for_whom_and_in_which_language_is_kept(told: Told) -> None:
    wishes = {"audience": "lawyers", "tone": "dry & short", "language": "de"}
    with visit(told.node) as browser:
        page = browser.post("/writer", data=FORM | {"do": "estimate"} | wishes).text
        for name, given in wishes.items():
            assert re.search(rf'name="{name}" value="{html.escape(given)}"', page), name
        one = browser.get(f"/writer/{told.wished}").text
    assert 'name="language" value="de"' in one
    with api(told.node) as client:
        brief = client.get(f"/runs/{told.wished}").json()["brief"]
    assert {name: brief[name] for name in wishes} == {"audience": "", "tone": "", "language": "de"}


def test_a_topic_of_two_lines_as_browsers_send_it(told: Told) -> None:
    with visit(told.node) as browser:
        answer = browser.post(
            "/writer", data=FORM | {"do": "estimate", "topic": "Open\u00a0licences\r\nfor 👩\u200d🔬"}
        )
    assert answer.status_code == 200, text(answer.text)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"topic": ""}, "The topic is empty. Say in a sentence"),
        ({"topic": "x" * 100_000}, "has 100,000 characters; at most 2,000"),
        ({"topic": "a bell \a"}, "a character that is no text"),
        ({"model": ""}, "'model'"),
        ({"model": "no/such"}, "There is no model 'no/such'"),
        ({"model-critic": "no/such"}, "There is no model 'no/such'"),
        ({"rounds": "6"}, "A whole number from 1 to 5"),
        ({"rounds": "x"}, "A whole number from 1 to 5"),
        ({"words": "1e9"}, "A whole number from 20 to 5000"),
        ({"accept": "nan"}, "A number from 0 to 10"),
        ({"dollars": "-1"}, "An amount such as 1.50"),
        ({"audience": "x" * 301}, "At most 300 characters"),
        ({"language": "a\x07"}, "At most 60 characters"),
        ({"dollars": "0"}, "An amount such as 1.50"),
        ({"search": "bing"}, "'search"),
        ({"model": "far/unpriced"}, "a budget of $1 cannot hold"),
        ({"id": "../../x"}, ""),
    ],
)
@pytest.mark.parametrize("do", ["estimate", "begin"])
def test_a_brief_that_is_wrong_is_said_so_and_kept(told: Told, changed: dict[str, str], said: str, do: str) -> None:
    if "id" in changed and do == "estimate":
        return
    with visit(told.node) as browser, api(told.node) as client:
        before = client.get("/runs").json()["data"]
        answer = browser.post("/writer", data=FORM | {"do": do} | changed)
        assert answer.status_code in (400, 404), answer.text[:300]
        assert said in text(answer.text)
        assert 'role="alert"' in answer.text
        if "topic" not in changed:
            assert TOPIC in answer.text
        assert client.get("/runs").json()["data"] == before


@pytest.mark.parametrize(
    ("brief", "status", "param"),
    [
        ({}, 400, "model"),
        ({"topic": "", "model": "scripted"}, 400, "topic"),
        ({"topic": "x" * 100_000, "model": "scripted"}, 400, "topic"),
        ({"topic": "x", "model": "no/such"}, 404, "model"),
        ({"topic": "x", "model": "scripted", "models": {"poet": "echo"}}, 400, "models.poet"),
        ({"topic": "x", "model": "scripted", "search": []}, 400, "search"),
        ({"topic": "x", "model": "scripted", "rounds": 0}, 400, "rounds"),
        ({"topic": "x", "model": "scripted", "dollars": "1,5"}, 400, "dollars"),
        ({"topic": "x", "model": "far/unpriced"}, 400, "dollars"),
        ({"topic": "x", "model": "scripted", "colour": "red"}, 400, "colour"),
        ({"topic": "x", "model": "scripted", "tone": "x" * 201}, 400, "tone"),
        ({"topic": "x", "model": "scripted", "language": "a\x07"}, 400, "language"),
        ({"topic": "x", "model": "scripted", "language": "jp"}, 400, "language"),
    ],
)
def test_the_api_says_which_field_is_wrong(told: Told, brief: dict[str, Any], status: int, param: str) -> None:
    with api(told.node) as client:
        answer = client.post("/runs", json=brief)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"].startswith(param)


def test_without_the_extra_the_pages_say_how_to_install_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with visit(told.node) as browser, api(told.node) as client:
        page = browser.get("/writer").text
        assert "make writer" in page
        assert "<textarea" not in page
        assert TOPIC in page, "what there is can be read"
        one = browser.get(f"/writer/{told.waiting}")
        assert one.status_code == 200
        assert "make writer" in one.text
        assert 'value="accept"' not in one.text
        answer = client.post("/runs", json={"topic": TOPIC, "model": "scripted"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_installed")


# With the verb itself


def until(node: Running, name: str, *standings: str) -> dict[str, Any]:
    with api(node) as client:
        for _ in range(600):
            state: dict[str, Any] = client.get(f"/runs/{name}").json()
            if state["standing"] in standings:
                return state
            time.sleep(0.1)
    raise AssertionError(state)


@pytest.mark.slow
def test_the_page_begins_a_run_once_and_removes_it(told: Told) -> None:
    node = told.node
    node.node.folder.announce(node.url)
    with visit(node) as browser:
        form = FORM | {"do": "begin", "pause": "on", "id": new_id(), "words": "20"}
        first, again = browser.post("/writer", data=form), browser.post("/writer", data=form)
        assert first.status_code == 303
        assert first.headers["location"] == again.headers["location"] == f"/writer/{form['id']}"
        page = browser.get(first.headers["location"])
        assert "data-live" in page.text
        state = until(node, form["id"], "waiting", "failed")
        # the folder of documents holds none of the sentences that this model's script knows
        assert state["standing"] == "failed"
        assert "for none of them did 'scripted' give an answer" in state["why"]
        assert "Go on" in text(browser.get(first.headers["location"]).text)
        assert browser.post(first.headers["location"], data={"do": "remove"}).headers["location"] == "/writer"
        assert browser.get(first.headers["location"]).status_code == 404


@pytest.mark.slow
def test_a_waiting_run_is_gone_on_with(told: Told) -> None:
    """Its searches and pages stand in the journal; the verb makes the calls that are missing."""
    node = told.node
    node.node.folder.announce(node.url)
    name = written(node, replace(BRIEF, pause=True, accept=9.5), Web(name="folder"))
    with visit(node) as browser:
        path = f"/writer/{name}"
        form = {"do": "revise", "round": "1", "note": "Mend it."}
        answers = [browser.post(path, data=form).status_code for _ in range(2)]
        assert answers == [303, 409], "the second click finds it going on"
        state = until(node, name, "waiting", "failed", "finished")
        assert (state["standing"], len(state["rounds"])) == ("waiting", 2), state["why"]
        assert "You: back with a note: “Mend it.”" in text(browser.get(path).text)
        assert browser.post(path, data={"do": "accept", "round": "2"}).status_code == 303
        state = until(node, name, "waiting", "failed", "finished")
        assert (state["standing"], state["ending"]) == ("finished", "reader")
        calls = sum(one["calls"] for one in state["spent"].values())
        plan = {"do": "plan", "title": "Shorter", "audience": "all", "sections": "All | 1 2", "questions": ""}
        assert browser.post(path, data=plan).status_code == 303
        state = until(node, name, "waiting", "failed", "finished")
        assert state["standing"] == "waiting", state["why"]
        assert [one["round"] for one in state["rounds"]] == [1]
        assert sum(one["calls"] for one in state["spent"].values()) == calls + 2, "a draft and a review, and no more"
        assert "Shorter" in browser.get(path).text


@pytest.mark.slow
def test_a_run_is_stopped_while_it_goes_on(told: Told) -> None:
    node = told.node
    node.node.folder.announce(node.url)
    with api(node) as client:
        made = client.post("/runs", json={"topic": TOPIC, "model": "scripted"})
        assert made.status_code == 201
        name = made.json()["id"]
        assert client.delete(f"/runs/{name}").status_code == 409
        state = client.post(f"/runs/{name}/stop").json()
        state = until(node, name, "new", "stopped", "failed")
        assert state["trouble"] == ""
        assert client.post(f"/runs/{name}/go-on").status_code == 200
        until(node, name, "failed")
        assert client.delete(f"/runs/{name}").status_code == 204


def test_what_is_drafted_is_seen_before_the_run_ends(told: Told) -> None:
    """Another process holds it, and has written nothing but its journal."""
    folder = told.node.node.folder.path / "writer" / told.waiting
    article = folder / "article.json"
    kept = article.read_bytes()
    article.unlink()
    journal = Journal(folder)
    try:
        with journal.held(), visit(told.node) as browser:
            page = browser.get(f"/writer/{told.waiting}").text
    finally:
        journal.close()
        article.write_bytes(kept)
    assert "data-live" in page
    assert "Stop now" not in page, "it is not this node's"
    assert "It says nothing." in page
    assert WORSE.split("\n")[-1][:12] in html.unescape(page)
    assert BETTER not in html.unescape(page)
    assert "https://one.example/apache" in page
