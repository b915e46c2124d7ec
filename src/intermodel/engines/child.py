"""One llama.cpp server in a process of its own. Run by path, so that nothing but llama.cpp is imported.

Reads its parameters as one line of JSON on standard input, opens the server on a Unix socket, writes `ready` on
standard output and serves until standard input ends: a node that is killed leaves no engine behind.
What llama.cpp says goes to standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    wanted: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    answer = _private_stdout()
    _die_with(wanted["parent"])
    threading.Thread(target=_exit_at_eof, args=(wanted["socket"],), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold prompts
    _prefer_as_oom_victim()
    server = _serve(wanted)
    os.write(answer, b"ready\n")
    while server:
        signal.pause()


def _private_stdout() -> int:
    """Keep standard output for our one word; whatever native code prints joins the log."""
    answer = os.dup(1)
    os.dup2(2, 1)
    return answer


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process with its parent, should the end of standard input go unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _exit_at_eof(socket: str) -> None:
    while os.read(0, 4096):
        pass
    path = Path(socket)
    with contextlib.suppress(OSError):  # other engines may still have sockets there
        path.unlink(missing_ok=True)
        path.parent.rmdir()
    os._exit(0)


def _prefer_as_oom_victim() -> None:
    """When memory runs out the kernel should take an engine, which comes back, and not the node."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text("500")


def _serve(wanted: dict[str, Any]) -> Any:
    import xllamacpp  # after the limits above are in force

    p = xllamacpp.CommonParams()
    p.model.path = wanted["path"]
    p.model_alias = {wanted["address"]}
    p.hostnames = [wanted["socket"]]
    p.n_parallel = wanted["slots"]
    p.n_ctx = wanted["slots"] * wanted["context"]
    p.n_batch = p.n_ubatch = wanted["batch"]
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = wanted["threads"]
    p.n_threads_http = wanted["connections"]
    p.cache_ram_mib = wanted["cache_mib"]
    p.embedding = True
    if wanted["mean_pooling"]:
        p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    p.cache_prompt = True
    p.warmup = p.fit_params = p.ui = False
    p.offline = True
    p.verbosity = 1  # errors; more would be some lines a call
    try:
        return xllamacpp.Server(p)
    except RuntimeError:  # llama.cpp has logged the reason
        sys.exit(1)


if __name__ == "__main__":
    main()
