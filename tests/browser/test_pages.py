"""Sign-in, home, models and errors, as a person meets them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Open
from tests.support import Running

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
PATHS = ["/", "/models", "/models/echo", "/models/quick", "/chat", "/nothing"]
LONG = "/models/test/a-model-with-a-name-so-long-that-no-telephone-shows-it-in-one-line-2026-instruct"


def test_a_link_signs_in_once_and_is_forgotten_on_sign_out(open_page: Open, node: Running, console: Console) -> None:
    code = node.node.auth.make_code()
    page = open_page(f"/signin?code={code}", signed_in=False)
    expect(page.get_by_role("heading", level=1)).to_have_text("Every model, one address.")
    assert "code" not in page.url
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/models")
    expect(page).to_have_url(re.compile(r"/signin\?next="))
    console.allow("401")
    page.goto(f"/signin?code={code}")
    expect(page.get_by_role("alert")).to_contain_text("was used or is too old")


def test_a_token_signs_in_and_leads_on(open_page: Open, node: Running, console: Console) -> None:
    console.allow("401")
    page = open_page("/models", signed_in=False)
    token = page.get_by_label("Token")
    expect(token).to_be_focused()
    token.fill("im_not_a_token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid on this node")
    token.fill(node.token)
    token.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_home_shows_what_runs_and_snippets_to_copy(open_page: Open, node: Running) -> None:
    page = open_page("/", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("main")).to_contain_text("Ready")
    expect(page.get_by_label("Call with curl")).to_contain_text(f"{node.url}/v1/chat/completions")
    expect(page.get_by_label("Call with llm")).to_contain_text("extra-openai-models.yaml")
    page.get_by_role("button", name="Copy Python").click()
    expect(page.get_by_role("button", name="Copy Python")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f'base_url="{node.url}/v1"' in copied
    assert node.token not in page.content()


def test_models_lead_to_their_pages_and_to_a_chat(open_page: Open) -> None:
    page = open_page("/models")
    page.get_by_role("searchbox", name="Search by address").fill("ech")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text(["echo"])
    page.get_by_role("link", name="echo", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("echo")
    expect(page.get_by_role("main")).to_contain_text("2,048 tokens")
    page.get_by_role("link", name="Chat").last.click()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("echo")


def test_an_error_says_what_to_do(open_page: Open, console: Console) -> None:
    console.allow("404")
    page = open_page("/models/ecko")
    expect(page.get_by_role("main")).to_contain_text("Did you mean echo")
    expect(page.get_by_role("main")).to_contain_text("model_not_found")
    page.get_by_role("link", name="Go home").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Every model, one address.")


def test_a_telephone_needs_no_sideways_scrolling(open_page: Open, console: Console) -> None:
    console.allow("404")
    page = open_page("/", viewport=PHONE)
    for path in [*PATHS, LONG]:
        page.goto(path)
        assert overflow(page) <= 0, path


def test_the_dark_is_dark(open_page: Open) -> None:
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).reduce((sum, n) => sum + Number(n), 0)"
    assert open_page("/", color_scheme="light").evaluate(brightness) > 700
    assert open_page("/", color_scheme="dark").evaluate(brightness) < 90


def test_whatever_takes_the_focus_has_a_name(open_page: Open, console: Console) -> None:
    console.allow("404")
    page = open_page("/")
    session = page.context.new_cdp_session(page)
    for path in PATHS:
        page.goto(path)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        assert {n["role"]["value"] for n in nodes if takes_focus(n) and not n.get("name", {}).get("value")} <= {
            "main"
        }, path
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("main")).to_have_count(1)


def test_the_keyboard_alone_finds_the_way(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.goto("/")
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Models", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_pages_work_without_scripts(open_page: Open) -> None:
    page = open_page("/", java_script_enabled=False)
    expect(page.get_by_role("button", name="Copy the address")).to_be_hidden()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def takes_focus(node: dict[str, Any]) -> bool:
    marks = {p["name"]: p["value"].get("value") for p in node.get("properties", ())}
    return not node["ignored"] and bool(marks.get("focusable"))


def overflow(page: Page) -> int:
    """How far the page is wider than its window, in pixels."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
