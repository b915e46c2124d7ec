"""Answers that are kept: one upstream call for many equal ones, and never for another organisation's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.gateway.cache import Cache
from intermodel.settings import Cache as CacheTable
from intermodel.settings import GuardTable
from tests.faults.server import (
    BEGUN,
    CUT,
    DONE,
    END,
    EVENTS,
    HANG,
    REST,
    ROLE,
    STOP,
    Asked,
    Server,
    Step,
    framed,
    piece,
    says,
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
    server.script = in_two_parts if stream else lambda _: steps("slow-1.0", stream=False)
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
    assert len(server.asked) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("stay", [True, False])
def test_the_call_upstream_is_not_its_first_callers(kept: tuple[Running, Server], stream: bool, stay: bool) -> None:
    """It goes on, before its stream began or while all of it is awaited, as long as somebody waits."""
    node, server = kept
    server.script = lambda _: [1.0, *steps("ok", stream=stream)]

    cache = node.node.gateway.cache

    async def leave() -> int:
        async with httpx2.AsyncClient() as client:
            path, given = f"{node.api}/chat/completions", body("r", stream=stream)

            def call() -> asyncio.Task[httpx2.Response]:
                return asyncio.create_task(client.post(path, json=given, headers=node.headers, timeout=20))

            first = call()
            await asyncio.to_thread(until, lambda: server.asked)
            second = call()
            await asyncio.to_thread(until, lambda: [one for one in cache._coming.values() if one.readers])
            for task in (first,) if stay else (first, second):
                task.cancel()
            return 0 if not stay else (await second).status_code

    assert asyncio.run(leave()) == (200 if stay else 0)
    assert len(server.asked) == 1
    until(lambda: not node.node.gateway._live)
    if not stay:
        until(server.asked[0].left.is_set)
    listed = httpx2.get(f"{node.url}/api/v1/receipts", headers=node.headers)
    until(lambda: len(httpx2.get(listed.url, headers=node.headers).json()["data"]) == 2, 3)
    told = httpx2.get(listed.url, headers=node.headers).json()["data"]
    assert sorted(one["outcome"] for one in told) == (["left", "ok"] if stay else ["left", "left"])


def test_what_a_route_said_before_is_not_given_any_more(tmp_path: Path) -> None:
    guards = {"g": GuardTable(actions={"*": "mask"})}
    with calling(tmp_path, {}, {"m": {}}, guards=guards) as (node, server):
        message = {"role": "assistant", "content": "jane.doe@example.com"}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        whole |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        server.script = lambda _: [framed(orjson.dumps(whole))]
        route: dict[str, Any] = {"candidates": ["m"], "cache_s": 60}
        said = []
        for more in ({}, {}, {"guards": ["g"]}):
            document = route | more
            assert httpx2.put(f"{node.url}/api/v1/routes/x", headers=node.headers, json=document).status_code < 300
            said.append(ask(node, "x").json()["choices"][0]["message"]["content"])
        assert said == ["jane.doe@example.com"] * 2 + ["[EMAIL]"]
        assert len(server.asked) == 2
        route, said = {"candidates": ["n"], "cache_s": 60}, []
        for timeout_s in (6, 6, 7):
            deployment = {"base_url": server.base, "model": "n", "timeout_s": timeout_s}
            put = httpx2.put(f"{node.url}/api/v1/deployments/n", headers=node.headers, json=deployment)
            assert put.status_code < 300
            assert httpx2.put(f"{node.url}/api/v1/routes/y", headers=node.headers, json=route).status_code < 300
            assert ask(node, "y").status_code == 200
        assert len(server.of("n")) == 2


def test_answers_on_their_way_are_bounded_too(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, cache=CacheTable(bytes=2048)) as (node, server):
        server.script = lambda _: streamed([ROLE, *[says("x" * 600) for _ in range(20)], STOP, DONE])
        assert ask(node, "r", stream=True).content.endswith(DONE)
        cache = node.node.gateway.cache
        assert (cache.bytes, len(cache._coming), len(cache._kept)) == (0, 0, 0)


def test_what_nobody_waits_for_makes_room_for_what_is_on_its_way() -> None:
    cache = Cache(4096)
    old, idle, wanted = (cache.begin(key, "1", 60) for key in (b"o", b"i", b"w"))
    cache.give(b"o", old, b"x" * 100)
    wanted.readers = 1
    assert cache.add(b"i", idle, b"x" * 1000)
    assert cache.bytes == 3 * 512 + 1100
    assert cache.add(b"w", wanted, b"x" * 1500)
    assert cache.find(b"o") is None
    assert cache.find(b"i") is idle
    assert cache.add(b"w", wanted, b"x" * 1500)
    assert idle.given_up
    assert not cache.add(b"i", idle, b"x")
    assert not cache.add(b"w", wanted, b"x" * 1500), "which is too large by itself"
    assert (wanted.given_up, wanted.pieces, cache.bytes) == (True, [], 0)


def test_a_stop_is_told_to_all_who_read(kept: tuple[Running, Server]) -> None:
    node, server = kept
    server.script = lambda _: streamed(BEGUN, HANG)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask, node, "r", stream=True) for _ in range(2)]
        until(lambda: [kept for kept in node.node.gateway.cache._coming.values() if kept.readers and kept.pieces])
        on(node, node.node.gateway.stop(0.1))
        assert [read_stream(one.result().text)[1] for one in answers] == ["node_stopping"] * 2


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
    until(server.asked[0].left.is_set)


def test_it_is_bounded(tmp_path: Path) -> None:
    with calling(tmp_path, ROUTES, cache=CacheTable(bytes=4096)) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        for number in range(20):
            ask(node, "r", seed=number)
        assert node.node.gateway.cache.bytes <= 4096
        ask(node, "r", seed=19)
        assert len(server.asked) == 20, "the newest are kept"
        ask(node, "r", seed=0)
        assert len(server.asked) == 21


def test_what_is_larger_than_the_whole_is_not_kept() -> None:
    cache = Cache(2048)
    small, large = cache.begin(b"s", "1", 60), cache.begin(b"l", "2", 60)
    cache.give(b"s", small, b"x" * 100)
    cache.give(b"l", large, b"x" * 3000)
    assert cache.find(b"s") is small
    assert cache.find(b"l") is None
