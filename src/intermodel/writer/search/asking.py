"""What all back ends on the network share: one bounded question, and results in one form."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

from intermodel import __version__
from intermodel.core import Fault, Upstream
from intermodel.providers.http import Http, Origin, Response
from intermodel.settings import Writer
from intermodel.writer.look import MOST_PAGE, Hit
from intermodel.writer.plain import clean, day, line

MOST_RESULTS = 20
"""Of one search; no back end gives more at once."""
MOST_QUERY = 400
"""Characters of a question, which is what Brave and Tavily take."""
MOST_WORDS = 50
"""Words of a question, which is what Brave takes."""
PATIENCE_S = 3.0
"""Where a back end is asked too often and says to wait no longer than this, it is asked once more."""
_UNSAID_S = 1.1
"""How long that is where it does not say: the smallest accounts may ask once a second."""
_URL = 2048
_KEY = frozenset({401, 403})
_TIRED = frozenset({429, 503})


class Asking:
    """One back end on the network. `name` and `title` are how settings and errors call it, `hints` say by status what
    its operator can do."""

    def __init__(self, name: str, title: str, origin: Origin, settings: Writer, hints: Mapping[int, str]) -> None:
        self._name = name
        self._title = title
        self._origin = origin
        self._seconds = settings.search_s
        self._bytes = settings.search_bytes
        self._hints = hints
        self._http = Http()

    async def ask(self, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The JSON that it answers; a body is sent as JSON, by POST. Raises `Upstream`."""
        fields = {"Accept": "application/json", "User-Agent": f"intermodel-writer/{__version__}"} | dict(headers or {})
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._send(path, fields, body)
                if response.status == 429 and (wait_s := _patience(response.headers)) is not None:
                    await response.close()
                    await asyncio.sleep(wait_s)
                    response = await self._send(path, fields, body)
                try:
                    return await self._read(response)
                finally:
                    await response.close()
        except TimeoutError:
            raise Upstream(
                f"{self._title} did not answer within {self._seconds:g} s.",
                hint="Ask again later, or allow it more time: [writer] search_s.",
                code="search_timeout",
            ) from None

    async def close(self) -> None:
        await self._http.close()

    async def _send(self, path: str, fields: dict[str, str], body: Any) -> Response:
        how: dict[str, Any] = {"silence_s": self._seconds, "name": self._title}
        try:
            if body is None:
                return await self._http.get(self._origin, path, headers=fields, **how)
            fields |= {"Content-Type": "application/json"}
            return await self._http.post(self._origin, path, orjson.dumps(body), headers=fields, **how)
        except Upstream as error:
            if error.code != "address_refused":
                raise
            hint = f"If it is meant: [writer.{self._name}] private = true."
            raise Upstream(f"{self._title}: {error.message}", hint=hint, code=error.code) from None

    async def _read(self, response: Response) -> Any:
        if response.status != 200:
            raise self._failed(response.status)
        data = bytearray()
        while piece := await response.read():
            data += piece
            if len(data) > self._bytes:
                raise Upstream(
                    f"{self._title} answered with more than {self._bytes} bytes.",
                    hint="Is this a search server? The bound is [writer] search_bytes.",
                    code="search_too_large",
                )
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            what = response.headers.get("content-type", "of no stated kind")[:60]
            raise self.unreadable(f"it is no JSON ({what})") from None

    def _failed(self, status: int) -> Upstream:
        told = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
        fault = Fault.KEY if status in _KEY else Fault.TIRED if status in _TIRED else Fault.BROKEN
        hint = self._hints.get(status, "Is its base_url right?" if status < 500 else "Ask again later.")
        return Upstream(f"{self._title} answered {told}.", hint=hint, code="search_failed", fault=fault, status=status)

    def unreadable(self, why: str) -> Upstream:
        """What to raise for an answer that is not as it should be."""
        return Upstream(
            f"{self._title}'s answer cannot be read: {why}.", hint="Is its base_url right?", code="search_failed"
        )


def worded(query: str) -> str:
    """A question on one line, as long as every back end takes it."""
    words = clean(query).split()[:MOST_WORDS]
    text = " ".join(words)
    return text if len(text) <= MOST_QUERY else text[: MOST_QUERY + 1].rpartition(" ")[0] or text[:MOST_QUERY]


def hits(results: Sequence[Any], limit: int, names: Mapping[str, str]) -> list[Hit]:
    """Results with an address of the web, each once. `names` says how the back end calls a `Hit`'s fields."""
    found: dict[str, Hit] = {}
    for result in results:
        if len(found) >= limit:
            break
        if not isinstance(result, dict):
            continue
        told = {field: result.get(name) for field, name in names.items()}
        url = told["url"]
        if not isinstance(url, str) or len(url) > _URL or not url.startswith(("http://", "https://")):
            continue
        text = told.get("text")
        found.setdefault(
            url,
            Hit(
                url,
                line(told.get("title"), 300),
                line(told.get("snippet"), 1000),
                day(told.get("published")),
                clean(text[:MOST_PAGE]) if isinstance(text, str) else "",
            ),
        )
    return list(found.values())


def _patience(headers: Mapping[str, str]) -> float | None:
    """How long to wait before asking again; None where that is longer than anybody would."""
    # Brave tells one number for each of its windows, the shortest first
    said = headers.get("retry-after") or headers.get("x-ratelimit-reset", "").partition(",")[0]
    try:
        seconds = float(said) if said else _UNSAID_S
    except ValueError:  # a date
        return None
    return max(seconds, 0.1) if seconds <= PATIENCE_S else None
