"""Passports as a person meets them: on a telephone, in the dark, without JavaScript, by keyboard."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Open
from tests.support import Running

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
LONG = "a-name-so-long-that-no-telephone-shows-it-in-one-line-2026-instruct-quantised-and-merged-with-others"
THINGS: dict[str, dict[str, Any]] = {
    "llama": {"licence": "llama1", "maker": "Meta", "what": {"kind": "weights"}},
    "vicuna": {
        "declared": "apache-2.0",
        "what": {"kind": "weights"},
        "lineage": {
            "edges": [
                {"parent": "llama", "how": "fine-tune", "source": "its card"},
                {"parent": "sharegpt", "how": "trained-on"},
                {"parent": "vicuna", "child": "sharegpt", "how": "outputs"},
            ]
        },
    },
    "vendor/service": {
        "told_by": "A Vendor",
        "url": "https://models.example.org/card",
        "what": {"kind": "service"},
        "disclosure": {"told": {"hardware": {"presence": "closed"}, "limitations": {"text": "It errs. " * 200}}},
    },
    LONG: {
        "licence": "mit",
        "what": {"architecture": "unbroken" * 20, "languages": [f"l{i}" for i in range(200)]},
        "lineage": {"edges": [{"parent": f"{LONG}-{i}", "how": "merge", "source": "unbroken" * 30} for i in range(8)]},
    },
}
PATHS = ["/records", "/records/vicuna", "/records/vendor/service", f"/records/{LONG}", "/records/compare",
         "/records/compare?a=vicuna&b=vendor/service&c=llama", f"/records/compare?a=vicuna&b={LONG}"]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _told(node: Running) -> None:
    for name, told in THINGS.items():
        answer = httpx2.put(f"{node.url}/api/v1/records/{name}", json=told, headers=node.headers, timeout=30)
        answer.raise_for_status()


def overflow(page: Page) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def test_a_fact_opens_to_who_says_so(open_page: Open) -> None:
    page = open_page("/records/vendor/service")
    expect(page.get_by_role("heading", level=1)).to_have_text("vendor/service")
    kind = page.locator("details.fact", has_text="Kind")
    expect(kind.get_by_text("Told by A Vendor")).not_to_be_visible()
    kind.locator("summary").click()
    expect(kind.get_by_text("Told by A Vendor")).to_be_visible()
    expect(kind.get_by_role("link", name="models.example.org")).to_have_attribute(
        "href", "https://models.example.org/card"
    )
    kind.get_by_role("link", name="Statement").click()
    expect(page.locator("details:target")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Stated as not disclosed")


def test_the_picture_leads_to_what_it_was_made_from(open_page: Open) -> None:
    page = open_page("/records/vicuna")
    picture = page.get_by_role("img", name="From what vicuna was made")
    expect(picture).to_have_count(1)
    expect(picture).to_contain_text("fine-tuned from")
    picture.locator("a", has_text="llama").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("llama")


def test_a_verdict_opens_to_its_reasons(open_page: Open) -> None:
    page = open_page("/records/vicuna")
    ruling = page.locator("details.ruling", has_text="Use it commercially")
    expect(ruling.locator("summary")).to_contain_text("No")
    ruling.locator("summary").click()
    expect(ruling).to_contain_text("llama")
    page.get_by_label("Where").select_option("DE")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("main")).to_contain_text("May I use it commercially in Germany?")


def test_it_works_without_javascript(open_page: Open) -> None:
    page = open_page("/records", java_script_enabled=False)
    page.get_by_role("searchbox").fill("vicuna")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="vicuna", exact=True).click()
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("Second").fill("llama")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("columnheader", name="llama")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_needs_no_sideways_scrolling(open_page: Open, scheme: str) -> None:
    page = open_page("/records", viewport=PHONE, color_scheme=scheme)
    for path in PATHS:
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert overflow(page) <= 0, path


def test_what_can_be_read_can_be_told_from_its_ground(open_page: Open) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1 for text, also in pictures."""
    for scheme in ("light", "dark"):
        page = open_page("/records/vicuna", color_scheme=scheme)
        for kind in ("name", "kind", "how", "licence"):
            ratio = page.evaluate(CONTRAST, f".lineage.wide .{kind}")
            assert ratio >= 4.5, (scheme, kind, ratio)


CONTRAST = """(selector) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const text = document.querySelector(selector);
  const box = text.closest(".thing")?.querySelector("rect");
  const ground = box ? getComputedStyle(box).fill : getComputedStyle(text.closest(".picture")).backgroundColor;
  const [a, b] = [light(getComputedStyle(text).fill), light(ground)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def test_whatever_takes_the_focus_has_a_name(open_page: Open, console: Console) -> None:
    page = open_page("/records")
    session = page.context.new_cdp_session(page)
    for path in PATHS:
        page.goto(path)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        nameless = {
            one["role"]["value"]
            for one in nodes
            if not one.get("name", {}).get("value")
            and any(p["name"] == "focusable" and p["value"]["value"] for p in one.get("properties", ()))
        }
        assert nameless <= {"main"}, path
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
