"""Recall of facts, precision of citations, and what further rounds bring: on drafts whose worth is plain to see."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid, NotFound, OverBudget, Upstream
from intermodel.writer.compared import picture, table
from intermodel.writer.evaluate import (
    Fact,
    Run,
    Topic,
    citing,
    evaluate,
    evaluate_all,
    judge,
    mean,
    missed,
    run_of,
    states,
    topics,
)
from intermodel.writer.journal import Called, Journal
from intermodel.writer.values import Article, Brief, Ending, Notes, Plan, Role, Round, Source, Spent, Verdict

BITS = Fact("bits", "Q4 has 4.84 bits.", (("4\\.84", "bits"),))
FIVE = Fact("five", "Five passed.", (("five", "passed"), ("pythia", "olmo")))
YEAR = Fact("year", "It was in 2004.", (("2004",),))
FACTS = (BITS, FIVE, YEAR)
TOPIC = Topic("t", "A topic", FACTS)
NOTES = Notes(
    tuple(
        Source(number, f"file:{number}.md", str(number), text, "sha256:0", "2026-01-01T00:00:00Z")
        for number, text in enumerate(
            ("Q4 comes to 4.84 bits. The file has 38.54 GiB.", "Pythia and OLMo passed, as did three more.", "2004."), 1
        )
    )
)
FIRST = "# A\n\nQ4 comes to 4.48 bits [1]. Five models passed [9]."
BEST = "# A\n\nQ4 comes to 4.84 bits [1]. Pythia and OLMo passed [2]. It was in 2004 [3]."


def article(*drafts: str, best: int = 0) -> Article:
    rounds = tuple(Round(at, draft, Verdict(float(at), {}, ())) for at, draft in enumerate(drafts, 1))
    plan = Plan(title="A", audience="all", sections=[])
    chosen = rounds[(best or len(rounds)) - 1]
    return Article(Brief("A topic", "m"), plan, NOTES, rounds, chosen, Ending.ROUNDS)


def run(*drafts: str, name: str = "t", best: int = 0, dollars: str | None = "0.3") -> Run:
    one = Spent(4, 1000, 200, Decimal("0.1"))
    every = Spent(8, 3000, 600, None if dollars is None else Decimal(dollars))
    return Run(replace(TOPIC, id=name), article(*drafts, best=best), one, every)


# Facts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It has 4.84 bits.", True),
        ("It has 4.84. Those are bits.", True),
        ("It has 4.84. So it is said. Those are bits.", False),
        ("BITS: 4.84", True),
        ("It has bits [4.84].", True),
        ("It has 4.8 bits.", False),
        ("", False),
    ],
)
def test_a_fact_is_stated_within_two_sentences(text: str, said: bool) -> None:
    assert states(text, BITS) is said


def test_one_alternative_is_enough_and_all_its_patterns_are_needed() -> None:
    assert states("Pythia and OLMo.", FIVE)
    assert states("Five of them passed.", FIVE)
    assert not states("Five, and Pythia.", FIVE)


def test_the_number_of_a_citation_states_nothing() -> None:
    assert not states("It is old [2004].", YEAR)


def test_what_is_missed_is_named() -> None:
    assert missed(FIRST, FACTS) == ["bits", "year"]
    assert missed(BEST, FACTS) == []


# Citations


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("Q4 comes to 4.84 bits [1].", True),
        ("Q4 comes to 4.48 bits [1].", False),
        ("Q4 comes to 4.84 bits [2].", False),
        ("Q4 comes to 4.84 bits [1][2].", True),
        ("Five models passed [2].", True),
        ("Five models passed [1].", False),
        ("Five models passed [9].", False),
        ("Nothing to check here [9].", False),
        ("Nothing to check here [1].", None),
        ('They say "the file has 38.54 GiB" [1].', True),
        ('They say "the file has grown very much" [1].', False),
        ('A so-called "file" [1].', None),
    ],
)
def test_a_citation_holds_where_its_source_has_all_that_can_be_checked(sentence: str, holds: bool | None) -> None:
    found = citing(sentence, NOTES, FACTS)
    assert (found.checked, found.held, found.unchecked) == {
        True: (1, 1, 0), False: (1, 0, 0), None: (0, 0, 1),
    }[holds]  # fmt: skip
    assert found.wrong == ((sentence,) if holds is False else ())
    assert found.precision == (None if holds is None else float(holds))


def test_sentences_that_cite_nothing_do_not_count() -> None:
    assert citing("It has 99 bits. Nobody knows.", NOTES, FACTS).precision is None


def test_a_draft_without_any_citation_has_an_unknown_precision() -> None:
    told = judge("It has 4.84 bits.", NOTES, FACTS)
    assert (told.precision, told.missed) == (None, ("five", "year"))


# The report


def test_the_first_draft_is_compared_with_the_best_and_not_with_the_last() -> None:
    [line] = evaluate([run(FIRST, BEST, FIRST, best=2)]).lines
    assert [round(one.recall, 2) for one in line.rounds] == [0.33, 1.0, 0.33]
    assert (line.first.precision, line.best.precision, line.best_round) == (0.0, 1.0, 2)
    assert line.best.score == 2.0


def test_what_the_editor_lost_is_seen() -> None:
    told = run(FIRST, BEST)
    assert told.article
    edited = replace(told.article, best=replace(told.article.best, draft="# A\n\nIt was in 2004 [3]."))
    [line] = evaluate([replace(told, article=edited)]).lines
    assert (line.best.recall, line.final.missed) == (1.0, ("bits", "five"))


def test_gains_are_paired_and_have_an_interval() -> None:
    report = evaluate([run(FIRST, BEST, name="a"), run(BEST, name="b"), run(FIRST, name="c")])
    assert report.recall.gain.mean == pytest.approx(2 / 9, abs=1e-5)
    assert report.recall.gain.n == 3
    assert report.recall.gain.low == 0.0
    assert report.recall.gain.high == pytest.approx(2 / 3, abs=1e-5)
    assert report.recall.best.mean is not None
    assert report.recall.first.mean is not None
    assert report.recall.best.mean - report.recall.first.mean == pytest.approx(report.recall.gain.mean, abs=1e-5)


def test_one_topic_has_no_interval() -> None:
    recall = evaluate([run(FIRST, BEST)]).recall
    assert (recall.gain.low, recall.gain.high, recall.gain.n) == (None, None, 1)


def test_the_same_runs_give_the_same_report() -> None:
    runs = [run(FIRST, BEST, name=str(at), best=1 + at % 2) for at in range(6)]
    assert evaluate(runs) == evaluate(runs)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
def test_an_interval_holds_its_mean_and_stays_between_the_values(values: list[float]) -> None:
    told = mean(values)
    assert told.mean is not None
    assert told.low is not None
    assert told.high is not None
    assert min(values) - 1e-6 <= told.low <= told.mean + 1e-6
    assert told.mean - 1e-6 <= told.high <= max(values) + 1e-6


def test_cost_is_of_one_topic_for_one_point() -> None:
    report = evaluate([run(FIRST, BEST, name="a"), run(FIRST, BEST, name="b")])
    assert report.points == pytest.approx(66.667, abs=0.001)
    assert report.dollars_per_point == pytest.approx(0.2 / 66.667, rel=1e-4)
    assert report.tokens_per_point == pytest.approx(2400 / 66.667, rel=1e-4)


def test_an_unknown_price_stays_unknown_and_no_gain_has_no_price() -> None:
    report = evaluate([run(FIRST, BEST, name="a"), run(FIRST, BEST, name="b", dollars=None)])
    assert (report.every.dollars, report.dollars_per_point) == (None, None)
    assert report.tokens_per_point is not None
    assert "not known" in table(report)
    same = evaluate([run(BEST)])
    assert (same.points, same.dollars_per_point, same.tokens_per_point) == (None, None, None)
    assert "brought no recall" in table(same)


def test_the_document_is_plain_json() -> None:
    told = orjson.loads(orjson.dumps(evaluate([run(FIRST, BEST)]).document()))
    assert told["every"]["dollars"] == "0.3"
    assert told["lines"][0]["rounds"][0]["missed"] == ["bits", "year"]


def test_a_run_that_failed_counts_as_nothing_found() -> None:
    failed = Run(replace(TOPIC, id="f"), None, why="No | source was found.")
    report = evaluate([run(BEST), failed])
    assert report.recall.best.mean == 0.5
    assert report.precision.best.n == 1
    assert "failed: No / source was found." in table(report)
    assert "unknown" in picture(report)


def test_a_run_that_nobody_finished_does_not_count_and_is_told() -> None:
    report = evaluate([run(BEST), Run(replace(TOPIC, id="later"), None, why="No money.", unfinished=True)])
    assert report.recall.best.mean == 1.0
    assert report.unfinished == (("later", "No money."),)
    assert "Not counted: later. No money." in table(report)


@pytest.mark.parametrize("runs", [[], [Run(TOPIC, None, why="No money.", unfinished=True)]])
def test_nothing_to_judge_is_an_error(runs: list[Run]) -> None:
    with pytest.raises(Invalid, match="no draft to judge"):
        evaluate(runs)


def test_the_picture_is_svg_and_shows_every_topic() -> None:
    report = evaluate([run(FIRST, BEST, name="<a&b>"), run(BEST, FIRST, name="worse", best=2)])
    root = ET.fromstring(picture(report))
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<a&b>", "worse", "mean", "Recall of facts", "Precision of citations"} <= set(texts)
    assert picture(report).count('"way worse"') == 2


# Many runs


async def test_a_topic_that_fails_by_itself_does_not_stop_the_others() -> None:
    async def write_one(topic: Topic) -> Run:
        if topic.id == "bad":
            raise NotFound("No source was found.")
        return replace(run(FIRST, BEST), topic=topic)

    report = await evaluate_all(write_one, [replace(TOPIC, id="bad"), replace(TOPIC, id="good")])
    assert [(line.id, line.why) for line in report.lines] == [("bad", "No source was found."), ("good", "")]


async def test_what_every_topic_would_meet_ends_it_and_keeps_what_was_reached() -> None:
    asked = []

    async def write_one(topic: Topic) -> Run:
        asked.append(topic.id)
        if topic.id == "b":
            raise OverBudget("The budget is spent.")
        return replace(run(FIRST, BEST), topic=topic)

    report = await evaluate_all(write_one, [replace(TOPIC, id=name) for name in "abc"])
    assert asked == ["a", "b"]
    assert [line.id for line in report.lines] == ["a"]
    assert report.unfinished == (("b", "The budget is spent."), ("c", "The budget is spent."))


def called(role: Role, number: int, nano: int) -> Called:
    return Called(role, "lost", "m", b"", f"r{role}{number}", 10, 1, number, nano=nano)


def a_run(folder: Path, *calls: Called) -> None:
    folder.mkdir()
    with closing(Journal(folder)) as journal:
        journal.begin(Brief("A topic", "m"))
        for at, call in enumerate(calls):
            journal.keep_call(str(at), call)
            journal.keep_cost(call.receipt, call.nano)


async def test_a_topic_that_fails_counts_with_what_it_took(tmp_path: Path) -> None:
    a_run(tmp_path / "bad", called(Role.RESEARCHER, 0, 10**9), called(Role.WRITER, 1, 2 * 10**9))

    async def write_one(topic: Topic) -> Run:
        raise Upstream("It answers rubbish.")

    told = [replace(TOPIC, id="bad"), replace(TOPIC, id="never began")]
    report = await evaluate_all(write_one, told, lambda topic: run_of(topic, tmp_path / topic.id))
    assert report.one == report.every == Spent(2, 20, 2, Decimal(3))
    assert [line.why for line in report.lines] == ["It answers rubbish."] * 2


def test_calls_are_told_apart_by_their_round_and_not_by_a_name(tmp_path: Path) -> None:
    rounds = [
        called(role, number, 10**9) for role in (Role.RESEARCHER, Role.WRITER, Role.CRITIC) for number in (0, 1, 2)
    ]
    a_run(tmp_path / "run", *rounds, called(Role.EDITOR, 2, 10**9))
    found = run_of(TOPIC, tmp_path / "run")
    assert (found.one.calls, found.every.calls) == (6, 10)
    assert (found.one.dollars, found.every.dollars) == (Decimal(6), Decimal(10))


def test_where_all_fail_the_report_still_comes() -> None:
    async def write_one(topic: Topic) -> Run:
        raise Upstream("It answers rubbish.")

    report = asyncio.run(evaluate_all(write_one, [TOPIC]))
    assert report.recall.best.mean == 0.0
    assert report.precision.gain.mean is None
    assert "nothing to compare" in table(report)


# Files


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "[3]", '[{"id": "a", "topic": "b", "facts": []}]',
        '[{"id": "a", "topic": "b", "facts": [{"id": "c", "text": "d", "any": [["("]]}]}]',
    ],
)  # fmt: skip
def test_topics_that_cannot_be_used_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "topics.json").write_text(text)
    with pytest.raises(Invalid, match=r"topics\.json"):
        topics(tmp_path / "topics.json")


def test_topics_of_ones_own_are_read(tmp_path: Path) -> None:
    (tmp_path / "topics.json").write_bytes(orjson.dumps([TOPIC]))
    assert topics(tmp_path / "topics.json") == [TOPIC]


def test_topics_with_one_id_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "topics.json").write_bytes(orjson.dumps([TOPIC, TOPIC]))
    for file in (tmp_path / "topics.json", tmp_path / "missing.json"):
        with pytest.raises(Invalid):
            topics(file)


def test_a_folder_without_a_run_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        run_of(TOPIC, tmp_path)
