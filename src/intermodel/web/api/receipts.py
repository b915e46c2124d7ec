"""`/api/v1/receipts`: the account of every call, and rating an answer."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from intermodel.accounts import Filter
from intermodel.core import Conflict, NotFound
from intermodel.gateway import Gateway
from intermodel.governance import Caller
from intermodel.web.api.costs import cost_known, why_unknown
from intermodel.web.api.forms import Form, Line, Moment, dollars
from intermodel.web.api.operation import Asked, Operation, Raw

Outcome = Literal["ok", "failed", "refused", "broken", "left", "lost"]
"""How a call ends."""
TOKEN = r"^([0-9a-f]{12}|environment)$"  # noqa: S105 - what ids look like
_ID = r"[0-9A-HJKMNP-TV-Z]{26}"


class Wanted(Form):
    """Which receipts."""

    token: Annotated[str, Field(pattern=TOKEN)] | None = None
    """Id of the token that called."""
    user: Line | None = None
    organisation: Line | None = None
    route: Line | None = None
    model: Line | None = None
    """Address of what answered."""
    outcome: Outcome | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[str, Field(pattern=f"^{_ID}$")] | None = None
    """The `next` of the page before."""


class ReceiptState(BaseModel):
    """The account of one call. Money is in nano-dollars, and in `dollars` as exact decimals; times are in seconds."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    id: str
    at: float
    """When the call began, in seconds since 1970."""
    outcome: str = ""
    model: str = ""
    """As the caller asked for it."""
    route: str = ""
    answered: str = ""
    """The address of what answered; empty where nothing did."""
    caller: dict[str, Any] = {}
    candidates: list[dict[str, Any]] = []
    attempts: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None
    price: dict[str, Any] = {}
    reserved: int = 0
    spent: int | None = 0
    """Null: nobody knows all of it. `cost` of an attempt is null where nobody knows that."""
    spent_at_least: int | None = None
    """Where that is so: what is known of it."""
    wasted: int | None = 0
    """Of it, for attempts that gave the caller nothing; null: nobody knows."""
    budgets: list[dict[str, Any]] = []
    quality: float | None = None
    """How good its answer was found, from 0 to 1; null where nobody said."""
    cost_known: bool
    """Whether `spent` is known."""
    cost_unknown: str | None
    """Why it is not, in words; null where it is."""
    dollars: dict[str, str | None]
    """`reserved`, `spent`, `spent_at_least` and `wasted`. Attempts and budgets have one of their own."""


class ReceiptPage(Form):
    """Receipts, newest first."""

    data: list[ReceiptState]
    next: str | None
    """Give it as `before` for the next page; null on the last one."""


class Rating(Form):
    """How good an answer was."""

    value: Annotated[float, Field(ge=0, le=1)]


class Rated(Form):
    """The mean of the ratings of whoever answered, by which the order `best` goes."""

    address: str
    quality: float


class ReceiptBundle(BaseModel):
    """A receipt with its proofs, for `intermodel verify`."""

    model_config = ConfigDict(extra="allow")


class Receipts:
    def __init__(self, gateway: Gateway) -> None:
        self._receipts = gateway.accounts.receipts
        self._seals = gateway.accounts.seals
        self._health = gateway.health

    def operations(self) -> list[Operation]:
        one, rating = "/receipts/{id}", "/receipts/{id}/quality"
        return [
            Operation("GET", "/receipts", self.all, ReceiptPage, query=Wanted),
            Operation("GET", one, self.get, ReceiptState, misses=True),
            Operation("GET", f"{one}/bundle", self.bundle, ReceiptBundle, who="admin", misses=True, clashes=True),
            Operation("POST", rating, self.rate, Rated, takes=Rating, misses=True, clashes=True),
        ]

    async def all(self, asked: Asked) -> dict[str, Any]:
        """List receipts, newest first, without what was asked and answered. A plain token sees its own."""
        wanted: Wanted = asked.query
        found = filter_of(wanted, asked.caller)
        receipts = await self._receipts.list(found, wanted.limit, wanted.before or "") if found else []
        rest = len(receipts) == wanted.limit
        listed = [_listed(receipt, asked.caller) for receipt in receipts]
        return {"data": listed, "next": receipts[-1]["id"] if rest else None}

    async def get(self, asked: Asked) -> dict[str, Any]:
        """Tell one receipt. Its id is in the header x-intermodel-receipt of the answer."""
        return told(await self._find(asked), asked.caller)

    async def bundle(self, asked: Asked) -> Raw:
        """Tell one receipt as it was written, with all that proves that it stands in the ledger. It is covered some
        seconds after its call."""
        receipt = await self._find(asked)
        if self._seals is None:
            raise NotFound("This node keeps no ledger.")
        return Raw(await self._seals.bundle(receipt["id"]), "application/json")

    async def rate(self, asked: Asked) -> Rated:
        """Rate an answer, from 0 to 1: the order `best` goes by the mean. Each receipt counts once."""
        receipt = await self._find(asked)
        address = receipt.get("answered")
        if not address:
            raise Conflict("Nobody answered that call.", hint="Rate an answer.", code="nothing_to_rate")
        if not await self._receipts.rate(receipt["id"], asked.body.value):
            raise Conflict("That answer was rated.", hint="Rate another.", code="already_rated")
        self._health.judged(address, asked.body.value)
        return Rated(address=address, quality=self._health.standing(address).quality or 0.0)

    async def _find(self, asked: Asked) -> dict[str, Any]:
        """The receipt. Raises `NotFound`, alike for one that is somebody else's."""
        if re.fullmatch(_ID, asked.name):
            receipt = await self._receipts.find(asked.name)
            if asked.caller.admin or (receipt.get("caller") or {}).get("token") == asked.caller.token_id:
                return receipt
        raise NotFound(f"There is no receipt '{asked.name[:200]}'.", hint="Its id is in the answer's header.")


def filter_of(wanted: Any, caller: Caller) -> Filter | None:
    """Which receipts `caller` wants and may see; None: there can be none."""
    names = ("token", "user", "organisation", "route", "model", "outcome")
    given = {name: value for name in names if (value := getattr(wanted, name, None))}
    if not caller.admin:
        if given.get("token", caller.token_id) != caller.token_id:
            return None
        given["token"] = caller.token_id
    since, until = getattr(wanted, "since", None), getattr(wanted, "until", None)
    return Filter(**given, since=since and since.timestamp(), until=until and until.timestamp())


def _listed(receipt: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return told({name: value for name, value in receipt.items() if name != "content"}, caller)


def told(receipt: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """The receipt, with its amounts in dollars besides, and whether they are all; which server it was, to admins."""
    if not caller.admin:
        receipt = {name: value for name, value in receipt.items() if name != "upstream"}
    known = cost_known(receipt)
    amounts = ("reserved", "spent", "wasted") if known else ("reserved", "spent", "spent_at_least", "wasted")
    attempts = [attempt | {"dollars": _dollars(attempt.get("cost", 0))} for attempt in receipt.get("attempts") or ()]
    more = {
        "cost_known": known,
        "cost_unknown": why_unknown(receipt) or None,
        "dollars": {key: _dollars(receipt.get(key, 0)) for key in amounts},
        "attempts": attempts,
        "budgets": [charge | {"dollars": dollars(charge["nano"])} for charge in receipt.get("budgets") or ()],
    }
    return receipt | more


def _dollars(nano: int | None) -> str | None:
    return None if nano is None else dollars(nano)
