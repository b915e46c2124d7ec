"""Raw asyncio Protocol proxy on uvloop.

WORK=none : byte relay with a key check - about the least a Python process can do per request.
WORK=full : what a real gateway does on top: SHA-256 key look-up, token bucket, orjson parse of the
            request, model alias -> deployment, body rewritten, usage read from the answer
            (parsed for JSON, found by a byte search in a stream), cost and counters, log record.
The end of a chunked answer is recognised by its last bytes rather than by walking the chunks, and
only POST with Content-Length is understood: a yardstick, not a server.
"""

import asyncio
import hashlib
import os
import time

import uvloop
from common import KEY, PORT, UPSTREAM_KEY, UPSTREAM_PORT

FULL = os.environ.get("WORK", "none") == "full"
if FULL:
    import orjson

PREFIX = (
    f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{UPSTREAM_PORT}\r\n"
    f"Authorization: Bearer {UPSTREAM_KEY}\r\nContent-Type: application/json\r\nContent-Length: "
).encode()
BEARER = b"\r\nauthorization: bearer "
AUTH = BEARER + KEY.lower().encode() + b"\r\n"
DENY = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 19\r\n\r\n" + b'{"error":"bad key"}'
POOL = []


class Key:
    def __init__(self):
        self.tokens, self.stamp, self.spend, self.n_in, self.n_out, self.requests = 1e9, time.monotonic(), 0.0, 0, 0, 0


KEYS = {hashlib.sha256(KEY.encode()).digest(): Key()}
MODELS = {"gpt-4o-mini": ("gpt-4o-mini-2024-07-18", 0.15e-6, 0.60e-6)}
LOG = []


class Upstream(asyncio.Protocol):
    client = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        client = self.client
        if client is None:
            self.transport.close()
            return
        if self.left is None:  # head not seen yet
            if self.head:
                data = self.head + data
            i = data.find(b"\r\n\r\n")
            if i < 0:
                self.head = data
                return
            self.head = b""
            low = data[: i + 2].lower()
            j = low.find(b"\r\ncontent-length:")
            if j >= 0:
                self.left = i + 4 + int(low[j + 17 : low.index(b"\r\n", j + 17)])
            else:
                self.left = -1
            if FULL:
                self.body_at = i + 4
                client.first = time.monotonic()
        client.transport.write(data)
        if self.left >= 0:
            if FULL:
                self.got += data
            self.left -= len(data)
            if self.left > 0:
                return
        else:
            if FULL and b'"usage":{' in data:
                self.got = data
            if not data.endswith(b"0\r\n\r\n"):
                return
        stream = self.left < 0
        got, at = self.got, self.body_at
        self.client = client.up = None
        POOL.append(self)
        client.finished(stream, got, at)

    def connection_lost(self, exc):
        if self in POOL:
            POOL.remove(self)
        if self.client is not None:
            self.client.transport.close()


class Client(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buf, self.up = transport, b"", None

    def data_received(self, data):
        self.buf = self.buf + data if self.buf else data
        if self.up is None:
            self.next()

    def next(self):
        buf = self.buf
        i = buf.find(b"\r\n\r\n")
        if i < 0:
            return
        low = buf[: i + 2].lower()
        j = low.find(b"\r\ncontent-length:")
        n = int(low[j + 17 : low.index(b"\r\n", j + 17)]) if j >= 0 else 0
        end = i + 4 + n
        if len(buf) < end:
            return
        body = buf[i + 4 : end]
        self.buf = buf[end:]
        if FULL:
            self.t0 = time.monotonic()
            j = low.find(BEARER)
            key = KEYS.get(hashlib.sha256(buf[j + 24 : low.index(b"\r\n", j + 24)]).digest()) if j >= 0 else None
            if key is None:
                self.transport.write(DENY)
                return
            key.tokens = min(1e9, key.tokens + (self.t0 - key.stamp) * 1e6) - 1
            key.stamp = self.t0
            req = orjson.loads(body)
            self.key, self.route = key, MODELS[req["model"]]
            req["model"] = self.route[0]
            body = orjson.dumps(req)
        elif AUTH not in low:
            self.transport.write(DENY)
            return
        self.up = True
        out = b"%b%d\r\n\r\n%b" % (PREFIX, len(body), body)
        if POOL:
            self.send(POOL.pop(), out)
        else:
            self.dialling = asyncio.ensure_future(self.dial(out))

    async def dial(self, out):
        _, up = await asyncio.get_running_loop().create_connection(Upstream, "127.0.0.1", UPSTREAM_PORT)
        self.send(up, out)

    def send(self, up, out):
        up.client, self.up = self, up
        up.head, up.left, up.got, up.body_at = b"", None, b"", 0
        up.transport.write(out)

    def finished(self, stream, got, at):
        if FULL:
            if stream:
                i = got.rfind(b'"usage":{')
                depth_end = got.find(b"}\n\n", i)
                usage = orjson.loads(got[i + 8 : depth_end]) if i >= 0 else {}
            else:
                usage = orjson.loads(memoryview(got)[at:])["usage"]
            k, r = self.key, self.route
            n_in, n_out = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
            cost = n_in * r[1] + n_out * r[2]
            k.requests += 1
            k.n_in += n_in
            k.n_out += n_out
            k.spend += cost
            LOG.append((self.t0, self.first, time.monotonic(), r[0], n_in, n_out, cost))
            if len(LOG) >= 1000:
                LOG.clear()  # stands for the hand-over to a writer
        if self.buf:
            self.next()

    def pause_writing(self):
        if isinstance(self.up, Upstream):
            self.up.transport.pause_reading()

    def resume_writing(self):
        if isinstance(self.up, Upstream):
            self.up.transport.resume_reading()

    def connection_lost(self, exc):
        if isinstance(self.up, Upstream):
            self.up.client = None
            self.up.transport.close()


async def main():
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", PORT, backlog=1024)
    await server.serve_forever()


uvloop.run(main())
