"""What is not known of a call's cost, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cost_known(receipt: Mapping[str, Any]) -> bool:
    """Whether the amounts of a receipt are all that its call cost."""
    return receipt.get("spent", 0) is not None


def why_unknown(receipt: Mapping[str, Any]) -> str:
    """Of which attempts nobody knows what they cost, and why, in words; "" where all of it is known."""
    if cost_known(receipt):
        return ""
    unknown = [attempt for attempt in receipt.get("attempts") or () if attempt.get("cost", 0) is None]
    return "; ".join(dict.fromkeys(_why(attempt, receipt) for attempt in unknown)) or "it does not say why"


def _why(attempt: Mapping[str, Any], receipt: Mapping[str, Any]) -> str:
    address, tier = attempt.get("address", ""), attempt.get("tier")
    if address == receipt.get("answered") and receipt.get("price"):
        if not receipt.get("usage"):
            return f"nobody told what {address} used"
        return f"the price of {address} does not say what all of this costs"
    return f"no price is known of {address} at '{tier}'" if tier else f"no price is known of {address}"
