"""What code finds in a draft."""

from __future__ import annotations

import pytest

from intermodel.writer.check import adds, check, repeated, score_of, unverified
from intermodel.writer.values import Notes, Problem, Scores, Source

NOTES = Notes(
    sources=(
        Source(1, "https://a.example", "A", "A licence asks 700 million users. It says “use it as you like”.", "", ""),
        Source(2, "https://b.example", "B", "The act names 10^25 FLOP.", "", ""),
    )
)  # fmt: skip
GOOD = "# Title\n\nA licence asks 700 million users [1]. The act names 10^25 FLOP [2]."


def whys(draft: str, length: int = 12) -> list[str]:
    return [f"{problem.severity}: {problem.why}" for problem in check(draft, NOTES, length)]


def test_nothing_is_wrong_with_a_good_draft() -> None:
    assert whys(GOOD) == []


@pytest.mark.parametrize(
    ("draft", "why"),
    [
        (GOOD.replace("[2]", "[7]"), "must: There is no source 7."),
        (GOOD.replace("[1]", "").replace("[2]", ""), "must: No source is cited."),
        (GOOD.replace("700", "70"), "must: The cited source does not hold 70."),
        (GOOD.replace("700 million users [1]", "700 million users [2]"), "must: The cited source does not hold 700."),
        (GOOD.replace(" [1]", ""), "should: A number without a source."),
        (GOOD.replace("# Title\n\n", ""), "should: No heading."),
        (
            GOOD + ' It says "you may do all that comes to your mind" [1].',
            "must: These words stand in no cited source.",
        ),
        (GOOD + " one two three four five six seven eight." * 2, "should: Said more than once in the same words."),
        ("# T\n\nA licence asks [1].", "should: 4 words, where about 12 were asked for."),
        ("# T\n\nSo [1].", "must: 2 words, where about 12 were asked for."),
    ],
)
def test_what_is_wrong_is_told(draft: str, why: str) -> None:
    assert why in whys(draft)


def test_words_that_do_stand_there_may_be_quoted() -> None:
    assert whys(GOOD + ' It says "use it as you like" [1].', 18) == []


@pytest.mark.parametrize(
    "more",
    [
        "1. A licence is a text [1].\n2. An act is a law [2].\n3. So it is [1].",
        'So it may be done as here [1]:\n\n```python\nprint(a[0], 42, "four words that nobody said")\n```',
        'The 700" disks and then all of the 700" disks are meant [1].',
        "It says »use it as you like« [1].",
    ],
)
def test_ordinary_text_is_not_wrong(more: str) -> None:
    assert whys(f"{GOOD}\n\n{more}", 20) == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("It needs 80GB [1].", "must: The cited source does not hold 80."),
        ("它在2024年开放[1]。", "must: The cited source does not hold 2024."),
        ("It says »do all that comes to your mind« [1].", "must: These words stand in no cited source."),
        ("Es heißt „mach damit was du willst“ [1].", "must: These words stand in no cited source."),
    ],
)
def test_what_is_wrong_in_other_scripts_and_marks(more: str, why: str) -> None:
    assert why in whys(f"{GOOD}\n\n{more}")


def test_a_statement_in_another_script_is_seen_by_itself() -> None:
    draft = "# T\n\nМодель открыта для всех [1]. Другая модель закрыта совсем и навсегда."  # noqa: RUF001
    assert [gap.what for gap in unverified(draft, ())] == ["Другая модель закрыта совсем и навсегда."]


def test_chinese_has_as_many_words_as_letters() -> None:
    draft = f"# 题目\n\n{'这个模型是开放的。' * 10}[1]"
    assert not [why for why in whys(draft, 80) if "words" in why]


def test_a_repetition_is_eight_words() -> None:
    assert repeated("大型语言模型的许可证、大型语言模型的许可证") == ""
    row = "one two three four five six seven"
    assert repeated(f"{row} and {row}") == ""
    assert repeated(f"{row} eight and {row} eight") == f"{row} eight"


def test_code_takes_from_what_the_model_gives() -> None:
    scores = Scores(accuracy=8, coverage=8, structure=8, style=8)
    must = Problem("", "", "", "must", "code")
    should = Problem("", "", "", "should", "code")
    said = Problem("", "", "", "must", "critic")
    assert score_of(scores, []) == 8
    assert score_of(scores, [must, should, said]) == 6.75
    assert score_of(scores, [must] * 20) == 0
    assert score_of(None, []) == 0


def test_what_nobody_vouches_for_is_told() -> None:
    draft = GOOD + " Everybody knows that this is a very good idea. Is it? And so on."
    told = unverified(draft, check(draft, NOTES, 20))
    assert [gap.what for gap in told] == ["Everybody knows that this is a very good idea."]


def test_an_editor_adds_neither_numbers_nor_sources() -> None:
    assert adds(GOOD, GOOD.replace("A licence", "One licence")) == ""
    assert adds(GOOD, f"{GOOD} It took 12 years [3].") == "[3], 12"
