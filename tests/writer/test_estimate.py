"""What a run may take, before it starts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from intermodel.core import OverBudget
from intermodel.writer.estimate import FREE, Price, check_budget, estimate, price_of
from intermodel.writer.estimate import _work as work_of
from intermodel.writer.roles import tokens_wanted
from intermodel.writer.values import Brief, Role

BRIEF = Brief("topic", "m")
PRICE = Price((Decimal(1), Decimal(2)), (Decimal(10), Decimal(20)))


def test_from_one_round_to_all_of_them() -> None:
    told = estimate(BRIEF, {"m": PRICE})
    assert told.calls == (2 + 1 + 1 + 1 + 1, 1 + 6 + 2 * 4 + 1 + 5 + 5 + 1)
    assert told.dollars is not None
    low, high = told.dollars
    assert low == (told.input[0] * Decimal(1) + told.output[0] * Decimal(10)) / 10**6
    assert high == (told.input[1] * Decimal(2) + told.output[1] * Decimal(20)) / 10**6


def test_more_rounds_and_words_take_more() -> None:
    def high(brief: Brief) -> Decimal:
        told = estimate(brief, {"m": PRICE}).dollars
        assert told is not None
        return told[1]

    assert high(replace(BRIEF, rounds=1)) < high(replace(BRIEF, rounds=2)) < high(BRIEF)
    assert high(replace(BRIEF, rounds=50)) == high(BRIEF)
    assert high(BRIEF) < high(replace(BRIEF, words=3000))


def test_answers_are_taken_to_be_as_large_as_they_may_be() -> None:
    for role, work in work_of(BRIEF).items():
        assert work.output[1] == tokens_wanted(role, BRIEF)


def test_each_role_has_its_price() -> None:
    brief = replace(BRIEF, models={Role.WRITER.value: "dear"})
    free = estimate(brief, {"m": FREE, "dear": PRICE}).dollars
    assert free is not None
    assert 0 < free[0] < free[1]
    assert estimate(BRIEF, {"m": FREE}).dollars == (Decimal(0), Decimal(0))


def test_a_route_costs_from_its_cheapest_to_its_dearest() -> None:
    low, high = Price((Decimal(1), Decimal(1)), (Decimal(5), Decimal(5))), Price((Decimal(2),) * 2, (Decimal(3),) * 2)
    assert price_of([low, high]) == Price((Decimal(1), Decimal(2)), (Decimal(3), Decimal(5)))
    assert (price_of([]), price_of([low, None])) == (None, None)


def test_a_price_that_nobody_knows() -> None:
    brief = replace(BRIEF, models={Role.CRITIC.value: "dark"})
    told = estimate(brief, {"m": PRICE, "dark": None})
    assert (told.dollars, told.unpriced) == (None, ("dark",))
    with pytest.raises(OverBudget, match=r"Nobody knows what 'dark' costs, so a budget of \$1 cannot hold") as caught:
        check_budget(brief, told)
    assert "--budget none" in caught.value.hint
    check_budget(replace(brief, dollars=""), told)
    check_budget(BRIEF, estimate(BRIEF, {"m": PRICE}))
