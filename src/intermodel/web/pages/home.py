"""The first page: is the node well, what can be called, and how."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from intermodel.engines import Engines
from intermodel.governance import Caller
from intermodel.web.health import Health
from intermodel.web.pages.listing import Listing
from intermodel.web.pages.render import origin, page
from intermodel.web.pages.snippets import snippets

_FEW = 6


class Home:
    def __init__(self, listing: Listing, engines: Engines, health: Health) -> None:
        self._listing = listing
        self._engines = engines
        self._health = health

    async def show(self, request: Request, caller: Caller) -> Response:
        entries = await self._listing.all(caller)
        first = next((e for e in entries if e.chats), entries[0] if entries else None)
        return page(
            request.scope,
            "home.html",
            caller,
            problems=await self._health.problems(),
            engines=self._engines.states() if caller.admin else [],
            entries=entries[:_FEW],
            total=len(entries),
            talks=any(entry.chats for entry in entries),
            snippets=snippets(origin(request.scope), first.address, embeds=first.embeds_only) if first else [],
        )
