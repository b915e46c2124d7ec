"""Licence texts by their content."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core.errors import TooLarge
from intermodel.records.licences import LICENCES, hashes, recognise
from intermodel.records.licences.texts import MOST_BYTES, fingerprints, likeness, normalised, sketch_of

MIT = """The MIT License (MIT)

Copyright (c) 2024 Ada Lovelace

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def licence_of_this_project() -> str:
    return (Path(__file__).parents[3] / "LICENSE").read_text()


def test_a_known_text() -> None:
    assert recognise(MIT).licence == "mit"
    assert recognise(licence_of_this_project()).licence == "apache-2.0"
    assert recognise(MIT).certainty == "licence-text"


def test_the_same_words_laid_out_otherwise() -> None:
    other = "\n\n".join(" ".join(part.split()) for part in MIT.upper().split("\n\n")).replace('"', "“")
    assert recognise(other).licence == "mit"
    assert recognise(MIT.replace("\n", "\r\n").encode()).licence == "mit"


@pytest.mark.parametrize("package", ["pytest-asyncio", "numpy", "pip", "jinja2"])
def test_texts_as_packages_carry_them(package: str) -> None:
    files = [file for file in distribution(package).files or [] if "LICENSE" in file.name]
    assert files
    for file in files:
        found = recognise(Path(str(file.locate())).read_bytes())
        assert found.licence is None or found.licence in LICENCES


@pytest.mark.parametrize(
    "added",
    [
        "\nThe Software shall be used for Good, not Evil.\n",
        "\nCommercial use needs a licence from us.\n",
        "\nCopyright notice: no commercial use of this software is permitted.\n",
        "\nYou may not train models on it.",
    ],
)
def test_a_text_with_one_more_term_is_not_the_known_one(added: str) -> None:
    for text, near in ((MIT, "mit"), (licence_of_this_project(), "apache-2.0")):
        found = recognise(text + added)
        assert found.licence is None
        assert found.near == near
        assert "with changes" in found.words
        assert found.certainty == "unverified"


def test_one_word_less_is_another_text() -> None:
    found = recognise(MIT.replace("free of charge", "for a charge"))
    assert found.licence is None
    assert found.near == "mit"


def test_other_texts_are_not_known() -> None:
    for text in ("", "   \n", "Ask me before you use it.", "All rights reserved.", "\x00\xff" * 50):
        found = recognise(text)
        assert (found.licence, found.near) == (None, None)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(TooLarge):
        recognise("a" * (MOST_BYTES + 1))


def test_fingerprints_tell_their_licences_apart() -> None:
    prints = fingerprints()
    assert len(prints) >= 75
    owners: dict[str, str] = {}
    for one in prints:
        assert one.licence in LICENCES
        for digest in one.digests:
            assert owners.setdefault(digest, one.licence) == one.licence


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_no_bytes_are_an_error(raw: bytes) -> None:
    assert recognise(raw).licence is None


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.lists(st.sampled_from("abcdef"), max_size=60))
def test_likeness_is_a_share_and_symmetric(one: list[str], other: list[str]) -> None:
    a, b = sketch_of(tuple(one)), sketch_of(tuple(other))
    assert 0 <= likeness(a, b) <= 1
    assert likeness(a, b) == likeness(b, a)
    assert likeness(a, a) == 1


def test_a_licence_has_the_hashes_of_its_texts() -> None:
    assert len(hashes("apache-2.0")) == 2, "with and without how to apply it"
    assert len(hashes("gemma")) == 2, "of 2024 and of 2025"
    assert hashes("openrail") == ()


def test_the_words_that_count() -> None:
    assert normalised("Copyright (c) 2024 Jane\nUse “it”, FREELY.") == ("use", "it", "freely")
    assert "commercial" in normalised("Copyright 2024 Jane, no commercial use\nUse it.")
