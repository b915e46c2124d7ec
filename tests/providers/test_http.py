"""The client against real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import gzip
import inspect
import os
import random
import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from intermodel.core import Unavailable, Upstream
from intermodel.providers import connection, pool
from intermodel.providers import http as door
from intermodel.providers.http import Http, Origin, Response, broken
from tests.providers.raw import CHUNKED, Server, Talk, always, chunked, serving, whole
from tests.providers.test_addresses import resolving

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Client:
    """An `Http`, and a short way to ask it."""

    def __init__(self, http: Http) -> None:
        self.http = http

    async def post(
        self, server: Server | Origin, body: bytes = b"{}", fields: dict[str, str] | None = None, silence_s: float = 5
    ) -> Response:
        origin = server.origin if isinstance(server, Server) else server
        return await self.http.post(origin, "/chat", body, headers=fields or {}, silence_s=silence_s, name="'it'")

    async def ask(self, server: Server | Origin, body: bytes = b"{}", fields: dict[str, str] | None = None) -> bytes:
        return await rest(await self.post(server, body, fields))

    async def refusal(self, server: Server | Origin, fields: dict[str, str] | None = None) -> Upstream:
        with pytest.raises(Upstream) as caught:
            await self.post(server, fields=fields)
        assert caught.value.retryable
        return caught.value


Test = Callable[..., Awaitable[None]]


def on(*loops: str) -> Callable[[Test], Callable[..., None]]:
    """Run a test on these loops, with a client of its own each time."""

    def made(test: Test) -> Callable[..., None]:
        async def with_client(given: dict[str, Any]) -> None:
            http = Http()
            try:
                await test(client=Client(http), **given)
            finally:
                await http.close()

        @functools.wraps(test)
        def run(loop: str, **given: Any) -> None:
            with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
                runner.run(with_client(given))

        signature = inspect.signature(test)
        wanted = [p for name, p in signature.parameters.items() if name != "client"]
        loop = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        vars(run)["__signature__"] = signature.replace(parameters=[loop, *wanted])
        marked: Callable[..., None] = pytest.mark.parametrize("loop", loops)(run)
        return marked

    return made


on_uvloop = on("uvloop")
on_both_loops = on("asyncio", "uvloop")


async def rest(response: Response) -> bytes:
    data = b""
    while piece := await response.read():
        data += piece
    return data


async def until(said: Callable[[], object], *, within_s: float = 2) -> None:
    end = time.monotonic() + within_s
    while not said():
        assert time.monotonic() < end, "this has not happened"
        await asyncio.sleep(0.002)


# what is sent


@on_uvloop
async def test_what_a_request_looks_like(client: Client) -> None:
    async with serving(always(whole())) as server:
        port = server.origin.base_url.split(":")[2].removesuffix("/v1")
        response = await client.http.post(
            server.origin, "/chat/completions", b'{"a":1}', headers={"Authorization": "Bearer k"}, silence_s=5, name="x"
        )
        assert response.status == 200
        assert response.media_type == "application/json"
        assert response.headers.get("content-TYPE") == "application/json"
        assert await rest(response) == b"{}"
        response = await client.http.get(server.origin, "/models", headers={}, silence_s=5, name="x")
        assert await rest(response) == b"{}"
    shared = f"Host: 127.0.0.1:{port}\r\nAccept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: intermodel\r\n"
    assert [r.decode() for r in server.requests] == [
        f'POST /v1/chat/completions HTTP/1.1\r\n{shared}Authorization: Bearer k\r\nContent-Length: 7\r\n\r\n{{"a":1}}',
        f"GET /v1/models HTTP/1.1\r\n{shared}\r\n",
    ]
    assert len(server.talks) == 1


@pytest.mark.parametrize(
    ("url", "path", "target", "host"),
    [
        ("http://Example.com/v1", "/a b?c=d&e=%20f", "/v1/a%20b?c=d&e=%20f", "example.com"),
        ("https://example.com:443", "", "/", "example.com"),
        ("https://example.com:80/", "x", "/x", "example.com:80"),
        ("http://[::1]:8080/v1", "/\u00fc", "/v1/%C3%BC", "[::1]:8080"),
        ("http://b\u00fccher.example", "/%2F#part", "/%2F", "xn--bcher-kva.example"),
        ("http://user:pass@example.com", "/", "/", "example.com"),
        ("http://example.com", "/a\r\nX: y", "/aX:%20y", "example.com"),
    ],
)
def test_where_a_request_goes(url: str, path: str, target: str, host: str) -> None:
    head, is_last = door._request_head("GET", url + path, {"accept-encoding": "x"}, "x")
    lines = head.decode().split("\r\n")
    assert lines[:2] == [f"GET {target} HTTP/1.1", f"Host: {host}"]
    assert sum(line.lower().startswith("accept-encoding") for line in lines) == 1
    assert not is_last


@pytest.mark.parametrize(
    ("field", "value"),
    [("Authorization", "Bearer a\r\nX: y"), ("Authorization", "a\nb"), ("A", "a\0b"), ("A", "\u2603"), ("A b", "c"),
     ("A:", "c"), ("", "c"), ("A\r\nB", "c"), ("\u00e4", "c"), ("A", "secret\x7f")],
)  # fmt: skip
@on_uvloop
async def test_fields_that_could_write_others(client: Client, field: str, value: str) -> None:
    async with serving(always(whole())) as server:
        error = await client.refusal(server, {field: value})
        assert error.code == "upstream_request"
        assert value not in str(error) or len(value) == 1
        assert not server.talks


@pytest.mark.parametrize("field", ["Host", "content-length", "Transfer-Encoding", "Expect"])
def test_fields_that_are_the_clients_own(field: str) -> None:
    with pytest.raises(ValueError, match="not for its callers"):
        door._request_head("POST", "http://x/", {field: "1"}, "x")


@on_uvloop
async def test_letters_of_latin_1_and_empty_values(client: Client) -> None:
    async with serving(always(whole())) as server:
        await client.ask(server, fields={"X-Name": "caf\xe9", "X-Empty": ""})
        assert b"\r\nX-Name: caf\xe9\r\nX-Empty: \r\n" in server.requests[0]


@on_both_loops
async def test_a_long_request_goes_whole(client: Client) -> None:
    body = os.urandom(5_000_000)
    async with serving(always(whole())) as server:
        assert await client.ask(server, body) == b"{}"
        assert await client.ask(server, body) == b"{}"
        assert server.requests[1].endswith(b"\r\n\r\n" + body)
        assert len(server.talks) == 1


@on_uvloop
async def test_heads_are_remembered_but_not_without_end(client: Client) -> None:
    async with serving(always(whole())) as server:
        for number in range(600):
            client.http._head("POST", server.origin, f"/{number}", {}, "x")
        assert len(client.http._heads) <= 512


# what comes


@pytest.mark.parametrize(
    "response",
    [
        whole(b"hello"),
        CHUNKED + chunked(b"he", b"l", b"lo", trailers=b"X: y\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + whole(b"hello"),
        b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    ],
)
@on_uvloop
async def test_a_response_cut_at_every_place(client: Client, response: bytes) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(response[: talk.number], response[talk.number :])

    async with serving(handler) as server:
        for _ in range(len(response)):
            assert await client.ask(server, fields={"Connection": "close"}) == b"hello"


@on_uvloop
async def test_a_response_byte_by_byte(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(*(bytes([b]) for b in CHUNKED + chunked(b"he", b"llo")), pause_s=0.001)

    async with serving(handler) as server:
        assert await client.ask(server) == b"hello"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@on_uvloop
async def test_responses_without_a_body(client: Client, status: bytes) -> None:
    async with serving(always(b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n")) as server:
        assert [await client.ask(server) for _ in range(3)] == [b""] * 3
        assert len(server.talks) == 1


@on_uvloop
async def test_a_redirect_is_an_answer_like_others(client: Client) -> None:
    moved = b"Location: http://127.0.0.1:1/"
    async with serving(always(whole(b"elsewhere", moved, status=b"302 Found"))) as server:
        response = await client.post(server, fields={"Authorization": "Bearer k"})
        assert (response.status, await rest(response)) == (302, b"elsewhere")
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "response",
    [b"", b"HTT", b"HTTP/1.1 200 OK\r\nContent-Le", b"<html>not http</html>", b"HTTP/1.1 101 Up\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000],
)  # fmt: skip
@on_uvloop
async def test_what_is_no_response(client: Client, response: bytes) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(response)

    async with serving(handler) as server:
        assert (await client.refusal(server)).code == "upstream_broken"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("response", "came"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"half"), (CHUNKED + b"4\r\nhalf\r\n", b"half"),
     (CHUNKED + b"4\r\nhalf\r\nx", b"half"), (CHUNKED, b"")],
)  # fmt: skip
@on_both_loops
async def test_an_answer_that_breaks_off(client: Client, response: bytes, came: bytes) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(response)

    async with serving(handler) as server:
        answer = await client.post(server)
        assert not came or await answer.read() == came
        with pytest.raises(Upstream, match="'it' broke off") as caught:
            await answer.read()
        assert caught.value.code == "upstream_broken"
        with pytest.raises(Upstream):
            await answer.read()
        assert await answer.error_body() == b""
        await answer.close()


@on_uvloop
async def test_an_answer_that_was_compressed_all_the_same(client: Client) -> None:
    async with serving(always(whole(gzip.compress(b"hello"), b"Content-Encoding: gzip"))) as server:
        assert await client.ask(server) == b"hello"
    async with serving(always(whole(b"....", b"Content-Encoding: br"))) as server:
        response = await client.post(server)
        with pytest.raises(Upstream, match="'br', which was not asked for"):
            await response.read()
        assert await response.error_body() == b""
    async with serving(always(whole(b"same", b"Content-Encoding: identity"))) as server:
        assert await client.ask(server) == b"same"


@on_uvloop
async def test_the_beginning_of_an_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED, *(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(6)))
        await talk.left()

    async with serving(handler) as server:
        response = await client.post(server)
        assert await response.error_body() == b"x" * door.ERROR_BYTES
        await response.close()
    monkeypatch.setattr(door, "ERROR_S", 0.05)

    async def never_ends(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED, *(b"1\r\nx\r\n" for _ in range(3000)), pause_s=0.01)

    async with serving(never_ends) as server:
        response = await client.post(server)
        assert 0 < len(await response.error_body()) < 20
        await response.close()


# the pool


@on_uvloop
async def test_the_connection_used_last_is_used_next(client: Client) -> None:
    async with serving(always(whole())) as server:
        responses = [await client.post(server) for _ in range(1)]
        responses += await asyncio.gather(*(client.post(server) for _ in range(3)))
        assert [await rest(r) for r in responses] == [b"{}"] * 4
        opened = len(server.talks)
        assert opened == 3
        (found,) = client.http._pools.values()
        last = found._idle[-1]
        await client.ask(server)
        assert found._idle[-1] is last
        assert len(server.talks) == opened


@on_uvloop
async def test_a_whole_answer_frees_its_connection_before_it_is_read(client: Client) -> None:
    async with serving(always(whole())) as server:
        first = await client.post(server)
        second = await client.post(server)
        await first.close()
        assert (await rest(first), await rest(second)) == (b"{}", b"{}")
        assert len(server.talks) == 1


@on_both_loops
async def test_one_who_closes_early_closes_the_connection(client: Client) -> None:
    seen: list[bool] = []

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED + b"1\r\na\r\n")
        seen.append(await talk.left())

    async with serving(handler) as server:
        response = await client.post(server)
        assert await response.read() == b"a"
        await response.close()
        await response.close()
        await until(lambda: seen == [True])
        with pytest.raises(Upstream):
            await response.read()


@on_uvloop
async def test_those_in_use_are_not_shared(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        while said := await talk.request():
            await asyncio.sleep(0.01)
            await talk.send(whole(said.rpartition(b"\r\n\r\n")[2]))

    async with serving(handler) as server:
        for _ in range(3):
            asked = [b"%d" % n for n in range(100)]
            assert await asyncio.gather(*(client.ask(server, body) for body in asked)) == asked
        (found,) = client.http._pools.values()
        assert len(found._idle) == pool.IDLE_MOST
        await until(lambda: len(found) == pool.IDLE_MOST)


@on_uvloop
async def test_origins_do_not_share_connections(client: Client, tmp_path: Path) -> None:
    async with serving(always(whole(b"a"))) as one, serving(always(whole(b"b")), socket=tmp_path / "s") as other:
        told = Origin(one.origin.base_url, private=False)
        assert [await client.ask(s) for s in (one, other, told, one, other)] == [b"a", b"b", b"a", b"a", b"b"]
        assert (len(one.talks), len(other.talks)) == (2, 1)  # a connection made under looser rules is not handed on
        await client.ask(Origin(one.origin.base_url.removesuffix("/v1") + "/v2", private=True))
        assert len(one.talks) == 2  # another path of the same origin
        await client.http.forget(tmp_path / "s")
        await until(lambda: other.talks[0].reader.at_eof())
        assert await client.ask(other) == b"b"


@pytest.mark.parametrize("how", ["close", "bytes"])
@on_both_loops
async def test_what_happens_while_a_connection_is_idle(client: Client, how: str) -> None:
    happened = asyncio.Event()

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(whole(b"%d" % talk.number))
        if talk.number == 0:
            if how == "bytes":
                await talk.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            happened.set()
            if how == "bytes":
                await talk.left()

    async with serving(handler) as server:
        assert await client.ask(server) == b"0"
        await happened.wait()
        (found,) = client.http._pools.values()
        await until(lambda: not len(found))
        assert await client.ask(server) == b"1"


@on_both_loops
async def test_what_came_while_the_loop_was_busy_is_seen_before_asking(client: Client) -> None:
    """A late 408 in the socket, unread so far, must not become the answer to the next request."""
    async with serving(always(whole(b"fine"))) as server:
        assert await client.ask(server) == b"fine"
        (found,) = client.http._pools.values()
        (kept,) = found._idle
        assert found.take() is kept
        found.keep(kept)
        late = server.talks[0].writer.get_extra_info("socket")
        os.write(late.fileno(), b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert found.take() is None


@on_both_loops
async def test_a_server_that_closes_as_it_is_asked(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(whole())
        await talk.request()  # and closes

    async with serving(handler) as server:
        await client.ask(server)
        error = await client.refusal(server)
        assert (error.code, error.retryable) == ("upstream_broken", True)
        assert len(server.requests) == 2  # nothing was sent a second time
        assert await client.ask(server) == b"{}"


@on_both_loops
async def test_idle_connections_are_closed_after_a_while(client: Client) -> None:
    client = Client(Http(idle_s=0.06))
    async with serving(always(whole())) as server:
        await client.ask(server)
        await until(lambda: server.talks[0].reader.at_eof(), within_s=1)
        await until(lambda: not client.http._pools, within_s=1)
        await until(lambda: client.http._sweeper is None, within_s=1)
        assert await client.ask(server) == b"{}"
    await client.http.close()


@on_both_loops
async def test_closing_the_pool_ends_calls_under_way(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.left()

    async with serving(handler) as server:
        call = asyncio.create_task(client.post(server))
        await until(lambda: server.requests)
        await client.http.close()
        with pytest.raises(Upstream, match="closed on this side"):
            await call


@on_both_loops
async def test_an_answer_before_the_request_is_read(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.send(whole(b"too large", status=b"413 Content Too Large"))
        await talk.left()

    async with serving(handler) as server:
        response = await client.post(server, b"x" * 20_000_000)
        assert (response.status, await rest(response)) == (413, b"too large")
        (found,) = client.http._pools.values()
        await until(lambda: not len(found))


@on_both_loops
async def test_no_answer_reaches_another_caller(client: Client) -> None:
    """Many callers, and a server that does everything wrong at times."""
    chance = random.Random(7)

    late = whole(b"late")

    async def handler(talk: Talk) -> None:
        while said := await talk.request():
            body = said.partition(b"\r\n\r\n")[2]
            good = whole(body)
            pieces = CHUNKED, *(b"1\r\n%c\r\n" % b for b in body), b"0\r\n\r\n"
            how = chance.randrange(12)
            wrong: dict[int, tuple[bytes, ...]] = {
                0: (), 1: (good + late,), 2: (good[:-1],), 3: (good,), 4: (b"rubbish",), 5: pieces,
                6: (b"HTTP/1.1 100 Continue\r\n\r\n" + good, b"\r\n"),
                7: (good + b"HTTP/1.1 408 Request Timeout\r\n\r\n",),
            }  # fmt: skip
            await talk.send(*wrong.get(how, (good,)))
            if how < 4:
                return

    async def caller(number: int) -> int:
        right = 0
        for turn in range(25):
            body = b"%d-%d" % (number, turn)
            await asyncio.sleep(chance.random() / 500)  # so that what is late has come
            try:
                response = await client.post(server, body, silence_s=2)
                if chance.randrange(10) == 0:
                    await response.close()
                    continue
                said = await rest(response)
            except Upstream:
                continue
            assert (response.status, said) == (200, body)
            right += 1
        return right

    async with serving(handler) as server:
        right = sum(await asyncio.gather(*(caller(number) for number in range(20))))
        assert 200 < right < 500


# time


@on_both_loops
async def test_silence_before_the_head_and_within_the_body(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        while said := await talk.request():
            if said.endswith(b"body"):
                await talk.send(CHUNKED + b"1\r\na\r\n")
            await talk.left()
            return

    async with serving(handler) as server:
        began = time.monotonic()
        with pytest.raises(Upstream) as caught:
            await client.post(server, silence_s=0.05)
        assert caught.value.code == "upstream_timeout"
        response = await client.post(server, b"body", silence_s=0.05)
        assert await response.read() == b"a"
        with pytest.raises(Upstream, match="did not answer in time"):
            await response.read()
        assert 0.1 <= time.monotonic() - began < 10
        await until(lambda: all(t.reader.at_eof() for t in server.talks))  # both connections are closed


@on_uvloop
async def test_a_slow_answer_is_no_silence(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        while await talk.request():
            await talk.send(CHUNKED, *(b"1\r\nx\r\n" for _ in range(10)), b"0\r\n\r\n", pause_s=0.015)

    async with serving(handler) as server:
        for _ in range(2):
            assert await rest(await client.post(server, silence_s=0.1)) == b"x" * 10
        assert len(server.talks) == 1


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n", CHUNKED + b"1;"])
@on_uvloop
async def test_bytes_that_say_nothing_are_silence(client: Client, first: bytes) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(first, *(b"x" for _ in range(3000)), pause_s=0.01)

    async with serving(handler) as server:
        began = time.monotonic()
        with pytest.raises(Upstream, match="in time"):
            await rest(await client.post(server, silence_s=0.1))
        assert time.monotonic() - began < 10


@on_uvloop
async def test_interim_responses_are_signs_of_life(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(*(b"HTTP/1.1 102 Processing\r\n\r\n" for _ in range(8)), whole(), pause_s=0.04)

    async with serving(handler) as server:
        assert await rest(await client.post(server, silence_s=0.15)) == b"{}"


@on_uvloop
async def test_a_short_patience_after_a_long_one(client: Client) -> None:
    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(whole())
        await talk.request()
        await talk.left()

    async with serving(handler) as server:
        await rest(await client.post(server, silence_s=60))
        began = time.monotonic()
        with pytest.raises(Upstream, match="in time"):
            await client.post(server, silence_s=0.05)
        assert time.monotonic() - began < 10


@on_uvloop
async def test_a_slow_reader_is_not_the_servers_silence(client: Client) -> None:
    async with serving(always(whole(b"x" * 2_000_000))) as server:
        response = await client.post(server, silence_s=0.05)
        await asyncio.sleep(0.2)
        assert len(await rest(response)) == 2_000_000


@pytest.mark.parametrize("when", ["connecting", "head", "body"])
@on_both_loops
async def test_cancelling_is_seen_at_once(client: Client, when: str) -> None:
    gone = asyncio.Event()

    async def handler(talk: Talk) -> None:
        if await talk.request() and when == "body":
            await talk.send(CHUNKED + b"1\r\na\r\n")
        await talk.left()
        gone.set()

    async with serving(handler) as server:
        call = asyncio.create_task(client.ask(server))
        if when == "connecting":
            await asyncio.sleep(0)
        else:
            await until(lambda: server.requests)
            await asyncio.sleep(0.02)
        began = time.monotonic()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        if server.talks:
            await gone.wait()
        assert time.monotonic() - began < 10
        (found,) = client.http._pools.values()
        await until(lambda: not len(found))


@on_both_loops
async def test_back_pressure(client: Client) -> None:
    """200 MB through a reader that is slower than the server: what waits stays small."""
    piece, pieces = bytes(1 << 20), 200
    sent = 0

    async def handler(talk: Talk) -> None:
        nonlocal sent
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * pieces))
        for _ in range(pieces):
            talk.writer.write(piece)
            await talk.writer.drain()
            sent += len(piece)

    async with serving(handler) as server:
        response = await client.post(server)
        await asyncio.sleep(0.05)
        before, most = sent, 0
        assert before < 20_000_000  # the socket's own buffers
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = 0
        while data := await response.read():
            size, most = size + len(data), max(most, len(data))
        assert size == len(piece) * pieces
        assert most <= connection.BUFFERED_BYTES + 256 * 1024 + 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 50_000  # kB


# connecting


@on_both_loops
async def test_a_socket_that_is_not_there(client: Client, tmp_path: Path) -> None:
    error = await client.refusal(Origin("http://engine", socket=tmp_path / "none"))
    assert "could not be reached: No such file" in error.message
    assert error.code == "upstream_unreachable"


@on_both_loops
async def test_a_port_where_nobody_listens(client: Client) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        error = await client.refusal(Origin(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert error.code == "upstream_unreachable"
    assert "Connection refused" in error.message


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-OpenSSH\r\n"])
@on_both_loops
async def test_a_server_that_closes_or_speaks_at_once(client: Client, says: bytes) -> None:
    async def handler(talk: Talk) -> None:
        if says:
            await talk.send(says)
            await talk.left()
        else:
            talk.writer.transport.abort()

    async with serving(handler) as server:
        for error in await asyncio.gather(*(client.refusal(server) for _ in range(30))):
            assert error.code == "upstream_broken"
        (found,) = client.http._pools.values()
        await until(lambda: not len(found))


@on_both_loops
async def test_a_name_that_does_not_resolve(client: Client) -> None:
    error = await client.refusal(Origin("http://nowhere.invalid/v1"))
    assert (error.code, error.message.startswith("'it' could not be reached")) == ("upstream_unreachable", True)


async def full() -> list[socket.socket]:
    """A listener that takes no connection any more, and those that fill it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [listener]
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        waiting.append(one)
    await asyncio.sleep(0.01)
    return waiting


@on_uvloop
async def test_connecting_takes_so_long_at_most(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONNECT_S", 0.1)
    sockets = await full()
    try:
        port = sockets[0].getsockname()[1]
        began = time.monotonic()
        error = await client.refusal(Origin(f"http://127.0.0.1:{port}"))
        assert error.code == "upstream_timeout"
        assert time.monotonic() - began < 10
    finally:
        for one in sockets:
            one.close()


@on_both_loops
async def test_the_next_address_is_tried(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ATTEMPT_S", 0.05)
    asked = resolving(monkeypatch, "127.0.0.9", "127.0.0.8", "127.0.0.1")
    async with serving(always(whole(b"hello")), host="several.test") as server:
        assert await client.ask(server) == b"hello"
        assert b"\r\nHost: several.test:" in server.requests[0]
        assert asked == ["several.test"]


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the host `upstream.test`, signed by itself."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "2", "-subj", "/CN=upstream.test", "-addext", "subjectAltName=DNS:upstream.test", "-keyout", file, "-out",
         file.with_name("cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes(file.read_bytes() + file.with_name("cert.pem").read_bytes())
    return file


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


@on_both_loops
async def test_tls_of_a_known_authority(client: Client, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    resolving(monkeypatch, "127.0.0.1")
    names: list[str | None] = []
    tls = context(certificate)
    tls.sni_callback = lambda _, name, __: names.append(name)
    body = os.urandom(300_000)

    async def handler(talk: Talk) -> None:
        while said := await talk.request():
            await talk.send(whole(said.partition(b"\r\n\r\n")[2]))

    async with serving(handler, tls=tls, host="upstream.test") as server:
        for _ in range(3):
            assert await client.ask(server, body) == body
        assert len(server.talks) == 1
        assert names == ["upstream.test"]
        assert b"\r\nHost: upstream.test:" in server.requests[0]
        assert server.talks[0].writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await client.http.close()


@on_both_loops
async def test_tls_cancelled_and_closed_early(
    client: Client, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    resolving(monkeypatch, "127.0.0.1")
    gone: list[bool] = []

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(CHUNKED + b"1\r\na\r\n")
        gone.append(await talk.left())

    async with serving(handler, tls=context(certificate), host="upstream.test") as server:
        response = await client.post(server)
        await response.close()
        await until(lambda: gone == [True])
        call = asyncio.create_task(client.ask(server))
        await until(lambda: len(server.requests) == 2)
        call.cancel()
        await until(lambda: gone == [True, True])


@pytest.mark.parametrize(
    ("trusted", "host", "says"),
    [(False, "upstream.test", "self-signed certificate"), (True, "other.test", "Hostname mismatch")],
)
@on_both_loops
async def test_certificates_that_are_not_taken(
    client: Client, certificate: Path, trusted: bool, host: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    resolving(monkeypatch, "127.0.0.1")
    async with serving(always(whole()), tls=context(certificate), host=host) as server:
        error = await client.refusal(server, {"Authorization": "Bearer k"})
        assert error.code == "upstream_tls"
        assert says in error.message
        assert not server.requests


@on_both_loops
async def test_a_server_without_tls(client: Client) -> None:
    async def speaks_first(talk: Talk) -> None:
        await talk.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await talk.left()

    async def hangs_up(talk: Talk) -> None:
        await talk.reader.read(10)

    for handler, says in ((speaks_first, "wrong version number"), (hangs_up, "")):
        async with serving(handler) as server:
            error = await client.refusal(Origin(server.origin.base_url.replace("http:", "https:")))
            assert error.code == "upstream_tls"
            assert says in error.message


@on_both_loops
async def test_tls_cut_without_a_goodbye_ends_no_answer(
    client: Client, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9112, 9.8: whoever cuts the connection could otherwise cut an answer that the close ends."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    resolving(monkeypatch, "127.0.0.1")

    async def handler(talk: Talk) -> None:
        await talk.request()
        await talk.send(b"HTTP/1.1 200 OK\r\n\r\nhalf", pause_s=0.05)
        if talk.number == 0:
            talk.writer.transport.abort()

    async with serving(handler, tls=context(certificate), host="upstream.test") as server:
        response = await client.post(server)
        assert await response.read() == b"half"
        with pytest.raises(Upstream, match="broke off"):
            await response.read()
        assert await client.ask(server) == b"half"


@on_both_loops
async def test_nothing_is_left_behind(client: Client) -> None:
    """Connections free themselves: no cycle keeps a buffer alive until the collector comes."""
    async with serving(always(whole())) as server:
        gc.collect()
        gc.disable()
        try:
            before = sum(isinstance(o, connection.Connection) for o in gc.get_objects())
            for _ in range(20):
                await client.ask(server, fields={"Connection": "close"})
            await asyncio.sleep(0.05)
            assert sum(isinstance(o, connection.Connection) for o in gc.get_objects()) - before <= 2
        finally:
            gc.enable()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_node_without_a_free_file_does_not_blame_the_upstream(number: int) -> None:
    error = broken("'it'", OSError(number, os.strerror(number)))
    assert isinstance(error, Unavailable)
    assert "open files" in error.hint
