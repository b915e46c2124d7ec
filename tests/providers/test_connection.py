"""The protocol by itself, fed by hand: every way in which bytes can be cut, and what servers must not send."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import itertools
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.providers.connection import BUFFERED_BYTES, HEAD_BYTES, Connection
from intermodel.providers.inflate import READ_BYTES, Inflater
from intermodel.providers.reply import Broken, Headers, Reply
from tests.providers.raw import CHUNKED, chunked, whole

OK = b"HTTP/1.1 200 OK\r\n"

zipped = functools.partial(gzip.compress, mtime=0)  # the same bytes at any time


class Wire(asyncio.Transport):
    """A transport without a socket, and the owner of the connection on it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.is_closed = False
        self.reads = True
        self.kept: list[Connection] = []
        self.lost: list[Connection] = []
        self.connection = Connection(self)
        self.connection.connection_made(self)

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def keep(self, connection: Connection) -> None:
        self.kept.append(connection)

    def lose(self, connection: Connection) -> None:
        self.lost.append(connection)

    def ask(self, silence_s: float = 5, *, is_last: bool = False) -> Reply:
        return self.connection.ask(b"POST / HTTP/1.1\r\n\r\n", b"", silence_s=silence_s, is_last=is_last)

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.is_closed:
                self.connection.data_received(piece)

    def end(self, error: Exception | None = None) -> None:
        if error is None:
            self.connection.eof_received()
        self.connection.connection_lost(error)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with looped():
        yield Wire()


@contextlib.contextmanager
def looped() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that stands still: nothing here waits for the world."""
    loop = asyncio.new_event_loop()
    running = asyncio.events._get_running_loop()
    asyncio.events._set_running_loop(loop)
    try:
        yield loop
    finally:
        asyncio.events._set_running_loop(running)
        loop.close()


def drain(reply: Reply) -> tuple[bytes, str]:
    """What can be read now, and how it ends: "" for well, "more" where the rest is awaited."""
    data = b""
    while True:
        reading = reply.read()
        try:
            reading.send(None)
        except StopIteration as done:
            if not done.value:
                return data, ""
            data += done.value
        except Broken:
            return data, "broken"
        else:
            reading.close()
            reply._waiter = None
            return data, "more"


def outcome(pieces: list[bytes], *, eof: bool) -> dict[str, Any]:
    """Everything that a caller, or the next one, can see after these bytes."""
    with looped():
        wire = Wire()
        reply = wire.ask()
        wire.feed(*pieces)
        kept = bool(wire.kept) and not wire.is_closed
        if eof:
            wire.end()
        body, end = drain(reply)
        return {"status": reply.status, "fields": reply.fields, "body": body, "end": end, "kept": kept}


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """`data` in pieces."""

    def cut(at: set[int]) -> list[bytes]:
        places = [0, *sorted(at), len(data)]
        return [data[a:b] for a, b in itertools.pairwise(places)]

    return st.sets(st.integers(1, max(1, len(data) - 1)), max_size=12).map(cut)


bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=5)
names = st.sampled_from([b"Server", b"X-Request-Id", b"content-type", b"Via", b"Set-Cookie"])
fields = st.lists(st.tuples(names, st.sampled_from([b"", b"a", b"text/html; charset=utf-8", b"caf\xe9"])), max_size=4)
interims = st.lists(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: a\r\n\r\n"]), max_size=2
)


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A sound response and what must be seen of it."""
    chunks, more = draw(bodies), draw(fields)
    framing = draw(st.sampled_from(["length", "chunked", "close", "none"]))
    closes = draw(st.booleans())
    status = draw(st.sampled_from([204, 304] if framing == "none" else [200, 201, 302, 400, 429, 500, 599]))
    head = b"HTTP/1.1 %d Some reason\r\n" % status + b"".join(b"%b: %b\r\n" % f for f in more)
    head += b"Connection: close\r\n" if closes else b""
    body = b"".join(chunks)
    if framing == "length":
        head, data = head + b"Content-Length: %d\r\n" % len(body), body
    elif framing == "chunked":
        extension = draw(st.sampled_from([b"", b";a=b", b';a="b c"']))
        trailers = draw(st.sampled_from([b"", b"X-Sum: 1\r\nX-More: 2\r\n"]))
        head += b"Transfer-Encoding: chunked\r\n"
        data = b"".join(b"%x%b\r\n%b\r\n" % (len(c), extension, c) for c in chunks) + b"0\r\n" + trailers + b"\r\n"
    else:
        data = body if framing == "close" else b""
    expected = {
        "status": status,
        "body": b"" if framing == "none" else body,
        "end": "",
        "kept": not closes and framing != "close",
    }
    return b"".join(draw(interims)) + head + b"\r\n" + data, expected


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_sound_response_is_the_same_however_it_is_cut(data: st.DataObject) -> None:
    response, expected = data.draw(responses())
    seen = outcome(data.draw(cuts(response)), eof=True)
    assert {k: seen[k] for k in expected} == expected


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_response_that_ends_early_is_never_taken_for_whole(data: st.DataObject) -> None:
    response, expected = data.draw(responses().filter(lambda r: r[1]["kept"]))  # all but those that the close ends
    cut = data.draw(st.integers(0, len(response) - 1))
    seen = outcome([response[:cut]], eof=True)
    assert seen["end"] == "broken"
    assert not seen["kept"]
    assert expected["body"].startswith(seen["body"])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_mangled_bytes_are_seen_the_same_however_they_are_cut(data: st.DataObject) -> None:
    response = bytearray(data.draw(responses())[0])
    odd = [b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"0", b"HTTP/1.1", b"Content-Length: 3\r\n", b"chunked", b"\xff"]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(response)))
        cut = data.draw(st.integers(0, 3))
        response[at : at + cut] = data.draw(st.sampled_from(odd) | st.binary(max_size=3))
    one = outcome([bytes(response)], eof=True)
    other = outcome(data.draw(cuts(bytes(response))), eof=True)
    kept = one.pop("kept"), other.pop("kept")
    assert one == other
    assert one["end"] in ("", "broken")
    # what follows the end may come too late to be seen, but then it finds a connection that expects nothing
    assert kept[0] == kept[1] or one["end"] == ""


@given(st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=80, deadline=None)
def test_rubbish_is_refused_and_nothing_else_happens(pieces: list[bytes]) -> None:
    seen = outcome(pieces, eof=True)
    assert seen["end"] == "broken"
    assert not seen["kept"]


@pytest.mark.parametrize(
    "head",
    [
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n",
        OK + b"Content-Length: 2, 2\r\n\r\n",
        OK + b"Content-Length: -2\r\n\r\n",
        OK + b"Content-Length: +2\r\n\r\n",
        OK + b"Content-Length: 0x2\r\n\r\n",
        OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Content-Length : 2\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: xchunked\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\n",
        OK + b"Transfer-Encoding:\r\n\r\n",
        OK + b"A: b\r\n c\r\n\r\n",
        OK + b"A: b\0c\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"A: b\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 Odd\r\n\r\n",
        b"HTTP/1.1 2000 Odd\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>",
        b"\x15\x03\x01\x00\x02\x02\x46",  # a TLS alert
    ],
)
def test_heads_whose_end_or_meaning_is_in_doubt(head: bytes) -> None:
    seen = outcome([head + b"0\r\n\r\n"], eof=True)
    assert seen["end"] == "broken"
    assert not seen["kept"]
    assert outcome([bytes([b]) for b in head + b"0\r\n\r\n"], eof=True) == seen


@pytest.mark.parametrize(
    "body", [b"g\r\n", b"-1\r\n", b" 1\r\na\r\n", b"0x1\r\na\r\n", b"1\r\nab\r\n", b"f" * 17 + b"\r\n", b"1\na\n0\n\n"]
)
def test_chunks_that_are_none(body: bytes) -> None:
    assert outcome([CHUNKED + body], eof=True)["end"] == "broken"


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (OK, b"A" * 1000),
        (OK, b"A: " + b"b" * 997),
        (OK + b"A: ", b"b" * 1000),
        (OK, b"A: b\r\n" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        (b"HTTP/1.1 200 ", b"so fine" * 140),
        (CHUNKED + b"1;", b"extension" * 110),
        (CHUNKED + b"0\r\nTrailer: ", b"b" * 1000),
        (CHUNKED + b"0\r\n", b"A: b\r\n" * 100),
        (b"", b"\r\n" * 500),
    ],
)
def test_what_is_no_body_is_bounded(wire: Wire, first: bytes, more: bytes) -> None:
    wire.ask()
    sent = len(first)
    wire.feed(first)
    while not wire.is_closed:
        wire.feed(more)
        sent += len(more)
        assert sent <= HEAD_BYTES + 2 * len(more) + len(first)


def test_a_long_head_is_refused_when_it_comes_at_once(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(OK + b"A: " + b"b" * 2 * HEAD_BYTES + b"\r\nContent-Length: 1\r\n\r\nx")
    assert drain(reply) == (b"", "broken")


def test_a_long_answer_in_small_chunks_is_no_long_head(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(CHUNKED)
    got = b""
    for _ in range(3000):
        wire.feed(b"1" + b";x" * 20 + b"\r\na\r\n")
        got += drain(reply)[0]
    wire.feed(b"0\r\n\r\n")
    assert (got, drain(reply)) == (b"a" * 3000, (b"", ""))
    assert wire.kept


@pytest.mark.parametrize("rubbish", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\0", whole(b"second")])
def test_what_follows_the_end_reaches_nobody(wire: Wire, rubbish: bytes) -> None:
    reply = wire.ask()
    wire.feed(whole(b"first") + rubbish)
    assert drain(reply) == (b"first", "")
    assert wire.is_closed
    assert not wire.kept


@pytest.mark.parametrize("rubbish", [b"x", b"\r\n", whole(b"unasked"), b"HTTP/1.1 408 Request Timeout\r\n"])
def test_what_comes_while_nothing_is_asked_closes_the_connection(wire: Wire, rubbish: bytes) -> None:
    reply = wire.ask()
    wire.feed(whole(b"first"))
    assert wire.kept
    assert wire.connection.is_usable(60)
    wire.feed(rubbish)
    assert wire.is_closed
    assert not wire.connection.is_usable(60)
    assert drain(reply) == (b"first", "")


def test_one_connection_answers_many_times(wire: Wire) -> None:
    for number in range(5):
        reply = wire.ask()
        wire.feed(whole(b"%d" % number) if number % 2 else CHUNKED + chunked(b"%d" % number))
        assert drain(reply) == (b"%d" % number, "")
        assert len(wire.kept) == number + 1


def test_one_read_of_the_socket_is_one_read(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(CHUNKED + b"".join(b"3\r\nabc\r\n" for _ in range(20)))
    assert drain(reply) == (b"abc" * 20, "more")


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        (whole(), True),
        (whole(b"{}", b"Connection: close"), False),
        (whole(b"{}", b"Connection: Keep-Alive, Close"), False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n{}", True),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n" + chunked(b"{}"), False),
        (OK + b"Content-Length: 2\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n{}", True),
    ],
)
def test_which_responses_leave_the_connection_open(response: bytes, kept: bool) -> None:
    seen = outcome([response], eof=False)
    assert (seen["body"], seen["end"], seen["kept"]) == (b"{}", "", kept)


def test_a_request_that_said_close_is_the_last(wire: Wire) -> None:
    wire.ask(is_last=True)
    wire.feed(whole())
    assert wire.is_closed


def test_an_answer_before_the_request_was_sent_closes_the_connection(wire: Wire) -> None:
    reply = wire.ask()
    wire.unsent = 5000
    wire.feed(whole(b"no", status=b"413 Too large"))
    assert reply.status == 413
    assert drain(reply) == (b"no", "")
    assert wire.is_closed


@pytest.mark.parametrize(
    ("hint", "idle", "usable"),
    [
        (b"timeout=5", 3.9, True), (b"timeout=5", 4.1, False), (b"max=10, timeout = 5", 4.1, False), (b"x", 50, True),
        (b'timeout="5"', 4.1, False), (b"timeout=1", 0.1, False), (b"timeout=999", 61, False), (b"max=9", 59, True),
    ],
)  # fmt: skip
def test_how_long_the_server_keeps_it(wire: Wire, hint: bytes, idle: float, usable: bool) -> None:
    wire.ask()
    wire.feed(whole(b"{}", b"Keep-Alive: " + hint))
    wire.connection._idle_since -= idle
    assert wire.connection.is_usable(60) is usable


def test_a_connection_lost_between_two_calls(wire: Wire) -> None:
    wire.ask()
    wire.feed(whole())
    wire.end()
    assert wire.lost == wire.kept == [wire.connection]
    assert not wire.connection.is_usable(60)


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_an_error_ends_even_an_answer_that_the_close_ends(wire: Wire, error: Exception | None) -> None:
    reply = wire.ask()
    wire.feed(OK + b"\r\nsome")
    wire.end(error)
    assert drain(reply) == (b"some", "broken" if error else "")
    assert not wire.kept


def test_the_socket_is_not_read_while_much_waits(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(OK + b"Content-Length: 9999999\r\n\r\n", b"x" * BUFFERED_BYTES)
    assert wire.reads
    wire.feed(b"x")
    assert not wire.reads
    assert drain(reply) == (b"x" * (BUFFERED_BYTES + 1), "more")
    assert wire.reads


def test_a_paused_connection_is_kept_reading(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(whole(b"x" * (BUFFERED_BYTES + 1)))
    assert wire.reads
    assert wire.kept
    assert len(drain(reply)[0]) == BUFFERED_BYTES + 1


def test_closing_early_and_late(wire: Wire) -> None:
    reply = wire.ask()
    wire.feed(CHUNKED + b"1\r\na\r\n")
    reply.abort()
    reply.abort()
    assert wire.is_closed
    assert drain(reply) == (b"", "broken")
    late = Wire()
    reply = late.ask()
    late.feed(whole(b"ab"))
    reply.abort()
    assert not late.is_closed
    assert drain(reply) == (b"ab", "")


def test_fields_by_name() -> None:
    reply = outcome([OK + b"Retry-After: 7\r\nVia: a\r\nvia: b\r\nX: \xe9\r\nContent-Length: 0\r\n\r\n"], eof=False)
    headers = Headers(reply["fields"])
    assert headers.get("retry-after") == headers["RETRY-AFTER"] == "7"
    assert headers["Via"] == "a, b"
    assert headers["x"] == "\xe9"
    assert headers.get("\u2603") is None
    assert dict(headers) == {"retry-after": "7", "via": "a, b", "x": "\xe9", "content-length": "0"}
    assert len(headers) == 4


class Body:
    """A body in pieces."""

    def __init__(self, data: bytes, size: int = 1 << 20) -> None:
        self.pieces = [data[i : i + size] for i in range(0, len(data), size)]
        self.most = 0

    async def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    async def through(self, coding: str) -> bytes:
        inflater, seen = Inflater(coding, self.read), b""
        while piece := await inflater.read():
            self.most = max(self.most, len(piece))
            seen += piece
        return seen


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", zipped), ("X-Gzip ", zipped), ("deflate", zlib.compress), ("deflate", raw_deflate),
     ("gzip", lambda d: zipped(d[:9]) + zipped(d[9:]))],
)  # fmt: skip
async def test_compressed_bodies(coding: str, compress: Any, size: int) -> None:
    text = b"a model answers, " * 40
    assert await Body(compress(text), size).through(coding) == text


async def test_an_empty_body_is_no_compressed_one() -> None:
    assert await Body(b"").through("gzip") == b""
    assert await Body(zipped(b"")).through("gzip") == b""


@pytest.mark.parametrize(
    ("coding", "data"),
    [("gzip", zipped(b"abc")[:-1]), ("gzip", b"plain"), ("gzip", zipped(b"abc") + b"tail"),
     ("deflate", b"\xff\xff"), ("br", b"x"), ("gzip, gzip", zipped(zipped(b"abc"))), ("", b"x")],
)  # fmt: skip
async def test_bodies_that_cannot_be_decoded(coding: str, data: bytes) -> None:
    with pytest.raises(Broken):
        await Body(data).through(coding)


@pytest.mark.parametrize(("coding", "compress"), [("gzip", zipped), ("deflate", raw_deflate)])
async def test_a_bomb_goes_off_slowly(coding: str, compress: Any) -> None:
    bomb = Body(compress(bytes(8_000_000)))
    assert len(await bomb.through(coding)) == 8_000_000
    assert bomb.most <= READ_BYTES
