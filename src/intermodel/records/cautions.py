"""Likely slips in what is told of a thing: it is recorded to the letter, and whoever tells it hears of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from intermodel.core import Invalid
from intermodel.records.card import Card
from intermodel.records.licences import unheard
from intermodel.records.lineage import Graph
from intermodel.records.told import Told

MOST = 20
"""So many are told; who made one slip a thousand times needs to see it once."""
_TERMS = ("licence", "declared", "terms")


def cautions(told: Told) -> tuple[str, ...]:
    """What is likely wrong with what is told, in sentences; nothing of it keeps it from being recorded."""
    return _each(
        [*(unheard(licence) for licence in _licences(told)), *([card_cautions(told.card)] if told.card else [])]
    )


def card_cautions(text: str) -> tuple[str, ...]:
    """What is wrong with the head of a card, and the licences in it that nobody here knows."""
    try:
        card = Card.parse(text)
    except Invalid as error:
        return (f"The card cannot be read: {error.message}",)
    broken = [f"The head of its card is broken, so nothing is read from it: {card.mistake}."] if card.mistake else []
    wrong = [f"In the head of its card: {problem.rstrip('.')}." for problem in card.view.problems]
    return _each([broken, wrong, *(unheard(licence) for licence in card.view.licences)])


def graph_cautions(graph: Graph) -> tuple[str, ...]:
    """The licences in a lineage that nobody here knows."""
    return _each(
        [unheard(licence) for node in graph.nodes.values() for licence in (node.licence, node.declared, node.terms)]
    )


def _licences(told: Told) -> Iterator[str]:
    yield from (told.own[name] for name in _TERMS if name in told.own)
    for node in _mappings((told.lineage or {}).get("nodes")):
        yield from (str(node[name]) for name in _TERMS if node.get(name))
    disclosure = told.disclosure or {}
    yield from _texts(disclosure.get("licences"))
    components = disclosure.get("components")
    for one in _mappings([*components.values()] if isinstance(components, Mapping) else None):
        if one.get("licence"):
            yield str(one["licence"])


def _texts(given: Any) -> list[str]:
    return [one for one in given.values() if isinstance(one, str)] if isinstance(given, Mapping) else []


def _mappings(given: Any) -> list[Mapping[str, Any]]:
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def _each(found: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for some in found for one in some))[:MOST]
