"""Prices, budgets and receipts of one node, opened together, with the one background task that they share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from intermodel.accounts.budgets import Budgets
from intermodel.accounts.energy import Power
from intermodel.accounts.journal import Journal
from intermodel.accounts.mover import Mover
from intermodel.accounts.prices import Prices
from intermodel.accounts.receipts import Receipts
from intermodel.accounts.seals import SEAL_S, Seals
from intermodel.core import IntermodelError, Unavailable
from intermodel.ledger import Ledger
from intermodel.settings import Settings
from intermodel.storage import Database

log = logging.getLogger(__name__)

MOVE_S = 0.5
"""How long a receipt waits for the database, at most; budgets are tended as often."""
SLOWEST_S = 5.0
"""How long between two tries while the database is gone."""
RETENTION_S = 3600.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a node counts: `budgets.reserve` is the beginning of an attempt, `receipts.record` the end of a call."""

    prices: Prices
    budgets: Budgets
    receipts: Receipts
    power: Power
    seals: Seals | None
    """None where no ledger covers the receipts."""


@contextlib.asynccontextmanager
async def open_accounts(
    settings: Settings,
    database: Database,
    folder: Path,
    *,
    ledger: Ledger | None = None,
    cpu_seconds: Callable[[str], float | None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Accounts]:
    """The accounts of the node whose journal lies in `folder`, for the length of the block; no call may outlive it.

    `ledger` covers what is written. `cpu_seconds` tells the processor time of the engine of a model of this machine.
    Calls that a crash cut off are accounted for at the beginning. Raises `Unavailable`.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    power = settings.receipts.sync == "power"
    journal = Journal(folder, power=power, segment_bytes=settings.receipts.journal_bytes)
    budgets = Budgets(database, journal, settings.budgets, clock=clock)
    mover = Mover(database, journal, budgets, seals=ledger is not None)
    seals = Seals(database, ledger, journal.owner) if ledger is not None else None
    energy = Power(settings.energy, cpu_seconds)
    backlog = settings.receipts.backlog
    receipts = Receipts(database, journal, budgets, mover, energy.complete, backlog=backlog, power=power)
    await budgets.open()
    await mover.open()
    work = {asyncio.create_task(_work(settings, journal, budgets, mover, receipts), name="accounts")}
    if seals is not None:
        work.add(asyncio.create_task(_seal(seals), name="seal receipts"))
    try:
        yield Accounts(Prices(settings.deployments, clock=clock), budgets, receipts, energy, seals)
    finally:
        for task in work:
            task.cancel()
        await asyncio.wait(work)
        with contextlib.suppress(Unavailable):  # it is all in the journal
            await mover.catch_up()
            await budgets.close()
            while seals is not None and await seals.seal():
                pass
        journal.close()


async def _seal(seals: Seals) -> None:
    """Have the ledger cover receipts; for ever."""
    while True:
        await asyncio.sleep(SEAL_S)
        try:
            while await seals.seal():
                pass
        except IntermodelError as error:
            log.warning("receipts wait for the ledger: %s", error)
        except Exception:  # what was noted is covered at the next try
            log.exception("receipts wait for the ledger")


async def _work(settings: Settings, journal: Journal, budgets: Budgets, mover: Mover, receipts: Receipts) -> None:
    """Move receipts, tend budgets, write what the disk did not take; for ever."""
    pause, forgotten = MOVE_S, float("-inf")
    while True:
        await asyncio.sleep(pause)
        try:
            if journal.failing:
                journal.retry()
            while await mover.move():
                pass
            await budgets.tend()
            if settings.receipts.keep_days and time.monotonic() - forgotten > RETENTION_S:
                forgotten = time.monotonic()
                await receipts.forget(time.time() - settings.receipts.keep_days * _DAY_S)
        except IntermodelError as error:
            if pause == MOVE_S:
                log.warning("receipts and budgets wait: %s", error)
            pause = min(SLOWEST_S, pause * 2)
        except Exception:  # no failure may end the one task that everything else relies on
            log.exception("receipts and budgets wait")
            pause = SLOWEST_S
        else:
            pause = MOVE_S
