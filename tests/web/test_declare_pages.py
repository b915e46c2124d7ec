"""Deployments and routes declared by forms: what is made, what is told beside which field, and that nothing is lost."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.gateway.registry import checked
from intermodel.settings import Constraints, Deployment, Price, Rate, Route
from intermodel.web.pages.declare import DEPLOYMENT, ROUTE, Draft, draft_of
from tests.support import Running, running, settings_for
from tests.web.test_gateway_pages import text, token, visit_as
from tests.web.test_pages import visit

MAKE = {"kind": "deployment", "do": "make", "name": "mine", "provider": "echo"}
HOSTILE = "</textarea><script>alert(1)</script>"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    given = settings_for(
        tmp_path,
        deployments={"echo": Deployment(provider="echo"), "keyless": Deployment(base_url="http://127.0.0.1:9/v1",
                                                                                key_env=("NO_SUCH_API_KEY",))},
        routes={"fixed": Route(candidates=("echo",))},
    )  # fmt: skip
    with running(given) as served:
        yield served


def api(node: Running, path: str) -> Any:
    return httpx2.get(f"{node.url}/api/v1{path}", headers=node.headers).json()


def test_a_deployment_is_made_changed_and_removed(node: Running) -> None:
    made = MAKE | {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "region": "eu", "price.input": "0.5",
                   "capabilities": "chat, tools", "context_length": "8192",
                   "more": "timeout_s = 5\nprivate = true"}  # fmt: skip
    with visit(node) as browser:
        assert browser.post("/deployments", data=made).status_code == 303
        document = api(node, "/deployments/mine")["document"]
        assert document == {
            "base_url": "http://127.0.0.1:9/v1", "region": "eu", "price": {"input": "0.5"}, "timeout_s": 5.0,
            "capabilities": document["capabilities"], "context_length": 8192, "private": True,
        }  # fmt: skip
        assert sorted(document["capabilities"]) == ["chat", "tools"]
        shown = browser.get("/deployments")
        assert "http://127.0.0.1:9/v1" in text(shown)
        assert "$0.5 read, $0 made" in text(shown)
        form = _form(shown.text, "Change mine")
        assert form["more"] == "private = true\ntimeout_s = 5.0"
        changed = form | {"do": "change", "region": ""}
        assert browser.post("/deployments", data=changed).status_code == 303
        after = api(node, "/deployments/mine")["document"]
        assert after == {key: value for key, value in document.items() if key != "region"} | {
            "price": {"input": "0.5"}, "capabilities": after["capabilities"]
        }  # fmt: skip
        removal = {"do": "remove", "kind": "deployment", "name": "mine"}
        assert browser.post("/deployments", data=removal).status_code == 303
        assert browser.post("/deployments", data=removal).status_code == 404
    assert api(node, "/deployments/mine")["error"]


def test_a_route_is_made_changed_and_removed(node: Running) -> None:
    made = {"kind": "route", "do": "make", "name": "fast", "candidates": "echo\nkeyless", "order": "weighted",
            "more": "weights = { echo = 2 }\nrequire = { regions = ['eu'] }"}  # fmt: skip
    with visit(node) as browser:
        assert browser.post("/deployments", data=made).status_code == 303
        assert api(node, "/routes/fast")["document"] == {
            "candidates": ["echo", "keyless"], "order": "weighted", "weights": {"echo": 2.0},
            "require": {"regions": ["eu"]},
        }  # fmt: skip
        form = _form(browser.get("/deployments").text, "Change fast")
        assert form["candidates"].split() == ["echo", "keyless"]
        assert browser.post("/deployments", data=form | {"do": "change", "candidates": "echo"}).status_code == 303
        assert api(node, "/routes/fast")["document"]["candidates"] == ["echo"]
        kept = browser.post("/deployments", data={"do": "remove", "kind": "route", "name": "fixed"})
        assert (kept.status_code, "declared in intermodel.toml" in text(kept)) == (409, True)
        assert browser.post("/deployments", data={"do": "remove", "kind": "route", "name": "fast"}).status_code == 303
    assert [one["name"] for one in api(node, "/routes")["data"]] == ["fixed"]


@pytest.mark.parametrize(
    ("given", "status", "field", "said"),
    [
        ({"name": "a b"}, 400, "name", "pattern"),
        ({"name": "echo"}, 409, "name", "already"),
        ({"name": "fixed"}, 409, "name", "already"),
        ({"provider": "openai"}, 400, "base_url", "address is missing"),
        ({"base_url": "gopher://x"}, 400, "base_url", "http://"),
        ({"base_url": "http://u:p@x/v1"}, 400, "base_url", "password"),
        ({"price.output": "much"}, 400, "price.output", "decimal"),
        ({"price.input": "-1"}, 400, "price.input", "greater"),
        ({"context_length": "many"}, 400, "context_length", "integer"),
        ({"capabilities": "chat, flying"}, 400, "capabilities", "vision"),
        ({"key_env": "UNSET_API_KEY"}, 400, "key_env", "which is not set"),
        ({"key_env": "HOME"}, 403, "key_env", "key_variables"),
        ({"key_file": "../../etc/passwd"}, 403, "key_file", "does not lie in"),
        ({"key_file": "absent"}, 400, "key_file", "cannot be read"),
        ({"more": "timeout_s ="}, 400, "more", "not TOML"),
        ({"more": "timeout_s = -1"}, 400, "more", "greater"),
        ({"more": "base_ulr = 'x'"}, 400, "more", "base_ulr"),
        ({"more": HOSTILE}, 400, "more", "not TOML"),
        ({"kind": "route", "candidates": ""}, 400, "candidates", "required"),
        ({"kind": "route", "candidates": "fixed", "more": ""}, 400, "", "lists the route"),
        ({"kind": "route", "candidates": "echo", "order": "best", "more": "guards = ['x']"}, 400, "", "not declared"),
        ({"kind": "route", "candidates": "a b"}, 400, "candidates", "pattern"),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_nothing_is_lost(
    node: Running, given: dict[str, str], status: int, field: str, said: str
) -> None:
    sent = MAKE | {"region": "somewhere", "more": "private = true"} | given
    with visit(node) as browser:
        answer = browser.post("/deployments", data=sent)
    assert answer.status_code == status, text(answer)
    (told,) = re.findall(
        r'<(?:span|p) class="(?:fault|problem)"[^>]*role="alert">(.*?)</(?:span|p)>', answer.text, re.DOTALL
    )
    assert said in html.unescape(told)
    wrong = re.findall(r'name="([^"]+)" aria-invalid="true" aria-describedby="([^"]+)"', answer.text)
    assert [name for name, _ in wrong] == ([field] if field else [])
    assert all(f'id="{fault}"' in answer.text for _, fault in wrong)
    back = _form(answer.text, f"Add a {sent['kind']}")
    assert {name: back[name].strip() for name in back if name in sent} == {n: sent[n] for n in back if n in sent}
    assert "<script>alert" not in answer.text
    assert [one["name"] for one in api(node, "/deployments")["data"]] == ["echo", "keyless"]


def test_a_change_that_fails_comes_back_where_it_was_made(node: Running) -> None:
    with visit(node) as browser:
        browser.post("/deployments", data=MAKE)
        browser.post("/deployments", data={"kind": "route", "do": "make", "name": "fast", "candidates": "mine"})
        wrong = browser.post("/deployments", data=MAKE | {"do": "change", "context_length": "x", "region": "eu"})
        assert wrong.status_code == 400
        back = _form(wrong.text, "Change mine")
        assert (back["context_length"], back["region"]) == ("x", "eu")
        assert _form(wrong.text, "Add a deployment")["region"] == ""
        assert len(re.findall("<details open>", wrong.text)) == 1
        used = browser.post("/deployments", data={"do": "remove", "kind": "deployment", "name": "mine"})
        assert (used.status_code, "among its candidates" in text(used)) == (409, True)
        fixed = browser.post("/deployments", data=MAKE | {"do": "change", "name": "echo"})
        assert (fixed.status_code, "declared in intermodel.toml" in text(fixed)) == (409, True)


def test_admins_alone_and_from_this_site_alone(node: Running) -> None:
    with visit(node, Sec_Fetch_Site="cross-site") as browser:
        assert browser.post("/deployments", data=MAKE).status_code == 403
    with visit_as(node, token(node, "plain")) as browser:
        assert browser.post("/deployments", data=MAKE).status_code == 403
        seen = browser.get("/deployments").text
        assert "Add a deployment" not in seen
        assert "NO_SUCH_API_KEY" not in seen
        assert "Cannot be used" in seen
    with visit(node, signed_in=False) as browser:
        assert browser.post("/deployments", data=MAKE).status_code in (303, 401)
    assert [one["name"] for one in api(node, "/deployments")["data"]] == ["echo", "keyless"]


def test_a_missing_key_is_told_with_what_to_do(node: Running) -> None:
    with visit(node) as browser:
        told = text(browser.get("/deployments"))
    assert "keyless cannot be used. Deployment 'keyless' takes its key from the variable NO_SUCH_API_KEY" in told
    assert "export NO_SUCH_API_KEY=... and start the node again" in told


def _form(page: str, name: str) -> dict[str, str]:
    """What a browser would send of a form as it stands."""
    (form,) = re.findall(rf'<form[^>]*aria-label="{re.escape(name)}">(.*?)</form>', page, re.DOTALL)
    found = dict(re.findall(r'<input (?:type="hidden" |id="[^"]*" )name="([^"]+)".*?value="([^"]*)"', form))
    larger = r'<(select|textarea)\s+id="[^"]*" name="([^"]+)"[^>]*>(.*?)</\1>'
    for tag, field, inner in re.findall(larger, form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', inner)
        found[field] = chosen[1] if tag == "select" and chosen else inner.removeprefix("\n")
    return {field: html.unescape(value) for field, value in found.items()}


_MONEY = st.decimals(0, 100, places=3)
_WORDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20).filter(lambda s: "," not in s)


@given(
    st.builds(
        Deployment,
        base_url=st.just("http://x/v1"),
        model=st.text(st.characters(exclude_categories=("C", "Z")), max_size=20),
        key_env=st.lists(_WORDS, max_size=3).map(tuple),
        key_keyring=st.lists(_WORDS, max_size=2).map(tuple),
        region=st.sampled_from(["", "eu"]),
        price=st.none() | st.builds(Price, input=_MONEY, output=_MONEY, cached_input=st.none() | _MONEY),
        rate=st.builds(Rate, at_once=st.none() | st.integers(1, 9)),
        capabilities=st.frozensets(st.sampled_from(["chat", "tools"])),
        private=st.booleans(),
        timeout_s=st.floats(0.1, 600),
    )
)
def test_a_form_holds_all_of_a_deployment(deployment: Deployment) -> None:
    draft = draft_of(DEPLOYMENT, "x", deployment)
    assert checked(Deployment, "x", draft.document()) == deployment


def test_a_form_holds_all_of_a_route() -> None:
    route = Route(
        candidates=("a/b", "c"), weights={"a/b": 2.5}, order="weighted", hedge=0.9, past_filters=True,
        require=Constraints(regions=("eu",), price_output=Decimal("1.5")),
    )  # fmt: skip
    assert checked(Route, "x", draft_of(ROUTE, "x", route).document()) == route
    assert Draft(ROUTE).value("order") == "fixed"
