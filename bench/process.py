"""Processes under measurement: starting and ending them, and what they use. Standard library only, Linux only."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
ENV, RUN, LOGS, RESULTS = HERE / "env", HERE / "env" / "run", HERE / "logs", HERE / "results"
INTERMODEL = HERE.parent / ".venv" / "bin" / "intermodel"
HZ = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(cmd, environ=None, cwd=None, log=None, out=None):
    """A process in a group of its own; its output goes to `log`, standard output to `out` if given."""
    return subprocess.Popen(
        cmd,
        env={**os.environ, **(environ or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=out or log,
        stderr=log,
        start_new_session=True,
    )


def stop(proc):
    for sig in (signal.SIGTERM, signal.SIGKILL):
        if proc.poll() is None:
            os.killpg(proc.pid, sig)  # the group this script made for it
            try:
                proc.wait(6)
            except subprocess.TimeoutExpired:
                pass


def tree(pid):
    """`pid` and all its descendants."""
    kids = {}
    for d in os.listdir("/proc"):
        if d.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{d}/stat").read_text()
            except OSError:
                continue
            kids.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(int(d))
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu(pids):
    """CPU seconds of processes: (per-thread schedstat, ns resolution; utime + stime, 10 ms resolution)."""
    fine = coarse = 0
    for i, p in enumerate(pids):
        try:
            stat = pathlib.Path(f"/proc/{p}/stat").read_text()
            fine += sum(
                int(pathlib.Path(f"/proc/{p}/task/{t}/schedstat").read_text().split()[0])
                for t in os.listdir(f"/proc/{p}/task")
            )
        except (OSError, IndexError, ValueError):
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        coarse += sum(map(int, fields[11:15] if i == 0 else fields[11:13]))
    return fine / 1e9, coarse / HZ


def rss_mb(pids, field="VmRSS"):
    """Memory of processes now, or at its highest (`VmHWM`), in MiB."""
    total = 0
    for p in pids:
        try:
            total += int(re.search(rf"{field}:\s+(\d+)", pathlib.Path(f"/proc/{p}/status").read_text())[1])
        except (OSError, TypeError):
            pass
    return total / 1024


def machine_s():
    """CPU seconds of the whole machine: (busy, stolen by its host)."""
    v = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    return (sum(v) - v[3] - v[4]) / HZ, v[7] / HZ


def ask(port, path, headers=None, body=None, timeout=30):
    """Status and body of one request: POST if there is a body."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("POST" if body else "GET", path, body, {"Content-Type": "application/json", **(headers or {})})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def load(cmd, environ=None):
    """Run a load generator; its JSON line, and the CPU seconds it took."""
    p = subprocess.Popen(
        list(map(str, cmd)),
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    line = [x for x in out.splitlines() if "{" in x][-1]
    return json.loads(line[line.index("{") :]), usage.ru_utime + usage.ru_stime


def wait_until(ready, seconds, step=0.02):
    """Poll until `ready()` is true; it may raise OSError meanwhile. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(step)
    raise TimeoutError(f"not ready after {seconds} s")
