"""The facts of licences: complete, sourced, frozen, and those of the list that they began from."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest
import yaml

from intermodel.records.licences import LICENCES, SOURCES, Code
from intermodel.records.licences.facts import FIELDS, Licence
from tests.oracles.place import oracle

RECODED = {
    ("cc-by-nd-4.0", "derivatives"), ("llama1", "distilled_model_is_derivative"), ("openrail", "osi_approved"),
    ("nvidia-open-model", "distilled_model_is_derivative"), ("openmdw-1.0", "distilled_model_is_derivative"),
}  # fmt: skip
"""Facts whose code was made sharper than in the list: the words say the same."""


def test_there_are_at_least_sixty_and_each_has_every_fact_with_a_source() -> None:
    assert len(LICENCES) >= 100
    for licence in LICENCES.values():
        assert set(licence.facts) == set(FIELDS), licence.id
        for name, said in licence.facts.items():
            assert said.source, (licence.id, name)
            assert said.words, (licence.id, name)
            assert said.code is Code.UNKNOWN or said.source != "none", (licence.id, name)


def test_every_source_says_what_it_is() -> None:
    for licence in LICENCES.values():
        for said in licence.facts.values():
            first = said.source.removeprefix("follows commercial: ").replace(";", " ").split()[0]
            assert first.strip(":") in SOURCES, (licence.id, said.source)


def test_facts_are_frozen() -> None:
    licence = LICENCES["mit"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        licence.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        licence.facts["commercial"] = licence.facts["patent"]  # type: ignore[index]
    with pytest.raises(TypeError):
        LICENCES["x"] = licence  # type: ignore[index]


def test_they_are_those_of_the_list() -> None:
    listed = yaml.safe_load(oracle("licences.yaml").read_text())["licences"]
    assert len(listed) == 60
    for one in listed:
        for name, fact in one["facts"].items():
            ours = LICENCES[one["id"]].facts[name]
            if (one["id"], name) not in RECODED:
                assert str(ours.code) == fact["c"], (one["id"], name)


def test_what_says_nothing_is_not_known() -> None:
    assert not LICENCES["openrail"].known
    assert not LICENCES["cc"].known
    assert LICENCES["mit"].known
    assert LICENCES["unspecified"].known, "that no licence is stated is a fact: nothing is granted"
    assert LICENCES["mit"].fact("there is no such fact").code is Code.UNKNOWN


def test_a_fact_tells_its_section_and_whether_the_text_was_read() -> None:
    said = LICENCES["llama1"].fact("commercial")
    assert (said.section, said.read) == ("1a, 2a.i", True)
    assert not LICENCES["glm-4"].fact("commercial").read, "somebody's summary"
    assert not LICENCES["unspecified"].fact("commercial").read


def test_sections_say_whether_they_were_checked() -> None:
    for licence in LICENCES.values():
        named = any(said.section for said in licence.facts.values())
        assert (licence.sections in ("text", "research", "unchecked")) is named, licence.id
    assert LICENCES["apache-2.0"].sections == "text"
    assert LICENCES["lgpl-2.1"].sections == "unchecked"


@pytest.mark.parametrize(
    ("start", "end", "on", "begun", "ended"),
    [
        ("2023-05", "2023-05-31", "2023-05-30", True, False),
        ("2023-05", "2023-05-31", "2023-06-01", True, True),
        ("2023-05-02", "", "2023-05-01", False, False),
        ("", "", "1990-01-01", True, False),
        ("2023", "2023", "2023-12-31", True, False),
        ("2023", "2023", "2024-01-01", True, True),
    ],
)
def test_a_licence_has_its_time(start: str, end: str, on: str, begun: bool, ended: bool) -> None:
    licence = Licence("x", "X", "model-terms", {}, start=start, end=end)
    day = date.fromisoformat(on)
    assert (licence.begun(day), licence.ended(day)) == (begun, ended)
