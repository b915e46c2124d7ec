"""Hours of calls at a modest rate, and a thousand open streams: what the node's memory does meanwhile.

    python -m bench.soak --minutes 120         # whole answers, streams, clients that leave, wrong requests
    python -m bench.soak --open-streams 1000   # memory before, with the streams open, and after

The streams come after 100,000 whole answers. Results go to results/, a row a minute (streams: a second).
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import math
import os
import pathlib
import random
import re
import resource
import signal
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import aiohttp
import uvloop

from bench.node import TOKEN, folder
from bench.process import ENV, HERE, INTERMODEL, RESULTS, ask, cpu, free_port, load, start, stop, wait_until

PATH = "/v1/chat/completions"
MODEL = "gpt-4o-mini"
CONFIG = HERE / "peers" / "intermodel" / "intermodel.toml"
MIX = {"whole": 70, "stream": 20, "leave": 5, "wrong": 5}
"""Kinds of requests, and how many of a hundred."""
STREAM, LEFT = (20, 20), (20, 50)
"""Events of a stream, and milliseconds between them: one that is read to its end, one whose client leaves."""
MOST = 500
"""Requests in progress at once; what is due beyond them is left out, and counted."""
MOST_STREAMS = 4000
"""What the mock holds open."""
KB = ("VmRSS", "VmHWM", "RssAnon", "RssFile", "RssShmem")

Row = dict[str, Any]


class Rig:
    """The mock upstream and a node in front of it, with everything on."""

    def __init__(self, mock: subprocess.Popen[bytes], node: subprocess.Popen[bytes], port: int, data: pathlib.Path):
        self.mock = mock
        self.node = node
        self.port = port
        self.data = data
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def sample(self) -> Row:
        """Memory in MiB, threads, open files and CPU seconds of the node now. Raises OSError where it has ended."""
        proc = pathlib.Path(f"/proc/{self.node.pid}")
        told = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        row: Row = {f"{key}_mb": round(int(told[key].split()[0]) / 1024, 2) for key in KB}
        kept = [f.stat().st_size for f in self.data.rglob("*") if f.is_file()]
        return row | {
            "threads": int(told["Threads"]),
            "files": len(os.listdir(proc / "fd")),
            "cpu_s": round(cpu([self.node.pid])[0], 2),
            "data_mb": round(sum(kept) / 2**20, 1),
        }

    def files_allowed(self) -> int:
        """How many files the node may have open, sockets included."""
        limits = pathlib.Path(f"/proc/{self.node.pid}/limits").read_text()
        return int(next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3])


@contextlib.contextmanager
def rig(more: str = "") -> Iterator[Rig]:
    """Both running; `more` is added to the node's configuration."""
    up = free_port()
    mock = start([ENV / "bin" / "mock", str(up)])
    try:
        wait_until(lambda: ask(up, "/v1/models")[0] == 200, 10)
        with folder() as place:
            config = place / "soak.toml"
            config.write_text(CONFIG.read_text().replace("@UPSTREAM_PORT@", str(up)) + more)
            with (place / "log").open("wb") as log:
                node = start(
                    [INTERMODEL, "up", "--port", "0", "--data", place / "data", "--config", config, "--json"],
                    {"INTERMODEL_TOKEN": TOKEN, "UPSTREAM_KEY": "sk-upstream"}, log=log, out=subprocess.PIPE,
                )  # fmt: skip
                try:
                    line = node.stdout.readline()
                    if not line:
                        raise RuntimeError(f"the node did not start: {(place / 'log').read_text()[-500:]}")
                    yield Rig(mock, node, int(json.loads(line)["url"].rpartition(":")[2]), place / "data")
                finally:
                    stop(node)
                    node.stdout.close()
    finally:
        stop(mock)


class Load:
    """The requests of a soak. `seen` counts how they ended, `took_ms` are whole answers' times since the last row."""

    def __init__(self, session: aiohttp.ClientSession, rig: Rig):
        self._session = session
        self._rig = rig
        self._random = random.Random(1)
        self._kinds = self._random.choices(list(MIX), weights=list(MIX.values()), k=10_000)
        self._bodies = {"whole": body(), "stream": body(*STREAM), "leave": body(*LEFT)}
        self._number = 0
        self.seen: collections.Counter[str] = collections.Counter()
        self.took_ms: list[float] = []
        self.wrong: list[str] = []

    async def at_rate(self, rate: float, until: float) -> None:
        """Begin `rate` requests a second, whatever becomes of them, and wait for the last ones."""
        tasks: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if now < due:
                await asyncio.sleep(due - now)
            due += 1 / rate
            if len(tasks) >= MOST:
                self.seen["left out"] += 1
                continue
            task = asyncio.create_task(self._one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def _one(self) -> None:
        self._number += 1
        kind = self._kinds[self._number % len(self._kinds)]
        kinds: dict[str, Callable[[], Awaitable[str]]] = {
            "whole": self._whole, "stream": self._stream, "leave": self._leave, "wrong": self._mistake
        }  # fmt: skip
        try:
            became = await kinds[kind]()
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            became = f"unexpected: {type(e).__name__}"
        if became.startswith("unexpected") and len(self.wrong) < 20:
            self.wrong.append(f"{kind} {self._number}: {became}")
        self.seen[f"{kind} {became}"] += 1

    def _post(self, data: bytes, path: str = PATH, **headers: str) -> Any:
        return self._session.post(self._rig.url + path, data=data, headers=self._rig.headers | headers)

    def _body(self, kind: str) -> bytes:
        """A body like no other: what a node keeps for each caller, question or name must not grow without end."""
        return self._bodies[kind].replace(b"customer-81723", b"customer-%d" % self._number)

    async def _whole(self) -> str:
        began = time.monotonic()
        async with self._post(self._body("whole")) as r:
            data = await r.read()
        self.took_ms.append(1000 * (time.monotonic() - began))
        return "200" if r.status == 200 and b'"total_tokens":527' in data else f"unexpected: {r.status} {data[:200]!r}"

    async def _stream(self) -> str:
        async with self._post(self._body("stream")) as r:
            data = await r.read()
        if r.status == 200 and data.rstrip().endswith(b"data: [DONE]") and data.count(b"\ndata: ") >= STREAM[1]:
            return "200"
        return f"unexpected: {r.status} {data[-200:]!r}"

    async def _leave(self) -> str:
        async with self._post(self._body("leave")) as r:
            events, enough = 0, self._random.randrange(LEFT[1] - 10)
            while r.status == 200 and events < enough:
                if not (piece := await r.content.readany()):
                    return "too late"  # the last events came together
                events += piece.count(b"data: {")
            r.close()
        return "left" if r.status == 200 else f"unexpected: {r.status}"

    async def _mistake(self) -> str:
        n, data, path, more, wanted = self._number, self._body("whole"), PATH, {}, 400
        match self._random.randrange(5):
            case 0:
                data = data[:-1]
            case 1:
                data = data.replace(b'"messages":[', b'"messages":[%d,' % n)
            case 2:
                more, wanted = {"Authorization": f"Bearer sk-wrong-{n}"}, 401
            case 3:
                data, wanted = data.replace(MODEL.encode(), b"no-model-%d" % n), 404
            case _:
                path, wanted = f"/v1/nothing/{n}", 404
        async with self._post(data, path, **more) as r:
            said = await r.read()
        return str(wanted) if r.status == wanted else f"unexpected: {r.status} for {wanted} {said[:200]!r}"


def body(delay_ms: int | None = None, events: int = 0) -> bytes:
    """The request of the gateway benchmark; with a delay it asks for a stream of `events`."""
    made = json.loads((HERE / "load" / "body.json").read_text())
    if delay_ms is not None:
        made["stream"] = True
        made["messages"][-1]["content"] += f" @@d={delay_ms} @@n={events}"  # the mock reads these
    return json.dumps(made, separators=(",", ":")).encode()


def session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=120))


async def soak(rig: Rig, rate: float, minutes: float, found: Row, save: Callable[[], None]) -> None:
    """Load the node; a row a minute goes to `found`."""
    async with session() as opened:
        calls = Load(opened, rig)
        began = time.monotonic()
        found["series"].append(note(rig, calls, began))
        work = asyncio.create_task(calls.at_rate(rate, began + 60 * minutes))
        try:
            minute = 0
            while not work.done():
                minute += 1
                await asyncio.wait({work}, timeout=max(0, began + 60 * min(minute, minutes) - time.monotonic()))
                row = note(rig, calls, began)
                found["series"].append(row)
                found["requests"], found["unexpected"] = dict(calls.seen), calls.wrong
                tell(row)
                save()
                if minute >= minutes:
                    await work
            work.result()
            found["requests"] = dict(calls.seen)
        finally:
            work.cancel()
    await asyncio.sleep(10)
    found["idle"] = rig.sample()


def note(rig: Rig, calls: Load, began: float) -> Row:
    """A row of the series: what the node uses, and how its requests ended so far."""
    row = {"minute": round((time.monotonic() - began) / 60, 3), "requests": sum(calls.seen.values())}
    row |= {"unexpected": sum(n for end, n in calls.seen.items() if "unexpected" in end or end == "left out")}
    took, calls.took_ms = sorted(calls.took_ms), []
    if took:
        row |= {"p50_ms": round(took[len(took) // 2], 2), "p99_ms": round(took[len(took) * 99 // 100], 2)}
    return row | rig.sample()


def tell(row: Row) -> None:
    print(
        f"{row['minute']:6.1f} min {row['requests']:>8} requests {row['unexpected']} unexpected"
        f"  p50 {row.get('p50_ms', 0)} p99 {row.get('p99_ms', 0)} ms"
        f"  RSS {row['VmRSS_mb']} (anon {row['RssAnon_mb']} file {row['RssFile_mb']} shmem {row['RssShmem_mb']}) MB"
        f"  threads {row['threads']} files {row['files']}  CPU {row['cpu_s']} s  data {row['data_mb']} MB",
        flush=True,
    )


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The slope of the line nearest to the points, and its standard error; not a number where there are too few."""
    n = len(points)
    if n < 3:
        return math.nan, math.nan
    mean_x, mean_y = (statistics.fmean(axis) for axis in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - rise * (x - mean_x)) ** 2 for x, y in points)
    return rise, math.sqrt(rest / (n - 2) / spread)


def summary(series: Sequence[Row]) -> Row:
    """Growth of anonymous memory over the second half, in MiB an hour, and the highest of everything."""
    half = [row for row in series if row["minute"] >= series[-1]["minute"] / 2]
    growth, error = slope([(row["minute"] / 60, row["RssAnon_mb"]) for row in half])
    return {
        "growth_mb_per_hour": None if math.isnan(growth) else round(growth, 3),
        "standard_error": None if math.isnan(error) else round(error, 3),
        "rows_in_second_half": len(half),
        "peaks": {key: max(row[key] for row in series) for key in (*(f"{k}_mb" for k in KB), "threads", "files")},
    }


def many_calls(rig: Rig, number: int, place: pathlib.Path) -> int:
    """At least `number` whole answers, as fast as wrk gets them over 32 connections; how many."""
    (place / "body.json").write_bytes(body())
    (place / "headers").write_text(f"Authorization: {rig.headers['Authorization']}\n")
    environ = {"BENCH_BODY": str(place / "body.json"), "BENCH_HEADERS": str(place / "headers")}
    made = 0
    while made < number:
        seconds = max(1, min(5, (number - made) // 3000))
        cmd = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--timeout", "9s", "-s", HERE / "load" / "chat.lua"]
        seen, _ = load([*cmd, rig.url + PATH], environ)
        if seen["errors"] or not seen["requests"]:
            raise RuntimeError(f"wrk saw errors: {seen}")
        made += seen["requests"]
    return made


async def open_streams(rig: Rig, number: int, found: Row) -> None:
    """Hold `number` streams open for half a minute, an event a second on each; then let them end."""
    begun = ended = 0
    data = body(1000, 30 + number // 200)
    tried: collections.Counter[str] = collections.Counter()

    async def one(opened: aiohttp.ClientSession) -> None:
        nonlocal begun, ended
        try:
            async with opened.post(rig.url + PATH, data=data, headers=rig.headers) as r:
                piece = await r.content.readany()
                begun += r.status == 200
                while more := await r.content.readany():
                    piece = more
                ended += r.status == 200
                is_whole = piece.rstrip().endswith(b"[DONE]")
                tried["whole" if is_whole else f"{r.status} {code(piece)}"] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            tried[type(e).__name__] += 1

    async with session() as opened:
        found["before"] = rig.sample()
        tasks = []
        for _ in range(number):
            tasks.append(asyncio.create_task(one(opened)))
            await asyncio.sleep(1 / 250)
        while not all(task.done() for task in tasks):
            row = rig.sample() | {"open": begun - ended}
            found["series"].append(row)
            await asyncio.wait(tasks, timeout=1)
    found["streams"] = dict(tried)
    found["open"] = max(found["series"], key=lambda row: (row["open"], row["VmRSS_mb"]))
    await asyncio.sleep(5)
    found["after"] = rig.sample()


def code(piece: bytes) -> str:
    """The code of the first error in an answer; "cut off" where it has none."""
    found = re.search(rb'"code":"(\w+)"', piece)
    return found[1].decode() if found else "cut off"


def run_soak(a: argparse.Namespace, found: Row, save: Callable[[], None]) -> None:
    found |= {"rate": a.rate, "minutes": a.minutes, "mix": MIX, "series": []}
    with rig() as made:
        os.nice(5)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(soak(made, a.rate, a.minutes, found, save))
        finally:
            if found["series"]:
                found |= summary(found["series"])
                save()
    print(f"requests: {found['requests']}\nunexpected: {found['unexpected']}\nidle: {found['idle']}")
    print(f"peaks: {found['peaks']}")
    print(
        f"RssAnon in the second half: {found['growth_mb_per_hour']} ± {found['standard_error']} MB/hour "
        f"(least squares, {found['rows_in_second_half']} samples)"
    )


def run_streams(a: argparse.Namespace, found: Row, save: Callable[[], None]) -> None:
    number = a.open_streams
    found |= {"streams_wanted": number, "series": []}
    more = f"\n[limits]\nconcurrent_calls = {number + 32}\nconnections = {number + 4096}\n"
    with rig(more) as made, folder() as place:
        found |= {"files_allowed": made.files_allowed(), "start": made.sample()}
        found["requests"] = many_calls(made, a.requests, place)
        time.sleep(2)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(open_streams(made, number, found))
        save()
    print(f"{found['requests']} whole answers; streams: {found['streams']}; files allowed: {found['files_allowed']}")
    for when in ("start", "before", "open", "after"):
        print(f"{when:>7}: {found[when]}")


def main() -> None:
    ap = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.splitlines()[0] if __doc__ else "")
    ap.add_argument("--rate", type=float, default=150, help="requests a second")
    ap.add_argument("--minutes", type=float, default=120)
    ap.add_argument("--open-streams", type=int, nargs="?", const=1000, metavar="N", help="open N streams instead")
    ap.add_argument("--requests", type=int, default=100_000, help="whole answers before the streams")
    ap.add_argument("--out", type=pathlib.Path, help="the file of the results (default: one in bench/results)")
    a = ap.parse_args()
    if a.open_streams and not 0 < a.open_streams <= MOST_STREAMS:
        ap.error(f"the mock holds {MOST_STREAMS} streams")
    out = a.out or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}-{'streams' if a.open_streams else 'soak'}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the node and the mock get it too
    found: Row = {"began": time.strftime("%Y-%m-%dT%H:%M:%S%z")}

    def save() -> None:
        out.write_text(json.dumps(found, indent=1) + "\n")

    (run_streams if a.open_streams else run_soak)(a, found, save)
    print(out)


if __name__ == "__main__":
    main()
