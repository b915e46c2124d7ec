"""A server in OpenAI's form that fails as asked, byte for byte: the model's name says how.

As a program (`python -m tests.faults.server`) it runs in a process of its own, which can be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CUT = "cut"
"""Ends the connection with a reset (RST)."""
HANG = "hang"
"""Sends nothing more until the client has left."""

Step = bytes | float | str
"""Bytes to send, seconds to wait, or one of the words above."""

SLOWLY_S = 0.4
"""Between the bytes of a server that sends them one by one."""


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()) + b"\n\n"


def chunk(choices: list[Any], **more: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**head, "choices": choices, **more})


def says(text: str) -> bytes:
    return chunk([{"index": 0, "delta": {"content": text}, "finish_reason": None}])


ROLE = chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
STOP = chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
COUNTS = {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}
USAGE = chunk([], usage=COUNTS)
DONE = event(b"[DONE]")
BEGUN = [ROLE, says("one "), says("twö ")]
REST = [says("three"), STOP, USAGE, DONE]
TEXT = "one twö three"
ERROR = {"error": {"message": "The server is overloaded.", "type": "server_error", "code": "overloaded"}}


def answer(text: str = TEXT) -> bytes:
    """A whole answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**head, "choices": [choice], "usage": COUNTS}).encode()


def framed(body: bytes, status: str = "200 OK", *fields: str, length: int | str | None = None) -> bytes:
    """A response with its length, or with the length that it claims to have."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *fields]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
EVENTS = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def piece(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def streamed(events: list[bytes], *last: Step) -> list[Step]:
    """A stream of these events, each sent by itself; without `last` it ends as it should."""
    return [EVENTS, *map(piece, events), *(last or (END,))]


def bitwise(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


HALF = framed(answer())[: len(framed(answer())) // 2]
BROKEN_EVENT = b'data: {"id": "chatcmpl-1", "choices": [{"ind\n\n'
OVERSIZED = 65 * 1024**2

WHOLE: dict[str, list[Step]] = {
    "ok": [framed(answer())],
    "reset-before": [CUT],
    "reset-after": [HALF, 0.05, CUT],
    "silent-before": [HANG],
    "silent-between": [HALF, HANG],
    "dripping": [s for byte in bitwise(framed(answer()), 1) for s in (byte, SLOWLY_S)],
    "error-in-200": [framed(json.dumps(ERROR).encode())],
    "bad-json": [framed(b'{"id": "chatcmpl-1", "choices": [{"ind')],
    "no-object": [framed(b"[1, 2]")],
    "wrong-shape": [framed(b'{"choices": [5], "usage": {"prompt_tokens": "many"}}')],
    "length-too-long": [framed(answer(), length=9999)],
    "length-too-short": [framed(answer(), length=20), 0.05],
    "length-no-number": [framed(answer(), length="many")],
    "oversized": [framed(b"", length=OVERSIZED), *([b" " * 1024**2] * (OVERSIZED // 1024**2))],
    "empty": [framed(b"")],
    "page": [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 13\r\n\r\n<html></html>"
    ],
    "redirect": [framed(b"", "302 Found", "Location: http://169.254.169.254/v1/secret")],
    "no-http": [b"SSH-2.0-OpenSSH_9.2\r\n"],
}

STREAMED: dict[str, list[Step]] = {
    **{how: WHOLE[how] for how in ("reset-before", "silent-before", "error-in-200", "empty", "page", "redirect")},
    "ok": streamed(BEGUN + REST),
    "length-no-number": WHOLE["length-no-number"],
    "no-http": WHOLE["no-http"],
    "reset-begun": streamed([ROLE], 0.05, CUT),
    "reset-after": streamed(BEGUN, 0.05, CUT),
    "reset-in-event": streamed([*BEGUN, says("three")[:30]], 0.05, CUT),
    "silent-begun": streamed([ROLE], HANG),
    "silent-between": streamed(BEGUN, HANG),
    "only-comments": streamed(BEGUN, *[step for _ in range(100) for step in (piece(b": still here\n\n"), 0.1)]),
    "dripping": [EVENTS, *[s for byte in bitwise(b"".join(BEGUN), 1) for s in (piece(byte), SLOWLY_S)]],
    "dripping-later": streamed(BEGUN, *[s for byte in bitwise(says("three"), 1) for s in (piece(byte), SLOWLY_S)]),
    "error-first": streamed([ROLE, event(ERROR)]),
    "error-later": streamed([*BEGUN, event(ERROR)]),
    "no-end-begun": streamed([ROLE]),
    "no-end": streamed(BEGUN),
    "no-done": streamed([*BEGUN, says("three"), STOP, USAGE]),
    "never-closed": streamed([*BEGUN, *REST], HANG),
    "goes-on": streamed([*BEGUN, *REST], *[step for _ in range(50) for step in (0.1, piece(says("more")))]),
    "malformed-first": streamed([BROKEN_EVENT]),
    "malformed-later": streamed([*BEGUN, BROKEN_EVENT], 0.1, *map(piece, REST), END),
    "wrong-shape": streamed([event({"choices": [5]}), event({"choices": [{"delta": 5, "finish_reason": "stop"}]})]),
    "split": [EVENTS, *[s for part in bitwise(b"".join(BEGUN + REST), 3) for s in (piece(part), 0.0)], END],
    "oversized": streamed(BEGUN, *[piece(b"data: " + b"x" * 1024**2)] * 20, END),
    "length-too-short": [STREAM + b"Content-Length: 420\r\n\r\n", b"".join(BEGUN + REST), 0.05],
    "length-too-long": [STREAM + b"Content-Length: 99999\r\n\r\n", b"".join(BEGUN)],
}  # fmt: skip


def steps(how: str, *, stream: bool) -> list[Step]:
    """What a model of that name answers."""
    if how.startswith("status-"):
        return [_refusal(*how.removeprefix("status-").split("-"))]
    if how.startswith("slow-"):  # slow-SECONDS: late, and well
        return [float(how.removeprefix("slow-")), *steps("ok", stream=stream)]
    if how == "many":
        return streamed([ROLE, *(says(f"{i} ") for i in range(10_000))], HANG)
    return (STREAMED if stream else WHOLE)[how]


def _refusal(status: str, retry_after: str = "") -> bytes:
    error = {"message": f"This is {status}.", "type": "some_type", "code": "some_code", "param": None}
    fields = [f"Retry-After: {retry_after}"] if retry_after else []
    return framed(json.dumps({"error": error}).encode(), f"{status} Because", *fields)


@dataclass
class Asked:
    """One request as the server saw it."""

    model: str
    key: str
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)
    left: threading.Event = field(default_factory=threading.Event)
    """The client closed the connection before the answer was over."""


Script = Callable[[Asked], list[Step] | None]


@dataclass
class Server:
    """Where it listens, and what it was asked. `script` may answer for models that are not named here."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    script: Script = field(default=lambda _: None)

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    def of(self, model: str) -> list[Asked]:
        return [one for one in self.asked if one.model == model]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for one request: every answer says that it closes."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked = await self._request(reader)
            script = self.script(asked) or steps(asked.model, stream=bool(asked.body.get("stream")))
            await _play(script, asked, reader, writer)
        writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = (line.partition(":") for line in head.split("\r\n"))
        fields = {name.lower(): value.strip() for name, _, value in lines}
        body = json.loads(await reader.readexactly(int(fields["content-length"])))
        asked = Asked(body["model"], fields.get("authorization", ""), body)
        self.asked.append(asked)
        return asked


async def _play(script: list[Step], asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    gone = asyncio.ensure_future(reader.read(1))
    try:
        for step in script:
            if gone.done():
                asked.left.set()
                return
            if step == HANG:
                await gone
                asked.left.set()
                return
            if step == CUT:
                _reset(writer)
                return
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, float):
                await asyncio.wait([gone], timeout=step)
    except ConnectionError:
        asked.left.set()
    finally:
        gone.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def _listening(server: Server, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The server's port. Nobody waits for connections that are still open at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve(reader, writer)
        writer.transport.abort()
        tasks.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def faulty(*, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server in a thread of its own, for the length of the block."""
    server, ready = Server(), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with _listening(server, tls) as port:
            server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="faulty upstream")
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody has reason to trust."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
         str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def _main() -> None:
    async with _listening(Server(), None) as port:
        print(port, flush=True)  # noqa: T201 - for whoever started it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
