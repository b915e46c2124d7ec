"""Texts as rules see them: one byte a character."""

from __future__ import annotations

_DIGIT_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50)  # Arabic, Persian, Devanagari, Bengali, Thai
_FOLDED = (
    {ord(c): " " for c in "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000"}
    | {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"}
    | {0xFF01 + n: chr(0x21 + n) for n in range(94)}  # full-width forms
    | {zero + n: str(n) for zero in _DIGIT_ZEROS for n in range(10)}
)


def plain(text: str) -> bytes:
    """Latin-1, with the spaces, dashes and digits of other scripts folded into ASCII; `?` for everything else."""
    if text.isascii():
        return text.encode("ascii")
    return text.translate(_FOLDED).encode("latin-1", "replace")
