"""What can be called, all of it and one by one."""

from __future__ import annotations

import difflib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import NotFound
from intermodel.governance import Caller
from intermodel.settings import Settings
from intermodel.storage import DataFolder
from intermodel.web.pages.listing import Entry, Listing
from intermodel.web.pages.render import origin, page
from intermodel.web.pages.snippets import snippets

_SEARCHED_FROM = 9
"""Entries from which on the page offers a search."""


class Models:
    def __init__(self, settings: Settings, listing: Listing) -> None:
        self._listing = listing
        self._folder: Path = settings.engines.watch or DataFolder(settings.data).models

    async def show_all(self, request: Request, caller: Caller) -> Response:
        entries = await self._listing.all(caller)
        wanted = request.query_params.get("q", "").strip()[:200]
        return page(
            request.scope,
            "models.html",
            caller,
            entries=[entry for entry in entries if wanted.lower() in entry.address.lower()],
            total=len(entries),
            wanted=wanted,
            searched=bool(wanted) or len(entries) >= _SEARCHED_FROM,
            folder=self._folder,
        )

    async def show(self, request: Request, caller: Caller) -> Response:
        entry = named(request.path_params["address"], await self._listing.all(caller))
        calls = snippets(origin(request.scope), entry.address, embeds=entry.embeds_only)
        return page(request.scope, "model.html", caller, entry=entry, snippets=calls)


def named(address: str, entries: list[Entry]) -> Entry:
    """The entry of that address. Raises `NotFound` with the nearest ones."""
    known = {entry.address: entry for entry in entries}
    if address in known:
        return known[address]
    near = difflib.get_close_matches(address, known, n=3, cutoff=0.4)
    raise NotFound(
        f"There is no model '{address[:200]}' on this node.",
        hint=f"Did you mean {' or '.join(near)}?" if near else "The page Models lists what there is.",
        code="model_not_found",
    )
