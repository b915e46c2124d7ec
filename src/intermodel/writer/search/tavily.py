"""Tavily's search API, which sends the text of the pages along (docs.tavily.com, POST /search)."""

from __future__ import annotations

from intermodel.providers.http import Origin
from intermodel.settings import Writer
from intermodel.writer.look import Hit
from intermodel.writer.search.asking import MOST_RESULTS, Asking, hits, worded

_NAMES = {
    "url": "url", "title": "title", "snippet": "content", "published": "published_date", "text": "raw_content",
}  # fmt: skip
_KEY = "Is the key right? [writer.tavily] says where it is taken from."
_PLAN = "The account's plan allows no more questions; they are counted anew each month."
_HINTS = {401: _KEY, 403: _KEY, 429: "It is asked too often; ask again later.", 432: _PLAN, 433: _PLAN}


class Tavily:
    """An account."""

    name = "tavily"

    def __init__(self, settings: Writer, key: str) -> None:
        own = settings.tavily
        self._key = key
        self._asking = Asking(self.name, "Tavily", Origin(own.base_url, private=own.private), settings, _HINTS)

    async def search(self, query: str, limit: int) -> list[Hit]:
        asked = {
            "query": worded(query),
            "max_results": min(limit, MOST_RESULTS),
            "search_depth": "basic",
            "include_raw_content": "markdown",
        }
        told = await self._asking.ask("/search", headers={"Authorization": f"Bearer {self._key}"}, body=asked)
        results = told.get("results") if isinstance(told, dict) else None
        if not isinstance(results, list):
            raise self._asking.unreadable("it has no list of results")
        return hits(results, limit, _NAMES)

    async def close(self) -> None:
        await self._asking.close()
