"""Reads pages of the web, politely and safely: the `Fetch` of `look`.

- Public addresses alone, http and https, checked in the text (`address`), after the name was looked up, and again at
  each redirect; what was checked is what is connected to.
- What comes is bounded in size (after decompression), time, redirects and kind, and so is taking it apart (`apart`).
- robots.txt is kept (RFC 9309), a host is asked one thing at a time with a pause between, and the node says who it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus

from intermodel import __version__
from intermodel.core import IntermodelError, Refused, Upstream
from intermodel.providers.http import Http, Origin, Response
from intermodel.settings import Writer
from intermodel.writer.address import Place, onward, place, unreached
from intermodel.writer.apart import Word, needs, text_of, word_of
from intermodel.writer.look import MOST_PAGE, Page
from intermodel.writer.plain import clean, line

AGENT = f"intermodel-writer/{__version__}"
"""How it calls itself; `intermodel-writer` is the name for rules in robots.txt."""
ROBOTS_BYTES = 512 * 1024
"""Of a robots.txt that are read; what comes after is not (RFC 9309, 2.5: at least 500 KiB)."""
ROBOTS_REDIRECTS = 5
"""RFC 9309, 2.3.1.2."""
ROBOTS_KEPT_S = 600.0
MOST_DELAY_S = 10.0
"""A `Crawl-delay` is kept up to this."""
_HOSTS = 256
_MOVED = frozenset({301, 302, 303, 307, 308})
_KINDS = {
    "text/html": "html", "application/xhtml+xml": "html", "text/plain": "plain", "text/markdown": "plain",
    "text/x-markdown": "plain",
}  # fmt: skip
_ASKED = {
    "User-Agent": AGENT,
    "Accept": "text/html, application/xhtml+xml, text/markdown;q=0.9, text/plain;q=0.9",
    "Accept-Language": "en, *;q=0.5",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer. Its data are not whole where there was more of it than is read."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    is_whole: bool = True


@dataclass
class _Clock:
    """What is left of a page's time. It stands still while the page waits for its site's turn."""

    left: float

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(self.left, 0)):
                yield
        finally:
            self.left -= time.monotonic() - began


@dataclass
class _Site:
    """A host: one request at a time, the next not before `free_at`."""

    pause_s: float
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rules:
    """The robots.txt of a server; None where it has none; or why it could not be read."""

    text: bytes | None
    error: IntermodelError | None
    until: float


class Pages:
    """The web, for one run or several."""

    def __init__(self, settings: Writer) -> None:
        needs()
        self._settings = settings
        self._http = Http()
        self._sites: dict[str, _Site] = {}
        self._rules: dict[str, _Rules] = {}

    async def fetch(self, url: str) -> Page:
        clock = _Clock(self._settings.page_s)
        try:
            at, answer = await self._followed(self._place(url), clock)
        except TimeoutError:
            raise Upstream(
                f"{_shown(url)} did not come within {self._settings.page_s:g} s.",
                hint="The bound is [writer] page_s.",
                code="page_timeout",
            ) from None
        return await self._page(at, answer)

    async def close(self) -> None:
        await self._http.close()

    def _place(self, url: str) -> Place:
        return place(url, private=self._settings.private)

    # One page

    async def _followed(self, at: Place, clock: _Clock) -> tuple[Place, _Answer]:
        """The page that is found in the end, and where that is."""
        most = self._settings.redirects
        for _ in range(most + 1):
            await self._check_robots(at, clock)
            answer = await self._asked(at, clock, self._settings.page_bytes, is_page=True)
            if answer.status not in _MOVED:
                return at, answer
            at = self._onward(at, answer)
        raise Upstream(
            f"{_shown(at.url)} is the end of more than {most} redirects, and leads on.",
            hint="The bound is [writer] redirects.",
            code="page_redirects",
        )

    def _onward(self, at: Place, answer: _Answer) -> Place:
        location = answer.headers.get("location", "")
        if not location:
            raise Upstream(
                f"{_shown(at.url)} leads on and does not say where.", code="page_failed", status=answer.status
            )
        with contextlib.suppress(UnicodeDecodeError):  # fields are bytes; letters beyond ASCII are mostly UTF-8
            location = location.encode("latin-1").decode()
        return onward(at, location, private=self._settings.private)

    async def _page(self, at: Place, answer: _Answer) -> Page:
        shown = _shown(at.url)
        kind, charset = _kind(answer.headers.get("content-type", ""), shown)
        found = await text_of(
            answer.data, kind=kind, charset=charset, url=at.url, name=shown, seconds=self._settings.extract_s
        )
        text = clean(found.text)[:MOST_PAGE]
        if not text:
            raise Refused(f"{shown} holds no text that could be found.", code="page_empty")
        digest = "sha256:" + hashlib.sha256(answer.data).hexdigest()
        return Page(at.url, line(found.title, 300), text, digest, found.published)

    # robots.txt

    async def _check_robots(self, at: Place, clock: _Clock) -> None:
        """Raises `Refused` where the site does not want this page read, or its rules are not to be had."""
        rules = self._rules.get(at.server)
        if rules is None or rules.until < time.monotonic():
            rules = await self._read_rules(at, clock)
            if len(self._rules) >= _HOSTS:
                self._rules.pop(next(iter(self._rules)))
            self._rules[at.server] = rules
        if rules.error is not None:
            raise Refused(
                f"{_shown(at.url)} is not read, for the rules of {at.host} (robots.txt) are not to be had. "
                f"{rules.error.message}",
                code="robots_unknown",
            )
        if rules.text is None:
            return
        word = await self._word(rules.text, at)
        self._site(at).pause_s = max(self._settings.pause_s, min(word.delay_s, MOST_DELAY_S))
        if not word.allowed:
            raise Refused(
                f"{_shown(at.url)} is not read: the robots.txt of {at.host} forbids it to {AGENT.partition('/')[0]}.",
                code="robots_forbid",
            )

    async def _word(self, rules: bytes, at: Place) -> Word:
        return await word_of(rules, url=at.url, agent=AGENT, name=f"The robots.txt of {at.host}")

    async def _read_rules(self, at: Place, clock: _Clock) -> _Rules:
        until = time.monotonic() + ROBOTS_KEPT_S
        try:
            return _Rules(await self._robots(at, clock), None, until)
        except (Refused, Upstream) as error:
            return _Rules(None, error, until)

    async def _robots(self, at: Place, clock: _Clock) -> bytes | None:
        """Its text; None where there is none, and everything may be read (RFC 9309, 2.3.1.3)."""
        here = Place(at.server, at.host, "/robots.txt")
        for _ in range(ROBOTS_REDIRECTS + 1):
            answer = await self._asked(here, clock, ROBOTS_BYTES, is_page=False)
            if answer.status == 200:
                return answer.data if answer.is_whole else answer.data.rpartition(b"\n")[0]
            if answer.status not in _MOVED:
                break
            here = self._onward(here, answer)
        if answer.status == 429 or answer.status >= 500:  # RFC 9309, 2.3.1.4; and who is asked too often says no more
            raise Upstream(f"It answered {_told(answer.status)}.", status=answer.status)
        return None

    # One request

    async def _asked(self, at: Place, clock: _Clock, most: int, *, is_page: bool) -> _Answer:
        """The answer, in the site's turn. Of what is no page too much is cut off, and of a page it is refused."""
        site = self._site(at)
        async with site.turn:
            await asyncio.sleep(max(site.free_at - time.monotonic(), 0))
            try:
                async with clock.running():
                    return await self._answered(at, clock.left, most, is_page=is_page)
            except Upstream as error:
                if error.code == "address_refused":
                    raise unreached(_shown(at.url)) from None
                if error.code.startswith("upstream"):  # the client's hints are for servers that an operator named
                    raise Upstream(error.message, code="page_failed") from None
                raise
            finally:
                site.free_at = time.monotonic() + site.pause_s

    async def _answered(self, at: Place, silence_s: float, most: int, *, is_page: bool) -> _Answer:
        origin, silence_s = Origin(at.server, private=self._settings.private), max(silence_s, 0.001)
        response = await self._http.get(origin, at.path, headers=_ASKED, silence_s=silence_s, name=at.host)
        try:
            return await self._read(at, response, most, is_page=is_page)
        finally:
            await response.close()

    async def _read(self, at: Place, response: Response, most: int, *, is_page: bool) -> _Answer:
        headers = dict(response.headers)
        if response.status in _MOVED or (response.status != 200 and not is_page):
            return _Answer(response.status, headers, b"")
        if is_page:
            _check_head(at, response.status, headers, most)
        data = bytearray()
        while piece := await response.read():
            data += piece
            if len(data) > most:
                if is_page:
                    raise _too_large(at, most)
                return _Answer(response.status, headers, bytes(data[:most]), is_whole=False)
        return _Answer(response.status, headers, bytes(data))

    def _site(self, at: Place) -> _Site:
        site = self._sites.get(at.host)
        if site is None:
            for host in [h for h, s in self._sites.items() if not s.turn.locked()][: len(self._sites) - _HOSTS + 1]:
                del self._sites[host]
            site = self._sites[at.host] = _Site(self._settings.pause_s)
        return site


def _check_head(at: Place, status: int, headers: Mapping[str, str], most: int) -> None:
    """Raises what can be said of a page before it has come."""
    shown = _shown(at.url)
    if status in (401, 402, 403, 407, 451):
        raise Refused(f"{shown} is not for everybody: it answered {_told(status)}.", code="page_refused")
    if status != 200:
        raise Upstream(f"{shown} answered {_told(status)}.", code="page_failed", status=status)
    _kind(headers.get("content-type", ""), shown)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most:
        raise _too_large(at, most)


def _kind(content_type: str, shown: str) -> tuple[str, str]:
    """How a page of this type is taken apart, and its character set where it is told."""
    fields = Message()
    fields["content-type"] = content_type[:200]
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _KINDS:
        told = f"'{media_type[:60]}'" if media_type else "of no stated kind"
        raise Refused(f"{shown} is {told}; HTML, Markdown and plain text are read.", code="page_kind")
    charset = fields.get_param("charset", "")
    return _KINDS[media_type], charset if isinstance(charset, str) and charset.isascii() else ""


def _too_large(at: Place, most: int) -> Refused:
    return Refused(
        f"{_shown(at.url)} has more than {most} bytes.", hint="The bound is [writer] page_bytes.", code="page_too_large"
    )


def _told(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


def _shown(url: str) -> str:
    return url if len(url) <= 200 else url[:199] + "\u2026"
