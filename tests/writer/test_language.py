"""For whom, in which tone and language: what agents are told, what it restarts, and checks that hold in German and
French."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from babel.numbers import get_decimal_symbol

from intermodel.core import Invalid
from intermodel.web.pages.writing import shown
from intermodel.writer import export
from intermodel.writer.check import adds, check, repeated, unverified
from intermodel.writer.estimate import estimate
from intermodel.writer.language import _KNOWN, code_of, decimal_of, name_of, repeated_from, tokens_of
from intermodel.writer.runs import Run
from intermodel.writer.state import state_of
from intermodel.writer.text import apart, cited, sentences, unheld
from intermodel.writer.topic import check_wish
from intermodel.writer.values import Article, Brief, Notes, Role, Source
from tests.writer.script import BETTER, EDITED
from tests.writer.test_answers import Answers, play
from tests.writer.test_loop import BRIEF, calls

GOLDEN = Path(__file__).parent / "golden"
ASKED = replace(BRIEF, audience="lawyers of start-ups", tone="dry", language="de")
NOTES = Notes(
    sources=(
        Source(
            1, "https://one.example", "One",
            "Companies with more than 700 million users need a permission. It was published on October 3, 2024. "
            "Training took 1,500 cards and 2.5 million hours at 0.125 dollars. See Article 53, paragraph 2. “Use it as "
            "you like.”",
            "", "",
        ),
        Source(
            2, "https://two.example", "Zwei",
            "Le modèle a 70 milliards de paramètres et coûte 1 250,50 euros. Der Bericht vom 03.10.2024 nennt 1.500 "
            "Modelle und 12'000 Karten im 21. Jahrhundert.",
            "", "",
        ),
    )
)  # fmt: skip
GERMAN = (GOLDEN / "german.md").read_text("utf-8")
FRENCH = (GOLDEN / "french.md").read_text("utf-8")


@pytest.mark.parametrize(("draft", "language"), [(GERMAN, "de"), (GERMAN, ""), (FRENCH, "fr"), (FRENCH, "")])
def test_nothing_is_wrong_with_a_good_draft_in_another_language(draft: str, language: str) -> None:
    assert check(draft, NOTES, 100, language) == ()
    assert unverified(draft, (), language) == ()


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        ("700 Mio.", "800 Mio.", "The cited source does not hold 800."),
        ("1.500 Grafikkarten", "1.600 Grafikkarten", "The cited source does not hold 1.600."),
        ("2,5 Millionen", "2,6 Millionen", "The cited source does not hold 2.6."),
        ("1.250,50", "1.250,60", "The cited source does not hold 1250.6."),
        ("3. Oktober 2024", "4. Oktober 2024", "The cited source does not hold 4."),
        ("3.10.2024", "3.10.2025", "The cited source does not hold 2025."),
        ("„Use it as you like.“", "„Nutze es, wie du willst.“", "These words stand in no cited source."),
        (" und kostet 1.250,50 Euro [2]", " und kostet 1.250,50 Euro", "A number without a source."),
    ],
)
def test_what_is_wrong_in_german_is_found(right: str, wrong: str, why: str) -> None:
    assert right in GERMAN
    assert [problem.why for problem in check(GERMAN.replace(right, wrong), NOTES, 100, "de")] == [why]


def test_headings_in_any_language_are_seen() -> None:
    assert [one.why for one in check(GERMAN.replace("#", ""), NOTES, 100, "de")][-1] == "No heading."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Am 3. Oktober kam es. Dann nicht.", ["Am 3. Oktober kam es.", "Dann nicht."]),
        ("Am 2. und 3. Oktober. Der 19. Absatz.", ["Am 2. und 3. Oktober.", "Der 19. Absatz."]),
        ("It was phase 3. Then it ended.", ["It was phase 3.", "Then it ended."]),
        ("Etwa 700 Mio. Nutzer, z.B. Firmen. Ja.", ["Etwa 700 Mio. Nutzer, z.B. Firmen.", "Ja."]),
        ("It is so. [1] Then not. [2] says more.", ["It is so. [1]", "Then not.", "[2] says more."]),
        ("He said no. Then he left.", ["He said no.", "Then he left."]),
        ("Voir p. 3 et art. 5. Fin.", ["Voir p. 3 et art. 5.", "Fin."]),
        ("Il dit : « Oui. » Puis non.", ["Il dit : « Oui. »", "Puis non."]),
        ("Er ging. »Nein«, sagte sie.", ["Er ging.", "»Nein«, sagte sie."]),
        ("## 1. Was es ist\n\nEs ist so.", ["## 1. Was es ist", "Es ist so."]),
    ],
)
def test_sentences_of_german_and_french(text: str, told: list[str]) -> None:
    assert sentences(text) == told


@pytest.mark.parametrize("language", ["de", "German", "de-AT"])
def test_rules_of_a_language_hold_for_texts_in_it(language: str) -> None:
    text = "Das gilt am 30. Mai 2024 mind. Firmen, d. h. Nutzern, u. a. Diensten. Ja."
    assert sentences(text, language) == [text.removesuffix(" Ja."), "Ja."]
    assert sentences("I am 30. Mai pays, I am of one mind. Then not.", "en") == [
        "I am 30.", "Mai pays, I am of one mind.", "Then not."
    ]  # fmt: skip
    assert sentences("Selon MM. Dupont et Martin.", "fr") == ["Selon MM. Dupont et Martin."]


def test_a_draft_is_checked_by_the_rules_of_its_language() -> None:
    draft = "# T\n\nI am 30 [1]. It has 1,500 users [1]."
    notes = Notes(sources=(Source(1, "https://one.example", "One", "30 and 1.5 users", "", ""),))
    wrong = [one.why for one in check(draft, notes, 9, "en")]
    assert wrong == ["The cited source does not hold 1,500."]
    assert [one.why for one in check(draft, notes, 9, "")] == wrong
    assert check(draft, notes, 9, "de") == ()
    assert adds("It has 1.5 users.", "It has 1,500 users.", "en") == "1,500"
    gaps = "I was told so by am 30. Mai und so weiter."
    assert [gap.what for gap in unverified(gaps, (), "de")] == [gaps]
    assert [gap.what for gap in unverified(gaps, (), "en")] == ["I was told so by am 30."]


@pytest.mark.parametrize(
    ("text", "source", "language", "missing"),
    [
        ("1,500 users", "1.5 users", "", ["1,500"]),
        ("1,500 users", "1.5 users", "en", ["1,500"]),
        ("1.500 users", "1500 users", "en", ["1.500"]),
        ("1,500 Nutzer", "1.5 users", "de", []),
        ("1.500 Nutzer", "1,500 users", "de", []),
        ("1.500 Nutzer", "1.5 users", "German", ["1.500"]),
        ("1.500 Nutzer", "1.5 users", "de-CH", []),
        ("1.500", "1.5", "Klingon", []),
    ],
)
def test_numbers_are_read_as_their_language_has_them(text: str, source: str, language: str, missing: list[str]) -> None:
    assert unheld(text, [source], language) == missing


@pytest.mark.parametrize(
    ("text", "source", "missing"),
    [
        ("1.500", "1,500", []),
        ("1,500", "1 500", []),
        ("2,5", "2.5", []),
        ("1.5", "1500", ["1.5"]),
        ("1.500", "1600", ["1.500"]),
        ("1,234,567", "1.234.567", []),
        ("12\u2019000", "12,000", []),
        ("am 03.10.2024", "on 3 October 2024", []),
        ("2024-10-03", "October 3, 2024", []),
        ("0,125", "0.125", []),
        ("0,125", "125", ["0.125"]),
    ],
)
def test_numbers_are_held_however_they_are_written(text: str, source: str, missing: list[str]) -> None:
    assert unheld(text, [source]) == missing


def test_an_editor_may_write_a_number_as_it_is_usual() -> None:
    assert adds("It took 1,500 hours [1].", "Es dauerte 1.500 Stunden [1].") == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("So [1, 2] and [1;2].", "So [1][2] and [1][2]."),
        ("So [Quelle 2], [source: 1], [Quellen 1, 2].", "So [2], [1], [1][2]."),
        ("So\u30102\u3011 and \uff3b1\uff3d.", "So[2] and [1]."),
        ("In [5, 6] and `a[1, 2]` and [1, 2](x) and [3].", "In [5, 6] and `a[1, 2]` and [1, 2](x) and [3]."),
        ("So [1, 9].", "So [1][9]."),
    ],
)
def test_citations_of_several_sources_are_taken_apart(text: str, told: str) -> None:
    assert apart(text, 3) == told


def test_a_draft_that_cites_several_at_once_cites_them(tmp_path: Path) -> None:
    draft = BETTER.replace("[1]", "[Quelle 1]").replace("[2]", "[1, 2]")
    told = play(tmp_path, Answers({Role.WRITER: lambda _: draft, Role.EDITOR: lambda _: draft}))
    assert isinstance(told, Article)
    assert cited(told.best.draft) == [1, 2]
    assert told.best.verdict.problems == ()
    [drafted] = shown(Run("r", tmp_path, state_of(tmp_path), "running")).rounds
    assert drafted.text == told.rounds[0].draft, "the page shows the very draft while the run goes on"


def test_a_row_of_words_is_longer_where_articles_are_many() -> None:
    name = "la définition de l'IA open source de l'OSI"
    assert repeated(f"Voici {name}. Et {name}.", repeated_from("fr")) == ""
    assert repeated(f"Voici {name} elle même. Et {name} elle même.", repeated_from("French")) != ""
    assert [repeated_from(one) for one in ("", "de", "it-CH", "Klingon")] == [8, 8, 10, 8]


@pytest.mark.parametrize(
    ("said", "code", "name"),
    [
        ("de", "de", "German"), ("Deutsch", "de", "Deutsch"), ("pt-BR", "pt", "Portuguese (pt-BR)"),
        (" french ", "fr", "french"), ("Plattdeutsch", "", "Plattdeutsch"), ("xx", "", "xx"), ("", "", ""),
        ("no", "no", "Norwegian"), ("vi", "vi", "Vietnamese"), ("id", "id", "Indonesian"), ("fa", "fa", "Persian"),
        ("Tiếng Việt", "vi", "Tiếng Việt"), ("yue-Hant", "yue", "Cantonese (yue-Hant)"), ("old-Norse", "", "old-Norse"),
    ],
)  # fmt: skip
def test_languages_are_known_by_code_and_name(said: str, code: str, name: str) -> None:
    assert (code_of(said), name_of(said)) == (code, name)


def test_codes_and_decimals_are_those_of_cldr() -> None:
    english: Mapping[str, str] = Locale("en").languages
    assert {code for code in english if len(code) == 2} - set(_KNOWN) <= {"sh", "mo", "bh"}
    for code, names in _KNOWN.items():
        assert names.split("|")[0] == english[code]
        if code != "tl" and (point := decimal_of(code)):
            assert point == get_decimal_symbol(Locale(code)), code
    for tag in filter(re.compile("[a-z]{2}_[A-Z]{2}").fullmatch, locale_identifiers()):
        assert decimal_of(tag) in ("", get_decimal_symbol(Locale.parse(tag))), tag


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("xx", "Say a code"), ("jp", r"ja \(Japanese\)"), ("ger-DE", r"de \(German\)"), ("VN", "vi"), ("eng", "en"),
        ("spx", "Say a code"),
    ],
)  # fmt: skip
def test_what_looks_like_a_code_and_is_none_is_refused(said: str, near: str) -> None:
    with pytest.raises(Invalid, match=near) as told:
        check_wish("language", said)
    assert (told.value.param, told.value.code) == ("language", "unknown_language")


@pytest.mark.parametrize(
    "said", ["", "no", "pt-BR", "sr-Latn", "es-419", "Twi", "Klingon", "simple English", "old-Norse"]
)
def test_any_name_of_a_language_is_taken(said: str) -> None:
    assert check_wish("language", said) == said


def test_other_languages_take_more_tokens() -> None:
    assert tokens_of(700, "") == tokens_of(700, "en") == 1940 < tokens_of(700, "de") == 2710
    assert estimate(BRIEF, {}).output[1] < estimate(ASKED, {}).output[1]


# What agents are told


def test_all_but_the_researcher_are_told_what_was_asked_for(tmp_path: Path) -> None:
    model = Answers()
    told = play(tmp_path, model, ASKED)
    assert isinstance(told, Article)
    by_role: dict[Role, list[str]] = {role: [] for role in Role}
    for asked in model.asked:
        role = next(role for role in Role if f"You are the {role}" in asked["messages"][0]["content"])
        by_role[role].append(asked["messages"][-1]["content"])
    assert not any("Wishes:" in said for said in by_role[Role.RESEARCHER])
    for role in (Role.PLANNER, Role.WRITER, Role.CRITIC, Role.EDITOR):
        assert by_role[role]
        for said in by_role[role]:
            assert "Wishes:\nAudience: lawyers of start-ups\nTone: dry\nLanguage: German. All of the post" in said
    assert "language: German" in export.markdown(told, export.Account("2026-01-01", {}))
    assert '<html lang="de">' in export.html(told, export.Account("2026-01-01", {}))


def test_a_run_of_before_is_asked_as_before(tmp_path: Path) -> None:
    model = Answers()
    play(tmp_path, model)
    assert "Wishes:" not in json.dumps(model.asked)
    assert "language" not in export.markdown(_article(tmp_path), export.Account("2026-01-01", {}))


def _article(folder: Path) -> Article:
    told = play(folder, Answers())
    assert isinstance(told, Article)
    return told


@pytest.mark.parametrize(
    "changed", [replace(ASKED, audience="x"), replace(ASKED, tone="x"), replace(ASKED, language="fr")]
)
def test_another_wish_restarts_what_depends_on_it(tmp_path: Path, changed: Brief) -> None:
    play(tmp_path, Answers(), ASKED)
    before = len(calls(tmp_path))
    play(tmp_path, Answers(), changed)
    assert [step for _, step, _ in calls(tmp_path)][before:] == ["plan", "draft 1", "review 1", "edit"]
    play(tmp_path, Answers(), ASKED)
    assert len(calls(tmp_path)) == before + 4, "what was asked before is not asked again"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("audience", "x" * 301, "at most 300"), ("tone", "a\x07", r"\\x07"), ("language", "x" * 61, "at most 60")],
)
def test_wishes_that_are_none(name: str, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as told:
        check_wish(name, text)
    assert told.value.param == name
    assert check_wish(name, " a \n b ") == "a b"


def test_what_is_edited_is_checked_in_that_language_too(tmp_path: Path) -> None:
    told = play(tmp_path, Answers({Role.EDITOR: lambda _: EDITED.replace("700 million", "700 Mio.")}), ASKED)
    assert isinstance(told, Article)
    assert told.edited
