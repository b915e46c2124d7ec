"""Whether it is known what calls cost: it is not where something answered whose price nobody knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from intermodel.accounts import Spent
from intermodel.gateway import Directory


def cost_known(receipt: Mapping[str, Any]) -> bool:
    """Whether the amounts of a receipt are all that its call cost.

    What is charged for a call that was cut off was set aside for it, and so had a price.
    """
    free = not receipt.get("answered") or receipt.get("cache")
    return bool(receipt.get("price") or free or receipt.get("outcome") == "lost")


def unpriced(models: Sequence[Spent], directory: Directory) -> list[str]:
    """Which of the models that answered have no price now. Sums do not tell what was known when they were called."""
    return [one.key for one in models if (target := directory.targets.get(one.key)) and target.price_input is None]


def sum_known(by: str, one: Spent, without_price: Collection[str]) -> bool:
    """Whether a sum is all that its calls cost.

    Only by model it can be said which calls have no price. Of other sums, those that hold money are taken for whole.
    """
    if by == "model":
        return one.key not in without_price
    return bool(one.cost or not without_price or not (one.input_tokens or one.output_tokens))
