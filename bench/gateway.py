"""What the node adds to a call, beside nginx and bare proxies: `run.sh`, in short."""

import subprocess

from bench import report
from bench.process import HERE
from bench.report import num, table
from bench.run import rounds as run_rounds

TARGETS = ("nginx", "raw-full", "asgi-httptools", "asgi-aiohttp", "intermodel")
PEERS = ("litellm",)


def main(rounds, peers):
    targets = TARGETS + (PEERS if peers else ())
    subprocess.run([HERE / "setup.sh", ",".join(targets)], check=True, stdout=subprocess.DEVNULL)
    r = report.Results(run_rounds(rounds, targets))
    print(f"\n## Gateway ({r.rounds} interleaved rounds; CPU of the gateway, median [min-max]; ratios in one round)\n")
    columns = {"target": str}
    for title, phase, key in (
        ("µs/request", "load", "cpu_us"),
        ("µs/event, many at once", "burst", "cpu_us_event"),
        ("µs/event, one by one", "paced", "cpu_us_event"),
    ):
        columns[title] = lambda t, phase=phase, key=key: r.span(t, phase, key)
        columns[f"x {r.base}, {phase}"] = lambda t, phase=phase, key=key: num(r.ratio(t, phase, key))
    columns["peak RSS MB"] = lambda t: num(r.median(t, "process", "rss_mb"))
    print(table(columns, r.names))
    print(f"\n{report.notes(r)}")
