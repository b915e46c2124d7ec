import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.records.catalogue.words import MOST_BYTES, indexed, pieces, words_of
from tests.records.catalogue.model import words_in


def test_what_is_neither_letter_nor_digit_separates() -> None:
    assert words_of("meta-llama/Llama-2-7b_chat.GGUF") == ["meta", "llama", "2", "7b", "chat", "gguf"]


@pytest.mark.parametrize("text", ['"', "*", "^", "-", "NEAR(", "a:b AND", "'; DROP TABLE", "{a b}:c", "\0", "\ud800"])
def test_nothing_has_a_meaning_of_its_own(text: str) -> None:
    assert all(word.isalnum() for word in words_of(text))


def test_parts_of_a_name_are_found() -> None:
    assert indexed("TinyLlama") == ["tinyllama", "tiny", "llama"]
    assert indexed("llama2") == ["llama2", "llama", "2"]
    assert indexed("7b") == ["7b"]


def test_accents_case_and_width_do_not_matter() -> None:
    assert words_of("\uff2c\uff2c\uff21\uff2d\uff21 Straße") == ["llama", "strasse"]


def test_a_character_of_han_is_a_word() -> None:
    assert words_of("中文大模型v2") == ["中", "文", "大", "模", "型", "v2"]


def test_a_long_word_is_known_by_its_beginning() -> None:
    assert words_of("x" * 1000) == ["x" * MOST_BYTES] == indexed("x" * 1000)
    assert words_of("é" * 1000) == ["é" * (MOST_BYTES // 2)]


@given(st.text(max_size=60))
def test_every_text_is_found_by_its_own_words(text: str) -> None:
    assert set(words_of(text)) <= words_in(text)


@given(st.text(max_size=60))
def test_words_are_never_longer_than_the_table_is_wide(text: str) -> None:
    assert all(0 < len(word.encode()) <= MOST_BYTES for piece in pieces(text) for word in indexed(piece))
