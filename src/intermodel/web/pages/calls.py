"""Calls: those in progress, the receipts of those that are over, and one receipt in full."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from intermodel.accounts import Filter
from intermodel.core import Invalid, NotFound
from intermodel.gateway import Gateway
from intermodel.governance import Caller, Tokens
from intermodel.web.api.costs import cost_known, why_unknown
from intermodel.web.pages.periods import HOURS, chosen
from intermodel.web.pages.render import page
from intermodel.web.pages.timeline import timeline_of
from intermodel.web.pages.words import clock

PAGE = 40
"""Receipts on one page."""
OUTCOMES = {"ok": "Answered", "left": "Caller left", "broken": "Broke off", "refused": "Refused", "failed": "Failed",
            "lost": "Cut off"}  # fmt: skip
"""How a call ends, and how pages say it."""
_RECEIPT: Mapping[str, Any] = {
    "seconds": None, "caller": {}, "kind": "", "model": "", "route": "", "stream": False, "candidates": (),
    "attempts": (), "answered": "", "outcome": "", "usage": None, "price": {}, "reserved": 0, "spent": 0, "wasted": 0,
    "energy": None, "budgets": (), "cache": "", "guards": (),
}  # fmt: skip
"""What templates may rely on: a receipt need not have it, above all that of a call that a crash cut off."""
_ATTEMPT: Mapping[str, Any] = {
    "address": "", "key": 0, "started_ms": 0, "seconds": 0, "first_token_s": None, "outcome": "", "code": None,
    "status": None, "cost": 0, "hedge": False, "resumed": False, "tier": "",
}  # fmt: skip
_ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")
_TEXT = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the page's address asks for; "" is everything."""

    token: str = ""
    user: str = ""
    organisation: str = ""
    model: str = ""
    route: str = ""
    outcome: str = ""
    since: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Raises `Invalid` for an outcome that no call has."""
        given = {name: query.get(name, "").strip()[:_TEXT] for name in cls.__slots__}
        if given["outcome"] and given["outcome"] not in OUTCOMES:
            raise Invalid(
                f"No call ends with '{given['outcome'][:40]}'.", hint=f"outcome is one of {', '.join(OUTCOMES)}."
            )
        return cls(**given | {"before": given["before"] if _ID.fullmatch(given["before"]) else ""})

    @property
    def filtered(self) -> bool:
        """Whether anything is asked for but the page."""
        return any(getattr(self, name) for name in self.__slots__ if name != "before")

    def filter(self, caller: Caller, now: float) -> Filter:
        """The receipts that are asked for and that the caller may see."""
        since = now - chosen(self.since, HOURS, "day").length_s if self.since else None
        return Filter(
            token=self.token if caller.admin else caller.token_id,
            user=self.user,
            organisation=self.organisation,
            route=self.route,
            model=self.model,
            outcome=self.outcome,
            since=since,
        )

    def address(self, **changed: str) -> str:
        """The page's address, with some of it changed."""
        given = {name: getattr(self, name) for name in self.__slots__} | changed
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/calls?{query}" if query else "/calls"


class Calls:
    def __init__(self, gateway: Gateway, tokens: Tokens) -> None:
        self._gateway = gateway
        self._tokens = tokens

    async def show_all(self, request: Request, caller: Caller) -> Response:
        """Calls in progress, and the newest receipts that the query asks for."""
        wanted, now = Wanted.of(request.query_params), time.time()
        receipts = await self._gateway.accounts.receipts.list(wanted.filter(caller, now), PAGE + 1, wanted.before)
        directory = await self._gateway.catalog.directory()
        tokens = {token.id: token.name for token in await self._tokens.all()} if caller.admin else {}
        return page(
            request.scope,
            "calls.html",
            caller,
            live=[one for one in self._gateway.live() if _may_see(caller, one)],
            receipts=[whole(receipt) for receipt in receipts[:PAGE]],
            older=wanted.address(before=receipts[PAGE - 1]["id"]) if len(receipts) > PAGE else "",
            wanted=wanted,
            choices={
                "model": _with(dict.fromkeys(directory.targets), wanted.model),
                "route": _with(dict.fromkeys(directory.routes), wanted.route),
                "token": _with(tokens, wanted.token) if caller.admin else {},
                "outcome": OUTCOMES,
                "since": {period.name: f"Last {period.title.lower()}" for period in HOURS},
            },
            words=OUTCOMES,
            clock=lambda at: clock(at, now),
        )

    async def show(self, request: Request, caller: Caller) -> Response:
        """One receipt. To those who may not see it, it is not there."""
        wanted = request.path_params["id"]
        receipt = await self._gateway.accounts.receipts.find(wanted) if _ID.fullmatch(wanted) else {}
        if not receipt or not _may_see(caller, receipt):
            raise NotFound(
                f"There is no receipt '{wanted[:_TEXT]}'.",
                hint="Its id is in the answer's x-intermodel-receipt.",
            )
        told = whole(receipt)
        return page(request.scope, "call.html", caller, receipt=told, timeline=timeline_of(told), words=OUTCOMES)


def whole(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt, with all that templates ask it for.

    `unknown` says why not all is known that it cost, "" where it is; `spent` is then what is known of it.
    """
    attempts = [{**_ATTEMPT, **one} for one in receipt.get("attempts") or ()]
    usage = receipt.get("usage")
    counted = {"input": 0, "output": 0, "estimated": False, **usage} if usage else None
    told = {**_RECEIPT, **receipt, "attempts": attempts, "usage": counted, "unknown": why_unknown(receipt)}
    return told if cost_known(receipt) else told | {"spent": receipt.get("spent_at_least", 0)}


def _may_see(caller: Caller, call: Mapping[str, Any]) -> bool:
    return caller.admin or (call.get("caller") or {}).get("token") == caller.token_id


def _with(known: Mapping[str, str | None], wanted: str) -> dict[str, str]:
    """Names by what stands in addresses; also what is asked for and no longer there."""
    names = {key: name or key for key, name in known.items()}
    return names if not wanted else {wanted: wanted, **names}
