"""The catalogue follows the ledger: a thing of which something is said there is listed anew, and all made of it.

How far it came is kept in the database, with the grounds on which it rests; so what a crash left behind, or what rests
on the word of a signer who is trusted no more, is listed anew after the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import date

from intermodel import __version__
from intermodel.core import IntermodelError, NotFound, Unavailable
from intermodel.ledger import Ledger
from intermodel.ledger.withdrawal import things
from intermodel.records.catalogue import Catalogue
from intermodel.records.listed import entry_of
from intermodel.records.record import Record
from intermodel.records.taking import TAKEN
from intermodel.records.trusted import Trusted

log = logging.getLogger(__name__)

CHUNK = 10_000
"""Entries of the ledger after which it is noted how far the catalogue came; in so many a thing is listed once."""
PATIENCE_S = 5.0
"""How long the end of a node waits for the thing that is being listed."""
_BREATH = 16
"""Entries that are read in one go, so that calls which stream through this thread go on."""


class Listing:
    """Puts things into the catalogue: one at once, and in the background all that the ledger speaks of anew."""

    def __init__(
        self, ledger: Ledger, catalogue: Catalogue, trusted: Trusted, of: Callable[[str], Awaitable[Record]],
        today: Callable[[], date],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._catalogue = catalogue
        self._trusted = trusted
        self._of = of
        self._today = today
        self._one_by_one = asyncio.Lock()  # else an older record could come behind a newer one
        self._task: asyncio.Task[None] | None = None
        self._behind = self._ending = False
        self._grounds = ""
        self._at = 0
        self._whole = True
        """Whether all up to `_at` is listed. Else the next start begins where it still was."""

    async def now(self, address: str) -> Record:
        """The record of a thing, which the catalogue knows then, if it can; one of which all was withdrawn it knows no
        more. Raises `NotFound`, as `of` does."""
        async with self._one_by_one:
            record = await self._of(address)
            with self._tried(address):
                if record.withdrawn:
                    await self._catalogue.remove([address])
                else:
                    entry = await asyncio.to_thread(entry_of, record, self._today())
                    await self._catalogue.put([entry])
        return record

    def trust(self, trusted: Trusted) -> None:
        """Whose word counts from now on: all that rests on it is listed anew, in the background."""
        self._trusted = trusted
        if not self._ending:
            self.follow()

    def follow(self) -> asyncio.Task[None]:
        """List what the ledger says that is not listed yet, in the background; that is done when the task is."""
        self._behind = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="list what the ledger speaks of")
        return self._task

    async def close(self) -> None:
        """Leave the rest to the next start. What is being listed is finished: a connection to the database that is
        being made cannot be cancelled without being lost."""
        self._behind, self._ending = False, True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=PATIENCE_S)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while self._behind:
            self._behind = False
            with self._tried("what the ledger speaks of"):
                await self._catch_up()

    async def _catch_up(self) -> None:
        origin = self._ledger.origin
        if self._grounds != (grounds := self._rests_on()):
            self._at, self._whole = await self._catalogue.listed(origin, grounds), True
            self._grounds = grounds
        while self._at < (end := min(self._ledger.log.size, self._at + CHUNK)):
            for name in await self._concerned(self._at, end):
                if self._ending:
                    return
                with self._tried(name):
                    await self.now(name)
            self._at = end
            if self._whole:
                await self._catalogue.note_listed(origin, grounds, end)

    async def _concerned(self, first: int, end: int) -> dict[str, None]:
        """The things of which these entries speak, and all that was made of them, each once."""
        found: dict[str, None] = {}
        for index in range(first, end):
            if self._ending:
                break
            with self._tried(f"what entry {index} speaks of"):
                said = (await self._ledger.entry(index)).statement
                if said and said.predicate_type in TAKEN:
                    found |= dict.fromkeys(subject.name for subject in things(said))
            if not index % _BREATH:
                await asyncio.sleep(0)
        for name in [*found]:
            with self._tried(f"what was made of {name}"):
                found |= dict.fromkeys(await self._catalogue.descendants(name))
        return found

    def _rests_on(self) -> str:
        """On what all entries of the catalogue rest beside the ledger: whose word counts, and how it is read."""
        revoked = [(one.key.id, one.revoked_from) for one in self._ledger.keys.periods if one.revoked_from is not None]
        signers = (*map(str, self._trusted.verifiers), "revoked", *map(str, self._trusted.revoked))
        said = [__version__, *signers, *map(str, revoked)]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    @contextlib.contextmanager
    def _tried(self, what: str) -> Iterator[None]:
        """Go on with the others where one thing cannot be listed. What was recorded stays so."""
        try:
            yield
        except NotFound:
            pass  # nothing is known of it here
        except IntermodelError as error:
            self._whole = self._whole and not isinstance(error, Unavailable)  # the others fail the next time too
            log.warning("%s is not in the catalogue as it is: %s", what[:200], error)
        except Exception:
            log.exception("%s is not in the catalogue as it is", what[:200])
