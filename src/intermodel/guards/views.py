"""Texts as rules see them: one byte a character."""

from __future__ import annotations

import re
from collections.abc import Mapping

_DIGIT_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50)  # Arabic, Persian, Devanagari, Bengali, Thai
_FOLDED = (
    {ord(c): " " for c in "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"}
    | {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"}
    | {0xFF01 + n: chr(0x21 + n) for n in range(94)}  # full-width forms
    | {zero + n: str(n) for zero in _DIGIT_ZEROS for n in range(10)}
)


_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def plain(text: str) -> bytes:
    """Latin-1, with the spaces, dashes and digits of other scripts folded into ASCII; `?` for everything else."""
    return folded(text, _FOLDED)


def folded(text: str, table: Mapping[int, str]) -> bytes:
    """Latin-1, with the characters that `table` names (none is ASCII) taken for others; `?` for everything else."""
    if text.isascii():
        return text.encode("ascii")
    # most texts are ASCII with some other characters: looking at those alone is several times as fast
    return _NOT_ASCII.sub(lambda found: found[0].translate(table), text).encode("latin-1", "replace")
