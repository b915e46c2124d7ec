"""Brave's search API: an index of its own, paid by the question (api-dashboard.search.brave.com/docs)."""

from __future__ import annotations

from urllib.parse import urlencode

from intermodel.providers.http import Origin
from intermodel.settings import Writer
from intermodel.writer.look import Hit
from intermodel.writer.search.asking import MOST_RESULTS, Asking, hits, worded

_NAMES = {"url": "url", "title": "title", "snippet": "description", "published": "page_age"}
_KEY = "Is the key right, and has its plan web search? [writer.brave] says where it is taken from."
_HINTS = {
    401: _KEY, 403: _KEY, 422: _KEY,  # 422 is what it answers to a key that it does not know
    402: "The account has no money left.",
    429: "The account's plan allows no more questions now.",
}  # fmt: skip


class Brave:
    """An account."""

    name = "brave"

    def __init__(self, settings: Writer, key: str) -> None:
        own = settings.brave
        self._key = key
        self._asking = Asking(self.name, "Brave's search", Origin(own.base_url, private=own.private), settings, _HINTS)

    async def search(self, query: str, limit: int) -> list[Hit]:
        asked = {
            "q": worded(query),
            "count": min(limit, MOST_RESULTS),
            "result_filter": "web",
            "text_decorations": "false",
        }
        told = await self._asking.ask(
            f"/res/v1/web/search?{urlencode(asked)}", headers={"X-Subscription-Token": self._key}
        )
        if not isinstance(told, dict):
            raise self._asking.unreadable("it is no object")
        web = told.get("web")
        if web is None and told.get("type") == "search":  # how it says that nothing was found
            return []
        results = web.get("results") if isinstance(web, dict) else None
        if not isinstance(results, list):
            raise self._asking.unreadable("it has no list of results")
        return hits(results, limit, _NAMES)

    async def close(self) -> None:
        await self._asking.close()
