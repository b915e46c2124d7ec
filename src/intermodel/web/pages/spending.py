"""What calls came to: by day, model, token, user and organisation, as pages and as CSV."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from intermodel.accounts import Filter, Spent
from intermodel.accounts.budgets import shown
from intermodel.accounts.receipts import By
from intermodel.core import Invalid
from intermodel.gateway import Gateway
from intermodel.governance import Caller, Tokens
from intermodel.web.pages.periods import DAYS, chosen
from intermodel.web.pages.plots import by_day
from intermodel.web.pages.render import HEADERS, page
from intermodel.web.pages.words import machine

_DEFAULT = "month"
_UNNAMED = {"model": "not answered", "token": "no token", "user": "no user named", "organisation": "none named"}
_TITLES = {"model": "By model", "token": "By token", "user": "By user", "organisation": "By organisation"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that a spreadsheet takes for a formula (OWASP, "CSV Injection")."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one model, token, user, organisation or day came to; `part` is its share of the dearest one, in percent."""

    name: str
    spent: Spent
    part: float


@dataclass(frozen=True, slots=True)
class Group:
    by: str
    title: str
    rows: Sequence[Row]


class Spending:
    def __init__(self, gateway: Gateway, tokens: Tokens) -> None:
        self._receipts = gateway.accounts.receipts
        self._tokens = tokens

    async def show(self, request: Request, caller: Caller) -> Response:
        """All groups over one period. Those who do not change the node see their own calls."""
        now = time.time()
        period = chosen(request.query_params.get("period", ""), DAYS, _DEFAULT)
        since, whose = period.since(now), _whose(caller)
        days = await self._receipts.spending("day", since, whose)
        names = await self._names()
        shown_by = tuple(_TITLES) if caller.admin else ("model",)
        found = {by: await self._receipts.spending(by, since, whose) for by in _by(shown_by)}
        return page(
            request.scope,
            "spending.html",
            caller,
            periods=DAYS,
            period=period,
            since=machine(since),
            total=_total(days),
            unknown=[_name("model", one.key, names) for one in found["model"] if one.unknown],
            days=list(reversed(_rows("day", days, names))),
            plot_of_days=by_day(days, period, now),
            groups=[Group(by, _TITLES[by], _rows(by, rows, names)) for by, rows in found.items()],
        )

    async def csv(self, request: Request, caller: Caller) -> Response:
        """One group as comma-separated values (RFC 4180)."""
        by = request.query_params.get("by", "model")
        if by not in get_args(By):
            raise Invalid(f"Spending is not counted by '{by[:40]}'.", hint=f"by is one of {', '.join(get_args(By))}.")
        period = chosen(request.query_params.get("period", ""), DAYS, _DEFAULT)
        (counted,) = _by((by,))
        since, whose = period.since(time.time()), _whose(caller)
        found = await self._receipts.spending(counted, since, whose)
        headers = {"Content-Disposition": f'attachment; filename="spending-by-{by}-{period.name}.csv"'}
        text = _csv(by, found, await self._names())
        return Response(text, media_type="text/csv", headers={**HEADERS, **headers})

    async def _names(self) -> dict[str, str]:
        return {token.id: token.name for token in await self._tokens.all()}


def _whose(caller: Caller) -> Filter:
    return Filter() if caller.admin else Filter(token=caller.token_id)


def _by(names: Sequence[str]) -> list[By]:
    return [by for by in get_args(By) if by in names]


def _rows(by: str, found: Sequence[Spent], tokens: Mapping[str, str]) -> Sequence[Row]:
    dearest = max((one.cost for one in found), default=0)
    busiest = max((one.calls for one in found), default=1)
    return [Row(_name(by, one.key, tokens), one, _part(one, dearest, busiest)) for one in found]


def _part(one: Spent, dearest: int, busiest: int) -> float:
    """Of the cost; of the calls, where nothing cost anything."""
    return round(100 * (one.cost / dearest if dearest else one.calls / busiest), 2)


def _name(by: str, key: str, tokens: Mapping[str, str]) -> str:
    return (tokens.get(key, key) if by == "token" else key) or _UNNAMED.get(by, "")


def _total(found: Sequence[Spent]) -> Spent:
    sums = (sum(s.calls for s in found), sum(s.input_tokens for s in found), sum(s.output_tokens for s in found))
    return Spent("", *sums, sum(s.cost for s in found), sum(s.unknown for s in found))


def _csv(by: str, found: Sequence[Spent], tokens: Mapping[str, str]) -> str:
    """The dollars are empty where nothing of what was spent is known, and without what `unknown_calls` cost."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    named = ["name"] if by == "token" else []
    writer.writerow([by, *named, "calls", "input_tokens", "output_tokens", "dollars", "unknown_calls"])
    for one in found:
        name = [_plain(tokens.get(one.key, ""))] if named else []
        dollars = shown(one.cost) if one.known else ""
        writer.writerow([_plain(one.key), *name, one.calls, one.input_tokens, one.output_tokens, dollars, one.unknown])
    return text.getvalue()


def _plain(text: str) -> str:
    """The text as no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
