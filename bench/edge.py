"""What a call costs between the socket and the gateway and back: CPU of a node whose gateway answers at once."""

import collections
import json
import shutil
import subprocess

from bench.client import request, span
from bench.process import HERE, INTERMODEL, LOGS, RUN, ask, cpu, free_port, start, stop, wait_until
from bench.report import table

KINDS = {"wire": "the node's own connections", "asgi": "the same node on uvicorn's"}
EVENTS = 52
PHASES = {"a chat": (None, 1), "an event": (0, EVENTS)}
TOKEN = "edge-benchmark-token"


def main(rounds, seconds):
    for folder in (LOGS, RUN):
        folder.mkdir(parents=True, exist_ok=True)
    headers = RUN / "edge.headers"
    headers.write_text(f"Authorization: Bearer {TOKEN}\n")
    found = collections.defaultdict(list)
    for _ in range(rounds):
        for kind in KINDS:
            for phase, used in once(kind, seconds, headers).items():
                found[kind, phase].append(used)
    print(f"## The edge alone ({rounds} interleaved rounds; CPU of the node, µs, median [min-max])\n")
    columns = {"server": KINDS.get}
    for phase in PHASES:
        columns[phase] = lambda kind, phase=phase: span(found[kind, phase])
    print(table(columns, KINDS))


def once(kind, seconds, headers):
    """µs a chat and an event of a new node."""
    port, data = free_port(), RUN / "edge"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    with (LOGS / "edge.log").open("w") as log:
        script = [INTERMODEL.with_name("python"), HERE / "load" / "edge.py", str(port), kind, data, TOKEN]
        node = start(script, log=log)
        try:
            wait_until(lambda: ask(port, "/healthz")[0] == 200, 20)
            return {phase: loaded(node, port, seconds, headers, *how) for phase, how in PHASES.items()}
        finally:
            stop(node)


def loaded(node, port, seconds, headers, delay_ms, per):
    environ = {"BENCH_BODY": str(request(delay_ms)), "BENCH_HEADERS": str(headers)}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    script = ["wrk", "-t1", "-c32", "-s", HERE / "load" / "chat.lua", url]
    subprocess.run([*script, "-d1s"], env=environ, check=True, stdout=subprocess.DEVNULL)
    before = cpu([node.pid])[0]
    said = subprocess.check_output([*script, f"-d{seconds}s"], env=environ, text=True)
    row = json.loads(next(line for line in said.splitlines() if line.startswith("JSON "))[5:])
    assert not row["errors"], said
    return (cpu([node.pid])[0] - before) * 1e6 / row["requests"] / per
