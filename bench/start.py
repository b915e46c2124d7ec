"""How long a node takes to start, what it needs in memory, and where both go."""

import collections
import re
import statistics
import subprocess
import time

from bench.node import folder, node
from bench.process import INTERMODEL, cpu
from bench.report import num, table

SHIPPED = "intermodel/pebble"
WEIGHTY = ("aiohttp", "alembic", "gguf", "jinja2", "jsonschema", "numpy", "pydantic", "rich", "sqlalchemy", "starlette")


def main(rounds):
    found = collections.defaultdict(list)
    for _ in range(rounds):
        with folder() as data:
            once(found, data, "first start")
            once(found, data, "again")
    print(f"## Start ({rounds} rounds; seconds from the start of the process, median [min-max])\n")
    rows = [
        ("ready line", "ready"), ("first answer of `echo`", "echo"), (f"first answer of `{SHIPPED}`", "shipped"),
        ("CPU until ready, s", "cpu"),
        ("RSS of the node when ready, MiB", "rss"), ("RSS after its first calls, MiB", "rss called"),
    ]  # fmt: skip
    columns = {
        "": lambda row: row[0],
        "first start, empty folder": lambda row: spread(found["first start", row[1]]),
        "again": lambda row: spread(found["again", row[1]]),
    }
    print(table(columns, rows))
    print("\n## Imports of `intermodel up` (median, milliseconds with everything they import)\n")
    print(imports(rounds))


def once(found, data, which):
    """Start the node twice, with and without the model that ships, and note times and memory."""
    with node(data) as n:
        found[which, "ready"].append(n.ready_s)
        found[which, "cpu"].append(cpu([n.proc.pid])[0])
        found[which, "rss"].append(n.rss_mb())
        began = time.monotonic()
        n.chat("echo")
        found[which, "echo"].append(n.ready_s + time.monotonic() - began)
        for _ in range(20):
            n.chat("echo")
        found[which, "rss called"].append(n.rss_mb())
    with node(data / "shipped", shipped=True) as n:
        if SHIPPED in n.models():
            began = time.monotonic()
            n.chat(SHIPPED, max_tokens=1)
            found[which, "shipped"].append(n.ready_s + time.monotonic() - began)


def spread(values):
    if not values:
        return "not there"
    return f"{num(statistics.median(values))} [{num(min(values))}-{num(max(values))}]"


def imports(rounds):
    """The packages that take longest to import, from `python -X importtime`."""
    python = INTERMODEL.with_name("python")
    took = collections.defaultdict(list)
    for _ in range(rounds):
        said = subprocess.run(
            [python, "-X", "importtime", "-c", "import intermodel.cli"], capture_output=True, text=True, check=True
        ).stderr
        for own, total, depth, name in re.findall(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)", said):
            took[name].append((int(own) / 1e3, int(total) / 1e3, len(depth)))
    top = [name for name in took if "." not in name or name.startswith("intermodel.")]
    top.sort(key=lambda name: -statistics.median(total for _, total, _ in took[name]))
    columns = {"module": str, "ms": lambda name: num(statistics.median(total for _, total, _ in took[name]))}
    loaded = sorted(name for name in WEIGHTY if name in took)
    return f"{table(columns, top[:15])}\n\nHeavy packages loaded: {', '.join(loaded)}."
