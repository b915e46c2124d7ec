"""Interleaved rounds of load against every target of targets.toml.

Each round starts a target afresh, checks its answers, warms it up, runs four phases and stops it:
  c1     wrk, 1 connection                      latency without queueing
  load   wrk, 32 connections                    throughput, CPU per request
  burst  sload, 16 streams, no delay            events per second, CPU per event when events arrive together
  paced  sload, 8 streams, 20 ms between events TTFT, CPU per event when events arrive one by one
One JSON line per phase goes to results/<name>.jsonl; report.py makes the table.
`foreign` is CPU time other programs took during the phase, as a share of the machine.
"""

import argparse
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib

from bench.process import (
    CORES,
    ENV,
    HERE,
    LOGS,
    RESULTS,
    RUN,
    ask,
    cpu,
    free_port,
    load,
    machine_s,
    rss_mb,
    start,
    stop,
    tree,
    wait_until,
)  # fmt: skip

PATH = "/v1/chat/completions"
KEY = "sk-bench-1234"
SECS = {"c1": 2, "load": 4, "burst": 3, "paced": 4}
SHOWN = (
    "round", "target", "phase", "rps", "chunks_per_s", "cpu_us", "cpu_us_event", "p50_ms", "ttft_p50_ms", "errors",
    "foreign", "rss_mb", "startup_s", "wrong_key", "error",
)  # fmt: skip


class Bench:
    def __init__(self, out):
        self.out = out
        self.up = free_port()
        self.mock = start([ENV / "bin" / "mock", str(self.up)])

    def target(self, name, t, rnd):
        """One round of one target; what goes wrong is noted, and the next target has its turn."""
        row = {"round": rnd, "target": name}
        port = self.up if name == "direct" else free_port()
        where = {"env": ENV, "here": HERE, "run": RUN, "port": port, "up": self.up}
        proc, startup = self.mock, None
        try:
            files = self.bodies(t)
            headers = [f"Authorization: Bearer {KEY}", *(h.format(**where) for h in t.get("headers", ()))]
            if name != "direct":
                shutil.rmtree(RUN / name, ignore_errors=True)  # what it kept from an earlier start
                self.configure(t, port)
                began = time.monotonic()
                proc = self.launch(name, t, where)
                self.await_ready(name, t, where, proc, headers, files["plain"])
                startup = time.monotonic() - began
                if "hook" in t:
                    headers[0] = subprocess.check_output(shlex.split(t["hook"].format(**where)), text=True).strip()
            wrong_key = self.check(t, where["port"], headers, files, is_gateway=name != "direct")
            for phase, result in self.phases(t, where["port"], headers, files, proc):
                self.emit({**row, "phase": phase, **result})
            pids = tree(proc.pid)
            self.emit({**row, "phase": "process", "startup_s": startup, "rss_mb": rss_mb(pids, "VmHWM"),
                       "procs": len(pids), "wrong_key": wrong_key})  # fmt: skip
        except Exception as e:
            self.emit({**row, "phase": "error", "error": repr(e)[:400]})
        finally:
            if proc is not self.mock:
                stop(proc)

    def bodies(self, t):
        """The request as plain JSON, as a burst and as a paced stream, in files."""
        plain = json.loads((HERE / "load" / "body.json").read_text())
        plain |= {"model": t["model"]} if "model" in t else {}
        for k in t.get("drop", ()):
            plain.pop(k)
        files = {}
        for name, delay_ms in (("plain", None), ("burst", 0), ("paced", 20)):
            body = json.loads(json.dumps(plain))
            if delay_ms is not None:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
                body["messages"][-1]["content"] += f" @@d={delay_ms} @@n=50"  # the mock reads these
            files[name] = RUN / f"{name}.json"
            files[name].write_text(json.dumps(body, separators=(",", ":")))
        return files

    def configure(self, t, port):
        for f in t.get("config", ()):
            text = (HERE / "peers" / f).read_text()
            for k, v in (("PORT", port), ("UPSTREAM_PORT", self.up), ("RUN", RUN)):
                text = text.replace(f"@{k}@", str(v))
            (RUN / pathlib.Path(f).name).write_text(text)

    def launch(self, name, t, where):
        environ = {"PORT": str(where["port"]), "UPSTREAM_PORT": str(self.up), "PYTHONUNBUFFERED": "1"}
        with open(LOGS / f"{name}.log", "wb") as log:
            cmd, cwd = t["cmd"].format(**where), t.get("cwd", "{run}").format(**where)
            return start(shlex.split(cmd), environ | t.get("environ", {}), cwd, log)

    def await_ready(self, name, t, where, proc, headers, body):
        """Until the target answers 200; `where["port"]` is set where it chose the port itself."""

        def ready():
            if proc.poll() is not None:
                raise RuntimeError(f"ended at once, see logs/{name}.log")
            if "port_re" in t:
                said = re.search(t["port_re"], (LOGS / f"{name}.log").read_text())
                if not said:
                    return False
                where["port"] = int(said[1])
            if "ready" in t:
                return ask(where["port"], t["ready"])[0] == 200
            return ask(where["port"], t.get("path", PATH), as_dict(headers), body.read_bytes())[0] == 200

        wait_until(ready, 90)

    def check(self, t, port, headers, files, *, is_gateway):
        """Raise unless a whole answer and a streamed one are right; the status that a wrong key gets."""
        path, given = t.get("path", PATH), as_dict(headers)
        status, data = ask(port, path, given, files["plain"].read_bytes())
        if status != 200 or json.loads(data)["usage"]["total_tokens"] != 527:
            raise RuntimeError(f"wrong answer: {status} {data[:300]}")
        status, data = ask(port, path, given, files["burst"].read_bytes())
        events = [json.loads(x[6:]) for x in data.decode().split("\n") if x.startswith("data: {")]
        text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
        usage = [e["usage"]["completion_tokens"] for e in events if e.get("usage")]
        right = b"[DONE]" in data and text.startswith("The quick answer") and usage[-1:] == [50]
        if status != 200 or not right:
            raise RuntimeError(f"wrong stream: {status} {data[:300]}")
        denied = {**given, "Authorization": "Bearer sk-wrong"}
        return ask(port, path, denied, files["plain"].read_bytes())[0] if is_gateway else 0

    def phases(self, t, port, headers, files, proc):
        sent = RUN / "headers"
        sent.write_text("\n".join(headers) + "\n")
        path, concurrency = t.get("path", PATH), t.get("conc", 32)
        environ = {"BENCH_BODY": str(files["plain"]), "BENCH_HEADERS": str(sent)}

        def wrk(connections, seconds):
            script, url = HERE / "load" / "chat.lua", f"http://127.0.0.1:{port}{path}"
            return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "9s", "-s", script, url]

        def sload(streams, seconds, which):
            return [ENV / "bin" / "sload", port, streams, seconds, sent, files[which], path]

        load(wrk(concurrency, 2), environ)  # warm-up, not kept
        load(sload(8, 1, "burst"))
        yield "c1", self.measure(proc, wrk(1, SECS["c1"]), environ)
        yield "load", self.measure(proc, wrk(concurrency, SECS["load"]), environ)
        yield "burst", self.measure(proc, sload(min(16, concurrency), SECS["burst"], "burst"))
        yield "paced", self.measure(proc, sload(8, SECS["paced"], "paced"))

    def measure(self, proc, cmd, environ=None):
        """What the load generator saw, and the CPU time of gateway, mock, generator and everything else meanwhile."""
        time.sleep(0.3)
        g0, u0, (m0, s0), t0 = cpu(tree(proc.pid)), cpu([self.mock.pid]), machine_s(), time.monotonic()
        res, loader = load(cmd, environ)
        time.sleep(0.5)  # work done after the answer counts too
        g1, u1, (m1, s1), t1 = cpu(tree(proc.pid)), cpu([self.mock.pid]), machine_s(), time.monotonic()
        fine, coarse, up = g1[0] - g0[0], g1[1] - g0[1], u1[0] - u0[0]
        gw = fine if abs(fine - coarse) < 0.05 else coarse  # a thread that ended is only in the coarse figure
        own = loader + up + (gw if proc is not self.mock else 0)
        machine = (t1 - t0) * CORES
        res |= {"gw_cpu": gw, "gw_cpu_stat": coarse, "mock_cpu": up, "load_cpu": loader,
                "foreign": max(0, m1 - m0 - (s1 - s0) - own) / machine, "steal": (s1 - s0) / machine}  # fmt: skip
        n = res.get("requests") or res.get("streams")
        res["cpu_us"] = gw / n * 1e6 if n else None
        if res.get("chunks"):
            res["cpu_us_event"] = gw / res["chunks"] * 1e6
        return res

    def emit(self, row):
        self.out.write(json.dumps(row) + "\n")
        self.out.flush()
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items() if k in SHOWN}),
              flush=True)  # fmt: skip


def as_dict(headers):
    return dict(h.split(": ", 1) for h in headers)


def rounds(number, only=None, name=None):
    """Run `number` rounds of the targets named in `only` (default: all); the file of the results."""
    targets = tomllib.loads((HERE / "targets.toml").read_text())
    chosen = {k: targets[k] for k in only} if only else targets
    for folder in (RESULTS, LOGS, RUN):
        folder.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name or time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with open(path, "a") as out:
        bench = Bench(out)
        try:
            for rnd in range(1, number + 1):
                for target, t in chosen.items():
                    bench.target(target, t, rnd)
        finally:
            stop(bench.mock)
    return path


def main():
    ap = argparse.ArgumentParser(prog="python -m bench.run")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--only", help="comma-separated target names")
    ap.add_argument("--name")
    a = ap.parse_args()
    print(rounds(a.rounds, a.only and a.only.split(","), a.name), file=sys.stderr)


if __name__ == "__main__":
    main()
