"""The writer as a person meets it: a run that is begun, watched, answered and read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from intermodel.settings import Deployment
from tests.browser.conftest import Console, Open
from tests.browser.test_pages import PHONE, overflow
from tests.support import Running, running, settings_for

pytestmark = pytest.mark.browser

TOPIC = "What an open licence really allows"
SCRIPT = Path(__file__).parents[2] / "src/intermodel/providers/scripts/writer.json"
SLOW_MS = 120_000
"""A run starts a process and makes about twenty calls."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("writer")
    slow = [one | {"delay_s": 0.4} for one in json.loads(SCRIPT.read_text()) if isinstance(one, dict)]
    (folder / "slow.json").write_text(json.dumps(slow))
    deployments = {
        "a/scripted": Deployment(provider="echo", script=Path("writer")),
        "a/slow-one": Deployment(provider="echo", script=folder / "slow.json"),
        "echo": Deployment(provider="echo"),
    }
    with running(settings_for(folder / "data", deployments=deployments)) as served:
        served.node.folder.announce(served.url)
        yield served


def begin(page: Page, model: str, **options: bool) -> None:
    page.get_by_label("Topic").fill(TOPIC)
    page.get_by_label("Model", exact=True).select_option(model)
    for label, on in options.items():
        page.get_by_label(label).set_checked(on)
    page.get_by_role("button", name="Estimate").click()
    expect(page.get_by_role("status")).to_contain_text("Calls")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(TOPIC)


def test_a_run_is_watched_to_its_end_and_read(open_page: Open) -> None:
    page = open_page("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Writer").click()
    begin(page, "a/slow-one")
    steps = page.get_by_role("region", name="Steps").first
    expect(steps).to_contain_text("Researcher", timeout=SLOW_MS)
    expect(page.get_by_role("main")).to_contain_text(re.compile("works on"), timeout=SLOW_MS)
    round_1 = page.locator("#round-1")
    expect(round_1).to_be_visible(timeout=SLOW_MS)
    round_1.locator("summary").click()
    page.get_by_role("heading", level=1).click()  # nothing of it is in use
    page.wait_for_timeout(2500)
    expect(round_1.get_by_role("region", name="Draft of round 1")).to_be_visible()
    expect(page.get_by_text("The critic accepted it.")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("heading", name="The post")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Score of each round"))).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2600)
    assert asked == [], "nothing changes any more"
    page.locator("sup a").first.click()
    expect(page).to_have_url(re.compile("#source-"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Markdown").click()
    assert download.value.suggested_filename == "article.md"


def test_a_run_waits_and_is_answered_without_javascript(open_page: Open, console: Console) -> None:
    console.allow("400")
    page = open_page("/writer", java_script_enabled=False)
    begin(page, "a/scripted", **{"Wait for me": True})
    note = page.get_by_label("What is to be changed")
    expect(note).to_be_visible(timeout=SLOW_MS)
    note.fill("Say more of patents.")
    page.get_by_role("button", name="Send it back").click()
    expect(page.get_by_text("Round 2 is over")).to_be_visible(timeout=SLOW_MS)
    page.locator("#round-1 summary").click()
    expect(page.locator("#round-1")).to_contain_text("Say more of patents.")
    expect(page.locator("#round-2 ins").first).to_be_visible()
    page.get_by_text("Change the plan").click()
    page.get_by_label(re.compile("Sections")).fill("All of it | 1, 999")
    page.get_by_role("button", name="Save, and write by it").click()
    expect(page.get_by_role("alert")).to_contain_text("names claim 999")
    expect(page.get_by_label(re.compile("Sections"))).to_have_value("All of it | 1, 999")
    page.get_by_role("button", name="Accept the draft of round 2").click()
    expect(page.get_by_role("heading", name="The post")).to_be_visible(timeout=SLOW_MS)


def test_a_run_is_stopped_and_gone_on_with(open_page: Open) -> None:
    page = open_page("/writer")
    begin(page, "a/slow-one")
    page.get_by_role("button", name="Stop now").click()
    expect(page.get_by_role("button", name="Go on", exact=True)).to_be_visible(timeout=SLOW_MS)
    page.get_by_role("button", name="Go on", exact=True).click()
    expect(page.get_by_role("button", name="Stop now")).to_be_visible()
    page.get_by_role("button", name="Stop now").click()
    expect(page.get_by_role("button", name="Go on", exact=True)).to_be_visible(timeout=SLOW_MS)
    page.get_by_text("Remove", exact=True).click()
    page.get_by_role("button", name="Remove this draft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Writer")


def test_pages_fit_a_telephone_and_the_dark(open_page: Open, node: Running, console: Console) -> None:
    console.allow("400")
    for options in ({"viewport": PHONE}, {"viewport": PHONE, "color_scheme": "dark"}, {}):
        page = open_page("/writer", **options)
        assert overflow(page) <= 0
        page.get_by_label("Topic").fill("x" * 2001)
        page.get_by_label("Model", exact=True).select_option("a/slow-one")
        page.get_by_role("button", name="Estimate").click()
        expect(page.get_by_role("alert")).to_contain_text("at most 2,000")
        assert overflow(page) <= 0
        page.get_by_role("region", name="Drafts so far").first.get_by_role("link").first.click()
        for closed in page.locator("details:not([open]) > summary").all():
            if closed.is_visible():
                closed.click()
        assert overflow(page) <= 0
