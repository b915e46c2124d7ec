"""What people read of a verdict: every code has words, and duties stand by who must heed them."""

from __future__ import annotations

from typing import Any

import pytest

from intermodel.records.licences import LICENCES, Code, When
from intermodel.records.lineage import Graph, Node
from intermodel.records.verdict import Certainty, Outcome, Purpose, verdict
from intermodel.records.verdict.say import LIMITS, WORDS, say
from intermodel.records.verdict.words import (
    ANSWERS,
    CERTAINTIES,
    PURPOSES,
    WHENS,
    of_allowed,
    once,
    owed,
    rests_on,
    sentence,
)


def test_every_code_has_words() -> None:
    assert set(PURPOSES) == {purpose.value for purpose in Purpose}
    assert set(CERTAINTIES) == {certainty.value for certainty in Certainty}
    assert set(WHENS) == {when.value for when in When}
    assert set(ANSWERS) == {outcome.word for outcome in Outcome}


def told(licence: str, purpose: str) -> dict[str, Any]:
    return verdict(Graph({"it": Node("it", licence=licence)}), "it", purpose).document()


def test_duties_stand_by_who_must_heed_them_each_once() -> None:
    documents = [told("llama3.1", purpose) for purpose in Purpose]
    groups = owed(of_allowed(documents))
    assert [group.when for group in groups] == ["use", "redistribute", "modify", "train"]
    words = [due.words for group in groups for due in group.dues]
    assert len(words) == len({(group.when, due.words) for group in groups for due in group.dues})
    assert all(due.sources for group in groups for due in group.dues)


def test_the_same_duty_of_two_licences_names_both() -> None:
    graph = Graph({"a": Node("a", licence="mit AND bsd-3-clause")})
    (group,) = owed(verdict(graph, "a", "commercial").document()["duties"])
    (due,) = group.dues
    assert due.sources == ("MIT License, for a", "BSD 3-Clause, for a")


def test_what_is_refused_brings_no_duty() -> None:
    assert of_allowed([told("cc-by-nc-4.0", "commercial")]) == []


def test_on_what_it_rests() -> None:
    assert rests_on([]) == ""
    assert rests_on(["licence-text"]) == "the text of a licence"
    assert rests_on(["licence-text", "unverified"]) == "the text of a licence and claims that nobody verified"
    assert sentence("no one") == "No one."
    assert sentence("") == "."
    assert once([{"flags": [{"words": "it is"}, {"words": "it is"}]}], "flags") == ["It is."]


@pytest.mark.parametrize("name", [*WORDS, *LIMITS])
def test_what_a_fact_says_is_no_code(name: str) -> None:
    for licence in LICENCES.values():
        said = licence.fact(name)
        words = say(name, said)
        if name in WORDS:
            assert "not-addressed" not in words, licence.id
            assert ": yes" not in words, licence.id
            assert ": no:" not in words, licence.id
            assert WORDS[name] in words, licence.id


@pytest.mark.parametrize(
    ("licence", "name", "words"),
    [
        ("mit", "commercial", "commercial use is allowed"),
        ("llama1", "commercial", "commercial use is not allowed"),
        ("llama2", "commercial", "commercial use is allowed, below the scale limit"),
        ("unspecified", "serve", "serving it to others is not granted"),
        ("openai-terms-2023-03", "redistribution", "passing it on is not possible: its weights are not offered"),
        ("mit", "outputs_train_models", "it says nothing of training other models on its outputs"),
        ("openrail", "commercial", "what it says of commercial use is not known"),
        ("cc-by-nc-nd-4.0", "derivatives", "changing it is allowed for oneself only: adaptations may not be shared"),
    ],
)
def test_facts_in_words(licence: str, name: str, words: str) -> None:
    said = LICENCES[licence].fact(name)
    assert said.code in Code
    assert say(name, said) == words
