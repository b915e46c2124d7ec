"""uvicorn (httptools, uvloop) + a bare ASGI app + a small pooled upstream client on httptools.

The client half is what differs from the httpx and aiohttp baselines: one asyncio Protocol per
upstream connection, responses parsed by httptools (C), no per-request session objects.
"""

import asyncio

import httptools
import uvicorn
from common import KEY, PORT, UPSTREAM_KEY, UPSTREAM_PORT

AUTH = f"Bearer {KEY}".encode()
PREFIX = (
    f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{UPSTREAM_PORT}\r\n"
    f"Authorization: Bearer {UPSTREAM_KEY}\r\nContent-Type: application/json\r\nContent-Length: "
).encode()
POOL = []


class Upstream(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def begin(self):
        self.parser = httptools.HttpResponseParser(self)
        self.ctype = b"application/json"
        self.parts, self.waiter, self.complete, self.alive = [], None, False, True
        self.headers_done = False

    def on_header(self, name, value):
        if name.lower() == b"content-type":
            self.ctype = value

    def on_headers_complete(self):
        self.headers_done = True

    def on_body(self, body):
        self.parts.append(body)

    def on_message_complete(self):
        self.complete = True

    def data_received(self, data):
        self.parser.feed_data(data)
        self.wake()

    def wake(self):
        w = self.waiter
        if w is not None and not w.done():
            w.set_result(None)

    def connection_lost(self, exc):
        self.alive, self.complete = False, True
        if self in POOL:
            POOL.remove(self)
        self.wake()

    async def wait(self):
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter
        self.waiter = None


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if dict(scope["headers"]).get(b"authorization") != AUTH:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b'{"error":"bad key"}'})
        return
    msg = await receive()
    body = msg["body"]
    while msg.get("more_body"):
        msg = await receive()
        body += msg["body"]
    if POOL:
        up = POOL.pop()
    else:
        _, up = await asyncio.get_running_loop().create_connection(Upstream, "127.0.0.1", UPSTREAM_PORT)
    up.begin()
    up.transport.write(b"%b%d\r\n\r\n%b" % (PREFIX, len(body), body))
    while not up.headers_done and up.alive:
        await up.wait()
    status = up.parser.get_status_code()
    if b"event-stream" in up.ctype:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", up.ctype)]})
        while True:
            if up.parts:
                data = up.parts[0] if len(up.parts) == 1 else b"".join(up.parts)
                up.parts = []
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif up.complete:
                break
            else:
                await up.wait()
        await send({"type": "http.response.body", "body": b""})
    else:
        while not up.complete:
            await up.wait()
        data = b"".join(up.parts)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", up.ctype), (b"content-length", b"%d" % len(data))],
            }
        )
        await send({"type": "http.response.body", "body": data})
    if up.alive:
        POOL.append(up)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=PORT,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        lifespan="off",
    )
