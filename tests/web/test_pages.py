"""The pages as HTML: who may see them, what they carry, and that nobody's text becomes markup."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Capability, Digest
from intermodel.core.errors import Invalid, Unauthenticated
from intermodel.engines import Facts, Model, Phase, State
from intermodel.gateway import Directory, Target
from intermodel.governance import Caller
from intermodel.settings import Deployment, Limits, Route
from intermodel.web.pages import page_error
from intermodel.web.pages.conversation import MOST_CHARACTERS, MOST_TURNS, Answer, Asked, Turn, recent
from intermodel.web.pages.listing import LOCAL, Entry, entries
from intermodel.web.pages.render import CSP, marked, page, short, size
from intermodel.web.pages.signin import local
from intermodel.web.pages.snippets import snippets
from intermodel.web.pages.static import FOLDER
from tests.support import Running, running, settings_for

HOSTILE = "</textarea></script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{ 7*7 }}`"
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PAGES = ["/", "/models", "/models/echo", "/models/quick", "/chat"]


def visit(server: Running, *, signed_in: bool = True, **headers: str) -> httpx2.Client:
    """A browser as far as its headers go."""
    client = httpx2.Client(base_url=server.url, headers=HTML | {k.replace("_", "-"): v for k, v in headers.items()})
    if signed_in:
        client.cookies.set(server.node.auth.cookie_name, cookie(server))
    return client


def cookie(server: Running) -> str:
    with httpx2.Client(base_url=server.url, headers=HTML) as client:
        answer = client.post("/signin", data={"token": server.token})
        return answer.cookies[server.node.auth.cookie_name]


def code(server: Running) -> str:
    return server.node.auth.make_code()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("pages")
    script = folder / "hostile.json"
    script.write_text(json.dumps([HOSTILE]))
    failing = folder / "failing.json"
    failing.write_text(json.dumps([{"fail": 500}]))
    settings = settings_for(
        folder / "data",
        deployments={
            "echo": Deployment(provider="echo"),
            "hostile": Deployment(provider="echo", script=script),
            "failing": Deployment(provider="echo", script=failing),
            "letters": Deployment(provider="echo", capabilities=frozenset({"embedding"})),
            "far/away": Deployment(base_url="https://models.example.org/v1", model="big", context_length=200_000),
        },
        routes={"quick": Route(candidates=("echo", "gone")), "lost": Route(candidates=("gone",))},
    )
    with running(settings) as served:
        yield served


# Who may see a page


@pytest.mark.parametrize("path", [*PAGES, "/models/no/such", "/metrics"])
def test_a_stranger_is_led_to_the_sign_in_page_and_back(node: Running, path: str) -> None:
    with visit(node, signed_in=False) as browser:
        answer = browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=" + path.replace("/", "%2F")


def test_a_link_signs_in_once(node: Running) -> None:
    link = f"/signin?code={code(node)}"
    with visit(node, signed_in=False) as browser:
        assert browser.head(link).status_code == 200, "a look-ahead does not use the code"
        answer = browser.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        said = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/", "max-age=2592000"} <= {p.strip() for p in said.split(";")}
        assert browser.get("/").status_code == 200
    with visit(node, signed_in=False) as browser:
        again = browser.get(link)
    assert again.status_code == 401
    assert "set-cookie" not in again.headers
    assert "was used or is too old" in again.text


def test_a_link_opened_from_another_site_still_arrives_signed_in(node: Running) -> None:
    """A redirect would count as sent by that site, without the cookie; a page that goes on by itself does not."""
    with visit(node, signed_in=False, Sec_Fetch_Site="cross-site") as browser:
        answer = browser.get(f"/signin?code={code(node)}&next=/chat")
    assert answer.status_code == 200
    assert node.node.auth.cookie_name in answer.headers["set-cookie"]
    assert '<meta http-equiv="refresh" content="0; url=/chat">' in answer.text
    with visit(node, signed_in=False, Sec_Fetch_Site="cross-site") as browser:
        assert "url=/models" in browser.get("/signin?next=/models").text


def test_a_pasted_token_signs_in(node: Running) -> None:
    with visit(node, signed_in=False) as browser:
        wrong = browser.post("/signin", data={"token": "im_wrong", "next": "/chat"})
        assert wrong.status_code == 401
        assert "not valid on this node" in wrong.text
        assert 'value="/chat"' in wrong.text
        assert "im_wrong" not in wrong.text
        right = browser.post("/signin", data={"token": f"  {node.token}\n", "next": "/chat"})
        assert (right.status_code, right.headers["location"]) == (303, "/chat")
        assert browser.get("/signin").headers["location"] == "/", "whoever is signed in need not do it again"
        out = browser.post("/signout")
        assert out.headers["location"] == "/signin"
        assert browser.get("/").status_code == 303


@pytest.mark.parametrize("token", ["", "   ", "x" * 10_000, "tokén"])
def test_no_token_is_no_way_in(node: Running, token: str) -> None:
    with visit(node, signed_in=False) as browser:
        assert browser.post("/signin", data={"token": token}).status_code == 401


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil",
     "javascript:alert(1)", "evil.example", "/ok\r\nSet-Cookie: a=b", " //evil.example", "", "///evil.example"],
)  # fmt: skip
def test_signing_in_never_leads_to_another_place(node: Running, elsewhere: str) -> None:
    assert local(elsewhere) == "/"
    with visit(node, signed_in=False) as browser:
        assert browser.post("/signin", data={"token": node.token, "next": elsewhere}).headers["location"] == "/"


@given(st.text())
def test_whatever_follows_signing_in_is_a_path(target: str) -> None:
    kept = local(target)
    assert kept.startswith("/")
    assert not re.match(r"[/\\\s]{2}", kept)
    assert kept in ("/", target)


@pytest.mark.parametrize("path", ["/signin", "/signout", "/chat"])
@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
     {"Origin": "null"}],
)  # fmt: skip
def test_another_site_cannot_act_for_someone(node: Running, path: str, headers: dict[str, str]) -> None:
    with visit(node) as browser:
        answer = browser.post(path, data={"token": node.token, "model": "echo", "prompt": "hi"}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "x",
        "environment.9999999999.0",
        "..",
        "environment.x.y",
        "environment.9999999999.é",
        "é",
        r'"environment.9999999999.\303\251"',
    ],
)
def test_a_forged_cookie_is_no_cookie(node: Running, forged: str) -> None:
    headers = {k.encode(): v.encode() for k, v in HTML.items()} | {
        b"Cookie": f"{node.node.auth.cookie_name}={forged}".encode()
    }
    assert httpx2.get(node.url + "/", headers=headers).status_code == 303


# What every answer carries


@pytest.mark.parametrize("path", [*PAGES, "/signin", "/no/such/page"])
def test_every_page_is_closed_to_other_origins(node: Running, path: str) -> None:
    with visit(node, signed_in=path != "/signin") as browser:
        answer = browser.get(path)
    assert answer.headers["content-security-policy"] == CSP
    assert "unsafe" not in CSP
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|<script(?![^>]*src=)|\sstyle=|\son\w+=|https?://(?!127\.0\.0\.1)", answer.text)


def test_files_may_be_kept_for_good_and_only_in_this_version(node: Running) -> None:
    with visit(node, signed_in=False) as browser:
        shown = browser.get("/signin").text
        found = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', shown))
        assert {Path(f).name for f in found} == {"logo.svg", "style.css", "page.js"}
        for file in found:
            answer = browser.get(file)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        for wrong in ("/static/old/style.css", "/static/x", f"{Path(file).parent}/..%2fapp.py"):
            assert browser.get(wrong).status_code == 404
        assert browser.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_errors_are_pages_for_people_and_json_for_programs(node: Running) -> None:
    with visit(node) as browser:
        shown = browser.get("/models/ecko")
        assert shown.status_code == 404
        assert "Did you mean echo" in shown.text
        assert "model_not_found" in shown.text
        assert shown.headers["x-request-id"] in shown.text
        wrong_verb = browser.put("/chat")
        assert (wrong_verb.status_code, wrong_verb.headers["content-type"]) == (405, "text/html; charset=utf-8")
        assert browser.get("/v1/models/no").json()["error"]["code"] == "model_not_found"
    assert httpx2.get(node.url + "/no", headers={"Accept": "*/*"}).json()["error"]["code"] == "not_found"


def test_hostile_paths_and_names_stay_text(node: Running) -> None:
    with visit(node) as browser:
        for answer in (
            browser.get("/" + HOSTILE),
            browser.get("/models/" + HOSTILE),
            browser.get("/models", params={"q": HOSTILE}),
        ):
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text


def test_the_error_page_itself_needs_no_services() -> None:
    scope = {"type": "http", "path": "/v1/models", "headers": [(b"accept", b"text/html")], "method": "GET"}
    assert page_error(scope, Unauthenticated("no")) is None
    assert page_error(scope | {"path": "/x", "headers": []}, Invalid("no")) is None


# Home and models


def test_home_says_what_runs_and_how_to_call_it(node: Running) -> None:
    with visit(node) as browser:
        shown = html.unescape(browser.get("/").text)
    assert "Ready" in shown
    assert f"{node.url}/v1/chat/completions" in shown
    assert "$INTERMODEL_TOKEN" in shown
    assert node.token not in shown
    assert "All 7 models" in shown


def test_models_are_listed_searched_and_described(node: Running) -> None:
    with visit(node) as browser:
        shown = browser.get("/models").text
        assert re.findall(r'<h2><a href="/models/([^"]+)"', shown) == [
            "echo", "failing", "far/away", "hostile", "letters", "lost", "quick",
        ]  # fmt: skip
        assert "200,000 tokens" in shown
        assert "Via models.example.org" in shown
        assert 'href="/chat?model=far/away"' in shown
        assert 'href="/chat?model=letters"' not in shown, "an embedding model cannot talk"
        assert "No known candidate" in shown
        assert re.findall(r'<h2><a href="/models/([^"]+)"', browser.get("/models?q=AWAY").text) == ["far/away"]
        assert "No address contains" in browser.get("/models?q=zzz").text
        assert "/v1/embeddings" in browser.get("/models/letters").text
        assert "not known here" in browser.get("/models/quick").text
        assert "models.example.org" in browser.get("/models/far/away").text


def test_an_empty_node_says_how_to_add_a_model(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, deployments={})) as empty, visit(empty) as browser:
        assert "Not ready" in browser.get("/").text
        models = browser.get("/models").text
        assert "intermodel models add FILE.gguf" in models
        assert str(tmp_path / "models") in models
        assert "How to add a model" in browser.get("/chat").text


def test_the_listing_joins_what_the_rooms_know() -> None:
    facts = Facts.from_json({"parameters": 5, "context_length": 1024})
    model = Model("a/b", Digest("sha256:" + "0" * 64), 7, Path("x"), facts, datetime.now(UTC))
    state = State("a/b", Phase.FAILED, datetime.now(UTC), None, 0, 0, 8, 512, 0, 0, 4, "it crashed", Path("log"))
    able = frozenset({Capability.CHAT})
    directory = Directory(
        {"a/b": Target("a/b", "llamacpp", "a/b", local=True, capabilities=able),
         "far": Target("far", "far", "big", local=False)},
        {"both": Route(candidates=("a/b", "far")), "one": Route(candidates=("a/b", "gone"))},
    )  # fmt: skip
    found = {e.address: e for e in entries(directory, {"a/b": model}, [state], {})}
    assert list(found) == ["a/b", "far", "both", "one"]
    assert (found["a/b"].phase, found["a/b"].context_length, found["a/b"].model) == ("failed", 512, model)
    assert (found["far"].phase, found["far"].chats) == ("", True)
    assert found["both"].capabilities == (), "what one candidate can do is unknown, so it is of the route"
    assert found["one"].candidates == (("a/b", True), ("gone", False))


def test_an_engine_that_failed_says_why(node: Running) -> None:
    facts = Facts.from_json({"parameters": 1_262_976, "licence": "<apache>"})
    model = Model("a/b", Digest("sha256:" + "0" * 64), 7, Path("x"), facts, datetime.now(UTC))
    state = State("a/b", Phase.FAILED, datetime.now(UTC), None, 0, 0, 8, 512, 0, 0, 4, "<it> crashed", Path("b.log"))
    entry = Entry("a/b", LOCAL, "this machine", ("chat",), 512, model, state)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")], "scheme": "http"}
    one = page(scope, "model.html", Caller("1", "me"), entry=entry, snippets=[]).body
    every = page(
        scope, "models.html", Caller("1", "me"), entries=[entry], total=1, wanted="", searched=False, folder="f"
    ).body
    home = page(
        scope,
        "home.html",
        Caller("1", "me"),
        entries=[],
        total=0,
        talks=False,
        problems=[],
        snippets=[],
        engines=[state],
    ).body
    for shown in (one, every):
        assert b"&lt;it&gt; crashed" in shown
    assert b"&lt;apache&gt;" in one
    assert b"b.log" not in one
    assert b"b.log" in page(scope, "model.html", Caller("1", "me", admin=True), entry=entry, snippets=[]).body
    assert b"4 restarts" in home


@pytest.mark.parametrize(("count", "said"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_394_560, "1.39 MB"),
                                             (999_999, "1 MB"), (7_600_000_000, "7.6 GB")])  # fmt: skip
def test_sizes_are_written_for_people(count: int, said: str) -> None:
    assert size(count) == said


def test_numbers_and_code_are_written_for_people() -> None:
    assert (short(12), short(1_262_976), short(7_615_616_512)) == ("12", "1.26 M", "7.62 B")
    assert marked("run `a <b>` now") == "run <code>a &lt;b&gt;</code> now"
    assert marked("one ` <alone>") == "one ` &lt;alone&gt;"


# The snippets, run as they are printed


@pytest.mark.slow
def test_the_snippets_work(server: Running, tmp_path: Path) -> None:
    environ = os.environ | {
        "INTERMODEL_TOKEN": server.token,
        "LLM_USER_PATH": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    curl, python, llm = snippets(server.url, "echo")
    for command in (["bash", "-c", curl.text], [sys.executable, "-c", python.text], ["bash", "-c", llm.text]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert "Hello" in done.stdout, done.stderr


def test_the_embedding_snippets_work(server: Running) -> None:
    environ = os.environ | {"INTERMODEL_TOKEN": server.token}
    curl, python = snippets(server.url, "echo", embeds=True)
    for command in (["bash", "-c", curl.text], [sys.executable, "-c", python.text]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
        assert "1.0" in done.stdout, done.stderr


# Talking without JavaScript


def carried(shown: str) -> str:
    found = re.search(r'name="history" id="history" value="([^"]*)"', shown)
    assert found
    return html.unescape(found[1])


def said(shown: str, part: str) -> list[str]:
    """The texts of a part, outside the templates for scripts."""
    body = shown.partition("<template")[0]
    return [html.unescape(t) for t in re.findall(rf'data-part="{part}"(?! hidden)[^>]*>([^<]*)<', body)]


def test_a_conversation_is_carried_from_form_to_form(node: Running) -> None:
    with visit(node) as browser:
        form = {
            "model": ["echo", "failing", "echo", ""],
            "prompt": "one\r\ntwo",
            "system": "be brief",
            "temperature": "0.5",
        }
        first = browser.post("/chat", data=form).text
        assert said(first, "prompt") == ["one\ntwo"]
        assert said(first, "text") == ["one\ntwo", ""]
        assert "answered 500" in said(first, "error")[0]
        assert "be brief" in first
        second = browser.post("/chat", data={"model": "quick", "prompt": "three", "history": carried(first)}).text
        assert said(second, "prompt") == ["one\ntwo", "three"]
        assert said(second, "meta")[-1].endswith("by echo")
        cleared = browser.post("/chat", data={"model": ["echo", "quick"], "do": "clear"})
        assert cleared.headers["location"] == "/chat?model=echo&model=quick"


def test_what_models_and_people_say_is_never_markup(node: Running) -> None:
    with visit(node) as browser:
        shown = browser.post("/chat", data={"model": "hostile", "prompt": HOSTILE, "system": HOSTILE}).text
        shown = browser.post("/chat", data={"model": "hostile", "prompt": "more", "history": carried(shown)}).text
    assert said(shown, "prompt")[0] == HOSTILE
    assert said(shown, "text") == [HOSTILE, HOSTILE]
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"model": "echo"}, 400),
        ({"prompt": "hi"}, 400),
        ({"model": "echo", "prompt": " "}, 400),
        ({"model": "echo", "prompt": "hi", "history": "[7]"}, 400),
        ({"model": "echo", "prompt": "hi", "history": "{"}, 400),
        ({"model": "echo", "prompt": "hi", "temperature": "warm"}, 400),
        ({"model": "echo", "prompt": "x" * 5_000_000}, 413),
        ({str(i): "x" for i in range(100)}, 400),
    ],
)
def test_a_form_that_the_page_would_not_send_is_refused(node: Running, form: dict[str, str], status: int) -> None:
    with visit(node) as browser:
        answer = browser.post("/chat", data=form)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("body", [b"%ff=\xff", b"&&&", b"{}"])
def test_a_body_that_is_no_form_is_refused(node: Running, body: bytes) -> None:
    with visit(node) as browser:
        for kind in ("application/x-www-form-urlencoded", "application/json", "text/plain"):
            assert browser.post("/chat", content=body, headers={"Content-Type": kind}).status_code == 400


def test_an_answer_that_fails_or_is_out_of_range_is_told_in_its_place(node: Running) -> None:
    with visit(node) as browser:
        shown = browser.post("/chat", data={"model": ["nobody", "echo"], "prompt": "hi", "temperature": "9"}).text
    assert all("temperature" in e for e in said(shown, "error"))


def test_a_chat_with_a_model_that_is_gone_says_so(node: Running) -> None:
    with visit(node) as browser:
        assert browser.get("/chat?model=nobody").status_code == 404
        assert browser.get("/chat?model=letters").status_code == 404
        assert 'value="hostile" selected' in browser.get("/chat?model=hostile").text


def test_the_number_of_calls_is_bounded_here_too(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, limits=Limits(concurrent_calls=1), routes={"same": Route(candidates=("echo",))})
    with running(settings) as node, visit(node) as browser:
        shown = browser.post("/chat", data={"model": ["echo", "same"], "prompt": "hi"}).text
    assert "as many as this node takes" in "".join(said(shown, "error"))


def test_a_model_sees_its_own_answers_only() -> None:
    turns = (
        Turn(prompt="q1", answers=[Answer(model="a", text="a1"), Answer(model="b", text="b1")]),
        Turn(prompt="q2", answers=[Answer(model="a", state="failed", error="no")]),
    )
    body = Asked(("a", "b"), "q3", turns=turns, system="s", max_tokens="5").body("a")
    assert [m["content"] for m in body["messages"]] == ["s", "q1", "a1", "q3"]
    assert body["max_tokens"] == 5
    assert [m["content"] for m in Asked(("c",), "q", turns=turns).body("c")["messages"]] == ["q"]


def test_a_page_carries_a_bounded_conversation() -> None:
    many = tuple(Turn(prompt=str(i), answers=[]) for i in range(MOST_TURNS + 5))
    assert [t.prompt for t in recent(many)] == [str(i) for i in range(5, MOST_TURNS + 5)]
    long = tuple(Turn(prompt=str(i), answers=[Answer(model="m", text="x" * (MOST_CHARACTERS // 2))]) for i in range(3))
    assert [t.prompt for t in recent(long)] == ["2"]


# The style


def test_every_pair_of_colours_can_be_read() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for the edges of fields; in the light and in the dark."""
    css = (FOLDER / "style.css").read_text()
    assert len(css.splitlines()) <= 400
    colours = {n: (a, b) for n, a, b in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)}
    text = [(f, b) for f in ("ink", "soft", "accent", "bad", "wait") for b in ("paper", "card")]
    text += [
        ("ink", "sunk"),
        ("soft", "sunk"),
        ("ink", "tint"),
        ("accent", "tint"),
        ("on-accent", "accent"),
        ("bad", "bad-tint"),
    ]
    for front, back in text:
        assert min(contrast(a, b) for a, b in zip(colours[front], colours[back], strict=True)) >= 4.5, (front, back)
    assert min(contrast(a, b) for a, b in zip(colours["edge"], colours["card"], strict=True)) >= 3


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
