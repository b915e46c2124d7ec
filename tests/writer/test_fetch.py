"""Reading pages: from real sockets, under names that are public for the test."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from intermodel.core import IntermodelError, Refused, Upstream
from intermodel.settings import Writer
from intermodel.writer.fetch import Pages
from tests.providers.raw import Talk
from tests.writer.site import Route, Site, answer, moved, public, site

PAGE = (
    b"<!doctype html><html><head><title>Licences &amp; models</title>"
    b'<meta property="article:published_time" content="2025-03-04T10:00:00Z"></head><body><nav>home</nav>'
    b"<article><h1>Licences &amp; models</h1>"
    b"<p>Apache-2.0 was published in <b>January 2004</b> and allows use by anybody.</p>"
    b"<h2>Size</h2><p>The model has 70 billion parameters<sup><a href='#n1'>[1]</a></sup> and needs 140 GB.</p>"
    b"<ul><li>one thing</li><li>another thing</li></ul></article><footer>imprint</footer></body></html>"
)


@asynccontextmanager
async def reading(
    monkeypatch: pytest.MonkeyPatch, routes: dict[str, Route], **given: Any
) -> AsyncIterator[tuple[Pages, Site]]:
    """Pages of `http://site.example`, read as if it were on the public network."""
    async with site(routes) as seen:
        public(monkeypatch, {"site.example": seen.port, "other.example": seen.port, "inner.example": "10.0.0.5"})
        pages = Pages(Writer(**{"pause_s": 0, **given}))
        try:
            yield pages, seen
        finally:
            await pages.close()


async def refused(pages: Pages, url: str = "http://site.example/") -> IntermodelError:
    with pytest.raises((Refused, Upstream)) as error:
        await pages.fetch(url)
    return error.value


async def test_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    routes: dict[str, Route] = {"/a?b=c": moved("/d"), "/d": answer(PAGE, "text/html; charset=utf-8")}
    async with reading(monkeypatch, routes) as (pages, seen):
        page = await pages.fetch("http://site.example/a?b=c#part")
    assert page.url == "http://site.example/d"
    assert (page.title, page.published) == ("Licences & models", "2025-03-04")
    assert page.text == (
        "# Licences & models\n\nApache-2.0 was published in January 2004 and allows use by anybody.\n\n"
        "## Size\n\nThe model has 70 billion parameters and needs 140 GB.\n\n- one thing\n- another thing"
    )
    assert page.digest == "sha256:" + hashlib.sha256(PAGE).hexdigest()
    assert seen.paths == ["/robots.txt", "/a?b=c", "/d"]
    assert all(b"User-Agent: intermodel-writer/" in head and b"Host: site.example\r\n" in head for head in seen.heads)


async def test_plain_text_in_its_own_letters_and_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# Über Lizenzen\n\nSie gelten für alle.\u200b"
    routes: dict[str, Route] = {
        "/a": answer(text[:-1].encode("latin-1"), "text/plain; charset=ISO-8859-1"),
        "/b": answer(gzip.compress(text.encode()), "text/markdown", "Content-Encoding: gzip"),
    }
    async with reading(monkeypatch, routes) as (pages, _):
        first, second = await pages.fetch("http://site.example/a"), await pages.fetch("http://site.example/b")
    assert first.text == second.text == "# Über Lizenzen\n\nSie gelten für alle."
    assert first.title == "Über Lizenzen"
    assert second.digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/x", "http://10.0.0.1:8080/", "http://169.254.169.254/latest/meta-data", "//192.168.1.1/",
        "http://inner.example/", "http://localhost/", "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://a@b.example/",
        "ftp://site.example/x", "file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "http://site.example:22/",
        "http://\uff11\uff10.0.0.1/", "http://[::1", "http://site.example:99999/", "https://x.localhost/",
    ],
)  # fmt: skip
async def test_a_redirect_leads_nowhere_that_is_not_read(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    async with reading(monkeypatch, {"/": moved(location)}) as (pages, seen):
        error = await refused(pages)
    assert isinstance(error, Refused)
    assert error.code in ("page_refused", "robots_unknown")
    assert seen.pages == ["/"]


async def test_a_redirect_to_another_public_site_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    routes: dict[str, Route] = {"/": moved("http://other.example/b"), "/b": answer(b"Found here.", "text/plain")}
    async with reading(monkeypatch, routes) as (pages, seen):
        assert (await pages.fetch("http://site.example/")).url == "http://other.example/b"
    assert seen.paths == ["/robots.txt", "/", "/robots.txt", "/b"]  # each site's rules are asked for


async def test_a_name_that_leads_into_this_network(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(monkeypatch, {}) as (pages, seen):
        error = await refused(pages, "http://inner.example/")
        assert isinstance(error, Refused)
        assert "an address of this network" in str(error)
        assert "10.0.0.5" not in str(error)
        assert "could not be reached" in str(await refused(pages, "http://nowhere.example/"))
    assert seen.paths == []


async def test_an_intranet_is_read_where_that_is_set() -> None:
    async with site({"/": answer(b"Of the intranet.", "text/plain")}) as seen:
        pages = Pages(Writer(private=True, pause_s=0))
        assert (await pages.fetch(f"http://127.0.0.1:{seen.port}/")).text == "Of the intranet."
        assert isinstance(await refused(pages, "http://169.254.169.254/"), Refused)  # never
        await pages.close()


async def test_endless_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    async with reading(monkeypatch, {"/": moved("/"), "/bare": moved("")}) as (pages, seen):
        assert "more than 5 redirects" in str(await refused(pages))
        assert seen.pages == ["/"] * 6
        assert "does not say where" in str(await refused(pages, "http://site.example/bare"))


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (answer(b"%PDF", "application/pdf"), "page_kind"), (answer(b"x", ""), "page_kind"),
        (answer(b"{}", "application/json"), "page_kind"), (answer(b"x", "image/svg+xml"), "page_kind"),
        (answer(b"x", status="404 Not Found"), "page_failed"), (answer(b"x", status="503 No"), "page_failed"),
        (answer(b"x", status="403 No"), "page_refused"), (answer(b"x", status="206 Partial Content"), "page_failed"),
        (answer(b"", "text/plain"), "page_empty"), (answer(b" \n\x00\xe2\x80\x8b", "text/plain"), "page_empty"),
        (answer(b"<html><body></body></html>"), "page_empty"), (answer(b"\x89PNG\r\n" * 50), "page_empty"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n\r\nHello", "page_failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nHello",
         "page_failed"),
        (b"220 smtp.example ESMTP\r\n", "page_failed"), (b"", "page_failed"),
        (answer(b"x", "text/plain", "Content-Encoding: gzip"), "page_failed"),
        (answer(b"x", "text/plain", "Content-Encoding: br"), "page_failed"),
    ],
)  # fmt: skip
async def test_what_is_no_page(monkeypatch: pytest.MonkeyPatch, response: bytes, code: str) -> None:
    async def once(talk: Talk) -> None:
        await talk.send(response)
        talk.writer.close()

    async with reading(monkeypatch, {"/": once}) as (pages, _):
        error = await refused(pages)
    assert error.code == code
    assert "site.example" in error.message


async def test_more_than_the_length_says_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nHello, and HTTP/1.1 200 OK\r\n\r\n"
    async with reading(monkeypatch, {"/": body, "/b": answer(b"Second.", "text/plain")}) as (pages, _):
        assert (await pages.fetch("http://site.example/")).text == "Hello"
        assert (await pages.fetch("http://site.example/b")).text == "Second."


@pytest.mark.parametrize("head", ["Content-Length: 52428800", "Transfer-Encoding: chunked", "Connection: close"])
async def test_50_megabytes(monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    sent = 0

    async def huge(talk: Talk) -> None:
        nonlocal sent
        await talk.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{head}\r\n\r\n".encode())
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n" if "chunked" in head else b"x" * 65536
        for _ in range(800):
            await talk.send(piece)
            sent += len(piece)
        talk.writer.close()

    async with reading(monkeypatch, {"/": huge}) as (pages, _):
        assert (await refused(pages)).code == "page_too_large"
    assert sent < 16 * 1024**2


async def test_a_gzip_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(gzip.compress(b"\x00" * 50_000_000) + b"x", 1) + gzip.compress(b"a" * 50_000_000, 9)
    async with reading(monkeypatch, {"/": answer(bomb, "text/plain", "Content-Encoding: gzip")}) as (pages, _):
        assert (await refused(pages)).code == "page_too_large"


@pytest.mark.parametrize("when", ["head", "drip", "body", "robots"])
async def test_slow(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    async def slow(talk: Talk) -> None:
        if when != "head":
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n")
        await talk.send(*[b"x"] * (1000 if when == "drip" else 0), pause_s=0.02)
        await asyncio.sleep(30)

    routes: dict[str, Route] = {"/robots.txt" if when == "robots" else "/": slow}
    async with reading(monkeypatch, routes, page_s=0.4) as (pages, _):
        began = time.monotonic()
        error = await refused(pages)
        assert time.monotonic() - began < 5
        assert "in time" in str(error) or "within 0.4 s" in str(error)


async def test_one_request_at_a_time_and_a_pause_between(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unhurried(talk: Talk) -> None:
        await asyncio.sleep(0.05)
        await talk.send(answer(b"Here.", "text/plain"))

    routes: dict[str, Route] = {f"/{n}": unhurried for n in range(3)}
    async with reading(monkeypatch, routes, pause_s=0.2, page_s=0.19) as (pages, seen):
        # what is waited for the site's turn takes nothing of a page's time
        await asyncio.gather(*(pages.fetch(f"http://site.example/{n}") for n in range(3)))
    assert seen.most_at_once == 1
    assert all(after - before >= 0.2 for before, after in zip(seen.times, seen.times[1:], strict=False))
