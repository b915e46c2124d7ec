"""Calls an upstream as fast as it can through one HTTP client, and prints what each call cost this process.

    client.py CLIENT PORT CONCURRENCY SECONDS BODY

CLIENT is `aiohttp` or `intermodel`; BODY is a file with the request. Prints one JSON line.
"""

import asyncio
import json
import pathlib
import resource
import sys
import time

import uvloop

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-bench-1234"}


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def aiohttp_client(base):
    """What the node used before its own client, with the same settings."""
    import aiohttp

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60), cookie_jar=aiohttp.DummyCookieJar()
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=600)

    async def call(body):
        response = await session.post(
            base + "/chat/completions", data=body, headers=HEADERS, allow_redirects=False, timeout=timeout
        )
        reads = size = 0
        while piece := await response.content.readany():
            reads, size = reads + 1, size + len(piece)
        response.close()
        return reads, size, response.status

    return call, session.close


def intermodel_client(base):
    from intermodel.providers.http import Http, Origin

    http, origin = Http(), Origin(base)

    async def call(body):
        response = await http.post(
            origin, "/chat/completions", body, headers=HEADERS, silence_s=600, name="the upstream"
        )
        reads = size = 0
        while piece := await response.read():
            reads, size = reads + 1, size + len(piece)
        await response.close()
        return reads, size, response.status

    return call, http.close


async def measure(client, port, concurrency, seconds, body):
    make = {"aiohttp": aiohttp_client, "intermodel": intermodel_client}[client]
    call, close = make(f"http://127.0.0.1:{port}/v1")
    calls = reads = size = 0

    async def work(until):
        nonlocal calls, reads, size
        while time.monotonic() < until:
            seen, length, status = await call(body)
            if status != 200 or not length:
                raise RuntimeError(f"status {status}, {length} bytes")
            calls, reads, size = calls + 1, reads + seen, size + length

    async def together(length):
        until = time.monotonic() + length
        await asyncio.gather(*(work(until) for _ in range(concurrency)))

    await together(seconds / 4)  # warm-up, not kept
    calls = reads = size = 0
    began, used = time.monotonic(), cpu_s()
    await together(seconds)
    used, took = cpu_s() - used, time.monotonic() - began
    await close()
    return {"calls": calls, "reads": reads, "bytes": size, "cpu_us": used / calls * 1e6, "rps": calls / took}


if __name__ == "__main__":
    client, port, concurrency, seconds, body = sys.argv[1:]
    data = pathlib.Path(body).read_bytes()
    print(json.dumps(uvloop.run(measure(client, int(port), int(concurrency), float(seconds), data))))
