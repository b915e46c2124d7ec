"""`/api/v1/spending`, `/performance` and `/live`: what calls came to, how deployments did, what goes on now."""

from __future__ import annotations

import time
from typing import Any, Literal

from intermodel.gateway import Gateway
from intermodel.web.api.forms import Amount, Form, Listing, Moment, NoQuery
from intermodel.web.api.operation import Asked, Operation
from intermodel.web.api.receipts import filter_of

_DAY_S = 86_400.0


class SpendingQuery(Form):
    """Over which time, by what."""

    by: Literal["model", "token", "user", "organisation", "day"] = "model"
    since: Moment | None = None
    """Default: thirty days ago."""


class Spending(Form):
    """What the calls of one model, token, user, organisation or day came to."""

    key: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: Amount | None
    """What is known of it; null where that is nothing."""
    unknown_calls: int
    """Calls of which not all is known that they cost: `cost` is without that."""


class PerformanceQuery(Form):
    """Over which time."""

    since: Moment | None = None
    """Default: a day ago. To the minute."""


class Performance(Form):
    """How one deployment did. Seconds are null where nothing was measured."""

    address: str
    attempts: int
    failed: dict[str, int]
    """Attempts that were not answered, by outcome. Of them `refused` are no fault of the deployment: the request was
    wrong, or this node ended or did not begin them (a budget, a guard, a limit)."""
    seconds: float | None
    """Mean, of all attempts that were answered."""
    first_token_s: float | None
    """Mean."""
    first_token_p50_s: float | None
    """Of the newest two thousand calls, as the next."""
    first_token_p95_s: float | None


class LiveCaller(Form):
    """Whose call it is."""

    token: str
    name: str
    user: str
    organisation: str


class LiveCall(Form):
    """A call in progress."""

    id: str
    """Of its receipt, once it is over."""
    at: float
    """When it began, in seconds since 1970."""
    seconds: float
    """Since then."""
    caller: LiveCaller
    kind: str
    model: str
    """As the caller asked for it."""
    stream: bool
    answering: str
    """The address of what answers, or is asked now; empty as long as nothing is."""
    attempts: int
    first_token_s: float | None
    tokens: int
    """Made so far, about."""


class Figures:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._receipts = gateway.accounts.receipts

    def operations(self) -> list[Operation]:
        performance = Listing[Performance]
        return [
            Operation("GET", "/spending", self.spending, Listing[Spending], query=SpendingQuery),
            Operation("GET", "/performance", self.performance, performance, query=PerformanceQuery, who="admin"),
            Operation("GET", "/live", self.live, Listing[LiveCall], query=NoQuery),
        ]

    async def spending(self, asked: Asked) -> Listing[Spending]:
        """Tell what calls came to, the dearest first; days in their order. A plain token sees its own calls'."""
        wanted: SpendingQuery = asked.query
        since = wanted.since.timestamp() if wanted.since else time.time() - 30 * _DAY_S
        whose = filter_of(None, asked.caller)
        found = await self._receipts.spending(wanted.by, since, whose)
        return Listing(
            data=[
                Spending(
                    key=one.key,
                    calls=one.calls,
                    input_tokens=one.input_tokens,
                    output_tokens=one.output_tokens,
                    cost=Amount.of(one.cost) if one.known else None,
                    unknown_calls=one.unknown,
                )
                for one in found
            ]
        )

    async def performance(self, asked: Asked) -> Listing[Performance]:
        """Tell how deployments did, by address."""
        wanted: PerformanceQuery = asked.query
        since = wanted.since.timestamp() if wanted.since else time.time() - _DAY_S
        found = await self._receipts.performance(since)
        return Listing(data=[Performance.model_validate(one, from_attributes=True) for one in found])

    async def live(self, asked: Asked) -> Listing[LiveCall]:
        """List the calls in progress in this process, the longest first. A plain token sees its own."""
        calls: list[dict[str, Any]] = self._gateway.live()
        mine = [one for one in calls if asked.caller.admin or one["caller"]["token"] == asked.caller.token_id]
        return Listing(data=[LiveCall.model_validate(one) for one in mine])
