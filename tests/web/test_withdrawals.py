"""Withdrawing by /api/v1, what the page shows of it, and who entered what: for admins alone."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from intermodel.ledger import verify
from tests.support import Running, running, settings_for
from tests.web.test_api_ledger import SAID, SUBJECT
from tests.web.test_records import HOSTILE, api, page, plain


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("withdrawals") / "data")) as served:
        yield served


def told(node: Running, name: str, **more: object) -> int:
    (index,) = api(node, "PUT", f"/records/{name}", {"what": {"parameters": 7}} | more).json()["new"]
    return int(index)


def test_a_statement_is_withdrawn_and_shown_as_such(node: Running) -> None:
    index = told(node, "acme/thing")
    answer = api(node, "POST", f"/ledger/{index}/withdraw", {"reason": HOSTILE})
    assert answer.status_code == 200
    made = answer.json()
    assert (made["withdrawn"], made["aside"], made["again"]) == ([index], [], [])
    record = api(node, "GET", "/records/acme/thing").json()
    assert record["what"]["parameters"] is None
    one = next(one for one in record["statements"] if one["index"] == index)
    assert (one["state"], one["withdrawn"], one["counts"]) == ("withdrawn", True, False)
    (by,) = one["withdrawals"]
    assert (by["entry"], by["by"], by["reason"], by["set_aside"]) == (made["new"][0], "this node", HOSTILE, False)
    shown = page(node, "/records/acme/thing")
    assert shown.status_code == 200
    assert "<em>withdrawn</em>" in shown.text
    assert "All that was said of it was" in shown.text
    assert "<script>alert" not in shown.text
    for path in (f"/ledger/{index}/bundle", "/records/acme%2Fthing/bundle"):
        report = verify(api(node, "GET", path).content, [node.node.ledger.verifier])
        assert report.good
        assert [by.entry for by in next(e for e in report.entries if e.index == index).withdrawn] == made["new"]
    assert api(node, "POST", f"/ledger/{index}/withdraw", {"reason": "again"}).json()["new"] == []


def test_all_that_was_said_of_a_thing_is_withdrawn(node: Running) -> None:
    index = told(node, "whole")
    made = api(node, "POST", "/records/whole/withdraw", {"reason": "mistyped"}).json()
    assert made["withdrawn"] == [index]
    assert api(node, "GET", "/records?q=whole").json()["data"] == []
    assert api(node, "POST", "/records/whole/withdraw", {"reason": "mistyped"}).status_code == 404


def test_what_is_wrong_is_said(node: Running) -> None:
    index = told(node, "wrong")
    (by,) = api(node, "POST", f"/ledger/{index}/withdraw", {"reason": "a slip"}).json()["new"]
    answer = api(node, "POST", f"/ledger/{by}/withdraw", {"reason": "no slip"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_withdrawn")
    assert "Tell the statement anew" in answer.json()["error"]["message"]
    for path, document, status in (
        ("/ledger/99999/withdraw", {"reason": "x"}, 404),
        ("/ledger/x/withdraw", {"reason": "x"}, 404),
        (f"/ledger/{index}/withdraw", {"reason": ""}, 400),
        (f"/ledger/{index}/withdraw", {}, 400),
        ("/records/nobody/withdraw", {"reason": "x"}, 404),
    ):
        assert api(node, "POST", path, document).status_code == status, path
    for address in ("a/withdraw", "a/entered"):
        assert api(node, "PUT", f"/records/{address}", {"licence": "mit"}).status_code in (400, 405), address


def test_an_article_that_was_withdrawn_is_signed_anew(node: Running) -> None:
    document = {"subject": SUBJECT, "predicate": "article", "said": SAID}
    index = api(node, "POST", "/ledger/statements", document).json()["index"]
    assert api(node, "POST", "/ledger/statements", document).json()["index"] == index
    assert api(node, "POST", f"/ledger/{index}/withdraw", {"reason": "false"}).status_code == 200
    anew = api(node, "POST", "/ledger/statements", document).json()["index"]
    assert anew > index
    made = api(node, "GET", "/ledger/entered?by=environment").json()["data"]
    entered = {one["entry"] for one in made}
    assert {index, anew} <= entered, "it is noted who had it signed"


def test_who_entered_it_is_shown_to_admins_alone_and_erased(node: Running) -> None:
    ada = api(node, "POST", "/tokens", {"name": "Ada's laptop", "user": "Ada Lovelace", "admin": True}).json()
    with_hers = {"Authorization": f"Bearer {ada['token']}"}
    (index,) = api(node, "PUT", "/records/hers", {"licence": "mit"}, headers=with_hers).json()["new"]
    (by,) = api(node, "POST", f"/ledger/{index}/withdraw", {"reason": "a slip"}, headers=with_hers).json()["new"]
    found = api(node, "GET", "/records/hers/entered").json()["data"]
    assert [(one["entry"], one["user"], one["name"], one["token"]) for one in found] == [
        (entry, "Ada Lovelace", "Ada's laptop", ada["id"]) for entry in (by, index)
    ]
    assert found[0]["at"] > 0
    assert [one["entry"] for one in api(node, "GET", "/ledger/entered?by=Ada Lovelace").json()["data"]] == [by, index]
    assert "Ada Lovelace" in page(node, "/records/hers").text

    caller = plain(node)
    for method, path in (
        ("GET", "/records/hers/entered"),
        ("GET", "/ledger/entered?by=x"),
        ("DELETE", "/ledger/entered?by=x"),
        ("POST", f"/ledger/{index}/withdraw"),
        ("POST", "/records/hers/withdraw"),
    ):
        document = {"reason": "x"} if method == "POST" else None
        assert api(node, method, path, document, headers=caller).status_code == 403, path
        assert api(node, method, path, document, headers={}).status_code == 401, path
    for path in ("", "/passport", "/bundle", "/bom", "/bom?format=spdx3"):
        for headers in (caller, node.headers):
            assert "Lovelace" not in api(node, "GET", f"/records/hers{path}", headers=headers).text, path

    assert api(node, "DELETE", "/ledger/entered").status_code == 400
    assert api(node, "DELETE", "/ledger/entered?by=Ada Lovelace").json() == {"erased": 2}
    assert api(node, "GET", "/records/hers/entered").json() == {"data": []}
    assert "Lovelace" not in page(node, "/records/hers").text
    ledger = node.node.settings.data / "ledger"
    assert not [path for path in ledger.rglob("*") if path.is_file() and b"Lovelace" in path.read_bytes()]


def test_a_page_without_an_admins_token_says_nothing_of_who_entered_it(node: Running) -> None:
    told(node, "quiet")
    assert "Entered by" in page(node, "/records/quiet").text
    token = api(node, "POST", "/tokens", {"name": "reader"}).json()["token"]
    with httpx2.Client(base_url=node.url, headers={"Accept": "text/html"}, timeout=30) as client:
        client.post("/signin", data={"token": token})
        shown = client.get("/records/quiet")
    assert shown.status_code == 200
    assert "Entered by" not in shown.text
