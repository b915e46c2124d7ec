"""Every fault of an upstream, in every form, alone and with a second candidate: docs/faults.md is what they came to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intermodel.gateway.attempts import PAID_IN_VAIN
from tests.faults import table
from tests.faults.cases import CASES
from tests.faults.table import PAGE, ROWS, Observed, Row
from tests.support import Running

FAULTS_OF_REQUESTS = {"status-400", "status-418", "status-422"}
"""What no candidate would take: nothing else is tried."""
HARMLESS = {"no-done", "never-closed", "goes-on", "split"}
"""What a client never learns of."""
BEGUN = {
    "reset-after", "reset-in-event", "silent-between", "only-comments", "dripping-later", "error-later", "no-end",
    "oversized", "length-too-long", "length-too-short",
}  # fmt: skip
"""What comes after a stream's first token: no other candidate can begin again."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with table.in_trouble(tmp_path_factory.mktemp("faults")) as (node, _):
        yield node


@pytest.fixture(scope="module")
def found(node: Running) -> dict[str, Observed]:
    """All of them, asked at once."""
    return table.observed(node, ROWS)


def ids(row: Row) -> str:
    return f"{row.case.how}-{row.form}"


def is_streamed(row: Row) -> bool:
    return row.form != "whole"


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_the_page_says_what_happens(row: Row, found: dict[str, Observed]) -> None:
    assert table.line(row, found[row.name]) in PAGE.read_text().splitlines(keepends=True), (
        "`make faults` writes it anew"
    )


def test_the_page_says_nothing_else(found: dict[str, Observed]) -> None:
    assert PAGE.read_text() == table.page(found)


@pytest.mark.parametrize("row", [r for r in ROWS if r.case.how in HARMLESS], ids=ids)
def test_some_faults_harm_nobody(row: Row, found: dict[str, Observed]) -> None:
    seen = found[row.name].alone
    assert seen.client == "200, the answer, then its end mark"
    assert seen.receipt == "ok: `ok`"
    assert seen.charged == "70 µ$", "30 tokens read for $1 a million, 20 made for $2"


@pytest.mark.parametrize("row", [r for r in ROWS if is_streamed(r) and r.case.how in BEGUN], ids=ids)
def test_what_has_begun_and_breaks_never_ends_well(row: Row, found: dict[str, Observed]) -> None:
    for seen in (found[row.name].alone, found[row.name].second):
        assert seen.client.startswith("200,")
        assert "error event" in seen.client
        assert "end mark" not in seen.client
        assert seen.document["outcome"] == "broken"
        assert seen.document["attempts"][-1]["code"]
        assert seen.charged.startswith("about"), "the vendor will want money for what came"


@pytest.mark.parametrize("row", [r for r in ROWS if r.case.how in FAULTS_OF_REQUESTS], ids=ids)
def test_a_wrong_request_is_told_and_not_tried_elsewhere(row: Row, found: dict[str, Observed]) -> None:
    for seen in (found[row.name].alone, found[row.name].second):
        assert seen.client.startswith("4")
        assert len(seen.document["attempts"]) == 1
        assert seen.charged == "0"


UNFIT = frozenset({"status-413", "status-501"})
"""What the server says of the request, which another may take."""
FREE = frozenset({"refused", "no-name", "self-signed", "redirect"})


def _begins(row: Row) -> bool:
    well = row.case.how in HARMLESS | FAULTS_OF_REQUESTS | {"malformed-later"}
    return not well and not (is_streamed(row) and row.case.how in BEGUN | {"wrong-shape"})


@pytest.mark.parametrize("row", [r for r in ROWS if _begins(r)], ids=ids)
def test_whatever_fails_before_it_begins_is_answered_by_the_second(row: Row, found: dict[str, Observed]) -> None:
    alone, second = found[row.name].alone, found[row.name].second
    assert second.answered_by == "good"
    assert second.client.startswith("200, the answer")
    first = "refused" if row.case.how in UNFIT else "failed"
    assert [attempt["outcome"] for attempt in second.document["attempts"]] == [first, "ok"]
    assert int(alone.client.split()[0]) >= 400
    refused = row.case.how in FREE or row.case.how.startswith(("status-", "error-"))
    if refused and alone.document["attempts"][-1]["code"] not in PAID_IN_VAIN:
        assert alone.charged == "0", "it was not reached, or refused by itself"
    elif not refused:
        assert alone.charged.startswith("about"), "the vendor may bill what it took and did not refuse"
    assert alone.document["outcome"] in ("failed", "refused")
    assert all(attempt["code"] for attempt in alone.document["attempts"])


def test_budgets_hold_what_the_receipts_say_and_nothing_is_left_aside(
    node: Running, found: dict[str, Observed]
) -> None:
    budgets = node.node.gateway.accounts.budgets
    (standing,) = table.on(node, budgets.all())
    seen = [one.document for both in found.values() for one in (both.alone, both.second)]
    assert standing.spent == sum(document["spent"] for document in seen)
    for document in seen:
        assert document["spent"] == sum(attempt["cost"] for attempt in document["attempts"])
        assert sum(charge["nano"] for charge in document["budgets"]) == document["spent"]


def test_every_case_has_a_name_of_its_own() -> None:
    for of in ("how", "fault"):
        names: list[Any] = [getattr(case, of) for case in CASES]
        assert len(set(names)) == len(names)
    assert Path(PAGE).exists()
