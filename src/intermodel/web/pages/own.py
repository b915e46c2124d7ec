"""How deployments did for one token alone, from its receipts: the sums that a node keeps are those of all callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from intermodel.accounts import Stretch
from intermodel.accounts.receipts import Performance

MOST = 2000
"""Receipts that are looked at, the newest ones."""
_OWN_FAULT = ("failed", "broken")

Attempt = Mapping[str, Any]
Receipts = Sequence[Mapping[str, Any]]


def performance_of(receipts: Receipts) -> list[Performance]:
    """How each deployment did in these calls, by address."""
    found: dict[str, list[Attempt]] = {}
    for _, attempt in _attempts(receipts):
        found.setdefault(attempt["address"], []).append(attempt)
    return [_performance(address, attempts) for address, attempts in sorted(found.items())]


def history_of(receipts: Receipts, minutes: int) -> list[Stretch]:
    """The same in stretches of so many minutes, in order of time; those without a call are left out."""
    length = minutes * 60.0
    found: dict[tuple[float, str], list[Attempt]] = {}
    for at, attempt in _attempts(receipts):
        found.setdefault((at // length * length, attempt["address"]), []).append(attempt)
    return [_stretch(at, address, attempts) for (at, address), attempts in sorted(found.items())]


def _attempts(receipts: Receipts) -> Iterator[tuple[float, Attempt]]:
    """With the moment at which each began."""
    for receipt in receipts:
        for attempt in receipt.get("attempts") or ():
            yield receipt["at"] + (attempt.get("started_ms") or 0) / 1000, attempt


def _performance(address: str, attempts: Sequence[Attempt]) -> Performance:
    outcomes = [attempt.get("outcome", "") for attempt in attempts]
    answered = [attempt.get("seconds") or 0.0 for attempt in attempts if attempt.get("outcome") == "ok"]
    waits = _waits(attempts)
    return Performance(
        address,
        attempts=len(attempts),
        failed={outcome: outcomes.count(outcome) for outcome in set(outcomes) - {"ok"}},
        seconds=sum(answered) / len(answered) if answered else None,
        first_token_s=sum(waits) / len(waits) if waits else None,
        first_token_p50_s=waits[len(waits) // 2] if waits else None,
        first_token_p95_s=waits[len(waits) * 95 // 100] if waits else None,
    )


def _stretch(at: float, address: str, attempts: Sequence[Attempt]) -> Stretch:
    failed = sum(attempt.get("outcome") in _OWN_FAULT for attempt in attempts)
    waits = _waits(attempts)
    return Stretch(at, address, len(attempts), failed, sum(waits) / len(waits) if waits else None)


def _waits(attempts: Sequence[Attempt]) -> list[float]:
    return sorted(attempt["first_token_s"] for attempt in attempts if attempt.get("first_token_s") is not None)
