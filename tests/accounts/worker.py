"""A process that makes calls under a budget, to be killed: `python -m tests.accounts.worker FOLDER DATABASE ...`.

It prints `ready`, and then `ID NANO` for each call whose receipt is acknowledged. What it has set aside it adds to the
file LOG after the fact, and takes off before it lets go: the file's running sum is never more than what is set aside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
from decimal import Decimal
from pathlib import Path

import pytest

from intermodel.accounts import Accounts
from intermodel.core import OverBudget, Unavailable
from intermodel.settings import Budget
from intermodel.storage import Database
from tests.accounts.conftest import ADA, accounts, call, over


class Worker:
    def __init__(self, given: argparse.Namespace, opened: Accounts) -> None:
        self.opened = opened
        self.amount: int = given.amount
        self.calls: int = given.calls
        self.log = os.open(given.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, amount: int) -> None:
        os.write(self.log, b"%d\n" % amount)

    async def one(self, rng: random.Random) -> None:
        known = call()
        amount = rng.randint(self.amount // 2, self.amount)
        reservation = await self.opened.budgets.reserve(ADA, amount, known)
        assert reservation is not None
        self.note(amount)
        await asyncio.sleep(rng.random() * 0.02)
        if rng.random() < 0.2 and await reservation.grow(amount // 2):
            self.note(amount // 2)
        spent = rng.randint(0, reservation.amount)
        self.note(spent - reservation.amount)
        reservation.settle(spent)
        await self.opened.receipts.record(over(known, spent))
        os.write(1, f"{known['id']} {spent}\n".encode())

    async def caller(self, seed: int) -> None:
        rng = random.Random(seed)
        while self.calls > 0:
            self.calls -= 1
            try:
                await self.one(rng)
            except OverBudget:
                await asyncio.sleep(0.05)

    async def fill_the_disk(self) -> None:
        """Files may grow no further for a while: some receipts are refused, and written when there is room again."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        refused = []
        await self.one(random.Random(1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
        for _ in range(20):  # the room that was taken beforehand ends
            known = call()
            with contextlib.suppress(Unavailable):
                self.opened.receipts.admit()
                await self.opened.receipts.record(over(known, 1))
                continue
            refused.append(known["id"])
        assert len(refused) >= 4
        with pytest.raises(Unavailable, match="cannot be written"):  # nothing is set aside that is not in the journal
            await self.opened.budgets.reserve(ADA, 1, call())
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        await asyncio.sleep(2)
        self.opened.receipts.admit()
        assert (await self.opened.receipts.find(refused[0]))["spent"] == 1


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("folder", "database", "ceiling", "amount", "calls", "at_once", "log"):
        parser.add_argument(name, type=int if name in ("amount", "calls", "at_once") else str)
    parser.add_argument("--fill-the-disk", action="store_true")
    given = parser.parse_args()
    database = Database(given.database if "://" in given.database else "", default=Path(given.database))
    budgets = {"one": Budget(dollars=Decimal(given.ceiling), per="all")}
    async with accounts(database, Path(given.folder), budgets, journal_bytes=4096) as opened:
        worker = Worker(given, opened)
        print("ready", flush=True)  # noqa: T201
        if given.fill_the_disk:
            await worker.fill_the_disk()
        async with asyncio.TaskGroup() as group:
            for number in range(given.at_once):
                group.create_task(worker.caller(os.getpid() * 1000 + number))
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
