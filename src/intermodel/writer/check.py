"""What is wrong with a draft as far as code can tell: certain, cheap, and before any model is asked. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from intermodel.writer.language import repeated_from
from intermodel.writer.text import CITED, HEADING, cited, folded, numbers, sentences, unheld, without_blocks, words
from intermodel.writer.values import Gap, Notes, Problem, Scores

_LONG = 20
"""Letters that a repetition has."""
_MARKS = "\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f"
QUOTATION = re.compile(
    r'(?:(?<![0-9A-Za-z])"(?=\S)|[\u201c\u201e\u00ab\u00bb\u300c\u300e])'
    rf'([^"{_MARKS}]{{1,400}})'
    r'(?:(?<=\S)"(?![0-9A-Za-z])|[\u201d\u201c\u00bb\u00ab\u300d\u300f])'
)
"""Words between marks, French or German ones too. Those after a number are inches."""
_MUST, _SHOULD = 1.0, 0.25
"""What a problem that code found takes from the score."""


def check(draft: str, notes: Notes, length: int, language: str = "") -> tuple[Problem, ...]:
    """Citations that lead nowhere, numbers and quotations that the cited source does not hold, statements without a
    source, repetition, wrong length (`length` is what was asked for, in words)."""
    text = without_blocks(draft)
    found = [
        *_citations(text, notes),
        *_statements(text, notes, language),
        *_form(text, length, repeated_from(language)),
    ]
    return tuple(found)


def _citations(draft: str, notes: Notes) -> list[Problem]:
    wrong = [number for number in cited(draft) if notes.source(number) is None]
    found = [
        _problem(f"[{number}]", f"There is no source {number}.", "Cite one that is listed.", "must") for number in wrong
    ]
    if not cited(draft):
        found.append(_problem("", "No source is cited.", "Cite the sources with [n] after each statement.", "must"))
    return found


def _statements(draft: str, notes: Notes, language: str) -> list[Problem]:
    found = []
    for paragraph in _paragraphs(draft):
        for sentence in sentences(paragraph, language):
            sources = [source for number in cited(sentence) if (source := notes.source(number))]
            missing = unheld(sentence, [source.text for source in sources], language) if sources else []
            if missing:
                why = f"The cited source does not hold {', '.join(missing)}."
                found.append(_problem(sentence, why, "Correct the number, or cite the source that holds it.", "must"))
            elif not sources and numbers(sentence):
                found.append(_problem(sentence, "A number without a source.", "Cite its source.", "should"))
            found += _quotations(sentence, [source.text for source in sources] or [s.text for s in notes.sources])
        if len(words(paragraph)) > 30 and not cited(paragraph):
            found.append(_problem(paragraph, "A paragraph without any source.", "Cite one, or shorten it.", "should"))
    return found


def _quotations(sentence: str, texts: Sequence[str]) -> list[Problem]:
    return [
        _problem(said, "These words stand in no cited source.", "Quote word for word, or do not quote.", "must")
        for said in QUOTATION.findall(CITED.sub("", sentence))
        if len(words(said)) > 3 and not any(folded(said).strip(" .,;") in folded(text) for text in texts)
    ]


def _form(draft: str, length: int, row: int) -> list[Problem]:
    found = []
    count = len(words(draft))
    if not length * 0.6 <= count <= length * 1.5:
        severity = "must" if count < length * 0.3 or count > length * 3 else "should"
        fix = "Say more of what the sources hold." if count < length else "Say it in fewer words."
        found.append(_problem("", f"{count} words, where about {length} were asked for.", fix, severity))
    if not HEADING.search(draft):
        found.append(_problem("", "No heading.", "Begin with a title, and give sections headings.", "should"))
    if said := repeated(draft, row):
        found.append(_problem(said, "Said more than once in the same words.", "Say it once.", "should"))
    return found


def repeated(text: str, row: int = 8) -> str:
    """The first so many words in a row that stand in a text twice; "" where there are none. As many letters of Chinese,
    of which each counts as a word, are too few."""
    said = words(text)
    rows = Counter(tuple(said[i : i + row]) for i in range(len(said) - row + 1))
    return next((" ".join(one) for one, count in rows.items() if count > 1 and sum(map(len, one)) >= _LONG), "")


def score_of(scores: Scores | None, problems: Sequence[Problem]) -> float:
    """Of 10: the mean of what the model gave, less what code found. 0 where no model could judge."""
    if scores is None:
        return 0.0
    by_code = [problem for problem in problems if problem.by == "code"]
    taken = sum(_MUST if problem.severity == "must" else _SHOULD for problem in by_code)
    return round(max(scores.mean - taken, 0.0), 2)


def unverified(draft: str, problems: Sequence[Problem], language: str = "") -> tuple[Gap, ...]:
    """Statements of a draft for which no source stands, each once, with the reason."""
    found = {problem.quote: problem.why for problem in problems if problem.quote and problem.severity == "must"}
    for paragraph in _paragraphs(without_blocks(draft)):
        for sentence in sentences(paragraph, language):
            if not cited(sentence) and len(words(sentence)) > 5 and not sentence.endswith("?"):
                found.setdefault(sentence, "No source is cited for it.")
    return tuple(Gap(what, why) for what, why in found.items())


def adds(before: str, after: str, language: str = "") -> str:
    """What an editor added who may only polish: a citation or a number; "" where there is none."""
    new = [f"[{number}]" for number in cited(after) if number not in cited(before)]
    new += unheld(after, [before], language)
    return ", ".join(new)


def _paragraphs(draft: str) -> list[str]:
    """Without headings."""
    return [part for part in re.split(r"\n\s*\n", HEADING.sub("\n", draft)) if part.strip()]


def _problem(quote: str, why: str, fix: str, severity: str) -> Problem:
    return Problem(quote[:300], why, fix, "must" if severity == "must" else "should", "code")
