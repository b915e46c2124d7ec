"""What the node's HTTP client costs by itself, beside aiohttp's: CPU of one process that calls the mock upstream."""

import collections
import json
import subprocess

from bench.process import ENV, HERE, INTERMODEL, LOGS, RUN, ask, free_port, start, stop, wait_until
from bench.report import num, table

CLIENTS = {"aiohttp": ENV / "baselines/bin/python", "intermodel": INTERMODEL.with_name("python")}
EVENTS = 52
PHASES = {  # name: (delay between events in ms, None for a whole answer; connections)
    "1 connection: a call": (None, 1),
    "32 connections: a call": (None, 32),
    "16 streams at once: an event": (0, 16),
    "32 streams, 5 ms apart: an event": (5, 32),
}


def main(rounds, seconds):
    for folder in (LOGS, RUN):
        folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([HERE / "setup.sh", "aiohttp"], check=True, stdout=subprocess.DEVNULL)
    port, found = free_port(), collections.defaultdict(list)
    mock = start([ENV / "bin" / "mock", str(port)])
    try:
        wait_until(lambda: ask(port, "/v1/models")[0] == 200, 10)
        for _ in range(rounds):
            for phase, (delay_ms, connections) in PHASES.items():
                body = request(delay_ms)
                for client, python in CLIENTS.items():
                    row = once(python, client, port, connections, seconds, body)
                    found[client, phase].append(row["cpu_us"] / (1 if delay_ms is None else EVENTS))
                    found[client, phase, "reads"].append(row["calls"] * EVENTS / row["reads"])
    finally:
        stop(mock)
    print(f"## HTTP client alone ({rounds} interleaved rounds; CPU of the calling process, µs, median [min-max])\n")
    columns = {"client": str}
    for phase in PHASES:
        columns[phase] = lambda client, phase=phase: span(found[client, phase])
    burst = list(PHASES)[2]
    columns["events a read, at once"] = lambda client: span(found[client, burst, "reads"])
    print(table(columns, CLIENTS))


def span(values):
    values = sorted(values)
    return f"{num(values[len(values) // 2])} [{num(values[0])}-{num(values[-1])}]"


def request(delay_ms):
    """The request of the gateway benchmark, in a file."""
    body = json.loads((HERE / "load" / "body.json").read_text())
    if delay_ms is not None:
        body |= {"stream": True}
        body["messages"][-1]["content"] += f" @@d={delay_ms} @@n=50"  # the mock reads these
    file = RUN / "client.json"
    file.write_text(json.dumps(body, separators=(",", ":")))
    return file


def once(python, client, port, connections, seconds, body):
    cmd = [python, HERE / "load" / "client.py", client, port, connections, seconds, body]
    return json.loads(subprocess.check_output(list(map(str, cmd)), text=True))
