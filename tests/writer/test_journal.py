"""What a run keeps: calls with their round, steps that failed for good, and the reader's word on one draft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from intermodel.core import Invalid
from intermodel.writer.journal import Called, Journal, draft_key
from intermodel.writer.values import Choice, Plan

PLAN = Plan(title="A", audience="all", sections=[])
CALL = Called("writer", "draft 2", "m", b"{}", "r1", 10, 3, 2)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path)) as opened:
        yield opened


def test_a_call_is_kept_with_its_round_and_a_void_one_is_made_anew(journal: Journal) -> None:
    void = replace(CALL, receipt="r2", void=True)
    journal.keep_call("a", CALL)
    journal.keep_call("b", void)
    assert (journal.called("a"), journal.called("b")) == (CALL, None)
    assert journal.calls() == [CALL, void]
    journal.keep_call("b", CALL)
    assert journal.called("b") == CALL


def test_failed_for_good_is_kept_with_the_calls_or_not_at_all(journal: Journal) -> None:
    journal.keep_call("a", CALL)
    with pytest.raises(TypeError):
        journal.void(["a"], "failed", object())
    assert (journal.called("a"), journal.looked("failed")) == (CALL, None)
    journal.void(["a"], "failed", {"why": "It said nothing."})
    assert (journal.called("a"), journal.looked("failed")) == (None, {"why": "It said nothing."})


def test_a_choice_is_of_the_draft_that_was_told_of_last(journal: Journal) -> None:
    for draft in ("first", "second"):
        journal.tell("round", round=1, draft=draft_key(draft))
    journal.choose(PLAN, Choice(1, "accept"))
    assert journal.chosen(PLAN, 1, "second") == journal.chosen(PLAN, 1) == Choice(1, "accept")
    assert journal.chosen(PLAN, 1, "first") is None
    assert journal.chosen(PLAN, 2, "second") is None
    assert journal.chosen(replace_title(PLAN), 1, "second") is None
    journal.tell("round", round=1, draft=draft_key("third"))
    assert journal.chosen(PLAN, 1) is None


def test_a_choice_of_no_draft_holds_for_none(journal: Journal) -> None:
    journal.choose(PLAN, Choice(1, "stop"))
    assert journal.chosen(PLAN, 1, "any") is None
    with pytest.raises(Invalid, match="no choice"):
        journal.choose(PLAN, Choice(1, "other"))  # type: ignore[arg-type]


def replace_title(plan: Plan) -> Plan:
    return plan.model_copy(update={"title": "B"})
