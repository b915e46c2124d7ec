"""Starlette + uvicorn (httptools, uvloop) + httpx: pass-through, key check, no JSON parsing."""

import contextlib

import httpx
import uvicorn
from common import KEY, PORT, UPSTREAM, UPSTREAM_KEY
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

HEADERS = {"Authorization": f"Bearer {UPSTREAM_KEY}", "Content-Type": "application/json"}


@contextlib.asynccontextmanager
async def lifespan(app):
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=1000)
    async with httpx.AsyncClient(limits=limits, timeout=600, trust_env=False) as client:
        app.state.client = client
        yield


async def chat(request):
    if request.headers.get("authorization") != f"Bearer {KEY}":
        return Response(b'{"error":"bad key"}', 401)
    client = request.app.state.client
    body = await request.body()
    up = await client.send(client.build_request("POST", UPSTREAM, content=body, headers=HEADERS), stream=True)
    ctype = up.headers.get("content-type", "application/json")
    if "event-stream" in ctype:

        async def relay():
            try:
                async for part in up.aiter_raw():
                    yield part
            finally:
                await up.aclose()

        return StreamingResponse(relay(), up.status_code, media_type=ctype)
    data = await up.aread()
    await up.aclose()
    return Response(data, up.status_code, media_type=ctype)


app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan)
if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=PORT, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
