"""granian (RSGI, 1 worker) + aiohttp client: pass-through, key check, no JSON parsing."""

import aiohttp
from common import KEY, PORT, UPSTREAM, UPSTREAM_KEY

HEADERS = {"Authorization": f"Bearer {UPSTREAM_KEY}", "Content-Type": "application/json"}


class App:
    session = None

    async def __rsgi__(self, scope, proto):
        if scope.headers.get("authorization") != f"Bearer {KEY}":
            return proto.response_bytes(401, [], b'{"error":"bad key"}')
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600)
            )
        body = await proto()
        async with self.session.post(UPSTREAM, data=body, headers=HEADERS) as up:
            ctype = up.headers.get("Content-Type", "application/json")
            if "event-stream" not in ctype:
                return proto.response_bytes(up.status, [("content-type", ctype)], await up.read())
            out = proto.response_stream(up.status, [("content-type", ctype)])
            async for part in up.content.iter_any():
                await out.send_bytes(part)
            return None


app = App()
if __name__ == "__main__":
    from granian import Granian

    Granian(
        "granian_aiohttp:app",
        address="127.0.0.1",
        port=PORT,
        interface="rsgi",
        workers=1,
        loop="uvloop",
        log_access=False,
        log_level="warning",
    ).serve()
