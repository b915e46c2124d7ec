"""What searching and reading pages mean to the rest of the room; the back ends stand in `search` and `fetch`."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from intermodel.core import IntermodelError
from intermodel.writer.journal import Journal, key_of
from intermodel.writer.values import Gap

MOST_PAGE = 60_000
"""Characters of a page's text that are kept."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search. `text` is the page itself where the back end has it, so nobody needs to fetch it."""

    url: str
    title: str
    snippet: str = ""
    published: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page's text, where it was found in the end, and the SHA-256 of the bytes that came (`sha256:...`)."""

    url: str
    title: str
    text: str
    digest: str
    published: str = ""


class Search(Protocol):
    """A back end. `name` is how settings and events call it."""

    name: str

    async def search(self, query: str, limit: int) -> list[Hit]:
        """At most so many results, best first; none is an answer. Raises `IntermodelError` where it failed."""
        ...

    async def close(self) -> None: ...


class Fetch(Protocol):
    """Reads pages."""

    async def fetch(self, url: str) -> Page:
        """Raises `Refused` for an address, a site or a kind of content that is not read, `Upstream` where it failed."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Read:
    """A page that was taken, and when (UTC, RFC 3339)."""

    page: Page
    at: str


class Looking:
    """Searches and reads once: what was found before, and that something failed, is taken from the journal."""

    def __init__(self, journal: Journal, searches: Sequence[Search], fetch: Fetch) -> None:
        self._journal = journal
        self._searches = searches
        self._fetch = fetch

    @property
    def back_ends(self) -> int:
        """How many there are."""
        return len(self._searches)

    async def search(self, query: str, limit: int, first: int = 0) -> tuple[list[Hit], list[Gap]]:
        """What the first back end that finds anything has, and what those before it could not. `first` is the place of
        the one that is asked first."""
        gaps: list[Gap] = []
        for back_end in self._searches[first:]:
            key = key_of("search", back_end.name, query, str(limit))
            told = await self._once(key, "search", query, functools.partial(_hits, back_end, query, limit))
            if "why" in told:
                gaps.append(Gap(f"search ({back_end.name}): {query}", told["why"]))
            elif told["hits"]:
                return [Hit(**hit) for hit in told["hits"]], gaps
        if not gaps and not first:
            gaps.append(Gap(f"search: {query}", "Nothing was found."))
        return [], gaps

    async def read(self, hit: Hit) -> Read | Gap:
        """The page behind a result."""
        told = await self._once(key_of("page", hit.url), "page", hit.url, lambda: self._page(hit))
        return Gap(hit.url, told["why"]) if "why" in told else Read(Page(**told["page"]), told["at"])

    def forget(self) -> None:
        """Search and read anew the next time."""
        self._journal.forget_looks()

    async def _page(self, hit: Hit) -> dict[str, Any]:
        page = _given(hit) if hit.text else await self._fetch.fetch(hit.url)
        title, published = (page.title or hit.title or hit.url)[:300], page.published or hit.published
        kept = replace(page, text=page.text[:MOST_PAGE], title=title, published=published)
        return {"page": asdict(kept), "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")}

    async def _once(self, key: str, kind: str, what: str, look: Any) -> dict[str, Any]:
        found: dict[str, Any] | None = self._journal.looked(key)
        if found is None:
            try:
                found = await look()
            except IntermodelError as error:
                found = {"why": str(error)}
            self._journal.keep_look(key, kind, found)
            self._journal.tell(kind, what=what, why=found.get("why", ""), found=len(found.get("hits", ())))
        return found


async def _hits(search: Search, query: str, limit: int) -> dict[str, Any]:
    return {"hits": [asdict(hit) for hit in await search.search(query, limit)]}


def _given(hit: Hit) -> Page:
    return Page(hit.url, hit.title, hit.text, "sha256:" + hashlib.sha256(hit.text.encode()).hexdigest())
