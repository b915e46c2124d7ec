"""An answer that was given before, or is being given to another caller, given again."""

from __future__ import annotations

import asyncio
from typing import Protocol

from intermodel.core import IntermodelError, Unavailable
from intermodel.gateway.account import Account
from intermodel.gateway.cache import Kept


class Books(Protocol):
    async def replayed(self, account: Account, outcome: str) -> None: ...

    def interrupted(self) -> IntermodelError | None: ...


class Replay:
    """Like a `Reply`: read it to its end, and close it whatever happens. It costs nothing."""

    def __init__(self, books: Books, account: Account, kept: Kept) -> None:
        self.id = account.id
        self.address = kept.address
        self.media_type = kept.media_type
        self.streamed = kept.streamed
        self.headers = account.admission.headers if account.admission is not None else ()
        self._books = books
        self._account = account
        self._kept = kept
        self._read = 0
        self._settled = False
        kept.readers += 1

    async def read(self) -> bytes:
        """The next bytes, b"" at the end. Raises what the answer itself broke off with, `Unavailable` on shutdown."""
        try:
            has_more = await self._kept.more(self._read)
        except asyncio.CancelledError:
            if (error := self._books.interrupted()) is None:
                raise
            await self._settle("broken")
            raise error from None
        if has_more:
            piece = self._kept.pieces[self._read]
            self._read += 1
            self._account.gives(piece)
            if self._kept.whole and self._read == len(self._kept.pieces):
                await self._settle("ok")
            return piece
        if self._kept.error is not None:
            await self._settle("broken")
            raise self._kept.error
        if self._kept.given_up:
            await self._settle("broken")
            raise Unavailable("The call whose answer this was has ended.", hint="Ask again.", code="answer_ended")
        await self._settle("ok")
        return b""

    def failure(self, _error: IntermodelError) -> bytes:
        """As `Reply.failure`; what broke off was told to the first caller, and is not kept."""
        return b""

    async def close(self) -> None:
        """Settle the account. May be called twice."""
        await self._settle("left")

    async def _settle(self, outcome: str) -> None:
        if not self._settled:
            self._settled = True
            self._kept.leave()
            await self._books.replayed(self._account, outcome)
