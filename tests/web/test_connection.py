"""Connections of this node's own server: against a transport that records, cut anywhere; and on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from intermodel.settings import Limits
from intermodel.web.app import Guard
from intermodel.web.connection import Connection
from intermodel.web.exchange import Exchange
from intermodel.web.server import server_config

LIMITS = Limits(head_bytes=8192, head_s=0.3, client_silence_s=0.3, body_s=1.2)
HOST = b"Host: localhost\r\n"


class Recorded(asyncio.Transport):
    """What was written, and whether the other side is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.closed = False
        self.reads = True

    def write(self, data: Any) -> None:
        assert not self.closed
        self.data += data

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Edge:
    """What is served: on the lane, and by ASGI on /app."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.left = 0
        self.sent = 0

    async def echo(self, exchange: Exchange) -> None:
        body = await exchange.body(100_000)
        with exchange:
            await self.gate.wait()
            self.seen.append((exchange.scope["path"], body))
            await exchange.answer(200, [(b"content-type", b"text/plain")], body[::-1])
        self.left += exchange.left

    async def stream(self, exchange: Exchange) -> None:
        await exchange.body(100_000)
        with exchange:
            await exchange.begin(200, [(b"content-type", b"text/event-stream")])
            for _ in range(2000):
                await exchange.write(b"x" * 10_000)
                self.sent += 1
                await self.gate.wait()
            await exchange.end()
        self.left += exchange.left

    async def few(self, exchange: Exchange) -> None:
        await exchange.body(100_000)
        await exchange.begin(200, [])
        for piece in (b"one", b"", b"two"):
            await exchange.write(piece)
        await exchange.end()

    async def known(self, exchange: Exchange) -> None:
        exchange.scope["caller"] = "someone"
        await self.echo(exchange)

    async def refuse(self, exchange: Exchange) -> None:
        await exchange.answer(401, [], b"no")

    async def inject(self, exchange: Exchange) -> None:
        await exchange.answer(200, [(b"x-a", b"b\r\nset-cookie: c")], b"")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            body, more = body + message["body"], message["more_body"]
        self.seen.append((scope["path"], body))
        kind = scope["query_string"]
        headers = [(b"Content-Length", b"%d" % (len(body) + (kind == b"short")))] if kind != b"open" else []
        status = 204 if kind == b"none" else 200
        await send({"type": "http.response.start", "status": status, "headers": [] if kind == b"none" else headers})
        await send({"type": "http.response.body", "body": body[:2], "more_body": True})
        await send({"type": "http.response.body", "body": body[2:]})

    @property
    def guard(self) -> Guard:
        lane = {f"/{f.__name__}": f for f in (self.echo, self.known, self.stream, self.few, self.refuse, self.inject)}
        return Guard(self.app, frozenset({"localhost"}), lane, lambda _: None)


class Wired:
    """A connection, with everything it needs."""

    def __init__(self, edge: Edge, limits: Limits = LIMITS) -> None:
        config = server_config(edge.guard, limits)
        config.load()
        self.state = ServerState()
        self.transport = Recorded()
        self.connection = Connection(limits, edge.guard.lane, config, self.state, {})
        self.connection.connection_made(self.transport)

    async def feed(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.connection.data_received(piece)
            await settle()
        return self.transport.data


async def settle() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for knows nothing of tests
            await asyncio.sleep(0.01)


def post(path: bytes, body: bytes, more: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST %b HTTP/%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, version, HOST, more, len(body), body)


def chunked(path: bytes, *pieces: bytes) -> bytes:
    parts = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"POST %b HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (path, HOST, parts)


def bodies(data: bytes) -> list[bytes]:
    """The bodies of answers that all have a length."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), head
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        assert b"x-request-id" in fields
        length = int(fields[b"content-length"])
        found.append(rest[:length])
        data = rest[length:]
    return found


MIXED = post(b"/echo", b"abc") + chunked(b"/echo", b"def", b"ghi") + post(b"/app", b"xyz") + chunked(b"/app?q", b"uvw")
ANSWERS = [b"cba", b"ihgfed", b"xyz", b"uvw"]


@given(st.lists(st.integers(0, len(MIXED)), max_size=12))
def test_pieces_may_be_cut_anywhere(cuts: list[int]) -> None:
    async def check() -> None:
        edge = Edge()
        wired = Wired(edge)
        places = [0, *sorted(cuts), len(MIXED)]
        for start, end in pairwise(places):
            await wired.feed(MIXED[start:end])
        await settle()
        assert bodies(wired.transport.data) == ANSWERS
        assert [path for path, _ in edge.seen] == ["/echo", "/echo", "/app", "/app"]
        assert not wired.transport.closed

    asyncio.run(check())


async def test_byte_by_byte() -> None:
    wired = Wired(Edge())
    assert bodies(await wired.feed(*[MIXED[i : i + 1] for i in range(len(MIXED))])) == ANSWERS


@given(st.binary(max_size=300), st.integers(0, 200))
def test_nothing_that_comes_breaks_it(noise: bytes, place: int) -> None:
    async def check() -> None:
        wired = Wired(Edge())
        data = post(b"/echo", b"abc", b"X: y\r\n")
        await wired.feed(data[:place] + noise, data[place:])
        assert wired.transport.data[:9] in (b"", b"HTTP/1.1 ")
        wired.connection.connection_lost(None)
        await settle()
        assert not wired.state.tasks

    asyncio.run(check())


async def test_requests_ahead_of_their_turn_wait_and_stop_the_reading() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    await wired.feed(post(b"/echo", b"1"), post(b"/app", b"2"))
    assert (wired.transport.data, wired.transport.reads) == (b"", True)
    await wired.feed(post(b"/echo", b"3"))
    assert (wired.transport.data, wired.transport.reads) == (b"", False)
    edge.gate.set()
    await settle()
    assert bodies(wired.transport.data) == [b"1", b"2", b"3"]
    assert wired.transport.reads


async def test_very_many_requests_ahead_of_their_turn_end_the_connection() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    assert await wired.feed(post(b"/echo", b"1") * 1000) == b""
    edge.gate.set()
    await settle()
    assert bodies(wired.transport.data) == [b"1"]
    assert wired.transport.closed


async def test_a_trailer_is_no_header() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    await wired.feed(chunked(b"/echo", b"abc")[:-2] + b"X-Api-Key: stolen\r\n\r\n")
    assert wired.connection._current is not None
    assert b"x-api-key" not in dict(wired.connection._current.scope["headers"])
    edge.gate.set()
    await settle()
    assert bodies(wired.transport.data) == [b"cba"]


async def test_garbage_behind_a_request_does_not_get_into_its_answer() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    assert await wired.feed(post(b"/echo", b"abc"), b"\x00garbage\r\n\r\n") == b""
    edge.gate.set()
    await settle()
    assert bodies(wired.transport.data) == [b"cba"]
    assert wired.transport.closed


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"NONSENSE\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
async def test_what_is_no_request_is_refused_once(request_: bytes) -> None:
    wired = Wired(Edge())
    data = await wired.feed(request_, post(b"/echo", b"abc"))
    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.count(b"HTTP/1.1") == 1
    assert wired.transport.closed


async def test_a_large_head_in_one_piece_is_too_large() -> None:
    wired = Wired(Edge())
    data = await wired.feed(post(b"/echo", b"abc", b"X: " + b"y" * 9000 + b"\r\n"))
    assert data.startswith(b"HTTP/1.1 431 ")
    assert wired.transport.closed
    wired = Wired(Edge())
    assert bodies(await wired.feed(post(b"/echo", b"y" * 9000))) == [b"y" * 9000]


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    for path in (b"/echo", b"/app"):
        wired = Wired(Edge())
        head, body = post(path, b"abc", b"Expect: 100-continue\r\n").split(b"abc")[0], b"abc"
        assert await wired.feed(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
        data = await wired.feed(body)
        assert bodies(data.partition(b"\r\n\r\n")[2])
        assert data.count(b"100 Continue") == 1


async def test_a_client_that_asks_first_may_be_refused() -> None:
    for path, length, status in ((b"/refuse", 3, b"401"), (b"/echo", 10**9, b"413")):
        wired = Wired(Edge())
        head = b"POST %b HTTP/1.1\r\n%bExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (path, HOST, length)
        data = await wired.feed(head)
        assert data.startswith(b"HTTP/1.1 " + status)
        assert b"\r\nconnection: close\r\n" in data


async def test_what_is_refused_early_is_swallowed_and_what_is_refused_whole_goes_on() -> None:
    wired = Wired(Edge())
    request = post(b"/refuse", b"abc")
    data = await wired.feed(request[:-3])
    assert b"connection: close" in data
    assert not wired.transport.closed
    assert await wired.feed(b"abc", b"x" * 100_000, post(b"/echo", b"1")) == data
    wired = Wired(Edge())
    assert bodies(await wired.feed(request, post(b"/echo", b"1"))) == [b"no", b"1"]


async def test_more_of_a_body_than_is_taken() -> None:
    wired = Wired(Edge())
    data = await wired.feed(chunked(b"/echo", b"x" * 60_000, b"x" * 60_000))
    assert data.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_nobody_reads_stops_the_reading() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
    await wired.feed(post(b"/echo", b"1"), head, b"x" * 100_000)
    assert not wired.transport.reads


@pytest.mark.parametrize("path", [b"/few", b"/app?open"])
async def test_an_answer_of_unknown_length(path: bytes) -> None:
    wired = Wired(Edge())
    data = await wired.feed(post(path, b"onetwo"))
    assert b"transfer-encoding: chunked\r\n" in data
    assert data.endswith(b"\r\n0\r\n\r\n")
    old = Wired(Edge())
    data = await old.feed(post(path, b"onetwo", version=b"1.0"))
    assert b"chunked" not in data
    assert data.endswith(b"\r\n\r\nonetwo")
    assert old.transport.closed


async def test_answers_without_a_body() -> None:
    wired = Wired(Edge())
    data = await wired.feed(b"HEAD /app HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc")
    assert b"content-length: 3\r\n" in data.lower()
    assert data.endswith(b"\r\n\r\n")
    data = (await wired.feed(post(b"/app?none", b"")))[len(data) :]
    assert data.startswith(b"HTTP/1.1 204 ")
    assert data.endswith(b"\r\n\r\n")
    assert b"chunked" not in data
    assert not wired.transport.closed


async def test_an_answer_that_is_not_as_long_as_it_says_is_cut_off() -> None:
    wired = Wired(Edge())
    data = await wired.feed(post(b"/app?short", b"abc"))
    assert data.endswith(b"\r\n\r\nabc") or data.endswith(b"\r\n\r\nab")
    assert wired.transport.closed


@pytest.mark.parametrize("path", [b"/echo", b"/app"])
async def test_another_protocol_is_declined_and_the_request_answered(path: bytes) -> None:
    """As Java's HttpClient sends every first request."""
    more = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    request = post(path, b"abc", more)
    expected = [b"cba" if path == b"/echo" else b"abc"] * 2
    for cut in (len(request), len(request) - 3, len(request) - 1, 20):
        wired = Wired(Edge())
        assert bodies(await wired.feed(request[:cut], request[cut:] + post(path, b"abc"))) == expected


async def test_a_field_cannot_hold_a_line_break() -> None:
    wired = Wired(Edge())
    data = await wired.feed(post(b"/inject", b""))
    assert data.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in data


async def test_a_stop_closes_idle_connections_and_lets_answers_end() -> None:
    idle = Wired(Edge())
    await idle.feed(post(b"/echo", b"abc"))
    idle.connection.shutdown()
    assert idle.transport.closed
    edge = Edge()
    edge.gate.clear()
    busy = Wired(edge)
    await busy.feed(post(b"/echo", b"abc"), post(b"/echo", b"never"))
    busy.connection.shutdown()
    assert not busy.transport.closed
    edge.gate.set()
    await settle()
    assert bodies(busy.transport.data) == [b"cba"]
    assert b"connection: close" in busy.transport.data
    assert busy.transport.closed


async def test_who_leaves_while_another_request_waits_has_left() -> None:
    edge = Edge()
    edge.gate.clear()
    wired = Wired(edge)
    await wired.feed(post(b"/echo", b"1"), post(b"/echo", b"2"))
    wired.connection.connection_lost(None)
    await settle()
    assert (edge.left, edge.seen, wired.state.tasks) == (1, [], set())


# on loopback


@pytest.fixture
async def edge() -> Edge:
    return Edge()


@pytest.fixture
async def port(edge: Edge) -> AsyncIterator[int]:
    config = server_config(edge.guard, LIMITS)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(LIMITS, edge.guard.lane, config, state, {}), host="127.0.0.1", port=0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()
    for connection in list(state.connections):
        connection.shutdown()
    for task in list(state.tasks):
        task.cancel()
    await until(lambda: not state.tasks)


@pytest.mark.parametrize("path", [b"/echo", b"/app"])
@pytest.mark.parametrize("phase", ["head", "body", "answer"])
async def test_who_leaves_is_not_waited_for(edge: Edge, port: int, phase: str, path: bytes) -> None:
    request = post(path, b"abc")
    cut = {"head": 10, "body": len(request) - 1, "answer": len(request)}[phase]
    edge.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request[:cut])
    await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
    if phase == "answer" and path == b"/echo":
        await until(lambda: edge.left == 1)
    edge.gate.set()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"/echo", b"abc", b"Connection: close\r\n"))
    assert bodies(await reader.read()) == [b"cba"]
    writer.close()
    if path == b"/echo":
        assert edge.seen == [("/echo", b"abc")]


async def test_who_leaves_a_stream_ends_it(edge: Edge, port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"/stream", b""))
    await until(lambda: edge.sent)
    edge.gate.clear()
    writer.close()
    await until(lambda: edge.left == 1)


async def test_a_slow_reader_is_waited_for_and_one_that_stops_is_not(edge: Edge, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    writer.write(post(b"/stream", b""))
    await until(lambda: edge.sent)
    await asyncio.sleep(0.1)
    assert edge.sent < 2000, "all was written ahead of the reader"
    before = edge.sent
    size = 0
    while edge.sent == before:
        size += len(await reader.read(1_000_000))
    assert not edge.left
    await until(lambda: edge.left == 1)
    writer.close()


async def test_heads_and_pauses_have_their_time(port: int) -> None:
    for said in (b"", b"POST /echo HT"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"/echo", b"abc"))
    await reader.readuntil(b"cba")
    await asyncio.sleep(0.5)  # longer than a head may take
    writer.write(post(b"/echo", b"abc")[:9])
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()


@pytest.mark.parametrize("path", [b"/echo", b"/known", b"/app"])
async def test_a_body_that_does_not_come_ends_the_connection(port: int, path: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(path, b"x" * 100)[:-50])
    assert (await asyncio.wait_for(reader.read(), 3)).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.parametrize(("path", "least", "most"), [(b"/echo", 0.2, 0.9), (b"/app", 0.2, 0.9), (b"/known", 1.1, 2.5)])
async def test_a_body_that_drips_has_its_time(port: int, path: bytes, least: float, most: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(path, b"x" * 100)[:-100])
    began = asyncio.get_running_loop().time()
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(b"x")
        await asyncio.sleep(0.05)
    assert answer.result().startswith(b"HTTP/1.1 408 ")
    assert least < asyncio.get_running_loop().time() - began < most
    writer.close()


async def test_a_body_that_must_wait_for_its_turn_is_not_late(edge: Edge, port: int) -> None:
    edge.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"/echo", b"abc") + post(b"/echo", b"xyz")[:-1])
    await asyncio.sleep(0.5)
    writer.write(b"z")
    await asyncio.sleep(0.1)
    edge.gate.set()
    assert (await asyncio.wait_for(reader.readuntil(b"zyx"), 3)).count(b"200 OK") == 2
    writer.close()


async def test_a_body_that_was_not_read_is_not_late(edge: Edge, port: int) -> None:
    edge.gate.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b"x" * 99_999 + b"y"
    writer.write(post(b"/echo", b"abc") + post(b"/echo", body))
    await asyncio.sleep(0.5)
    edge.gate.set()
    assert (await asyncio.wait_for(reader.readuntil(b"yxxx"), 3)).count(b"200 OK") == 2
    writer.close()
