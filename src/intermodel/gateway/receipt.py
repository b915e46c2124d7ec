"""The account of a call as its receipt."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intermodel.accounts import Receipt
from intermodel.accounts.receipts import Caller as ReceiptCaller
from intermodel.gateway.account import Account, Costs
from intermodel.governance import Caller
from intermodel.settings import Deployment


@dataclass(frozen=True, slots=True)
class Heard:
    """A receipt, and what was declared of the addresses in it when it was written."""

    receipt: Mapping[str, Any]
    deployments: Mapping[str, Deployment]


def opened_of(account: Account, address: str) -> Receipt:
    """What is known of a call that `address` is about to answer: its receipt, should this process die meanwhile."""
    return {
        "id": account.id,
        "at": account.at,
        "caller": _caller(account.caller),
        "kind": account.call.kind.value,
        "model": account.call.model,
        "route": account.call.model if account.route is not None else "",
        "stream": account.call.stream,
        "answered": address,
    }


def _caller(caller: Caller) -> ReceiptCaller:
    return {
        "token": caller.token_id,
        "name": caller.name,
        "user": caller.user,
        "organisation": caller.organisation,
    }


def receipt_of(account: Account, costs: Costs) -> Receipt:
    """Everything that `docs/accounts.md` says of a receipt, as far as it is known by now."""
    call, answered = account.call, account.answered
    receipt: Receipt = {
        "id": account.id,
        "at": account.at,
        "seconds": time.monotonic() - account.started,
        "caller": _caller(account.caller),
        "kind": call.kind.value,
        "model": call.model,
        "route": call.model if account.route is not None else "",
        "stream": call.stream,
        "candidates": [{"address": c.target.address, "fit": c.fit, "reason": c.reason} for c in account.candidates],
        "attempts": [attempt.told() for attempt in account.attempts],
        "answered": answered.target.address if answered is not None else "",
        "outcome": account.outcome,
        "usage": answered.usage if answered is not None else None,
        "reserved": account.reserved,
        "spent": costs.spent,
        "wasted": costs.wasted,
    }
    if costs.spent is None:
        receipt["spent_at_least"] = costs.at_least
    if answered is not None:
        if answered.price is not None:
            receipt["price"] = answered.price.document
        if answered.energy is not None:
            receipt["energy"] = answered.energy
        elif answered.host:
            receipt["upstream"] = {"host": answered.host, "model": answered.target.upstream}
    if account.cached:
        receipt["cache"] = account.cached
    if call.trace:
        receipt["trace"] = call.trace
    if account.findings:
        receipt["guards"] = [{"kind": kind, "count": count} for kind, count in account.findings.items()]
    if account.content is not None and (content := account.content.told()) is not None:
        receipt["content"] = content
    return receipt
