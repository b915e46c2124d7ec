"""robots.txt is kept (RFC 9309)."""

from __future__ import annotations

import time

import pytest

from intermodel.core import Refused
from intermodel.writer.apart import word_of
from intermodel.writer.fetch import AGENT
from tests.providers.raw import Talk
from tests.writer.site import Route, answer, moved
from tests.writer.test_fetch import reading, refused

TEXT = answer(b"Here it is.", "text/plain")
RULES = b"""User-agent: *
Disallow: /private/
Disallow: /*.pdf$
Allow: /private/open

User-agent: intermodel-writer
Disallow: /not-us
Crawl-delay: 0.3
"""


async def word(rules: bytes, path: str) -> bool:
    return (await word_of(rules, url=f"http://x.example{path}", agent=AGENT, name="it")).allowed


async def test_rules() -> None:
    for_all = RULES.partition(b"\n\n")[0]
    assert not await word(for_all, "/private/x")
    assert not await word(for_all, "/a/b.pdf")
    assert await word(for_all, "/private/open/x")
    assert not await word(RULES, "/not-us/x")
    assert await word(RULES, "/private/x")  # the group for this node holds instead (RFC 9309, 2.2.1)
    assert await word(b"\xef\xbb\xbfUser-agent: *\nDisallow: /a", "/b")
    assert not await word(b"\xef\xbb\xbfUser-agent: *\nDisallow: /a", "/a")
    assert await word(b"\x89PNG\x00\xff<html>", "/a")


async def test_a_page_that_is_forbidden_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    routes: dict[str, Route] = {"/robots.txt": answer(RULES, "text/plain"), "/a": TEXT, "/to": moved("/not-us/x")}
    async with reading(monkeypatch, routes) as (pages, seen):
        error = await refused(pages, "http://site.example/not-us/x")
        assert (error.code, isinstance(error, Refused)) == ("robots_forbid", True)
        assert (await refused(pages, "http://site.example/to")).code == "robots_forbid"
        assert (await pages.fetch("http://site.example/a")).text == "Here it is."
    assert seen.paths == ["/robots.txt", "/to", "/a"]  # the rules are asked for once
    assert seen.times[2] - seen.times[1] >= 0.3  # Crawl-delay


@pytest.mark.parametrize(
    ("robots", "is_read"),
    [
        (answer(b"", status="404 Not Found"), True), (answer(b"", status="403 Forbidden"), True),
        (answer(b"", status="500 Oh"), False), (answer(b"", status="429 Slow down"), False),
        (moved("/robots.txt"), True), (moved("http://inner.example/robots.txt"), False),
        (moved("http://127.0.0.2/robots.txt"), False), (b"what\r\n\r\n", False),
        (answer(b"User-agent: *\nDisallow:\n" + b"#" * 600_000 + b"\nUser-agent: *\nDisallow: /", "text/plain"), True),
    ],
)  # fmt: skip
async def test_rules_that_are_not_to_be_had(monkeypatch: pytest.MonkeyPatch, robots: bytes, is_read: bool) -> None:
    async with reading(monkeypatch, {"/robots.txt": robots, "/": TEXT}) as (pages, seen):
        if is_read:
            assert (await pages.fetch("http://site.example/")).text == "Here it is."
        else:
            assert (await refused(pages)).code == "robots_unknown"
            assert seen.pages == []


async def test_rules_at_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    routes: dict[str, Route] = {
        "/robots.txt": moved("http://other.example/rules"),
        "/rules": answer(b"User-agent: *\nDisallow: /", "text/plain"), "/": TEXT,
    }  # fmt: skip
    async with reading(monkeypatch, routes) as (pages, seen):
        assert (await refused(pages)).code == "robots_forbid"
    assert seen.paths == ["/robots.txt", "/rules"]


async def test_a_robots_txt_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(talk: Talk) -> None:
        await talk.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nUser-agent: *\nDisallow: /\n"
        )
        await talk.send(*[b"Disallow: /" + b"x" * 65525] * 800)
        talk.writer.close()

    async with reading(monkeypatch, {"/robots.txt": endless}) as (pages, _):
        assert (await refused(pages)).code == "robots_forbid"


@pytest.mark.slow
async def test_rules_that_are_made_to_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    # each of ten thousand groups is given each of ten thousand rules
    rules = b"".join(b"User-agent: a%d\n" % n for n in range(14_000)) + b"Disallow: /*a*a*a$\n" * 14_000
    async with reading(monkeypatch, {"/robots.txt": answer(rules, "text/plain"), "/": TEXT}) as (pages, seen):
        began = time.monotonic()
        assert (await refused(pages)).code == "page_unreadable"
        assert time.monotonic() - began < 15
        assert seen.pages == []
