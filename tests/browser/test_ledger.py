"""The ledger as a person meets it: how it stands, an entry and its proof, a bundle that is checked without the node."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from intermodel.ledger import Verifier, verify
from intermodel.ledger.keys import LocalSigner
from tests.browser.conftest import Console, Open
from tests.browser.test_pages import PHONE, overflow
from tests.evidence import HOSTILE, Others, graded, on, opaque, record, take
from tests.support import Running, running

pytestmark = pytest.mark.browser

WHO = Others.make()
LONG = "unbroken" * 60
GRADES = 60
LAST = 200
"""No entry has that number."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("ledger") / "data"
    data.mkdir()
    WHO.fork(data)
    with running(WHO.settings(data)) as served:
        told = {"licence": "mit", "what": {"kind": "weights"}}
        httpx2.put(f"{served.url}/api/v1/records/vicuna", json=told, headers=served.headers, timeout=30)
        record(served, *(graded(number) for number in range(GRADES)))
        record(served, opaque({"builder": HOSTILE, "long": LONG}, LONG))
        take(served, WHO.friend, graded(77))
        take(served, LocalSigner.make(), graded(78))
        WHO.cosign(served)
        rotated = on(served, served.node.ledger.rotate("the year is over"))
        on(served, served.node.ledger.revoke(served.node.ledger.keys.periods[0].key.id, rotated.index, LONG))
        on(served, served.node.ledger.seal([(f"{number:026d}", b"%d" % number) for number in range(50)]))
        yield served


def section(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True).first


def test_how_the_ledger_stands(open_page: Open, node: Running) -> None:
    page = open_page("/", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Ledger").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ledger")
    expect(page.get_by_role("alert")).to_contain_text("other.example signed two histories")
    page.get_by_role("button", name="Copy: The signed note").click()
    expect(page.get_by_role("button", name="Copy: The signed note")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == node.node.ledger.checkpoint().decode()
    expect(section(page, "Newest checkpoint")).to_contain_text("witness.example, 21 Sep 2026, 14:13:20 UTC")
    keys = section(page, "Keys").get_by_role("listitem")
    expect(keys).to_have_count(2)
    expect(keys.first).to_contain_text("Signs now")
    expect(keys.last).to_contain_text("Revoked")
    expect(section(page, "Witnesses").get_by_role("row", name=re.compile("witness.example"))).to_be_visible()
    followed = section(page, "Ledgers that are followed").get_by_role("row", name=re.compile("other.example"))
    expect(followed).to_contain_text("Contradiction")
    expect(page.get_by_role("figure", name="Entries")).to_be_visible()
    assert page.locator("figure canvas").count() == 1
    page.get_by_text("Entries by day, as a table").click()
    newest = page.get_by_role("region", name="Entries by day").get_by_role("row").nth(1)
    expect(newest).to_have_text(re.compile(r"\d{4}-\d\d-\d\d\s*\d+"))
    page.get_by_role("alert").get_by_role("link", name=re.compile("Entry")).click()
    expect(page.get_by_role("main")).to_contain_text("Another ledger contradicts itself")


def test_entries_are_found_without_javascript(open_page: Open) -> None:
    page = open_page("/ledger", java_script_enabled=False)
    entries = section(page, "Entries").get_by_role("link", name=re.compile("^Entry"))
    expect(entries).to_have_count(40)
    first = entries.first.inner_text()
    page.get_by_role("link", name="Older →").click()
    expect(entries.first).not_to_have_text(first)
    page.get_by_role("link", name="← Newest").click()
    expect(entries.first).to_have_text(first)
    page.get_by_label("Signed by").select_option(WHO.friend.public.id)
    page.get_by_role("button", name="Filter").click()
    expect(entries).to_have_count(1)
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("What they say").select_option("A change of the keys")
    page.get_by_role("button", name="Filter").click()
    expect(entries).to_have_count(3)
    entries.last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entry 0")
    page.get_by_role("link", name="Entry 1 →").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Entry 1")


def test_a_bundle_is_taken_along_and_checked(open_page: Open, node: Running, tmp_path: Path) -> None:
    page = open_page("/records/vicuna")
    page.locator("#who ~ .rulings summary").first.click()
    page.get_by_role("link", name=re.compile("with its proof")).first.click()
    index = int(re.sub(r"\D", "", page.get_by_role("heading", level=1).inner_text()))
    expect(section(page, "The proof")).to_contain_text("In the newest checkpoint")
    page.get_by_text("hash by hash").click()
    expect(page.get_by_text(re.compile("^Root of"))).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Signed bundle").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    command = shlex.split(page.get_by_label("Check it", exact=True).last.inner_text())
    assert command[:3] == ["intermodel", "verify", file.name]
    report = verify(file.read_bytes(), [Verifier.parse(command[4])])
    assert report.good
    assert index in [one.index for one in report.entries]
    page.get_by_role("link", name="vicuna").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vicuna")


def test_what_a_kind_of_statement_says(open_page: Open) -> None:
    page = open_page("/ledger/entries/0")
    page.get_by_role("link", name="A change of the keys").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A change of the keys")
    expect(section(page, "Its fields")).to_contain_text("replaces")
    page.get_by_role("link", name="Entries that say this").click()
    expect(section(page, "Entries").get_by_role("link", name=re.compile("^Entry"))).to_have_count(3)


def test_an_entry_that_is_not_there_is_said_to_be(open_page: Open, console: Console) -> None:
    console.allow("404")
    page = open_page(f"/ledger/entries/{LAST}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")
    expect(page.get_by_role("main")).to_contain_text(f"The ledger has no entry {LAST}.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_needs_no_sideways_scrolling(open_page: Open, node: Running, scheme: str) -> None:
    size = node.node.ledger.log.size
    page = open_page("/ledger", viewport=PHONE, color_scheme=scheme)
    for path in (
        "/ledger",
        "/ledger/predicates/checkpoint",
        *(f"/ledger/entries/{one}" for one in range(size - 7, size)),
    ):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert overflow(page) <= 0, path


def test_the_menu_has_room(open_page: Open) -> None:
    for width in (1280, 1122):
        page = open_page("/ledger", viewport={"width": width, "height": 700})
        brand = page.get_by_role("link", name="Intermodel").bounding_box()
        assert brand is not None
        assert brand["height"] < 40
        assert overflow(page) <= 0


def test_whatever_takes_the_focus_has_a_name(open_page: Open) -> None:
    page = open_page("/ledger")
    session = page.context.new_cdp_session(page)
    for path in ("/ledger", "/ledger/entries/0", "/ledger/predicates/key"):
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
