"""Clients that leave: the work upstream is stopped at once, or read to its end for the bill."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.settings import Budget, Receipts
from tests.faults.server import BEGUN, END, EVENTS, HANG, REST, Server, Step, answer, framed, piece, streamed
from tests.faults.table import on
from tests.gateway.calling import body, calling, until
from tests.support import Running

LEAVES: dict[str, dict[str, Any]] = {"stays": {"when_client_leaves": "drain"}, "goes": {"when_client_leaves": "cancel"}}
ROUTES: dict[str, dict[str, Any]] = {
    "drained": {"candidates": ("stays",), "silence_s": 2},
    "dropped": {"candidates": ("goes",)},
}


@pytest.fixture
def node_and_server(tmp_path: Path) -> Iterator[tuple[Running, Server]]:
    budgets = {"all": Budget(dollars=Decimal(10))}
    with calling(tmp_path, ROUTES, LEAVES, budgets=budgets) as both:
        yield both


def leave(node: Running, server: Server, model: str, *, stream: bool, before_head: bool = False) -> None:
    """Ask, and go away when the upstream has been asked, and the stream has begun."""
    asked_before = len(server.asked)
    gone = threading.Event()

    async def ask() -> None:
        async with httpx2.AsyncClient() as client:
            sending = asyncio.create_task(_read(client, node, body(model, stream=stream), begun))
            await asyncio.to_thread(until, lambda: len(server.asked) > asked_before)
            if stream and not before_head:
                await begun.wait()
            sending.cancel()
            await asyncio.wait([sending])
        gone.set()

    begun = asyncio.Event()
    asyncio.run(ask())
    assert gone.is_set()


async def _read(client: httpx2.AsyncClient, node: Running, given: dict[str, Any], begun: asyncio.Event) -> None:
    path = f"{node.api}/chat/completions"
    async with client.stream("POST", path, json=given, headers=node.headers, timeout=20) as response:
        async for _ in response.aiter_raw():
            begun.set()


def the_receipt(node: Running) -> dict[str, Any]:
    receipts = node.node.gateway.accounts.receipts
    until(lambda: on(node, receipts.list()))
    (only,) = on(node, receipts.list())
    return only


CASES = pytest.mark.parametrize(
    ("stream", "before_head"), [(False, False), (True, False), (True, True)], ids=["whole", "stream", "stream, early"]
)


@CASES
def test_cancel_stops_the_upstream_within_a_second(
    node_and_server: tuple[Running, Server], stream: bool, before_head: bool
) -> None:
    node, server = node_and_server
    tail: list[Step] = [HANG]
    server.script = lambda _: tail if before_head or not stream else streamed(BEGUN, HANG)
    leave(node, server, "dropped", stream=stream, before_head=before_head)
    until(server.asked[0].left.is_set)
    told = the_receipt(node)
    assert told["outcome"] == "left"
    (attempt,) = told["attempts"]
    assert attempt["outcome"] == "left"
    assert told["spent"] > 0, "the vendor may bill what was read"
    assert told["budgets"] == [{"budget": "all", "window": told["budgets"][0]["window"], "nano": told["spent"]}]


@CASES
def test_drain_reads_on_and_pays_what_it_cost(
    node_and_server: tuple[Running, Server], stream: bool, before_head: bool
) -> None:
    node, server = node_and_server
    waits: list[Step] = [0.4]
    events: list[Step] = [*(waits if before_head else []), EVENTS, *map(piece, BEGUN), 0.4, *map(piece, REST), END]
    server.script = lambda asked: events if asked.body.get("stream") else [*waits, framed(answer())]
    leave(node, server, "drained", stream=stream, before_head=before_head)
    told = the_receipt(node)
    assert not server.asked[0].left.is_set()
    assert (told["outcome"], told["attempts"][0]["outcome"]) == ("left", "left")
    assert (told["usage"]["input"], told["usage"]["output"]) == (30, 20)
    assert not told["usage"].get("estimated")
    assert told["spent"] == 30 * 1000 + 20 * 2000
    assert told["answered"] == "stays"


def test_a_drained_answer_that_fails_costs_nothing(node_and_server: tuple[Running, Server]) -> None:
    node, server = node_and_server
    refused = b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    server.script = lambda _: [0.4, refused]
    leave(node, server, "drained", stream=False)
    told = the_receipt(node)
    assert (told["outcome"], told["attempts"][0]["status"], told["spent"]) == ("left", 500, 0)


def test_a_drained_stream_that_falls_silent_is_left(node_and_server: tuple[Running, Server]) -> None:
    node, server = node_and_server
    server.script = lambda _: streamed(BEGUN, HANG)
    leave(node, server, "drained", stream=True)
    until(server.asked[0].left.is_set)
    assert the_receipt(node)["attempts"][0]["code"] == "upstream_timeout"


@pytest.mark.parametrize("model", ["drained", "dropped"])
@CASES
def test_a_node_that_stops_during_it_writes_the_receipt(
    node_and_server: tuple[Running, Server], model: str, stream: bool, before_head: bool
) -> None:
    node, server = node_and_server
    tail: list[Step] = [HANG]
    server.script = lambda _: tail if before_head or not stream else streamed(BEGUN, HANG)
    leave(node, server, model, stream=stream, before_head=before_head)
    on(node, node.node.gateway.stop(0.1))
    told = the_receipt(node)
    # the call fails where the node learns that it is to stop before it learns that the client is gone
    assert told["outcome"] in ("left", "broken", "failed")
    assert told["attempts"][0]["outcome"] in ("left", "broken")
    assert told["spent"] > 0
    until(server.asked[0].left.is_set)
    assert not node.node.gateway._after


def test_a_node_that_stops_tells_those_who_wait(node_and_server: tuple[Running, Server]) -> None:
    node, server = node_and_server
    tail: list[Step] = [HANG]
    server.script = lambda _: tail
    answers: list[httpx2.Response] = []

    def ask(model: str) -> None:
        given = body(model)
        answers.append(httpx2.post(f"{node.api}/chat/completions", json=given, headers=node.headers, timeout=20))

    threads = [threading.Thread(target=ask, args=(model,)) for model in ("drained", "dropped")]
    for thread in threads:
        thread.start()
    until(lambda: len(server.asked) == 2)
    on(node, node.node.gateway.stop(0.1))
    for thread in threads:
        thread.join()
    assert [a.json()["error"]["code"] for a in answers] == ["node_stopping"] * 2
    receipts = on(node, node.node.gateway.accounts.receipts.list())
    assert len(receipts) == 2
    assert all(asked.left.wait(1) for asked in server.asked)


@pytest.mark.parametrize("stream", [False, True])
def test_leaving_at_any_moment_leaves_one_receipt_for_each_call(tmp_path: Path, stream: bool) -> None:
    # with `power` a receipt's way to the disk takes a while: some leave in the midst of it
    receipts = Receipts(sync="power")
    budgets = {"all": Budget(dollars=Decimal(10))}
    with calling(tmp_path, {"r": {"candidates": ("ok",)}}, receipts=receipts, budgets=budgets) as (node, server):

        async def some() -> None:
            async with httpx2.AsyncClient() as client:
                for at in range(60):
                    sending = asyncio.create_task(_read(client, node, body("r", stream=stream), asyncio.Event()))
                    await asyncio.wait([sending], timeout=at / 3000)
                    sending.cancel()
                    await asyncio.wait([sending])

        asyncio.run(some())
        gateway = node.node.gateway
        until(lambda: not gateway._running and not gateway._after)
        written = on(node, gateway.accounts.receipts.list(limit=100))
        assert len({told["id"] for told in written}) == len(written)
        assert len(server.asked) <= len(written) <= 60
        assert {told["outcome"] for told in written} <= {"ok", "left"}
        (standing,) = on(node, gateway.accounts.budgets.all())
        assert standing.spent == sum(told["spent"] for told in written)
        assert gateway.live() == []
