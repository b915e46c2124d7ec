"""What a node itself needs goes away under calls: its disk, its database, Redis, a worker, its own life."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.settings import Deployment, RateLimit
from tests.faults.server import DONE, faulty
from tests.faults.table import find_receipt, read_stream
from tests.gateway.calling import PRICE, ask, body, calling, receipt, until
from tests.process import Up, up
from tests.storage.conftest import _binaries, _served
from tests.support import running, settings_for

CONFIG = """
[engines]
shipped = false
[receipts]
journal_bytes = 4096
[deployments.m]
base_url = "{base}"
model = "ok"
price = {{ input = 1, output = 2 }}
"""


def test_a_worker_killed_in_mid_stream(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-m", "tests.faults.server"], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    with worker:
        base = f"http://127.0.0.1:{int(worker.stdout.readline())}/v1"
        where = {"silent-between": {"base_url": base}}
        with calling(tmp_path, {"r": {"candidates": ("silent-between", "ok")}}, where) as (node, _):
            given = body("r", stream=True)
            with httpx2.stream(
                "POST", f"{node.api}/chat/completions", json=given, headers=node.headers, timeout=20
            ) as answer:
                pieces = answer.iter_raw()
                begun = b""
                while "twö ".encode() not in begun:
                    begun += next(pieces)
                worker.kill()
                text, code, ended = read_stream((begun + b"".join(pieces)).decode())
            assert (text, code, ended) == ("one twö ", "upstream_broken", False)
            assert receipt(node, answer)["outcome"] == "broken"
            assert ask(node, "r", stream=True).headers["x-intermodel-model"] == "ok", "who is asked next"


@contextlib.contextmanager
def full_disk(process: int) -> Iterator[None]:
    """No file of the process can grow, as on a disk that is full. SIGXFSZ is ignored by Python."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_full_disk_under_the_receipts(tmp_path: Path, stream: bool) -> None:
    with faulty() as server, up(tmp_path / "data", config=CONFIG.format(base=server.base)) as node:
        assert call(node, stream=stream).status_code == 200
        with full_disk(node.process.pid):
            answer = call(node, stream=stream)
            for _ in range(10):  # until the room that was taken beforehand ends
                if answer.status_code != 200 or "receipts_unavailable" in answer.text:
                    break
                answer = call(node, stream=stream)
            if stream:
                _, code, ended = read_stream(answer.text)
                assert (code, ended) == ("receipts_unavailable", False), "not whole: its receipt is not safe"
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "receipts_unavailable")
            owed = answer.headers["x-intermodel-receipt"]
            asked = len(server.asked)
            refused = call(node, stream=stream)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "receipts_unavailable")
            assert len(server.asked) == asked, "nothing is bought that cannot be accounted for"
        assert call(node, stream=stream).status_code == 200
        assert node.stop() == 0
    assert owed in journal_of(tmp_path / "data"), "what was spent is accounted for in the end"


def call(node: Up, *, stream: bool = False) -> httpx2.Response:
    path = f"{node.api}/chat/completions"
    return httpx2.post(path, json=body("m", stream=stream), headers=node.headers, timeout=20)


def journal_of(data: Path) -> str:
    """All receipts on the disk: those that are moved to the database, too."""
    files = [*data.glob("journal/*"), *data.glob("intermodel.db*")]
    return "".join(file.read_bytes().decode("latin-1") for file in files if file.is_file())


@pytest.mark.slow
def test_postgresql_goes_and_comes_back(tmp_path: Path) -> None:
    binaries = _binaries()
    if binaries is None or not (binaries / "initdb").exists():
        pytest.skip("PostgreSQL's binaries are not installed (Debian: apt-get install postgresql)")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-")))
        url = stack.enter_context(contextlib.contextmanager(_served)(binaries, folder))
        server = stack.enter_context(faulty())
        node = stack.enter_context(running(_on(url, tmp_path, server.base)))
        receipts = node.node.gateway.accounts.receipts
        assert ask(node, "m").status_code == 200
        _control(binaries, folder, "-m", "immediate", "stop")
        began = time.monotonic()
        answers = [ask(node, "m", stream=stream) for stream in (False, True) * 3]
        assert time.monotonic() - began < 10
        assert [a.status_code for a in answers] == [200] * 6, "calls go on, on what was known"
        assert receipts.waiting >= 6
        _start_again(binaries, folder)
        until(lambda: receipts.waiting == 0, 30)
        for answer in answers:
            assert find_receipt(node, answer.headers["x-intermodel-receipt"])["spent"] == 70_000


def _on(url: str, tmp_path: Path, base: str) -> Any:
    deployments = {"m": Deployment(base_url=base, model="ok", price=PRICE)}
    return settings_for(tmp_path / "data", database=url, deployments=deployments)


def _control(binaries: Path, folder: Path, *arguments: str) -> None:
    owner = (folder / "data").stat()
    as_user = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    command = [
        *(as_user if os.geteuid() == 0 else []),
        str(binaries / "pg_ctl"),
        "-D",
        str(folder / "data"),
        *arguments,
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=90)


def _start_again(binaries: Path, folder: Path) -> None:
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    _control(binaries, folder, "-o", options, "-l", str(folder / "log"), "-w", "start")


@pytest.mark.slow
def test_redis_goes_and_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("redis", reason="the package redis is not installed (the extra 'redis')")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with tempfile.TemporaryDirectory(prefix="redis-") as name:
        socket = Path(name) / "redis"
        command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=name)
        limits = {"all": RateLimit(requests_per_minute=1000)}
        more: dict[str, Any] = {"redis": f"unix://{socket}", "rate_limits": limits}
        try:
            until(socket.exists)
            with calling(tmp_path, {"r": {"candidates": ("ok",)}}, **more) as (node, _):
                assert ask(node, "r").status_code == 200
                process.kill()
                process.wait()
                began = time.monotonic()
                assert [ask(node, "r", stream=stream).status_code for stream in (False, True)] == [200, 200]
                assert time.monotonic() - began < 5, "each process goes by its own counts"
                socket.unlink(missing_ok=True)
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=name)
                until(socket.exists)
                assert ask(node, "r").status_code == 200
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_node_killed_under_load_owes_no_receipt(tmp_path: Path) -> None:
    config = CONFIG + '[budgets.all]\ndollars = "100"\n'
    seen: list[str] = []
    with faulty() as server:
        for _ in range(4):
            with up(
                tmp_path / "data", config=config.format(base=server.base), environ={"INTERMODEL_TOKEN": "t" * 20}
            ) as node:
                threads = [threading.Thread(target=_load, args=(node, seen)) for _ in range(6)]
                for thread in threads:
                    thread.start()
                time.sleep(random.uniform(0.3, 1.2))  # any moment
                node.process.send_signal(signal.SIGKILL)
                for thread in threads:
                    thread.join()
        assert len(seen) > 20
        with running(_again(tmp_path / "data", server.base)) as back:
            for receipt_id in seen:
                told = find_receipt(back, receipt_id)
                assert (told["outcome"], told["spent"]) == ("ok", 70_000)


def _load(node: Up, seen: list[str]) -> None:
    """Calls until the node is dead; `seen` are those whose answer came whole."""
    with httpx2.Client(timeout=20, headers=node.headers) as client, contextlib.suppress(httpx2.TransportError):
        for stream in (False, True) * 10_000:
            answer = client.post(f"{node.api}/chat/completions", json=body("m", stream=stream))
            assert answer.status_code == 200
            if not stream or answer.content.endswith(DONE):
                seen.append(answer.headers["x-intermodel-receipt"])


def _again(data: Path, base: str) -> Any:
    return settings_for(data, deployments={"m": Deployment(base_url=base, model="ok", price=PRICE)})
