"""What a run may take, before it starts: calls, tokens, dollars, from the best case to the usual worst one. Pure.

These are estimates: what cannot be read is asked for again, and a model may say less. What holds is the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from intermodel.core import OverBudget
from intermodel.writer.language import tokens_of
from intermodel.writer.values import MOST_ROUNDS, Brief, Role

_PROMPT = 300
"""Tokens of a role's prompt and of what frames its question."""
_CLAIM, _SENTENCE = 35, 32
"""Tokens of one."""
_CLAIMS, _MORE = 60, 2
"""Most claims of a run; sources that a later round adds."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for a million tokens: of the cheapest and of the dearest that may answer, where it is a route."""

    input: tuple[Decimal, Decimal]
    output: tuple[Decimal, Decimal]


def price_of(candidates: Sequence[Price | None]) -> Price | None:
    """Of all that may answer; None where nobody may, or one of them has no known price."""
    known = [price for price in candidates if price is not None]
    if not known or len(known) < len(candidates):
        return None
    read, made = [price.input for price in known], [price.output for price in known]
    return Price(
        (min(low for low, _ in read), max(high for _, high in read)),
        (min(low for low, _ in made), max(high for _, high in made)),
    )


FREE = Price((Decimal(0), Decimal(0)), (Decimal(0), Decimal(0)))
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """From, to. `dollars` is None where a price is not known, and `unpriced` names the models."""

    calls: Span
    input: Span
    output: Span
    dollars: tuple[Decimal, Decimal] | None
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    """How often a role is asked, and the tokens of one call."""

    calls: Span
    input: Span
    output: Span


def estimate(brief: Brief, prices: Mapping[str, Price | None]) -> Estimate:
    """`prices` by model; None, or nothing, where it is not known."""
    work = _work(brief)
    unpriced = sorted({brief.model_of(role) for role in Role if prices.get(brief.model_of(role)) is None})
    dollars = None
    if not unpriced:
        low = sum((_dollars(prices[brief.model_of(role)], one, 0) for role, one in work.items()), Decimal(0))
        high = sum((_dollars(prices[brief.model_of(role)], one, 1) for role, one in work.items()), Decimal(0))
        dollars = low, high
    every = work.values()
    return Estimate(
        (sum(one.calls[0] for one in every), sum(one.calls[1] for one in every)),
        (sum(one.calls[0] * one.input[0] for one in every), sum(one.calls[1] * one.input[1] for one in every)),
        (sum(one.calls[0] * one.output[0] for one in every), sum(one.calls[1] * one.output[1] for one in every)),
        dollars,
        tuple(unpriced),
    )


def check_budget(brief: Brief, told: Estimate) -> None:
    """Raises `OverBudget` where a ceiling is wanted that nobody can keep, for the node refuses what it cannot price;
    and where one is wanted that even the best case would break."""
    if brief.dollars and told.unpriced:
        named = ", ".join(f"'{model}'" for model in told.unpriced)
        raise OverBudget(
            f"Nobody knows what {named} costs, so a budget of ${brief.dollars} cannot hold.",
            hint=f"Say its price (intermodel deployments set {told.unpriced[0]} price.input=... price.output=..., in "
            "dollars for a million tokens), or write without a ceiling: --budget none.",
            code="unpriced_model",
        )
    if brief.dollars and told.dollars and Decimal(brief.dollars) < told.dollars[0]:
        low, high = (f"${end:.2f}" if end >= 1 else f"${end:.3g}" for end in told.dollars)
        raise OverBudget(
            f"A budget of ${brief.dollars} does not reach a draft: it takes {low} at the least, and up to {high}.",
            hint=f"Give it more: --budget {told.dollars[1].quantize(Decimal('0.01'), ROUND_UP)}, a cheaper model, or "
            "fewer words and rounds.",
            code="budget_too_small",
        )


def _dollars(price: Price | None, work: _Work, end: int) -> Decimal:
    assert price is not None
    tokens = price.input[end] * work.input[end] + price.output[end] * work.output[end]
    return tokens * work.calls[end] / 1_000_000


def _work(brief: Brief) -> dict[Role, _Work]:
    rounds = max(1, min(brief.rounds, MOST_ROUNDS))
    draft = int(brief.words * 1.5)
    text = (brief.words, tokens_of(brief.words, brief.language))
    claims = _CLAIMS * _CLAIM
    return {
        Role.RESEARCHER: _Work(
            (2, 1 + brief.sources + _MORE * (rounds - 1)), (_PROMPT, _PROMPT + 80 * _SENTENCE), (100, 1500)
        ),
        Role.PLANNER: _Work((1, 1), (_PROMPT + 150, _PROMPT + claims), (150, 1500)),
        Role.WRITER: _Work((1, rounds), (_PROMPT + 300, _PROMPT + claims + draft + 1500), text),
        Role.CRITIC: _Work((1, rounds), (_PROMPT + brief.words, _PROMPT + claims + draft + 1000), (150, 2500)),
        Role.EDITOR: _Work((1, 1), (_PROMPT + brief.words, _PROMPT + draft + 1500), text),
    }
