"""Each back end on the network, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from intermodel.core import Fault, Upstream
from intermodel.settings import Brave, SearXNG, Tavily, Writer
from intermodel.writer.look import MOST_PAGE, Hit, Search
from intermodel.writer.search import connect
from tests.providers.raw import Handler, Server, Talk, always, serving, whole

GOLDEN = Path(__file__).with_name("golden")
KEY = "a-key-of-the-tests"
NAMES = ("searxng", "brave", "tavily")
EMPTY = {
    "searxng": {"results": [], "unresponsive_engines": []},
    "brave": {"type": "search", "query": {"original": "x"}},
    "tavily": {"results": []},
}


def settings(name: str, url: str, **given: Any) -> Writer:
    tables = {
        "searxng": SearXNG(base_url=url),
        "brave": Brave(base_url=url, key_env="THE_KEY"),
        "tavily": Tavily(base_url=url, key_env="THE_KEY"),
    }
    return Writer(**{name: tables[name]}, **given)


@asynccontextmanager
async def asked(name: str, handler: Handler, **given: Any) -> AsyncIterator[tuple[Search, Server]]:
    async with serving(handler) as server:
        (search,) = connect(settings(name, server.origin.base_url, **given), [name], {"THE_KEY": KEY})
        try:
            yield search, server
        finally:
            await search.close()


every = pytest.mark.parametrize("name", NAMES)


@every
async def test_results_in_one_form(name: str) -> None:
    body = (GOLDEN / f"{name}.json").read_bytes()
    async with asked(name, always(whole(body))) as (search, _):
        found = await search.search("open model licences", 10)
    text = "# Licences of open models\n\nApache-2.0 is of January 2004." if name == "tavily" else ""
    snippet = "What each licence allows, and what it forbids & why."
    # what has no address of the web is no result
    assert found == [
        Hit("https://example.org/licences?a=1&b=2", "Licences of open models", snippet, "2025-03-04", text),
        Hit("https://example.net/osaid", "The definition"),
    ]
    assert search.name == name


@every
async def test_no_more_than_asked_for(name: str) -> None:
    async with asked(name, always(whole((GOLDEN / f"{name}.json").read_bytes()))) as (search, _):
        assert len(await search.search("x", 1)) == 1


async def test_what_each_is_asked() -> None:
    seen: dict[str, bytes] = {}
    for name in NAMES:
        async with asked(name, always(whole(json.dumps(EMPTY[name]).encode()))) as (search, server):
            await search.search("who & what", 3)
            seen[name] = server.requests[0]
    assert seen["searxng"].startswith(b"GET /v1/search?q=who+%26+what&format=json HTTP/1.1\r\n")
    assert seen["brave"].startswith(b"GET /v1/res/v1/web/search?q=who+%26+what&count=3&result_filter=web&")
    assert b"X-Subscription-Token: a-key-of-the-tests\r\n" in seen["brave"]
    head, _, body = seen["tavily"].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/search HTTP/1.1\r\n")
    assert b"Authorization: Bearer a-key-of-the-tests" in head
    assert json.loads(body) == {
        "query": "who & what", "max_results": 3, "search_depth": "basic", "include_raw_content": "markdown",
    }  # fmt: skip
    assert all(b"User-Agent: intermodel-writer/" in one for one in seen.values())


@every
async def test_nothing_found(name: str) -> None:
    async with asked(name, always(whole(json.dumps(EMPTY[name]).encode()))) as (search, _):
        assert await search.search("x", 5) == []


async def test_searxng_whose_engines_fail_has_not_found_nothing() -> None:
    body = json.dumps({"results": [], "unresponsive_engines": [["google", "timeout"], ["bing", "CAPTCHA"], 7]})
    async with asked("searxng", always(whole(body.encode()))) as (search, _):
        with pytest.raises(Upstream, match=r"google \(timeout\), bing \(CAPTCHA\)"):
            await search.search("x", 5)


@every
async def test_down(name: str) -> None:
    async with serving(always(b"")) as server:
        url = server.origin.base_url
    (search,) = connect(settings(name, url), [name], {"THE_KEY": KEY})
    with pytest.raises(Upstream, match="could not be reached"):
        await search.search("x", 5)
    await search.close()


@every
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><p>Please sign in", "it is no JSON"), (b"", "it is no JSON"), (b'{"results": [', "it is no JSON"),
        (b"[]", "it"), (b'{"results": 7, "web": 7}', "no list of results"), (b'{"error": "no"}', "no list of results"),
        (b"null", "it"), (b"\xff\xfe\x00", "it is no JSON"), (b"[" * 100_000, "it is no JSON"),
    ],
)  # fmt: skip
async def test_rubbish(name: str, body: bytes, why: str) -> None:
    async with asked(name, always(whole(body))) as (search, _):
        with pytest.raises(Upstream, match=why):
            await search.search("x", 5)


@every
async def test_results_that_are_none_are_passed_over(name: str) -> None:
    odd: list[Any] = [
        None, 7, "x", [], {}, {"url": None}, {"url": 7, "title": "x"}, {"url": "https://" + "x" * 3000},
        {"url": "https://a.example/", "title": ["no"], "content": {}, "description": 1, "page_age": "then",
         "publishedDate": 2025, "published_date": "2025-99-99", "raw_content": 3},
        {"url": "https://a.example/", "title": "the same again"},
        {"url": "https://b.example/", "title": "x\u202ey" * 2000, "raw_content": "z" * 900_000},
    ]  # fmt: skip
    body = {"results": odd, "web": {"results": odd}}
    async with asked(name, always(whole(json.dumps(body).encode()))) as (search, _):
        found = await search.search("x", 50)
    assert [hit.url for hit in found] == ["https://a.example/", "https://b.example/"]
    assert found[0] == Hit("https://a.example/", "")
    assert len(found[1].title) == 300
    assert "\u202e" not in found[1].title
    assert len(found[1].text) == (MOST_PAGE if name == "tavily" else 0)


@pytest.mark.parametrize(
    ("name", "status", "hint"),
    [
        ("searxng", 403, "formats"), ("searxng", 429, "limiter"), ("brave", 403, "key"), ("brave", 422, "key"),
        ("brave", 402, "money"), ("tavily", 401, "key"), ("tavily", 432, "plan"), ("tavily", 500, "later"),
        ("brave", 301, "base_url"), ("searxng", 404, "base_url"), ("brave", 599, "later"),
    ],
)  # fmt: skip
async def test_what_its_operator_can_do(name: str, status: int, hint: str) -> None:
    body = whole(b"<html>", b"Retry-After: 900", status=b"%d Said" % status)
    async with asked(name, always(body)) as (search, server):
        with pytest.raises(Upstream, match=str(status)) as failed:
            await search.search("x", 5)
    assert hint in failed.value.hint
    assert failed.value.status == status
    assert len(server.requests) == 1
    assert KEY not in str(failed.value)


@pytest.mark.parametrize(
    ("status", "fault"), [(b"401 No", Fault.KEY), (b"429 No", Fault.TIRED), (b"500 No", Fault.BROKEN)]
)
async def test_a_dead_key_and_a_tired_account_are_told_apart(status: bytes, fault: Fault) -> None:
    async with asked("brave", always(whole(b"", b"Retry-After: 900", status=status))) as (search, _):
        with pytest.raises(Upstream) as failed:
            await search.search("x", 5)
    assert failed.value.fault is fault


@every
@pytest.mark.parametrize("field", [b"Retry-After: 0", b"X-RateLimit-Reset: 0, 1419704", b"X: y"])
async def test_asked_too_often_it_waits_and_asks_once_more(name: str, field: bytes) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(whole(b"", field, status=b"429 Too Many Requests"))
        await talk.request()
        await talk.send(whole((GOLDEN / f"{name}.json").read_bytes()))

    async with asked(name, handler) as (search, server):
        assert len(await search.search("x", 5)) == 2
    assert len(server.requests) == 2


@every
async def test_50_megabytes(name: str) -> None:
    sent = 0

    async def handler(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 52428800\r\n\r\n")
        for _ in range(800):
            await talk.send(b" " * 65536)
            sent += 65536

    async with asked(name, handler, search_bytes=1024**2) as (search, _):
        with pytest.raises(Upstream, match="more than 1048576 bytes"):
            await search.search("x", 5)
    assert sent < 16 * 1024**2


@every
@pytest.mark.parametrize("pieces", [0, 1000])
async def test_slow(name: str, pieces: int) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        if pieces:
            await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        await talk.send(*[b"x"] * pieces, pause_s=0.01)
        await asyncio.sleep(30)

    async with asked(name, handler, search_s=0.3) as (search, _):
        began = time.monotonic()
        with pytest.raises(Upstream, match="did not answer"):
            await search.search("x", 5)
        assert time.monotonic() - began < 5


async def test_a_question_is_as_long_as_every_back_end_takes_it() -> None:
    async with asked("tavily", always(whole(b'{"results": []}'))) as (search, server):
        await search.search(" word\n\x00" * 500, 5)
        await search.search("x" * 10_000, 5)
    first, second = (json.loads(one.partition(b"\r\n\r\n")[2])["query"] for one in server.requests)
    assert first == " ".join(["word"] * 50)
    assert second == "x" * 400


async def test_a_question_gives_searxng_no_orders() -> None:
    async with asked("searxng", always(whole(b'{"results": []}'))) as (search, server):
        await search.search("!!images :de what is ?x open!", 5)
    assert b"q=images+de+what+is+x+open%21&" in server.requests[0]


async def test_a_server_in_this_network_must_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.providers.test_addresses import resolving

    resolving(monkeypatch, "10.0.0.5")
    (search,) = connect(settings("searxng", "http://search.example"), ["searxng"])
    with pytest.raises(Upstream) as refused:
        await search.search("x", 5)
    assert refused.value.code == "address_refused"
    assert "[writer.searxng]" in refused.value.hint
    await search.close()
