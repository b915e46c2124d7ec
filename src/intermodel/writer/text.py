"""Sentences, citations and numbers of a text, and what of it fits into a model's context. Pure."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

CITED = re.compile(r"\[(\d{1,4})\](?!\()")
"""A citation: `[3]`, which is no link."""
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,\u202f\u00a0 ]\d{3})*(?:[.,]\d+)?%?(?!\w)")
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9\u00c0-\u024f#*-])|\n{2,}|\n(?=[#*>|-])")
_SHORT = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|No|Art|Sec|Dr|Mr|Ms|Inc|Fig|approx|al)|\b[A-Z])\.$")
_WORD = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*")


def sentences(text: str) -> list[str]:
    """A text's sentences, headings and list items, in order, without the space around them."""
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if _SHORT.search(text[start : end.start()]):
            continue
        found.append(text[start : end.start() + len(end.group().rstrip())])
        start = end.end()
    found.append(text[start:])
    return [" ".join(one.split()) for one in found if one.strip()]


def words(text: str) -> list[str]:
    """In small letters, without what marks them up."""
    return [word.lower() for word in _WORD.findall(CITED.sub(" ", text))]


def cited(text: str) -> list[int]:
    """The numbers of the sources that a text cites, in order, each once."""
    return list(dict.fromkeys(int(number) for number in CITED.findall(text)))


def numbers(text: str) -> list[str]:
    """Numbers in one form (`1,000` is `1000`, `2.50` is `2.5`), without those that are citations or list marks."""
    plain = re.sub(r"^\s*(?:\d+[.)]|#+.*)\s", " ", CITED.sub(" ", text), flags=re.MULTILINE)
    return [_one_form(found) for found in NUMBER.findall(plain)]


def _one_form(number: str) -> str:
    plain = re.sub(r"[\u202f\u00a0 ]", "", number.rstrip("%"))
    plain = re.sub(r",(?=\d{3}(?:\D|$))", "", plain).replace(",", ".")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return re.sub(r"^0+(?=\d)", "", plain)


def folded(text: str) -> str:
    """For comparing quotations: one kind of quote and dash, single spaces, small letters."""
    text = unicodedata.normalize("NFKC", text).translate(_FOLD)
    return " ".join(text.split()).lower()


_FOLD = (
    {ord(c): "'" for c in "\u2018\u2019\u201a\u201b`"}
    | {ord(c): '"' for c in "\u201c\u201d\u201e\u00ab\u00bb"}
    | {ord(c): "-" for c in "\u2010\u2011\u2012\u2013\u2014"}
)


def ranked(texts: Sequence[str], question: str) -> list[int]:
    """Indices of the texts that share a word with the question, the most telling first (BM25, SQLite's FTS5)."""
    asked = list(dict.fromkeys(words(question)))[:40]
    if not asked or not texts:
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create virtual table t using fts5 (text, tokenize = 'porter unicode61')")
        database.executemany("insert into t (rowid, text) values (?, ?)", enumerate(texts))
        match = " OR ".join(f'"{word}"' for word in asked)
        found = database.execute("select rowid from t where t match ? order by bm25(t), rowid", (match,))
        return [row[0] for row in found]


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a model's context one step may use."""

    context: int
    """Tokens, of question and answer together."""

    @property
    def small(self) -> bool:
        return self.context < 4096

    def answer(self, wanted: int) -> int:
        """Tokens for the answer, where so many are wanted."""
        return min(wanted, self.context * 9 // 20)

    def question(self, answer: int, prompt: int) -> int:
        """Characters for the question, beside an answer of so many tokens and a prompt of so many characters. English
        has about four to a token with a large vocabulary, and between two and three with one of 1,500."""
        return max(int((self.context - answer - 64) * (2.2 if self.small else 3.2)) - prompt, 200)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what a role is given."""

    title: str
    text: str


def fitted(parts: Sequence[Part], room: int) -> str:
    """The parts one below the other in so many characters; the longest are cut first, and say so."""
    parts = [part for part in parts if part.text.strip()]
    heads = sum(len(part.title) + 6 for part in parts)
    share = _share([len(part.text) for part in parts], max(room - heads, 0))
    return "\n\n".join(f"{part.title}:\n{cut(part.text, share)}" for part in parts)


def cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: max(most - 4, 0)].rstrip() + " [\u2026]" if most > 4 else ""


def _share(lengths: Sequence[int], room: int) -> int:
    """The length to which all that is longer is cut, so that together they take the room."""
    for rank, length in enumerate(sorted(lengths)):
        left = len(lengths) - rank
        if length * left > room:
            return room // left
        room -= length
    return max(lengths, default=0)


def quoted(text: str) -> str:
    """Text of others between marks that cannot stand in it, so that a model can tell it from what it is asked."""
    mark = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"<text {mark}>\n{text}\n</text {mark}>"
