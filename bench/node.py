"""A node of its own for a benchmark: started as a person would start it, with an empty data folder."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

from bench.process import INTERMODEL, ask, rss_mb, start, stop, tree

TOKEN = "sk-bench-1234"
CONFIG = """
[engines]
shipped = {shipped}

[deployments.echo]
provider = "echo"
"""
ENGINE = "engines/child.py"


class Node:
    """A node that said it is ready; `ready_s` after its start."""

    def __init__(self, proc, ready, ready_s):
        self.proc = proc
        self.ready_s = ready_s
        self.port = int(ready["url"].rpartition(":")[2])
        self.headers = {"Authorization": f"Bearer {TOKEN}"}

    def chat(self, model, text="Say yes.", **more):
        """The answer to one question, as a dict. Raises RuntimeError unless it is 200."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more})
        status, data = ask(self.port, "/v1/chat/completions", self.headers, body.encode(), timeout=120)
        if status != 200:
            raise RuntimeError(f"{status} {data[:300]}")
        return json.loads(data)

    def models(self):
        status, data = ask(self.port, "/v1/models", self.headers)
        return [m["id"] for m in json.loads(data)["data"]] if status == 200 else []

    def engines(self):
        """The processes of its engines."""
        return [p for p in tree(self.proc.pid) if ENGINE in command(p)]

    def rss_mb(self):
        """Memory of the node's own process."""
        return rss_mb([self.proc.pid])


@contextlib.contextmanager
def node(data, *, shipped=False, shown=None):
    """A running node whose data folder is `data`; its standard error goes to `data`/stderr, or to `shown`."""
    data.mkdir(parents=True, exist_ok=True)
    config = data / "bench.toml"
    config.write_text(CONFIG.format(shipped=str(shipped).lower()))
    with open(shown or data / "stderr", "wb") as log:
        began = time.monotonic()
        proc = start(
            [INTERMODEL, "up", "--port", "0", "--data", data, "--config", config, "--json"],
            {"INTERMODEL_TOKEN": TOKEN}, log=log, out=subprocess.PIPE,
        )  # fmt: skip
        try:
            line = proc.stdout.readline()
            ready_s = time.monotonic() - began
            if not line:
                raise RuntimeError(f"the node did not start: {pathlib.Path(log.name).read_text()[-500:]}")
            yield Node(proc, json.loads(line), ready_s)
        finally:
            stop(proc)
            proc.stdout.close()


@contextlib.contextmanager
def folder():
    """An empty folder, gone after the block."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        yield pathlib.Path(name)


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def socket_of(pid):
    """The path of the Unix socket on which a process listens."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(fd).removeprefix("socket:[").removesuffix("]"))
    listening = 1 << 16  # __SO_ACCEPTCON in the flags
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[6] in inodes and int(fields[3], 16) & listening:
            return fields[7]
    raise LookupError(f"process {pid} listens on no Unix socket")
