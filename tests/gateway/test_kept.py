"""Answers that are kept: one upstream call for many equal ones, and never for another organisation's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.gateway.cache import Cache
from intermodel.settings import Cache as CacheTable
from tests.faults.server import (
    BEGUN,
    CUT,
    DONE,
    END,
    EVENTS,
    HANG,
    REST,
    Asked,
    Server,
    Step,
    piece,
    steps,
    streamed,
)
from tests.faults.table import on, read_stream
from tests.gateway.calling import ask, body, calling, receipt, until
from tests.support import Running

ROUTES: dict[str, dict[str, Any]] = {"r": {"candidates": ("m",), "cache_s": 60, "attempts": 1}}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Running, Server]]:
    with calling(tmp_path, ROUTES) as (node, server):
        server.script = lambda asked: steps("slow-0.3", stream=bool(asked.body.get("stream")))
        yield node, server


def in_two_parts(asked: Asked) -> list[Step]:
    return [EVENTS, *map(piece, BEGUN), 0.4, *map(piece, REST), END]


def together(node: Running, number: int, **more: Any) -> list[httpx2.Response]:
    with ThreadPoolExecutor(number) as pool:
        return [*pool.map(lambda _: ask(node, "r", **more), range(number))]


@pytest.mark.parametrize("stream", [False, True])
def test_many_equal_calls_are_one_upstream(kept: tuple[Running, Server], stream: bool) -> None:
    node, server = kept
    answers = [*together(node, 8, stream=stream), ask(node, "r", stream=stream)]
    assert len(server.asked) == 1
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["content-type"] for answer in answers}) == 1
    receipts = [receipt(node, answer) for answer in answers]
    assert len({told["id"] for told in receipts}) == 9
    assert sorted(told["spent"] for told in receipts) == [0] * 8 + [70_000], "it is paid for once"
    (paid,) = [told["id"] for told in receipts if told["spent"]]
    assert {told.get("cache") for told in receipts if not told["spent"]} == {paid}
    assert not stream or answers[-1].content.endswith(DONE)


def test_a_stream_is_followed_as_it_comes(kept: tuple[Running, Server]) -> None:
    node, server = kept
    server.script = in_two_parts
    answers = together(node, 5, stream=True)
    assert len(server.asked) == 1
    assert {read_stream(answer.text) for answer in answers} == {("one twö three", "", True)}


def test_other_questions_and_forms_are_not_mixed_up(kept: tuple[Running, Server]) -> None:
    node, server = kept
    for more in ({}, {"stream": True}, {"temperature": 0.5}, {"messages": [{"role": "user", "content": "other"}]}):
        assert ask(node, "r", **more).status_code == 200
    assert ask(node, "r", path="messages", max_tokens=5).status_code == 200
    assert len(server.asked) == 5
    ask(node, "r", user="somebody", metadata={"trace": "7"})
    assert len(server.asked) == 5, "what does not change the answer does not count"


def test_organisations_never_share(kept: tuple[Running, Server]) -> None:
    node, server = kept

    def token(organisation: str) -> dict[str, str]:
        made = on(node, node.node.tokens.create(f"of {organisation}", organisation=organisation))[1]
        return {"Authorization": f"Bearer {made}"}

    for headers in (token("a"), token("a"), token("b"), token(""), token(""), node.headers):
        assert ask(node, "r", headers=headers).status_code == 200
    assert len(server.asked) == 5, "only the two of organisation a"


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_may_leave_and_the_others_get_their_answer(kept: tuple[Running, Server], stream: bool) -> None:
    node, server = kept
    if stream:
        server.script = in_two_parts
    followers: list[httpx2.Response] = []

    async def first_leaves() -> None:
        async with httpx2.AsyncClient() as client:
            path, given = f"{node.api}/chat/completions", body("r", stream=stream)
            first = asyncio.create_task(client.post(path, json=given, headers=node.headers, timeout=20))
            await asyncio.to_thread(until, lambda: server.asked)
            threads = [
                threading.Thread(target=lambda: followers.append(ask(node, "r", stream=stream))) for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            await asyncio.to_thread(until, lambda: len(node.node.gateway._running) == 4)
            first.cancel()
            for thread in threads:
                await asyncio.to_thread(thread.join)

    asyncio.run(first_leaves())
    assert [answer.status_code for answer in followers] == [200] * 3
    if stream:
        assert {read_stream(answer.text) for answer in followers} == {("one twö three", "", True)}
    assert len(server.asked) <= 2


def test_a_failure_is_told_to_all_who_wait_and_kept_for_nobody(kept: tuple[Running, Server]) -> None:
    node, server = kept
    server.script = lambda _: [0.3, *steps("status-400", stream=False)]
    answers = together(node, 4)
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.headers["x-intermodel-receipt"] for answer in answers}) == 4, "to each their own receipt"
    assert len(server.asked) == 1
    server.script = lambda _: steps("ok", stream=False)
    assert ask(node, "r").status_code == 200


def test_a_stream_that_breaks_breaks_for_all_and_is_not_kept(kept: tuple[Running, Server]) -> None:
    node, server = kept
    server.script = lambda _: streamed(BEGUN, 0.4, CUT)
    answers = together(node, 4, stream=True)
    assert {read_stream(answer.text) for answer in answers} == {("one twö ", "upstream_broken", False)}
    server.script = lambda asked: steps("ok", stream=True)
    assert ask(node, "r", stream=True).content.endswith(DONE)


def test_when_all_have_left_the_upstream_is_left_too(kept: tuple[Running, Server]) -> None:
    node, server = kept
    server.script = lambda _: [
        EVENTS,
        *map(piece, BEGUN),
        *[step for _ in range(100) for step in (0.1, piece(BEGUN[1]))],
        HANG,
    ]

    async def all_leave() -> None:
        async with httpx2.AsyncClient() as client:
            path, given = f"{node.api}/chat/completions", body("r", stream=True)
            sending = [
                asyncio.create_task(client.post(path, json=given, headers=node.headers, timeout=20)) for _ in range(3)
            ]
            await asyncio.to_thread(until, lambda: len(node.node.gateway._running) == 3 and server.asked)
            for one in sending:
                one.cancel()
            await asyncio.wait(sending)

    asyncio.run(all_leave())
    until(server.asked[0].left.is_set, 1)


def test_it_is_bounded(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, cache=CacheTable(bytes=4096)) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        for number in range(20):
            ask(node, "r", seed=number)
        assert node.node.gateway._cache.bytes <= 4096
        ask(node, "r", seed=19)
        assert len(server.asked) == 20, "the newest are kept"
        ask(node, "r", seed=0)
        assert len(server.asked) == 21


def test_what_is_larger_than_the_whole_is_not_kept() -> None:
    cache = Cache(1024)
    small, large = cache.begin(b"s", "1", 60), cache.begin(b"l", "2", 60)
    small.pieces.append(b"x" * 100)
    large.pieces.append(b"x" * 2000)
    cache.done(b"s", small)
    cache.done(b"l", large)
    assert cache.find(b"s") is small
    assert cache.find(b"l") is None
