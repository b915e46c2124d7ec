"""Calls, spending, budgets and deployments, as a person meets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Open
from tests.browser.test_pages import PHONE, overflow, takes_focus
from tests.support import Running, running
from tests.traffic import call, calling, make_calls, make_past, settings_with_traffic

pytestmark = pytest.mark.browser

PATHS = ["/calls", "/spending", "/deployments?period=week", "/budgets"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_with_traffic(tmp_path_factory.mktemp("traffic"))) as served:
        make_past(served, days=6, calls=300)
        make_calls(served)
        yield served


@pytest.fixture
def streaming(node: Running) -> Iterator[None]:
    """A call that takes a while."""
    with calling(node, "acme/slow", "slowly"):
        yield


def section(page: Page, name: str) -> Any:
    return page.get_by_role("region", name=name)


def test_the_menu_leads_everywhere(open_page: Open) -> None:
    page = open_page("/")
    for name in ("Calls", "Spending", "Budgets", "Deployments"):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        here = page.get_by_role("navigation", name="Main").get_by_role("link", name=name)
        expect(here).to_have_attribute("aria-current", "page")


def test_a_telephone_opens_the_menu_with_a_button(open_page: Open) -> None:
    page = open_page("/calls", viewport=PHONE)
    expect(page.get_by_role("link", name="Spending")).to_be_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    page.get_by_role("link", name="Spending").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Spending")
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Budgets")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Budgets")).to_be_hidden()


def test_a_call_is_seen_while_it_runs_and_as_a_receipt_after(open_page: Open, streaming: None) -> None:
    page = open_page("/calls")
    live = section(page, "In progress")
    expect(live.get_by_role("row", name="acme/slow")).to_be_visible()
    before = live.get_by_role("row", name="acme/slow").inner_text()
    expect(live.get_by_role("row", name="acme/slow")).not_to_have_text(before)
    receipts = section(page, "Receipts")
    expect(receipts.get_by_role("link", name="acme/slow")).to_have_count(1, timeout=60_000)
    expect(page.get_by_text("None at this moment.")).to_be_visible()


def test_refreshing_can_be_paused(open_page: Open, node: Running) -> None:
    page = open_page("/calls")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2600)
    assert asked == []
    pause.click()
    with page.expect_request("**/calls"):
        pass


def test_from_a_list_to_a_receipt_and_back(open_page: Open) -> None:
    page = open_page("/calls")
    page.get_by_label("Route").select_option("reliable")
    page.get_by_role("button", name="Filter").click()
    rows = section(page, "Receipts").get_by_role("row")
    expect(rows).to_have_count(2)
    rows.nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("reliable")
    main = page.get_by_role("main")
    expect(main).to_contain_text("upstream_error (503)")
    expect(page.get_by_role("img", name=re.compile("first token after"))).to_be_visible()
    expect(main).to_contain_text("place 1 of the route")
    page.get_by_role("link", name="Calls").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")


def test_older_receipts_are_a_page_away(open_page: Open) -> None:
    page = open_page("/calls")
    first = page.get_by_role("link", name=re.compile("Receipt of")).first.get_attribute("href")
    page.get_by_role("link", name="Older →").click()
    expect(page.get_by_role("link", name=re.compile("Receipt of")).first).not_to_have_attribute("href", first or "")
    page.get_by_role("link", name="← Newest").click()
    expect(page).to_have_url(re.compile("/calls$"))


def test_spending_is_drawn_and_told(open_page: Open) -> None:
    page = open_page("/spending")
    expect(page.get_by_role("figure", name="Spent")).to_be_visible()
    assert page.locator("figure canvas").count() == 1
    expect(section(page, "By model").get_by_role("row", name="acme/large")).to_contain_text("$")
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    with page.expect_download() as download:
        page.get_by_role("link", name="Spending by model as CSV").click()
    assert download.value.suggested_filename == "spending-by-model-week.csv"
    section(page, "By user").get_by_role("link", name="ada").click()
    expect(page).to_have_url(re.compile(r"/calls\?user=ada"))
    expect(section(page, "Receipts").get_by_role("row", name=re.compile("app")).first).to_be_visible()


def test_plots_follow_the_window_and_the_light(open_page: Open) -> None:
    page = open_page("/deployments?period=week")
    canvas = page.get_by_role("figure", name="First token").locator("canvas")
    before = canvas.bounding_box()
    page.set_viewport_size({"width": 360, "height": 740})
    expect(canvas).not_to_have_js_property("clientWidth", before and int(before["width"]))
    after, figure = canvas.bounding_box(), page.get_by_role("figure").first.bounding_box()
    assert before is not None
    assert after is not None
    assert figure is not None
    assert before["width"] > 600
    assert figure["x"] < after["x"] < after["x"] + after["width"] < figure["x"] + figure["width"]
    assert overflow(page) <= 0
    pixels = "c => c.toDataURL()"
    drawn = canvas.evaluate(pixels)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert canvas.evaluate(pixels) != drawn


INNER = (
    "f => f.clientWidth - parseFloat(getComputedStyle(f).paddingLeft) - parseFloat(getComputedStyle(f).paddingRight)"
)


def test_deployments_show_their_circuits(open_page: Open, node: Running) -> None:
    for _ in range(4):
        call(node, "other/broken")
    page = open_page("/deployments?period=hour")
    row = section(page, "Now, and over the last hour").get_by_role("row", name="other/broken")
    expect(row).to_contain_text(re.compile("Rests|On trial"))
    page.get_by_text("Failed attempts in numbers").click()
    expect(page.get_by_role("region", name="Failed attempts in numbers")).to_contain_text("100 %")


def test_a_budget_is_made_changed_and_removed(open_page: Open, console: Console) -> None:
    console.allow("400")
    page = open_page("/budgets")
    form = page.get_by_role("main").locator("form").filter(has=page.get_by_role("heading", name="Make a budget"))
    form.get_by_label("Name").fill("research")
    form.get_by_label("Binds").select_option("one user")
    form.get_by_label("Dollars").fill("ten")
    form.get_by_role("button", name="Make").click()
    expect(page.get_by_role("alert")).to_contain_text("Say which user")
    form.get_by_label("Whose").fill("ada")
    form.get_by_role("button", name="Make").click()
    expect(page.get_by_role("alert")).to_contain_text("dollars")
    expect(form.get_by_label("Name")).to_have_value("research")
    form.get_by_label("Dollars").fill("10")
    form.get_by_role("button", name="Make").click()
    mine = page.get_by_role("listitem", name="research")
    expect(mine).to_contain_text("left of $10.00")
    mine.get_by_text("Change").click()
    mine.get_by_label("Dollars").fill("25")
    mine.get_by_role("button", name="Save").click()
    expect(mine).to_contain_text("left of $25.00")
    mine.get_by_text("Remove").first.click()
    mine.get_by_role("button", name="Remove research").click()
    expect(mine).to_have_count(0)
    expect(page.get_by_role("listitem", name="node")).to_contain_text("is changed there")


def test_a_deployment_and_a_route_are_made_changed_and_removed(open_page: Open, console: Console) -> None:
    console.allow("400|409")
    page = open_page("/deployments")
    page.get_by_text("Add a deployment").click()
    form = page.get_by_role("form", name="Add a deployment")
    form.get_by_label("Name", exact=True).fill("mine/own")
    form.get_by_label("Region").fill("eu")
    form.get_by_role("button", name="Add").click()
    expect(form.get_by_role("alert")).to_contain_text("address is missing")
    expect(form.locator("[name=base_url]")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("Region")).to_have_value("eu")
    form.get_by_label("Wire format").select_option("echo")
    form.get_by_role("button", name="Add").click()
    mine = page.get_by_role("listitem", name="mine/own")
    expect(mine).to_contain_text("echo answers in this node")
    page.get_by_text("Add a route").click()
    route = page.get_by_role("form", name="Add a route")
    route.get_by_label("Name", exact=True).fill("mine/route")
    route.get_by_label("Candidates").fill("mine/own\nacme/small")
    route.get_by_role("button", name="Add").click()
    made = section(page, "Routes").get_by_role("link", name="mine/route")
    expect(made).to_be_visible()
    mine.get_by_text("Change").click()
    mine.get_by_label("Region").fill("us")
    mine.get_by_role("button", name="Save").click()
    expect(mine).to_contain_text("us")
    mine.get_by_text("Remove").first.click()
    mine.get_by_role("button", name="Remove mine/own").click()
    expect(mine.get_by_role("alert")).to_contain_text("among its candidates")
    card = section(page, "Routes").locator(".card").filter(has=page.get_by_role("link", name="mine/route"))
    card.get_by_text("Remove").first.click()
    card.get_by_role("button", name="Remove mine/route").click()
    expect(made).to_have_count(0)
    mine.get_by_text("Remove").first.click()
    mine.get_by_role("button", name="Remove mine/own").click()
    expect(mine).to_have_count(0)


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_deployments_are_read_without_scrolling_sideways(open_page: Open, width: int) -> None:
    page = open_page("/deployments?period=week", viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('.acts details, .make').forEach((one) => (one.open = true))")
    assert overflow(page) <= 0
    table = page.locator(".scroll").first
    assert table.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "nor does its table"
    expect(table.get_by_role("row", name="acme/large")).to_contain_text("Takes calls")


def test_everything_works_without_scripts(open_page: Open) -> None:
    page = open_page("/calls", java_script_enabled=False)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("link", name=re.compile("Receipt of")).first).to_be_visible()
    page.get_by_role("link", name="Deployments").click()
    expect(page.get_by_role("figure")).to_have_count(0)
    page.get_by_text("First token in numbers").click()
    expect(page.get_by_role("region", name="First token in numbers")).to_be_visible()
    page.get_by_role("link", name="Budgets").click()
    page.get_by_label("Name").fill("scriptless")
    page.get_by_label("Dollars").last.fill("3")
    page.get_by_role("button", name="Make").click()
    mine = page.get_by_role("listitem", name="scriptless")
    mine.get_by_text("Remove").first.click()
    mine.get_by_role("button", name="Remove scriptless").click()
    expect(mine).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_nothing_scrolls_sideways(open_page: Open, node: Running, scheme: str) -> None:
    receipt = call(node, "acme/small").headers["x-intermodel-receipt"]
    page = open_page("/", viewport=PHONE, color_scheme=scheme)
    for path in [*PATHS, f"/calls/{receipt}"]:
        page.goto(path)
        assert overflow(page) <= 0, path
        assert page.evaluate(FAINT) == [], path


FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => rgba(colour).slice(0, 3)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const faint = [];
  for (const element of document.querySelectorAll("main *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!says || !element.checkVisibility() || element.closest("script, svg, .hidden")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
"""Text whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3)."""


def test_whatever_takes_the_focus_has_a_name(open_page: Open, node: Running) -> None:
    receipt = call(node, "reliable").headers["x-intermodel-receipt"]
    page = open_page("/")
    session = page.context.new_cdp_session(page)
    for path in [*PATHS, f"/calls/{receipt}"]:
        page.goto(path)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        nameless = {n["role"]["value"] for n in nodes if takes_focus(n) and not n.get("name", {}).get("value")}
        assert nameless <= {"main"}, path
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
