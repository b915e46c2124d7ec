"""aiohttp server + aiohttp client on uvloop: pass-through, key check, no JSON parsing."""

import aiohttp
import uvloop
from aiohttp import web
from common import KEY, PORT, UPSTREAM, UPSTREAM_KEY

HEADERS = {"Authorization": f"Bearer {UPSTREAM_KEY}", "Content-Type": "application/json"}
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def session(app):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600)) as s:
        app[SESSION] = s
        yield


async def chat(request):
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return web.json_response({"error": "bad key"}, status=401)
    body = await request.read()
    async with request.app[SESSION].post(UPSTREAM, data=body, headers=HEADERS) as up:
        ctype = up.headers.get("Content-Type", "application/json")
        if "event-stream" not in ctype:
            return web.Response(body=await up.read(), status=up.status, headers={"Content-Type": ctype})
        out = web.StreamResponse(status=up.status, headers={"Content-Type": ctype})
        await out.prepare(request)
        async for part in up.content.iter_any():
            await out.write(part)
        await out.write_eof()
        return out


def main():
    app = web.Application(client_max_size=32 << 20)
    app.cleanup_ctx.append(session)
    app.router.add_post("/v1/chat/completions", chat)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
