"""How a process comes by money: slices of budgets' ceilings, leased from the database, kept and given back.

What is set aside for calls is only arithmetic on `Window`s; the database is asked where a slice is used up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.accounts.leases import Key, Leases
from intermodel.accounts.windows import Window, surplus_of
from intermodel.core import Unavailable
from intermodel.storage import Database

PATIENCE_S = 3.0
"""How long a call waits for slices that other processes may give back, before it is refused."""
POLL_S = 0.25
"""How often it looks, and how long it is remembered that nothing was left."""
HOPELESS_S = 1.0
"""How long nobody waits after one that waited in vain."""
DATABASE_S = 20.0
"""How long the database may take for a slice or a batch of receipts. SQLite waits 15 s for another's lock."""


class Dry(Exception):
    """Not even the least that was asked for can be leased of `window`."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.name)
        self.window = window


class Slices:
    """What one process, `owner`, holds of all windows."""

    def __init__(self, database: Database, owner: str) -> None:
        self._leases = Leases(database, owner)
        self._windows: dict[Key, Window] = {}
        self._lock = asyncio.Lock()
        self._unsure = True

    def window(self, key: Key) -> Window:
        """The window of that budget and span; a new one has no ceiling yet."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(*key)
        return window

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One at a time changes slices. After one that failed, what is held is read from the database anew.

        Raises `Unavailable` where the database takes too long.
        """
        try:
            async with self._lock, asyncio.timeout(DATABASE_S):
                if self._unsure:
                    held = await self._leases.held()
                    for key in held.keys() | self._windows.keys():
                        self.window(key).lease = held.get(key, 0)
                self._unsure = True
                yield
                self._unsure = False
        except TimeoutError:
            raise Unavailable("The database does not answer.", code="database_unavailable") from None

    async def obtain(self, windows: Sequence[Window], amount: int, least: int) -> int:
        """Lease until every window has that much free; how much it is in the end. Raises `Dry`, `Unavailable`."""
        deadline = time.monotonic() + PATIENCE_S
        while short := next((window for window in windows if window.free < amount), None):
            if time.monotonic() >= short.dry_until or least - short.free <= short.left:
                await self._lease(short, amount, least)
            now = time.monotonic()
            if short.free >= least:
                amount = min(amount, short.free)
            elif short.elsewhere + short.left < least - short.free or now < short.hopeless_until:
                raise Dry(short)
            elif now >= deadline:
                short.hopeless_until = now + HOPELESS_S
                raise Dry(short)
            else:
                await asyncio.sleep(POLL_S)
        return amount

    async def _lease(self, window: Window, amount: int, least: int) -> None:
        """Lease what is missing, or what there is of it; where that is not enough, take note of where the rest is."""
        async with self.turn():
            if window.free >= amount:  # another call leased for this one too
                return
            taken = await self._leases.take(window, amount - window.free, least - window.free)
            window.lease += taken.amount
            window.left, window.elsewhere = taken.remaining, taken.elsewhere
            if not taken.amount:
                window.dry_until = time.monotonic() + POLL_S

    async def charge(self, db: AsyncConnection, spent: Mapping[Key, int]) -> dict[Key, int]:
        """Within a turn and the transaction `db`: that was spent. What it takes from slices, for `charged`."""
        covered = {key: self.window(key).covered(amount) for key, amount in spent.items()}
        for key, amount in sorted(spent.items()):  # in one order everywhere: two processes never wait for each other
            await self._leases.charge(db, key, amount, covered[key])
        return covered

    def charged(self, covered: Mapping[Key, int]) -> None:
        """That transaction was committed."""
        for key, amount in covered.items():
            self.window(key).lease -= amount

    def owe(self, key: Key, amount: int) -> None:
        """Note that the journal has charges of that much and the database has not; or, negative, that it has now."""
        self.window(key).unmoved += amount

    async def end(self, budgets: Collection[str]) -> None:
        """Give back all that is free of the budgets with those names: their ceilings fell. Raises `Unavailable`."""
        async with self.turn():
            await self._return({key: max(0, w.free) for key, w in self._windows.items() if w.name in budgets})

    async def _return(self, surplus: Mapping[Key, int]) -> None:
        for key, amount in surplus.items():
            self._windows[key].lease -= amount  # before it is anybody's
        await self._leases.give_back([(key, amount) for key, amount in surplus.items() if amount])

    async def give_back(self, keep: Collection[Window] = (), *, all_of_it: bool = False) -> None:
        """Once a second: measure the demand, and give back what is not asked for; or `all_of_it`.

        Windows of the past are forgotten once nothing of them is held, but for those to `keep`. Raises `Unavailable`.
        """
        for window in self._windows.values():
            window.measure()
            if all_of_it:
                window.demand = 0
        if any(surplus_of(window.free, window.demand) for window in self._windows.values()):
            async with self.turn():
                await self._return({key: surplus_of(w.free, w.demand) for key, w in self._windows.items()})
        kept = set(map(id, keep))
        self._windows = {key: w for key, w in self._windows.items() if not w.idle or id(w) in kept}
