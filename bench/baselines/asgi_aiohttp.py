"""uvicorn (httptools, uvloop) + a bare ASGI app + aiohttp's client: pass-through, key check."""

import aiohttp
import uvicorn
from common import KEY, PORT, UPSTREAM, UPSTREAM_KEY

AUTH = f"Bearer {KEY}".encode()
HEADERS = {"Authorization": f"Bearer {UPSTREAM_KEY}", "Content-Type": "application/json"}
SESSION = None


async def app(scope, receive, send):
    global SESSION
    if scope["type"] == "lifespan":
        await receive()
        SESSION = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600), auto_decompress=False
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await SESSION.close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if dict(scope["headers"]).get(b"authorization") != AUTH:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"error":"bad key"}'})
        return
    body = b""
    while True:
        m = await receive()
        body += m.get("body", b"")
        if not m.get("more_body"):
            break
    async with SESSION.post(UPSTREAM, data=body, headers=HEADERS) as up:
        ctype = up.headers.get("Content-Type", "application/json").encode()
        if b"event-stream" not in ctype:
            out = await up.read()
            await send(
                {
                    "type": "http.response.start",
                    "status": up.status,
                    "headers": [(b"content-type", ctype), (b"content-length", str(len(out)).encode())],
                }
            )
            await send({"type": "http.response.body", "body": out})
            return
        await send({"type": "http.response.start", "status": up.status, "headers": [(b"content-type", ctype)]})
        async for part in up.content.iter_any():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
