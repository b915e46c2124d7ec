"""What stands in a card where nothing is told: placeholders, and sentences of the template. Pure."""

from __future__ import annotations

import re

from intermodel.records.card.sections import without_comments

LONGEST = 20_000
"""Characters of a text that are looked at."""

_NOTHING = frozenset({
    "", "more information needed", "more information needed for further recommendations", "n/a", "na", "none", "tbd",
    "tba", "todo", "to be added", "to be determined", "to be done", "coming soon", "unknown", "not disclosed",
    "undisclosed", "not specified", "unspecified", "not available", "not provided", "needs more information", "wip",
    "information needed", "not applicable", "not known", "to be announced", "-", "work in progress",
    "not released", "confidential", "proprietary", "see above", "more information coming soon",
})  # fmt: skip
"""What is written where nothing is told, without marks."""

_BOILERPLATE = (
    re.compile(r"users \(both direct and downstream\) should be made aware of the risks, biases and limitations of the"
               r" model\.( more information needed for further recommendations\.?)?"),
    re.compile(r"carbon emissions can be estimated using the (?:\[?machine learning impact calculator\]?)"
               r"(?:\([^()\s]{0,300}\))? presented in (?:\[?lacoste et al\. \(2019\)\]?)(?:\([^()\s]{0,300}\))?\.?"),
    re.compile(r"use the code below to get started with the model\.?"),
    re.compile(r"\{\{.{0,300}?\}\}"),
)  # fmt: skip
"""Sentences that the template itself holds."""
_MARKS = re.compile(r"[*_`~\[\](){}>#|\\]+")


def says_nothing(text: str) -> bool:
    """Whether a text is empty, a placeholder, or only what the template said before anybody wrote into it."""
    text = without_comments(text[:LONGEST]).casefold()
    for pattern in _BOILERPLATE:
        text = pattern.sub(" ", text)
    return all(_line_says_nothing(line) for line in text.splitlines())


def _line_says_nothing(line: str) -> bool:
    line = line.strip()
    if line.startswith("#"):
        return True  # a heading alone tells nothing
    if re.fullmatch(r"[-=_*~`\s]*", line):
        return True
    item = re.sub(r"^[-*+]\s+", "", line)
    words = _MARKS.sub(" ", item)
    name, colon, value = words.partition(":")
    if colon and len(name) <= 100 and item.startswith(("**", "__")):
        words = value
    return " ".join(words.split()).strip(" .:!?") in _NOTHING
