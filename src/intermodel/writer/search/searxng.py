"""SearXNG: a search server of one's own, which asks others (docs.searxng.org, Search API)."""

from __future__ import annotations

from urllib.parse import quote_plus

from intermodel.core import Upstream
from intermodel.providers.http import Origin
from intermodel.settings import Writer
from intermodel.writer.look import Hit
from intermodel.writer.plain import line
from intermodel.writer.search.asking import Asking, hits, worded

_NAMES = {"url": "url", "title": "title", "snippet": "content", "published": "publishedDate"}
_HINTS = {
    403: "Its settings.yml must list json: `search: formats: [html, json]`. Public servers seldom do.",
    429: "Its limiter holds this node off: turn it off for private use (`server: limiter: false`), or wait.",
}


class SearXNG:
    """A server; without a key."""

    name = "searxng"

    def __init__(self, settings: Writer) -> None:
        own = settings.searxng
        self._asking = Asking(self.name, "SearXNG", Origin(own.base_url, private=own.private), settings, _HINTS)

    async def search(self, query: str, limit: int) -> list[Hit]:
        told = await self._asking.ask(f"/search?q={quote_plus(_plain(query))}&format=json")
        results = told.get("results") if isinstance(told, dict) else None
        if not isinstance(results, list):
            raise self._asking.unreadable("it has no list of results")
        found = hits(results, limit, _NAMES)
        if not found and (silent := _silent(told.get("unresponsive_engines"))):
            raise Upstream(
                f"SearXNG found nothing, for engines that it asks failed: {silent}.",
                hint="Ask again later, or give it other engines.",
                code="search_failed",
            )
        return found

    async def close(self) -> None:
        await self._asking.close()


def _plain(query: str) -> str:
    """Without what SearXNG takes for orders: `!bang`, `:language`, `?`, `site:` are for people who search."""
    return worded(" ".join(word.lstrip("!:?") for word in query.split()))


def _silent(engines: object) -> str:
    """`google (timeout), bing (CAPTCHA)`, of pairs."""
    if not isinstance(engines, list):
        return ""
    pairs = [one for one in engines[:5] if isinstance(one, list) and len(one) > 1]
    return ", ".join(f"{line(name, 40)} ({line(why, 80)})" for name, why, *_ in pairs)
