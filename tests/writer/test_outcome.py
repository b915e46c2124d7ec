"""Which draft the post is, why that one, and how many problems there were before and after the editor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from intermodel.writer import export
from intermodel.writer.journal import Journal
from intermodel.writer.outcome import Post, because_of, post_from, post_of, said_of
from intermodel.writer.state import state_of
from intermodel.writer.values import Article, Because, Choice, Plan, Problem, Role, Round, Verdict
from tests.writer.script import BETTER, EDITED, PLAN, WORSE, review
from tests.writer.test_answers import Answers, play
from tests.writer.test_loop import BRIEF

MUST, SHOULD = (Problem("", "x", "", severity, "code") for severity in ("must", "should"))


def drafted(number: int, score: float, *problems: Problem) -> Round:
    return Round(number, f"# Draft {number}", Verdict(score, {}, problems))


@pytest.mark.parametrize(
    ("rounds", "best", "because"),
    [
        ([drafted(1, 0)], 1, Because.ONLY),
        ([drafted(1, 5), drafted(2, 7), drafted(3, 6)], 2, Because.SCORE),
        ([drafted(1, 7, SHOULD), drafted(2, 7)], 1, Because.FIRST),
        ([drafted(1, 7, MUST), drafted(2, 7)], 2, Because.GRAVE),
    ],
)
def test_why_a_draft_is_the_best(rounds: list[Round], best: int, because: Because) -> None:
    assert because_of(rounds, rounds[best - 1]) is because


def written(folder: Path, model: Answers, choice: Choice | None = None, rounds: int = 2) -> Article:
    def say(journal: Journal) -> None:
        if choice is not None:
            journal.choose(Plan.model_validate(PLAN), choice)

    told = play(folder, model, replace(BRIEF, rounds=rounds), before=say)
    assert isinstance(told, Article)
    return told


def test_problems_are_counted_before_and_after_the_editor(tmp_path: Path) -> None:
    worse = BETTER + "\n\nIt took 12 years."
    said = review(9, "It says nothing.", "Too short.")
    model = Answers(
        {Role.WRITER: lambda _: worse, Role.CRITIC: lambda _: said, Role.EDITOR: lambda _: EDITED},
    )
    told = written(tmp_path, model)
    post = post_of(told)
    assert post == Post(
        1, 8.75, "only", True, {"draft": {"code": 1, "critic": 2}, "post": {"code": 0, "critic": 2}},
    )  # fmt: skip
    assert post_from(json.loads(json.dumps(post.document()))) == post
    assert said_of(post) == (
        "The post is the draft of round 1, polished by the editor: 8.75 of 10, the only draft. Problems: 3 in that "
        "draft (1 found by code, 2 said by the critic); in the post code finds 0. The critic has not read the "
        "editor's text: its 2 and the score are of the draft."
    )
    page = export.html(told, export.Account("2026-01-01", {}))
    assert "Score 8.75 of 10 for the draft of round 1, which was then edited, after 1 of" in page
    assert "<td>edited</td><td>not judged</td><td>0 found by code</td>" in page


def test_a_post_without_an_editor_has_one_count(tmp_path: Path) -> None:
    model = Answers({Role.EDITOR: lambda _: "# Nothing"})
    assert said_of(post_of(written(tmp_path, model))) == (
        "The post is the draft of round 1: 9 of 10, the only draft. No problem is known of it."
    )


@pytest.mark.parametrize(
    ("action", "because", "said"),
    [
        ("accept", Because.READER, "the draft that you accepted"),
        ("stop", Because.ONLY, "the only draft"),
        ("revise", Because.NOTE, "the draft that your note asked for"),
    ],
)
def test_what_the_reader_said_is_why(tmp_path: Path, action: str, because: Because, said: str) -> None:
    def draft(asked: dict[str, object]) -> str:
        return BETTER + "\n\nAnd more [1]." if "Mend it" in json.dumps(asked) else BETTER

    model = Answers({Role.WRITER: draft, Role.CRITIC: lambda _: review(6), Role.EDITOR: lambda _: WORSE})
    written(tmp_path, model, rounds=1)
    note = "Mend it." if action == "revise" else ""
    told = written(tmp_path, model, Choice(1, action, note), 2 if note else 1)  # type: ignore[arg-type]
    post = post_of(told)
    assert (post.because, post.round) == (because, 2 if note else 1)
    assert said in said_of(post)
    data = export.document(told, export.Account("2026-01-01", {}), "finished")
    kept = export.article_of(json.dumps(data, default=str).encode())
    assert kept is not None
    assert post_of(kept) == post == post_from(data["post"])


def test_a_run_of_before_is_read_too(tmp_path: Path) -> None:
    written(tmp_path, Answers())
    assert state_of(tmp_path).post is None
