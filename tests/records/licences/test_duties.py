"""Duties in sentences: no code of the licence data is without one, and each says who must heed it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from intermodel.records.licences import LICENCES, Code, Said, When, tasks
from intermodel.records.lineage import Graph, Node
from intermodel.records.verdict import Purpose, verdict

ALWAYS = ("attribution", "notice_file", "naming", "copyleft", "use_restrictions", "scale_limit", "geo_limit")
PERMITTED = ("commercial", "research", "redistribution", "derivatives", "serve", "outputs", "outputs_train_models")
OWED = {Code.DUTY, Code.LIMIT}
CONDITIONS = {Code.CONDITIONAL, Code.PRIVATE, Code.USE_LIMITS}


def owing() -> Iterator[tuple[str, str, Said]]:
    """Each fact that can bring a duty, with its licence."""
    for licence in LICENCES.values():
        for name in ALWAYS:
            if licence.fact(name).code in OWED:
                yield licence.id, name, licence.fact(name)
        for name in PERMITTED:
            if licence.fact(name).code in CONDITIONS:
                yield licence.id, name, licence.fact(name)
        if licence.fact("outputs_train_models").code is Code.DENY:  # a duty of whoever has the outputs
            yield licence.id, "outputs_train_models", licence.fact("outputs_train_models")


def test_no_code_is_without_a_sentence() -> None:
    assert [one for one in owing() if tasks(one[1], one[2].words) is None] == []


def test_each_is_a_sentence_for_people() -> None:
    for licence, name, said in owing():
        for task in tasks(name, said.words) or ():
            assert re.fullmatch(r"[A-Z].*[.\"”]", task.words), (licence, name, task)
            assert not re.search(r"[a-z]+-[a-z]+ \+|\b[a-z]+_[a-z]+\b|\bAUP\b| \+ ", task.words), (licence, name, task)


def test_what_is_owed_or_limited_has_at_least_one() -> None:
    for licence, name, said in owing():
        if name in ALWAYS:
            assert tasks(name, said.words), (licence, name)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_condition_that_is_told_by_another_duty_is_told(purpose: Purpose) -> None:
    """Where a permission has a condition and no sentence of its own, another fact of the licence brings the duty."""
    for licence in LICENCES.values():
        found = verdict(Graph({"it": Node("it", licence=licence.id)}), "it", purpose)
        if found.strict.outcome.word == "allow-with-duties":
            assert found.strict.duties, licence.id
            assert all(duty.code and duty.section and duty.when in When for duty in found.strict.duties)


def test_no_sentence_is_left_over() -> None:
    from importlib.resources import files

    import orjson

    told = orjson.loads(files("intermodel.records.licences").joinpath("duties.json").read_bytes())["duties"]
    used = {(name, said.words) for licence in LICENCES.values() for name, said in licence.facts.items()}
    assert {(name, words) for name, codes in told.items() for words in codes} - used == set()
