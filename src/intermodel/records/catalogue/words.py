"""The words of a text: what is written in the index, and what is looked up in it. Pure functions.

All that is neither a letter nor a digit separates words, so no character has a meaning of its own in a query.
"""

from __future__ import annotations

import re
import unicodedata

MOST_BYTES = 32
"""Longer words are known by their beginning: one that is a kilobyte long must not widen a table of a million."""

_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han: written without spaces, so that each character is a word of its own."""
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_ASCII_WORD = re.compile("[a-z0-9]+")
_ASCII_PIECE = re.compile("[A-Za-z0-9]+")
_PART = re.compile("[A-Z]?[a-z]{3,}|[A-Z]{3,}(?![a-z])|(?<=[A-Za-z]{3})[0-9]+")


def words_of(text: str) -> list[str]:
    """The words that a query asks for, in their order, each once."""
    if text.isascii():
        found = [word[:MOST_BYTES] for word in _ASCII_WORD.findall(text.lower())]
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        found = [word.encode()[:MOST_BYTES].decode(errors="ignore") for word in _WORD.findall(folded)]
    return list(dict.fromkeys(found))


def pieces(text: str) -> list[str]:
    """A text in pieces, many of which other texts have too."""
    return _ASCII_PIECE.findall(text) if text.isascii() else [text]


def indexed(piece: str) -> list[str]:
    """The words under which one of `pieces` is found: its words, and the parts of `TinyLlama` and `llama2`."""
    if not piece.isascii():
        return words_of(piece)
    word = piece.lower()[:MOST_BYTES]
    parts = [] if piece.islower() and piece.isalpha() else _PART.findall(piece)
    return list(dict.fromkeys((word, *(part.lower()[:MOST_BYTES] for part in parts)))) if parts else [word]


_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def like(word: str) -> set[str]:
    """All that a word may have been meant for: with one letter more, less or other, or two neighbours swapped.

    Of most misspelt words that is the right one (P. Norvig, How to write a spelling corrector, 2007).
    """
    parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    less = {a + b[1:] for a, b in parts if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in parts if len(b) > 1}
    other = {a + letter + b[1:] for a, b in parts if b for letter in _LETTERS}
    more = {a + letter + b for a, b in parts for letter in _LETTERS}
    return (less | swapped | other | more) - {word}
