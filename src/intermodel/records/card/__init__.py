"""Cards: what the makers of a model wrote of it, in the Hub's form.

Hides: YAML, Markdown, the Hub's field names and headings. Promises: a card's text is kept byte for byte, a changed
field leaves the others alone, a broken head makes its fields unknown and says where, and nothing in a card is ever run
or rendered. Does not know: where cards are kept, and what a licence means.
"""

from __future__ import annotations

from intermodel.records.card import disclosing, reading
from intermodel.records.card.card import HEAD_LIMIT, LIMIT, Card, Mistake
from intermodel.records.card.made import NOT_DISCLOSED
from intermodel.records.card.sections import Field, Section
from intermodel.records.card.view import Emissions, Result, View
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import WhatItIs
from intermodel.records.lineage import Graph

__all__ = [
    "HEAD_LIMIT",
    "LIMIT",
    "NOT_DISCLOSED",
    "Card",
    "Emissions",
    "Field",
    "Mistake",
    "Result",
    "Section",
    "View",
    "disclosure_of",
    "headings_known",
    "lineage_of",
    "what_of",
]


def what_of(card: Card) -> WhatItIs:
    """What the thing is, as far as its card says; sources are `card:` and a field or heading."""
    return reading.what_of(card.view, card.listed)


def lineage_of(card: Card, address: str) -> Graph:
    """From what the card says that `address` was made."""
    return reading.lineage_of(card.view, address)


def disclosure_of(card: Card, name: str = "") -> Disclosure:
    """What the card discloses in words, each with the heading or field it stands under.

    A placeholder under a heading is told to be nothing; what the card does not speak of is left out, and so unknown.
    """
    return disclosing.disclosure(name or card.view.name, card.view, card.sections, card.listed, card.body)


def headings_known(card: Card) -> bool:
    """Whether a card has a heading that is looked for here; without one, what it tells in words is missed."""
    return disclosing.recognised(card.sections)
