"""The way of receipts from the journal into the database: exactly once, with what they charge to budgets.

One transaction holds a batch of receipts, the `spent` of the windows they charge, what that takes from the process's
slices, and the place in the journal up to which it is done. A crash before its commit leaves the batch to be moved
again, one after it finds it moved: the place says which.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Dialect, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.accounts.budgets import OPENED, Budgets, Charge
from intermodel.accounts.journal import REJECTED, Entry, Journal, Position, dumped
from intermodel.accounts.leases import Key, inserted, upsert
from intermodel.accounts.seals import leaves_of, note
from intermodel.accounts.windows import MOST_NANO
from intermodel.core import Conflict, IntermodelError, Unavailable
from intermodel.storage import Database
from intermodel.storage.tables import attempt_minutes, journal_positions, receipts

log = logging.getLogger(__name__)

RECEIPT = b"R"
"""The kind of a journal's line that is a receipt."""
LOST = "lost"
BATCH_BYTES = 512 * 1024
CATCH_UP_S = 2.0
FRESH_BYTES = 4 * 1024**2
"""So many bytes of receipts are held in memory besides the file, where the database keeps up."""
_LARGEST = 2**63 - 1
_SHAPES = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What taking apart a document raises that has another shape."""
UNKNOWN = -1
"""In the column of costs: nothing is known of the cost. Where a part of it is, so much less than that."""
_NOTHING: Mapping[str, Any] = {}
_NO_USAGE = {"input": 0, "output": 0}


class _Batch:
    """Receipts that go into the database together, as the rows and sums that go there: far smaller than they are."""

    __slots__ = ("aside", "attempts", "bytes", "charges", "end", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.aside: list[bytes] = []
        """Lines that are no receipts which the database could take."""
        self.charges: dict[Key, int] = {}
        """What they cost, by window."""
        self.attempts: dict[tuple[str, int, str], list[float]] = {}
        """By address, minute and outcome: how many, their seconds, how many first tokens, the seconds until those."""
        self.bytes = 0
        self.end = Position(0, 0)
        """The place in the journal up to which they are all."""

    def add(self, document: Any, payload: bytes) -> None:
        """Take a receipt up, or set it aside: one that cannot be taken must not stop those behind it."""
        try:
            row, charges, attempts = _taken_apart(document, payload)
        except _SHAPES:
            self.aside.append(payload)
            return
        self.rows.append(row)
        self.bytes += len(payload)
        for key, nano in charges:
            self.charges[key] = self.charges.get(key, 0) + nano
        for place, seconds, first in attempts:
            self._count(place, seconds, first)

    def add_written(self, receipt: Mapping[str, Any], payload: bytes) -> None:
        """`add` for a receipt that this process has just written: its fields need no second look.

        Raises `KeyError`, having changed nothing, where one is missing.
        """
        caller, usage = receipt["caller"], receipt["usage"] or _NO_USAGE
        at, budgets, spent = receipt["at"], receipt["budgets"], receipt["spent"]
        if spent is None:
            spent = UNKNOWN - receipt["spent_at_least"]
        minute = int(at // 60)
        attempts = [
            ((one["address"], minute, one["outcome"]), one["seconds"], one["first_token_s"])
            for one in receipt["attempts"]
        ]
        self.rows.append((
            receipt["id"], int(at * 1_000_000), caller["token"], caller["user"], caller["organisation"],
            receipt["kind"], receipt["route"], receipt["answered"], receipt["outcome"],
            usage["input"], usage["output"], spent, receipt["seconds"], payload.decode(),
        ))  # fmt: skip
        self.bytes += len(payload)
        for charge in budgets:
            key = charge["budget"], charge["window"]
            self.charges[key] = self.charges.get(key, 0) + charge["nano"]
        for place, seconds, first in attempts:
            self._count(place, seconds, first)

    def _count(self, place: tuple[str, int, str], seconds: float, first: float | None) -> None:
        sums = self.attempts.get(place)
        if sums is None:
            sums = self.attempts[place] = [0, 0.0, 0, 0.0]
        sums[0] += 1
        sums[1] += seconds
        if first is not None:
            sums[2] += 1
            sums[3] += first

    def __len__(self) -> int:
        return len(self.rows) + len(self.aside)


class Mover:
    """Moves the receipts of one process. `await open()` before use; then `move()` again and again."""

    def __init__(self, database: Database, journal: Journal, budgets: Budgets, *, seals: bool = False) -> None:
        """`seals`: receipts are noted for the ledger, too."""
        self._seals = seals
        self._database = database
        self._journal = journal
        self._budgets = budgets
        self._read = Position(0, 0)
        self._committed = Position(0, 0)
        self._tried: _Batch | None = None
        self._careful = False
        """Whether lines are moved one at a time, to find the one that the database does not take."""
        self.waiting = 0
        """Receipts in the journal that are not in the database yet."""
        self._fresh: _Batch | None = None
        """All receipts after `_fresh_since`, so that they need not be read; None: they must."""
        self._fresh_since = Position(0, 0)
        self.listeners: list[Callable[[dict[str, Any]], None]] = []

    async def open(self) -> None:
        """Begin a new segment of the journal, and account for what a crash left. Raises `Unavailable`."""
        async with self._database.begin() as db:
            start = {"owner": self._journal.owner, "segment": 0, "offset": 0}
            await db.execute(inserted(db, journal_positions, **start))
            self._read = self._committed = await self._position(db)
        self._journal.open(after=self._committed.segment)
        self._recover()

    def _recover(self) -> None:
        """Count what is not moved yet, and end the calls that were in progress: charged what was set aside."""
        opened: dict[str, dict[str, Any]] = {}
        place = Position(0, 0)
        while entries := self._journal.read(place):
            for entry in entries:
                try:
                    self._recall(entry, opened)
                except _SHAPES:
                    self._set_aside([entry.payload])
            place = entries[-1].end
        for document in map(_lost, opened.values()):
            payload = dumped(document)
            self._journal.write(RECEIPT, payload)
            self._wait_for(document, payload)
        if opened:
            log.warning("%d calls were cut off when the node was killed: charged what was set aside", len(opened))

    def _recall(self, entry: Entry, opened: dict[str, dict[str, Any]]) -> None:
        """Take note of a line of the journal. Raises one of `_SHAPES` for a call in progress that is none."""
        document = _parsed(entry.payload)
        if entry.kind == OPENED:
            _lost(document)  # whether it has the shape
            opened[document["call"]["id"]] = document
        elif entry.kind == RECEIPT:
            if entry.end > self._committed:
                self._wait_for(document, entry.payload)
            if isinstance(document, dict):
                opened.pop(str(document.get("id")), None)

    def _wait_for(self, document: Any, payload: bytes) -> None:
        """Count a receipt that is in the journal."""
        self.waiting += 1  # also one that will be set aside, until it is
        try:
            _, charges, _ = _taken_apart(document, payload)
        except _SHAPES:
            return
        for key, nano in charges:
            self._budgets.slices.owe(key, nano)

    def _set_aside(self, payloads: Sequence[bytes]) -> None:
        """Keep lines that cannot be taken where people can look at them, and go on."""
        for payload in payloads:
            log.error("a line of the journal cannot be taken, and was put into journal/%s", REJECTED)
            self._journal.reject(payload)

    async def catch_up(self) -> None:
        """Move all that is in the journal now, or as much as can be moved in a moment. Raises `Unavailable`."""
        end, began = self._journal.end, time.monotonic()
        while self._read < end and self.waiting and time.monotonic() - began < CATCH_UP_S:
            await self.move()

    def add(self, document: Mapping[str, Any], payload: bytes) -> None:
        """A receipt was written at the journal's end. While the database keeps up, none is read from there."""
        if self._fresh is not None:
            try:
                self._fresh.add_written(document, payload)
            except KeyError:
                self._fresh.add(document, payload)
            if self._fresh.bytes > FRESH_BYTES:
                self._fresh = None

    def missed(self) -> None:
        """A receipt will be written that is not added: read them from the journal."""
        self._fresh = None

    async def move(self) -> bool:
        """Move a batch; whether more was there when it began. Raises `Unavailable` where that is not possible now."""
        end = self._journal.end
        async with self._budgets.slices.turn():
            if self._tried is not None:
                await self._settle_tried()
            batch = self._next()
            if len(batch):
                self._set_aside(batch.aside)
                self._tried = batch
                covered = await self._committed_or_aside(batch)
                self._tried = None
                self._budgets.slices.charged(covered)
            self._moved(batch)
            self._careful = self._careful and self._read < end
        self._tell(batch)
        await self._drop_segments()
        return self._read < end

    def _next(self) -> _Batch:
        end = self._journal.end
        batch = self._fresh
        if batch is not None and self._read == self._fresh_since and not self._careful:
            batch.end = self._fresh_since = end
            self._fresh = _Batch()
            return batch
        entries = self._journal.read(self._read, BATCH_BYTES)
        if self._careful:
            del entries[1:]
        batch = _Batch()
        for entry in entries:
            if entry.kind == RECEIPT:
                batch.add(_parsed(entry.payload), entry.payload)
        batch.end = until = entries[-1].end if entries else end
        # what is written from here on is remembered, once all before it is in a batch
        behind = until < end or self._journal.failing
        self._fresh, self._fresh_since = None if behind else _Batch(), until
        return batch

    async def _settle_tried(self) -> None:
        """Nobody knows whether the last batch was committed, for the connection broke: look."""
        assert self._tried is not None
        async with self._database.begin() as db:
            found = await self._position(db)
        if found == self._tried.end:
            self._moved(self._tried)
        self._tried = None

    async def _committed_or_aside(self, batch: _Batch) -> dict[Key, int]:
        """`_commit`; what the database cannot take, though it is there, is looked for line by line and set aside."""
        try:
            return await self._commit(batch)
        except IntermodelError:
            raise
        except Exception:
            if len(batch) > 1:
                self._careful, self._fresh, self._tried = True, None, None
                raise
            log.exception("the database does not take a receipt")
            self._set_aside([row[-1].encode() for row in batch.rows])
            batch.aside += [row[-1].encode() for row in batch.rows]
            for key, amount in batch.charges.items():
                self._budgets.slices.owe(key, -amount)
            batch.rows, batch.charges, batch.attempts = [], {}, {}
            return await self._commit(batch)

    async def _commit(self, batch: _Batch) -> dict[Key, int]:
        """One transaction; what the slices gave for what was spent."""
        async with self._database.begin() as db:
            await self._advance(db, batch.end)
            if batch.rows:
                await db.exec_driver_sql(_insert_receipts(db.dialect), batch.rows)
                if self._seals:
                    await note(db, self._journal.owner, leaves_of([(row[0], row[-1]) for row in batch.rows]))
            covered = await self._budgets.slices.charge(db, batch.charges)
            await _count_attempts(db, batch.attempts)
        return covered

    async def _advance(self, db: AsyncConnection, end: Position) -> None:
        c = journal_positions.c
        here = (
            c.owner == self._journal.owner,
            c.segment == self._committed.segment,
            c.offset == self._committed.offset,
        )
        done = await db.execute(update(journal_positions).where(*here).values(segment=end.segment, offset=end.offset))
        if not done.rowcount:
            raise Conflict("Another process moves this journal.", hint="Is the data folder a copy of another node's?")

    async def _position(self, db: AsyncConnection) -> Position:
        query = select(journal_positions).where(journal_positions.c.owner == self._journal.owner)
        row = (await db.execute(query)).one()
        return Position(row.segment, row.offset)

    def _moved(self, batch: _Batch) -> None:
        if len(batch):
            self._committed = batch.end
            for key, amount in batch.charges.items():
                self._budgets.slices.owe(key, -amount)
            self.waiting -= len(batch)
        self._read = batch.end

    async def _drop_segments(self) -> None:
        """Delete segments that are in the database, but for the calls in progress, which are written once more."""
        old = [segment for segment in self._journal.segments() if segment < self._committed.segment]
        if not old or self._journal.failing:
            return
        try:
            self._budgets.carry(old[-1])
            await self._journal.synced()
        except Unavailable:
            return
        for segment in old:
            self._journal.drop(segment)

    def _tell(self, batch: _Batch) -> None:
        for row in batch.rows if self.listeners else ():
            document = orjson.loads(row[-1])
            for listener in self.listeners:
                try:
                    listener(document)
                except Exception:  # a listener's failure is not the receipts'
                    log.exception("a listener of receipts failed")


def _parsed(payload: bytes) -> Any:
    try:
        return orjson.loads(payload)
    except ValueError:
        return None  # which has no shape at all


Taken = tuple[tuple[Any, ...], list[tuple[Key, int]], list[tuple[tuple[str, int, str], float, float | None]]]


def _taken_apart(document: Any, payload: bytes) -> Taken:
    """A receipt as its row, its charges, and its attempts. Raises one of `_SHAPES` where it has another shape."""
    charges = []
    for charge in document.get("budgets") or ():
        nano = charge["nano"]
        if type(nano) is not int or nano < 0:
            raise ValueError(nano)
        charges.append(((str(charge["budget"]), str(charge["window"])), min(nano, MOST_NANO)))
    minute = int(document.get("at", 0) // 60)
    attempts = []
    for attempt in document.get("attempts") or ():
        first, seconds = attempt.get("first_token_s"), float(attempt.get("seconds") or 0)
        place = _text(attempt.get("address")), minute, _text(attempt.get("outcome"), 32)
        attempts.append((place, seconds, None if first is None else float(first)))
    return _row(document, payload), charges, attempts


def _lost(opened: dict[str, Any]) -> dict[str, Any]:
    """The receipt of a call that was cut off: all that was set aside counts as spent."""
    charges: list[Charge] = opened["budgets"]
    names = {charge["budget"] for charge in charges}
    spent = max(sum(charge["nano"] for charge in charges if charge["budget"] == name) for name in names)
    return {**opened["call"], "outcome": LOST, "reserved": spent, "spent": spent, "budgets": charges}


def _row(document: Mapping[str, Any], payload: bytes) -> tuple[Any, ...]:
    """A receipt's columns, in their order."""
    caller, usage = document.get("caller") or _NOTHING, document.get("usage") or _NOTHING
    return (
        document["id"],
        int(document.get("at", 0) * 1_000_000),
        _text(caller.get("token"), 32),
        _text(caller.get("user")),
        _text(caller.get("organisation")),
        _text(document.get("kind"), 40),
        _text(document.get("route")),
        _text(document.get("answered")),
        _text(document.get("outcome"), 32),
        _count(usage.get("input")),
        _count(usage.get("output")),
        _cost(document),
        float(document.get("seconds") or 0),
        payload.decode(),
    )


@functools.lru_cache(maxsize=2)
def _insert_receipts(dialect: Dialect) -> str:
    """As the driver takes it: SQLAlchemy's own way of handing over rows costs several times as much."""
    return str(
        upsert(dialect, receipts).on_conflict_do_nothing().compile(dialect=dialect, column_keys=list(receipts.c.keys()))
    )


@functools.lru_cache(maxsize=4096)
def _text(value: str | None, length: int = 200) -> str:
    """As a column takes it: PostgreSQL has no NUL and no text longer than it was told."""
    if not value:
        return ""
    return (value.replace("\0", "") if "\0" in value else value)[:length]


def _count(value: float | None) -> int:
    if type(value) is int and 0 <= value <= _LARGEST:
        return value
    return max(0, min(int(value), _LARGEST)) if value else 0


def _cost(document: Mapping[str, Any]) -> int:
    """What a call cost, as its column has it."""
    spent = document.get("spent", 0)
    return UNKNOWN - _count(document.get("spent_at_least")) if spent is None else _count(spent)


async def _count_attempts(db: AsyncConnection, sums: Mapping[tuple[str, int, str], Sequence[float]]) -> None:
    if not sums:
        return
    columns = ("attempts", "seconds", "first_tokens", "first_token_s")
    statement = upsert(db.dialect, attempt_minutes)
    added = {name: attempt_minutes.c[name] + statement.excluded[name] for name in columns}
    await db.execute(
        statement.on_conflict_do_update(index_elements=["address", "minute", "outcome"], set_=added),
        [
            {"address": key[0], "minute": key[1], "outcome": key[2], **dict(zip(columns, sums[key], strict=True))}
            for key in sorted(sums)  # in one order everywhere, so that two processes never wait for each other
        ],
    )
