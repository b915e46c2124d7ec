"""Equal calls share one answer: one that is kept, or one that is under way for another caller."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from intermodel.core import IntermodelError, Unavailable, Upstream
from intermodel.gateway.account import Account
from intermodel.gateway.cache import Cache, Kept, digest_of, key_of
from intermodel.gateway.choose import Directory, Target
from intermodel.gateway.registry import Registry
from intermodel.gateway.replay import Replay
from intermodel.gateway.reply import Reply
from intermodel.settings import Deployment, Route

log = logging.getLogger(__name__)


class Course(Protocol):
    """What sharing needs of the gateway."""

    @property
    def stopping(self) -> bool: ...

    async def first(self, account: Account, route: Route) -> Reply: ...

    async def over(self, account: Account, outcome: str, error: IntermodelError | None) -> None: ...

    def later(self, work: Coroutine[Any, Any, None]) -> None: ...

    def interrupted(self) -> IntermodelError | None: ...


class Sharing:
    """Gives the answer of one call to all that are equal. `deployment` tells what is declared of a target."""

    def __init__(
        self, course: Course, cache: Cache, registry: Registry, deployment: Callable[[Target], Deployment]
    ) -> None:
        self._course = course
        self._cache = cache
        self._registry = registry
        self._deployment = deployment
        self._said_by = Directory(), registry.declared
        self._said: dict[str, bytes] = {}

    async def answer(self, account: Account, route: Route, directory: Directory) -> Reply | Replay:
        """The answer that is kept, or that another caller waits for, or else a new one. Raises what it ends with."""
        key = key_of(account.call, account.caller, self._saying(account.call.model, route, directory))
        while (kept := self._cache.find(key)) is not None:
            with kept.reader():
                await kept.more(0)
            if kept.error is not None:
                raise copy.copy(kept.error)  # each caller is told their own receipt
            if not kept.given_up:
                account.cached = kept.receipt
                return Replay(self, account, kept)
        kept = self._cache.begin(key, account.id, route.cache_s or 0)
        asking = asyncio.create_task(self._asked_for_all(account, route, key, kept))
        try:
            reply = await asyncio.shield(asking)
        except asyncio.CancelledError:
            if kept.readers and not self._course.stopping:
                account.draining += 1
                self._course.later(self._without_first(account, asking, kept))
            elif await _closed(asking):
                account.draining += 1  # its account is closed already
            raise
        reply.taken_over()
        return reply

    async def replayed(self, account: Account, outcome: str) -> None:
        """Close the account of an answer that was given again, which costs nothing."""
        await self._course.over(account, outcome, None)

    def interrupted(self) -> IntermodelError | None:
        """What a cancellation of the current task means, as the gateway knows."""
        return self._course.interrupted()

    def _saying(self, name: str, route: Route, directory: Directory) -> bytes:
        """What a route says, and the deployments it names. Guards are those of the settings file, so they stay."""
        declared = self._registry.declared
        if directory is not self._said_by[0] or declared is not self._said_by[1]:
            self._said_by, self._said = (directory, declared), {}
        said = self._said.get(name)
        if said is None:
            targets = [directory.targets[one] for one in route.candidates if one in directory.targets]
            documents = [route, *map(self._deployment, targets)]
            said = self._said[name] = digest_of(name, [document.model_dump_json() for document in documents])
        return said

    async def _asked_for_all(self, account: Account, route: Route, key: bytes, kept: Kept) -> Reply:
        """The first place's answer, which is the entry's: whoever waits for it gets it, also when its caller leaves."""
        try:
            reply = await self._course.first(account, route)
        except BaseException as error:
            self._cache.failed(key, kept, error if isinstance(error, Upstream) else None)
            raise
        reply.keep(self._cache, key, kept)
        return reply

    async def _without_first(self, account: Account, asking: asyncio.Task[Reply], kept: Kept) -> None:
        """The first caller has left; the answer is asked for as long as others wait for it."""
        unread = asyncio.create_task(kept.unread())
        try:
            await asyncio.wait({asking, unread}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # cancelled where the node stops
            unread.cancel()
            has_reply = await _closed(asking)
            account.draining -= 1
            if not has_reply and not account.draining:
                error = None if asking.cancelled() else asking.exception()
                if error is not None and not isinstance(error, IntermodelError):
                    log.error("a call that others waited for ended by mistake", exc_info=error)
                    error = IntermodelError("A mistake of this node.")
                with contextlib.suppress(Unavailable):  # it is written as soon as that is possible
                    await self._course.over(account, "left", error)


async def _closed(asking: asyncio.Task[Reply]) -> bool:
    """End what is asked for by a caller who has left; whether there was a reply by then, which is closed too."""
    if not asking.done():
        asking.cancel()
        await asyncio.wait({asking})
    if asking.cancelled() or asking.exception() is not None:
        return False
    await asking.result().close()
    return True
