"""Tokens per second through the node against llama.cpp asked directly, on the same engine, in alternating rounds.

The load generator is the same for both; it talks to the node's port or to the engine's own Unix socket.
"""

import collections
import json
import pathlib
import shutil
import statistics
import subprocess
import time

from bench.node import folder, node, socket_of
from bench.process import ENV, HERE, cpu, load, wait_until
from bench.report import num, table

SHIPPED = HERE.parent / "src/intermodel/models/pebble/pebble-q8_0.gguf"
ADDRESS = "local/bench"
PROMPT = "Tell me a very long story about a fox, a river and everything that happened there."
TOKENS = 512
STREAMS = (1, 8)


def main(rounds, seconds, model=None):
    subprocess.run([HERE / "setup.sh", "none"], check=True)
    with folder() as data:
        name = put_model(data, model)
        with node(data) as n:
            wait_until(lambda: ADDRESS in n.models(), 30)
            said = n.chat(ADDRESS, PROMPT, max_tokens=TOKENS, ignore_eos=True)
            engine = n.engines()[0]
            paths = {"direct": socket_of(engine), "node": n.port}
            files = requests(data)
            found = collections.defaultdict(list)
            for streams in STREAMS:
                for i in range(rounds):
                    for way in sorted(paths, reverse=bool(i % 2)):
                        found[streams, way].append(measure(paths[way], streams, seconds, files, n.proc.pid, engine))
    per_stream = said["usage"]["completion_tokens"]
    print(f"\n## Engines ({name}; {rounds} alternating rounds of {seconds} s; {per_stream} tokens a stream)\n")
    print(table(columns(found, per_stream), STREAMS))


def put_model(data, model):
    """Place the model where the node serves it; what it is called in the report."""
    (data / "models").mkdir(parents=True)
    place = data / "models" / "bench.gguf"
    if model or SHIPPED.is_file():
        source = pathlib.Path(model or SHIPPED)
        shutil.copy2(source, place)
        return f"{source.name}, {place.stat().st_size / 1e6:.1f} MB"
    from tests.engines import tiny

    tiny.write(place)
    return "a tiny model with random weights"


def requests(data):
    body = {
        "model": ADDRESS, "messages": [{"role": "user", "content": PROMPT}], "stream": True, "max_tokens": TOKENS,
        "ignore_eos": True, "temperature": 0,
    }  # fmt: skip
    (data / "body.json").write_text(json.dumps(body))
    (data / "headers").write_text("Authorization: Bearer sk-bench-1234\n")
    return data / "headers", data / "body.json"


def measure(where, streams, seconds, files, node_pid, engine_pid):
    """One round: events per second, and CPU seconds of node, engine and load generator."""
    time.sleep(0.3)
    before = cpu([node_pid])[0], cpu([engine_pid])[0]
    result, loader = load([ENV / "bin" / "sload", where, streams, seconds, *files, "/v1/chat/completions"])
    result["node_s"], result["engine_s"] = cpu([node_pid])[0] - before[0], cpu([engine_pid])[0] - before[1]
    if result["errors"] or result["no_done"]:
        raise RuntimeError(f"streams failed: {result}")
    return result | {"loader_s": loader}


def columns(found, per_stream):
    def median(streams, way, figure):
        return statistics.median(figure(r) for r in found[streams, way])

    def rate(r):
        return r["streams"] * per_stream / r["seconds"]

    def ratios(streams):
        return [rate(n) / rate(d) for d, n in zip(found[streams, "direct"], found[streams, "node"], strict=True)]

    def per_event(key):
        return lambda r: r[key] / r["chunks"] * 1e6

    return {
        "streams": str,
        "direct, tokens/s": lambda s: num(median(s, "direct", rate)),
        "through the node, tokens/s": lambda s: num(median(s, "node", rate)),
        "ratio, median [min-max]": lambda s: (
            f"{statistics.median(ratios(s)):.3f} [{min(ratios(s)):.3f}-{max(ratios(s)):.3f}]"
        ),
        "node, CPU µs/event": lambda s: num(median(s, "node", per_event("node_s"))),
        "engine, CPU µs/event, direct / node": lambda s: " / ".join(
            num(median(s, way, per_event("engine_s"))) for way in ("direct", "node")
        ),
        "first token ms, direct / node": lambda s: " / ".join(
            num(median(s, way, lambda r: r["ttft_p50_ms"])) for way in ("direct", "node")
        ),
        "events per read, direct / node": lambda s: " / ".join(
            num(median(s, way, lambda r: r["chunks"] / r["reads"])) for way in ("direct", "node")
        ),
    }
