"""Sentences, citations and numbers of a text, and what of it fits into a model's context. Pure."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from intermodel.writer.language import code_of, decimal_of
from intermodel.writer.plain import clean

CITED = re.compile(r"\[([1-9][0-9]{0,3})\](?!\()")
"""A citation: `[3]`, which is no link. In code it is none; `cited` knows that."""
_CITING = re.compile(
    r"[\[\u3010\uff3b]\s{0,4}+(?:(?:sources?+|src|quellen?+|fuentes?+|font[ei])\s{0,4}+:?+\s{0,4}+)?+"
    r"([1-9]\d{0,3}+(?:\s{0,4}+[,;]\s{0,4}+[1-9]\d{0,3}+)*+)\s{0,4}+[\]\u3011\uff3d](?!\()",
    re.IGNORECASE,
)
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
_EAST = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Letters of scripts that write words without spaces between them."""
NUMBER = re.compile(
    rf"(?<![^\W{_EAST}])(?<!\.)"
    r"(?P<whole>[1-9]\d{0,2}(?P<mark>[.,'\u2019\u2009\u202f\u00a0 ])\d{3}(?:(?P=mark)\d{3})*+(?!\d)|\d++)"
    r"(?:[.,](?P<part>\d++))?+"
    r"(?P<kilo>[kK](?![A-Za-z\d_]))?+(?![A-Za-z]*[\d_])"
)
"""Also with its unit glued on (`70B`, `80GB`, `3x`), but no part of a name (`Q4`, `8x7B`, a digest)."""
_DATE = re.compile(
    r"(?<![\d.])(?:(?P<day>\d{1,2})\.\d{1,2}\.(?P<year>(?:1[5-9]|20)\d\d)|"
    r"(?P<first>(?:1[5-9]|20)\d\d)-\d\d-(?P<last>\d\d))(?![\d-])"
)
"""A date in digits, whose month others write as a word."""
_CLOSED = (
    r"(?:[\"')\]\u00ab\u00bb\u201c\u201d]|[ \u00a0\u202f]\u00bb(?=[\s,;:.!?)\[])|\[\d{1,4}\]|"
    r" \[\d{1,4}\](?= ?\[\d|\s+[\"\u00ab\u00bb\u201c\u201e]*[A-Z\u00c0-\u00de]))*+"
)
"""What belongs to the sentence before; so does a citation that stands apart from it, where another one begins then."""
_EAST_CLOSED = r"(?:[\"')\]\u201d\u300d\u300f\uff09]|\[\d{1,4}\])*+"
_END = re.compile(
    rf"(?<=[.!?\u2026\u061f\u06d4\u0964]){_CLOSED}\s+(?=[\"'(\[\u00ab\u00bb\u201c\u201e]*([^\W_]|[#*-]))"
    rf"|(?<=[\u3002\uff01\uff1f]){_EAST_CLOSED}\s*+(?=[^\s\u3002\uff01\uff1f])"
    r"|\n{2,}|\n(?=[#*>|-]|\d{1,2}[.)]\s)"
)
_LOOK = 12
"""So many characters before its end tell whether a sentence may end there."""
_SHORT = (
    r"e\.g|i\.e|cf|vs|No|Art|Sec|Dr|Mr|Ms|Inc|Fig|approx|al|Prof|St|"
    r"bzw|ca|inkl|exkl|ggf|[vV]gl|sog|evtl|bspw|bzgl|zzgl|insb|allg|engl|Nr|Hrsg|Mio|Mrd|Tsd|Anm|Fa|"
    r"Aufl|Kap|Abb|Ziff|Rn|Dipl|Mme|Mgr|Sra|Dra"
)
"""Abbreviations after which a sentence goes on: those of English, and those of others that are no words of it."""
_COUNTING = (
    r"art|abs|no|nr|pp?|chap|ch|kap|fig|abb|vol|bd|sect?|eq|rn|ziff|par|ver|circa|max|min|"
    r"janv?|febr?|f\u00e9vr?|m[a\u00e4]r|apr|avr|juin|jun|juil|jul|aug|sept?|oct|okt|nov|dec|dez|d\u00e9c"
)
"""Abbreviations after which it goes on with a number."""
_ORDINAL = (
    r"Januar|J\u00e4nner|Februar|M\u00e4rz|Juni|Juli|Oktober|Dezember|"
    r"M\u00e4r|Okt|Dez|Jahrhunderts?|Jh|Absatz|Kapitel|Quartal|Auflage"
)
"""What is counted with a German ordinal (`3.`)."""
_PAIR = re.compile(
    r"\b(?:z\. ?(?:B|T|Z)|d\. ?h|[uo]\. ?[a\u00e4]|o\. ?g|v\. ?a|u\. ?U|m\. ?E|s\. ?[ou]|i\. ?(?:d\. ?R|S\. ?[dv])|"
    r"[nv]\. ?Chr|p\. ?ex|p\. ?ej|\u0442\. ?[\u0435\u043a\u0434\u043f]|\u0438 ?\u0442\. ?[\u0434\u043f])\."
)
"""Abbreviations of several words, in and after which it goes on."""


class _Rules:
    """Where sentences of a language go on; of one that is not known, what holds in English and cannot be meant so."""

    def __init__(self, short: str = "", counting: str = "", ordinal: str = "", article: str = "") -> None:
        letter = r"\b[A-Z\u00c0-\u00de\u0410-\u042f]"
        self.short = re.compile(rf"(?:\b(?:{_SHORT}{short})|{letter})\.$")
        self.counting = re.compile(rf"\b(?:{_COUNTING}{counting})\.$", re.IGNORECASE)
        self.counted = re.compile(rf"\b{article}\d{{1,2}}\.$", re.IGNORECASE)
        self.ordinal = re.compile(rf"(?:{_ORDINAL}{ordinal})\b")


_OTHERS = _Rules()
_RULES = {
    "de": _Rules(
        short=r"|mind|dt|Abs|Bd|Tab|Str|Ing",
        counting=r"|s|tab",
        ordinal=r"|April|Mai|August|September|November|Jan|Feb|Apr|Jun|Jul|Aug|Sept?|Nov|Abs",
        article=r"(?:(?:am|vom|zum|im|beim|der|die|das|den|dem|des|eine[mnrs]?)\s)?",
    ),
    "fr": _Rules(short=r"|MM", counting=r"|n|s|env"),
}
_ITEM = re.compile(r"^[ \t>*+#-]{0,8}\d{1,3}\.$", re.MULTILINE)
_WORD = re.compile(rf"[{_EAST}]|[^\W_{_EAST}]+(?:[-'\u2019][^\W_{_EAST}]+)*")
_FENCED = r"^ {0,3}(`{3,}+|~{3,}+)(?:.*+\n)(?s:.*?)(?:^ {0,3}\1[`~]*+[ \t]*+$|\Z)"
_BLOCK = re.compile(_FENCED, re.MULTILINE)
_SPAN = r"(?<!`)(`++).{0,2000}?(?<!`)\2(?!`)"
_CODE = re.compile(rf"{_FENCED}|{_SPAN}", re.MULTILINE)


def sentences(text: str, language: str = "") -> list[str]:
    """A text's sentences, headings and list items, in order, without the space around them. `language`: as a brief has
    it, where it is known."""
    found: list[str] = []
    start, rules = 0, _RULES.get(code_of(language), _OTHERS)
    for end in _END.finditer(text):
        at = end.start()
        if end.group().count("\n") < 2 and _goes_on(text, max(start, at - _LOOK), at, end, rules):
            continue
        found.append(text[start : at + len(end.group().rstrip())])
        start = end.end()
    found.append(text[start:])
    return [" ".join(one.split()) for one in found if one.strip()]


def _goes_on(text: str, start: int, at: int, end: re.Match[str], rules: _Rules) -> bool:
    """After a point that ends an abbreviation, an ordinal or the number of a list's item, and before a small letter."""
    following = end[1] or ""
    if following.islower() or rules.short.search(text, start, at) or _ITEM.search(text, start, at):
        return True
    if any(pair.end() >= at for pair in _PAIR.finditer(text, start, at + _LOOK) if pair.start() < at):
        return True
    if following.isdigit():
        return rules.counting.search(text, start, at) is not None
    counted = rules.counted.search(text, start, at)
    return counted is not None and (counted[0][0].isalpha() or rules.ordinal.match(text, end.end()) is not None)


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with its parts between blocks and spans of code changed."""
    done, start = [], 0
    for code in _CODE.finditer(text):
        done += [change(text[start : code.start()]), code.group()]
        start = code.end()
    return "".join([*done, change(text[start:])])


def without_blocks(text: str) -> str:
    """Without blocks of code, in which no statement stands."""
    return _BLOCK.sub("\n", text)


def words(text: str) -> list[str]:
    """In small letters, without what marks them up; of Chinese and Japanese each letter, as word processors count."""
    return [word.lower() for word in _WORD.findall(CITED.sub(" ", text))]


def cited(text: str) -> list[int]:
    """The numbers of the sources that a text cites, in order, each once."""
    return list(dict.fromkeys(int(number) for number in CITED.findall(_CODE.sub(" ", text))))


def apart(text: str, sources: int) -> str:
    """With each citation by itself, as `[3]`: models write `[1, 2]`, `[Quelle 3]` and full-width brackets, too. Only
    what names one of so many sources is taken for a citation."""

    def change(found: re.Match[str]) -> str:
        told = [int(number) for number in re.findall(r"\d+", found[1])]
        known = any(1 <= number <= sources for number in told)
        return "".join(f"[{number}]" for number in told) if known else found[0]

    return outside_code(text, lambda part: _CITING.sub(change, part))


def draft_of(answer: str, sources: int) -> str:
    """The draft that a model's answer is, where there are so many sources."""
    return apart(clean(answer), sources)


def numbers(text: str) -> list[str]:
    """Numbers in one form (`1,000` is `1000` and `1k`, `2.50` is `2.5`), without citations and marks of lists. Of what
    can be read in two ways, that of English."""
    return [told.forms[0] for told in told_numbers(text)]


@dataclass(frozen=True, slots=True)
class Told:
    """A number of a text. `forms` has more than one where languages read it otherwise: `1.500` is `1.5` in English and
    `1500` in German, and `1,500` the other way round."""

    written: str
    forms: tuple[str, ...]


def told_numbers(text: str) -> list[Told]:
    """The numbers of a text, in order. Of a date in digits its day and year: others write the month as a word."""
    plain = re.sub(r"^[ \t]*(?:\d+[.)]\s|#+.*)", " ", CITED.sub(" ", text), flags=re.MULTILINE)
    plain = _DATE.sub(lambda date: f"{date['day'] or date['first']} \u2013 {date['year'] or date['last']}", plain)
    return [_told(found) for found in NUMBER.finditer(plain)]


def unheld(text: str, others: Sequence[str], language: str = "") -> list[str]:
    """The numbers of a text that stand in none of the others, each once. The text is read as its `language` has it,
    and without one as in English; the others, which are in any, in each way of reading them."""
    held = {form for other in others for told in told_numbers(other) for form in told.forms}
    missing = [told for told in told_numbers(text) if held.isdisjoint(_meant(told, decimal_of(language)))]
    return list(dict.fromkeys(told.forms[0] if len(told.forms) == 1 else told.written for told in missing))


def _meant(told: Told, decimal: str) -> Sequence[str]:
    """Its forms in a language with this before decimals. Where that is not known, `1,500` is read as in English, and
    `1.500`, which nobody writes there for `1.5`, in both ways."""
    if len(told.forms) == 1:
        return told.forms
    pointed = "." in told.written
    if not decimal:
        return told.forms if pointed else told.forms[:1]
    return told.forms[:1] if decimal == "." else told.forms[1:]


def _told(number: re.Match[str]) -> Told:
    whole, mark, part = number.group("whole", "mark", "part")
    if mark not in (".", ",") or part is not None or whole.count(mark) > 1:
        return Told(whole, (_one_form(number, whole, part),))
    thousands, decimal = _one_form(number, whole, None), _one_form(number, *whole.split(mark))
    return Told(whole, (decimal, thousands) if mark == "." else (thousands, decimal))


def _one_form(number: re.Match[str], whole: str, part: str | None) -> str:
    kilo = number["kilo"]
    whole, part = _digits(whole), _digits(part or "")
    if kilo:
        part = part.ljust(3, "0")
        whole, part = whole + part[:3], part[3:]
    return f"{whole.lstrip('0') or '0'}.{part.rstrip('0')}".rstrip(".")


def _digits(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())


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
        database.executemany("insert into t (rowid, text) values (?, ?)", enumerate(map(_spaced, texts)))
        match = " OR ".join(f'"{word}"' for word in asked)
        found = database.execute("select rowid from t where t match ? order by bm25(t), rowid", (match,))
        return [row[0] for row in found]


def _spaced(text: str) -> str:
    """With spaces around what is a word of its own, as `words` has it."""
    return re.sub(rf"([{_EAST}])", r" \1 ", text)


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
    others: bool = False
    """Whether others wrote it; then it stands between marks."""

    @property
    def around(self) -> int:
        """Characters that it takes beside its text."""
        return len(self.title) + 4 + (len(quoted("")) if self.others else 0)


def fitted(parts: Sequence[Part], room: int) -> str:
    """The parts one below the other in so many characters; the longest are cut first, and say so."""
    parts = [part for part in parts if part.text.strip()]
    share = _share([len(part.text) for part in parts], max(room - sum(part.around for part in parts), 0))
    return "\n\n".join(f"{part.title}:\n{_marked(part, cut(part.text, share))}" for part in parts)


def left_out(parts: Sequence[Part], room: int) -> int:
    """How many characters of the parts `fitted` cuts off."""
    parts = [part for part in parts if part.text.strip()]
    share = _share([len(part.text) for part in parts], max(room - sum(part.around for part in parts), 0))
    return sum(max(len(part.text) - share, 0) for part in parts)


def _marked(part: Part, text: str) -> str:
    return quoted(text) if part.others else text


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
