"""From tags, names and expressions to licences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.records.licences import LICENCES, find


def ids(said: str | None) -> list[list[str]]:
    return [[licence.id for licence in choice] for choice in find(said).choices]


@pytest.mark.parametrize(
    ("said", "choices"),
    [
        ("apache-2.0", [["apache-2.0"]]),
        ("Apache-2.0", [["apache-2.0"]]),
        ("Apache License 2.0", [["apache-2.0"]]),
        ("llama3.1", [["llama3.1"]]),
        ("odbl", [["odbl-1.0"]]),
        ("cc-by-nc-4.0", [["cc-by-nc-4.0"]]),
        ("GPL-3.0", [["gpl-3.0"]]),
        ("GPL-3.0-only", [["gpl-3.0"]]),
        ("GPL-3.0-or-later", [["gpl-3.0"]]),
        ("GPL-3.0+", [["gpl-3.0"]]),
        ("MIT OR Apache-2.0", [["mit"], ["apache-2.0"]]),
        ("MIT AND CC-BY-4.0", [["mit", "cc-by-4.0"]]),
        ("(MIT OR ISC) AND CC-BY-4.0", [["mit", "cc-by-4.0"], ["isc", "cc-by-4.0"]]),
        ("mit or gpl-3.0 with Classpath-exception-2.0", [["mit"], ["gpl-3.0"]]),
        ("MIT AND MIT", [["mit"]]),
    ],
)
def test_what_is_known(said: str, choices: list[list[str]]) -> None:
    assert ids(said) == choices
    assert find(said).known


def test_an_exception_is_named_and_not_counted_on() -> None:
    assert "WITH" in find("GPL-3.0-only WITH Classpath-exception-2.0").note


@pytest.mark.parametrize(
    "said",
    ["Apache-2.0 WITH Commons-Clause", "MIT WITH non-commercial", "MIT AND (Apache-2.0 WITH Commons-Clause)",
     "GPL-3.0-only WITH LicenseRef-scancode-agpl-generic-additional-terms"],
)  # fmt: skip
def test_an_exception_that_spdx_does_not_list_may_be_a_limit(said: str) -> None:
    assert not find(said).known


@pytest.mark.parametrize(
    "said",
    ["openrail", "cc", "bsd", "gpl", "other", "Apache 2.0 or so", "BSD-3", "MIT OR", "(", "OR OR OR", "x y z", "", None,
     "unknown", "NOASSERTION", "(MIT OR ISC) AND " * 7 + "Zlib", "MIT " * 300, "LicenseRef-mine", "a" * 5000],
)  # fmt: skip
def test_what_names_no_text_is_unknown(said: str | None) -> None:
    found = find(said)
    assert not found.known
    assert all(len(licence.name) <= 200 for choice in found.choices for licence in choice)


def test_one_unknown_part_makes_a_choice_unknown() -> None:
    assert not find("MIT AND LicenseRef-mine").known
    assert find("MIT OR LicenseRef-mine").known


@settings(deadline=None)
@given(st.text(max_size=500))
def test_nothing_that_a_card_says_is_an_error(said: str) -> None:
    assert find(said).choices


@settings(deadline=None)
@given(st.lists(st.sampled_from(["MIT", "ISC", "foo", "AND", "OR", "WITH", "(", ")", "GPL-3.0+"]), max_size=40))
def test_nor_is_any_expression(words: list[str]) -> None:
    assert find(" ".join(words)).choices


def test_every_licence_is_found_by_its_id() -> None:
    for licence in LICENCES.values():
        assert ids(licence.id) == [[licence.id]]
