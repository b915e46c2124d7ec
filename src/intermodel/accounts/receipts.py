"""Receipts: the account of one call each, what they look like, where they are written and how they are found.

A receipt is in the journal, and so safe from `kill -9`, before its call is acknowledged; the mover brings it into the
database. Readers see both: what is asked for and not in the database yet is moved first.
"""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Literal, TypedDict

import orjson
from sqlalchemy import Select, case, delete, func, select, update

from intermodel.accounts.budgets import Budgets, Charge
from intermodel.accounts.journal import Journal, dumped
from intermodel.accounts.mover import RECEIPT, UNKNOWN, Mover
from intermodel.core import NotFound, Unavailable, Usage
from intermodel.storage import Database
from intermodel.storage.tables import attempt_minutes, receipts

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: sorts as it counts
_TWO = tuple(a + b for a in _DIGITS for b in _DIGITS)
_BY_BYTE = (_DIGITS * 8).encode()  # five of a byte's bits make a digit
_PARTS = tuple(f.name for f in fields(Usage) if f.name not in ("input", "output", "tier"))
_parts_of = attrgetter(*_PARTS)
_SAMPLE = 2000
_DAY_US = 86_400 * 10**6


class Caller(TypedDict):
    """Whose token it was; empty where it belongs to nobody."""

    token: str
    name: str
    user: str
    organisation: str


class CandidateNote(TypedDict):
    """What the choice said of one candidate."""

    address: str
    fit: bool
    reason: str


class AttemptNote(TypedDict, total=False):
    """One attempt: `key` is the index of the key used, `started_ms` counts from the call, `cost` is nano-dollars.

    A `cost` of None is not known.
    """

    address: str
    key: int
    started_ms: float
    seconds: float
    first_token_s: float | None
    outcome: str
    code: str | None
    status: int | None
    cost: int | None
    tier: str
    """The service tier (or speed, or place) that changed its price; not there for the usual one."""
    hedge: bool
    """It was started because the one before was late."""
    resumed: bool
    """It went on with an answer that another had begun."""


class Receipt(TypedDict, total=False):
    """The account of a call, as a JSON document. Money is in nano-dollars. Only `id` and `at` must be there."""

    id: str
    """From `new_id()`."""
    at: float
    """When the call began, in Unix seconds."""
    seconds: float
    caller: Caller
    kind: str
    model: str
    """As the caller asked for it."""
    route: str
    stream: bool
    candidates: list[CandidateNote]
    attempts: list[AttemptNote]
    answered: str
    """The address of what answered; empty where nothing did."""
    outcome: str
    """A word of the gateway's, or `lost`: the process was killed during the call, and what was set aside is charged."""
    usage: Any
    """A `core.Usage`; in the document a mapping, without the parts that are zero."""
    reserved: int
    spent: int | None
    """All that the call cost, over all attempts; None where nobody knows of one of them."""
    spent_at_least: int
    """Where that is so: what is known of it."""
    wasted: int | None
    """Of it, for attempts whose answer nobody got."""
    price: dict[str, str]
    energy: Any
    """An `Energy`, where it was measured; estimated for readers where it was not."""
    upstream: dict[str, str]
    """Host and model that answered, where that was elsewhere."""
    budgets: list[Charge]
    """What was charged to which budgets. Written by `record`."""
    cache: str
    trace: str
    """The caller's W3C `traceparent`, where it sent one."""
    guards: list[Any]
    quality: float
    """How good its caller found the answer, from 0 to 1, once they said so."""
    content: Any
    """What was asked and answered, only with `receipts.store_content`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which receipts; "" and None: any. `since` and `until` in Unix seconds."""

    token: str = ""
    user: str = ""
    organisation: str = ""
    route: str = ""
    model: str = ""
    outcome: str = ""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of one model, token, user, organisation or day (2026-11-20) came to. `cost` in nano-dollars.

    Of `unknown` calls not all is known that they cost: `cost` is without that.
    """

    key: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int
    unknown: int = 0

    @property
    def known(self) -> bool:
        """Whether `cost` says anything: it does not where no call's cost is known at all."""
        return bool(self.cost) or self.unknown < self.calls or not self.calls


@dataclass(frozen=True, slots=True)
class Performance:
    """How a deployment did. `failed` counts attempts by outcome; seconds are None where nothing was measured.

    The means are of all attempts that were answered, the quantiles of the newest two thousand calls.
    """

    address: str
    attempts: int
    failed: dict[str, int]
    seconds: float | None
    first_token_s: float | None
    first_token_p50_s: float | None
    first_token_p95_s: float | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the attempts at one deployment came to in one stretch of time, which began `at` (Unix seconds).

    `failed`: without an answer, or with one that broke off. `first_token_s` is the mean wait; None: nothing came.
    """

    at: float
    address: str
    attempts: int
    failed: int
    first_token_s: float | None


_FAILED = ("failed", "broken")
"""Outcomes of attempts that are the deployment's own fault."""


Listeners = list[Callable[[dict[str, Any]], None]]
Documents = list[dict[str, Any]]
By = Literal["model", "token", "user", "organisation", "day"]


_random = random.Random(os.urandom(32))  # noqa: S311 - ids must differ, and are no secrets


def new_id() -> str:
    """A receipt's id: 48 bits of time in milliseconds and 80 random ones, as 26 digits that sort by time (a ULID)."""
    ms = time.time_ns() // 1_000_000
    return _of_time(ms >> 10) + _TWO[ms & 1023] + _random.randbytes(16).translate(_BY_BYTE).decode()


def first_id(at: float) -> str:
    """The least id of that moment (Unix seconds)."""
    ms = max(0, int(at * 1000))
    return _of_time(ms >> 10) + _TWO[ms & 1023] + "0" * 16


@functools.lru_cache(maxsize=64)
def _of_time(seconds: int) -> str:
    """The first eight digits of a time, which are the same for 1,024 ms."""
    return "".join(_TWO[seconds >> shift & 1023] for shift in (30, 20, 10, 0))


class Receipts:
    """All receipts of a node."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        budgets: Budgets,
        mover: Mover,
        complete: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        backlog: int,
        power: bool,
    ) -> None:
        """`complete` adds what is not written but worked out for those who look."""
        self._complete = complete
        self._database = database
        self._journal = journal
        self._budgets = budgets
        self._mover = mover
        self._backlog = backlog
        self._power = power
        self.listeners: Listeners = mover.listeners
        """Called with every receipt once it is in the database, in the event loop but off the calls' path."""

    @property
    def waiting(self) -> int:
        """Receipts that are in the journal and not in the database yet."""
        return self._mover.waiting

    def admit(self) -> None:
        """Raise `Unavailable` if a call's receipt could not be kept: to be asked before a call costs anything."""
        if self._mover.waiting >= self._backlog:
            raise Unavailable(
                f"{self._mover.waiting} receipts wait for the database, as many as may.",
                hint="Is the database gone? `receipts.backlog` sets how many may wait.",
                code="receipts_backlog",
            )
        if self._journal.failing:
            self._journal.retry()

    async def record(self, receipt: Receipt) -> None:
        """Write the receipt of a call that is over, and charge its budgets; once for each `id`.

        When this returns, neither `kill -9` nor, with `receipts.sync = "power"`, a power cut can undo it. Adds
        `budgets` to it, writes its usage out, and takes it over: leave it as it is.

        Raises `Unavailable(code="receipts_unavailable")` where the disk takes nothing: the call must fail then. Its
        receipt is kept in memory and written as soon as that is possible, for the money is spent.
        """
        receipt["budgets"] = self._budgets.close_call(receipt["id"])
        usage = receipt.get("usage")
        if isinstance(usage, Usage):
            receipt["usage"] = _counted(usage)
        payload = dumped(receipt)
        self._mover.waiting += 1
        try:
            self._journal.write(RECEIPT, payload, owe=True)
        except Unavailable:
            self._mover.missed()
            raise
        self._mover.add(receipt, payload)
        if self._power:
            await self._journal.synced()

    async def find(self, receipt_id: str) -> dict[str, Any]:
        """The receipt with that id, at once after `record`. Raises `NotFound`, `Unavailable`."""
        query = select(receipts.c.document).where(receipts.c.id == receipt_id)
        for document in (await self._documents(query)) or await self._documents(query, moved=True):
            return document
        raise _no_receipt(receipt_id)

    async def rate(self, receipt_id: str, value: float) -> bool:
        """Note in a receipt how good its answer was (`quality`); False where any process noted it before.

        Raises `NotFound`, `Unavailable`.
        """
        await self._mover.catch_up()
        c = receipts.c
        async with self._database.begin() as db:
            written = (await db.execute(select(c.document).where(c.id == receipt_id))).scalar()
            if written is None:
                raise _no_receipt(receipt_id)
            document = orjson.loads(written)
            if "quality" in document:
                return False
            rated = dumped(document | {"quality": value}).decode()
            # as it was read: of two who rate at the same time, one comes too late
            here = update(receipts).where(c.id == receipt_id, c.document == written)
            return bool((await db.execute(here.values(document=rated))).rowcount)

    async def list(self, wanted: Filter | None = None, limit: int = 50, before: str = "") -> Documents:
        """The newest receipts, newest first; with `before`, those older than the one with that id."""
        query = _filtered(select(receipts.c.document), wanted or Filter())
        if before:
            query = query.where(receipts.c.id < before)
        return await self._documents(query.order_by(receipts.c.id.desc()).limit(limit), moved=not before)

    async def spending(self, by: By, since: float, wanted: Filter | None = None) -> Sequence[Spent]:
        """What calls came to since then (Unix seconds), the dearest first; days in their order."""
        c = receipts.c
        day = c.at // _DAY_US
        key = {"model": c.model, "token": c.token_id, "user": c.user, "organisation": c.organisation, "day": day}[by]
        cost = func.sum(case((c.cost < 0, UNKNOWN - c.cost), else_=c.cost))
        unknown = func.sum(case((c.cost < 0, 1), else_=0))
        totals = (func.count(), func.sum(c.input_tokens), func.sum(c.output_tokens), cost, unknown)
        query = _filtered(select(key, *totals), wanted or Filter()).where(c.id >= first_id(since)).group_by(key)
        await self._mover.catch_up()
        async with self._database.begin() as db:
            rows = (await db.execute(query.order_by(key if by == "day" else cost.desc()))).all()
        return [Spent(_day(k) if by == "day" else k, *map(int, counted)) for k, *counted in rows]

    async def performance(self, since: float) -> Sequence[Performance]:
        """How each deployment did since then (Unix seconds; to the minute), by address."""
        c = attempt_minutes.c
        sums = (func.sum(c.attempts), func.sum(c.seconds), func.sum(c.first_tokens), func.sum(c.first_token_s))
        query = select(c.address, c.outcome, *sums).where(c.minute >= int(since // 60)).group_by(c.address, c.outcome)
        newest = await self.list(Filter(since=since), _SAMPLE)
        async with self._database.begin() as db:
            rows = (await db.execute(query.order_by(c.address))).all()
        waits = _first_token_waits(newest)
        addresses = dict.fromkeys(row[0] for row in rows)
        return [_performance(a, [row[1:] for row in rows if row[0] == a], waits.get(a, [])) for a in addresses]

    async def history(self, since: float, minutes: int) -> Sequence[Stretch]:
        """How each deployment did since then (Unix seconds), in stretches of so many minutes, in order of time.

        Stretches in which a deployment was not called are left out.
        """
        c = attempt_minutes.c
        stretch = (c.minute // minutes).label("stretch")
        failed = func.sum(case((c.outcome.in_(_FAILED), c.attempts), else_=0))
        sums = (func.sum(c.attempts), failed, func.sum(c.first_tokens), func.sum(c.first_token_s))
        query = select(stretch, c.address, *sums).where(c.minute >= int(since // 60)).group_by(stretch, c.address)
        await self._mover.catch_up()
        async with self._database.begin() as db:
            rows = (await db.execute(query.order_by(stretch, c.address))).all()
        return [
            Stretch(number * minutes * 60.0, address, int(attempts), int(bad), waited / int(firsts) if firsts else None)
            for number, address, attempts, bad, firsts, waited in rows
        ]

    async def forget(self, before: float) -> None:
        """Delete what is older than that (Unix seconds)."""
        async with self._database.begin() as db:
            await db.execute(delete(receipts).where(receipts.c.id < first_id(before)))
            await db.execute(delete(attempt_minutes).where(attempt_minutes.c.minute < int(before // 60)))

    async def _documents(self, query: Select[Any], *, moved: bool = False) -> Documents:
        if moved:
            await self._mover.catch_up()
        async with self._database.begin() as db:
            found = [orjson.loads(document) for document in (await db.execute(query)).scalars()]
        return [self._complete(document) for document in found]


def _no_receipt(receipt_id: str) -> NotFound:
    return NotFound(f"There is no receipt '{receipt_id}'.", hint="Its id is in the answer's header.")


def _filtered(query: Select[Any], wanted: Filter) -> Select[Any]:
    c = receipts.c
    exact = {
        c.token_id: wanted.token,
        c.user: wanted.user,
        c.organisation: wanted.organisation,
        c.route: wanted.route,
        c.model: wanted.model,
        c.outcome: wanted.outcome,
    }
    query = query.where(*(column == value for column, value in exact.items() if value))
    if wanted.since is not None:
        query = query.where(c.id >= first_id(wanted.since))
    return query if wanted.until is None else query.where(c.id < first_id(wanted.until))


def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(number * 86_400))


def _first_token_waits(documents: Iterable[dict[str, Any]]) -> dict[str, list[float]]:
    waits: dict[str, list[float]] = {}
    for attempt in (attempt for document in documents for attempt in document.get("attempts") or ()):
        if attempt.get("first_token_s") is not None:
            waits.setdefault(attempt["address"], []).append(attempt["first_token_s"])
    return {address: sorted(found) for address, found in waits.items()}


def _performance(address: str, rows: list[Any], waits: list[float]) -> Performance:
    """`rows`: outcome, attempts, seconds, first tokens, seconds to them."""
    answered = [row for row in rows if row[0] == "ok"]
    attempts, seconds = sum(int(r[1]) for r in answered), sum(r[2] for r in answered)
    firsts, first_s = sum(int(r[3]) for r in rows), sum(r[4] for r in rows)
    return Performance(
        address,
        attempts=sum(int(row[1]) for row in rows),
        failed={row[0]: int(row[1]) for row in rows if row[0] != "ok"},
        seconds=seconds / attempts if attempts else None,
        first_token_s=first_s / firsts if firsts else None,
        first_token_p50_s=waits[len(waits) // 2] if waits else None,
        first_token_p95_s=waits[len(waits) * 95 // 100] if waits else None,
    )


def _counted(usage: Usage) -> dict[str, int | bool]:
    """A usage without what is zero; this is quicker than to write all of it. Its tier stands with its attempt."""
    counts: dict[str, int | bool] = {"input": usage.input, "output": usage.output}
    if any(parts := _parts_of(usage)):
        counts.update((name, value) for name, value in zip(_PARTS, parts, strict=True) if value)
    return counts
