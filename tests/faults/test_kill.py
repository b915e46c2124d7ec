"""What happens when something is killed, full or gone; with real processes."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.engines import tiny
from tests.process import Up, intermodel, up

NO_SHIPPED = "[engines]\nshipped = false\n"
LONG = {
    "model": "local/tiny",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 100_000,
    "stream": True,
    "ignore_eos": True,
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that holds one model, large enough of context to answer for long."""
    file = tiny.write(tmp_path / "tiny.gguf")
    config = tmp_path / "add.toml"
    config.write_text(NO_SHIPPED)
    added = intermodel("models", "add", file, "--data", tmp_path / "data", "--config", config)
    assert added.returncode == 0, added.stderr
    return tmp_path / "data"


@contextlib.contextmanager
def streaming(node: Up, **more: Any) -> Iterator[tuple[httpx2.Response, Iterator[bytes]]]:
    body = LONG | more
    with httpx2.stream("POST", f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=60) as response:
        assert response.status_code == 200
        pieces = response.iter_bytes()
        next(pieces)
        yield response, pieces


def ask(node: Up) -> httpx2.Response:
    body = LONG | {"max_tokens": 3, "stream": False}
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=60)


def last_event(received: bytes) -> dict[str, object]:
    return json.loads(received.decode().strip().splitlines()[-1].removeprefix("data: "))  # type: ignore[no-any-return]


def alive(children: list[psutil.Process]) -> list[psutil.Process]:
    left: list[psutil.Process] = psutil.wait_procs(children, timeout=5)[1]
    return left


@pytest.mark.slow
def test_an_engine_killed_in_mid_stream_goes_on_when_it_is_back(data: Path) -> None:
    with up(data, config=NO_SHIPPED) as node, streaming(node) as (_, pieces):
        kill_engine(node)
        received = b"".join(pieces)
    assert received.endswith(b"data: [DONE]\n\n")
    assert b'"error"' not in received
    ids = {json.loads(line[6:])["id"] for line in received.splitlines() if line.startswith(b"data: {")}
    assert len(ids) == 1, "one stream, whoever went on with it"


def kill_engine(node: Up) -> None:
    told = {child: " ".join(child.cmdline()) for child in node.children()}
    (engine,) = [child for child, said in told.items() if "engines" in said and "gguf_child" not in said]
    engine.kill()


@pytest.mark.slow
def test_an_engine_killed_in_mid_stream_of_what_cannot_be_continued(data: Path) -> None:
    with up(data, config=NO_SHIPPED) as node:
        with streaming(node, logprobs=True) as (_, pieces):
            kill_engine(node)
            received = b"".join(pieces)
        assert "error" in last_event(received)
        assert b"[DONE]" not in received
        began = time.monotonic()
        assert ask(node).status_code == 200
        assert time.monotonic() - began < 10


def test_ctrl_c_ends_streams_cleanly_and_leaves_no_child(data: Path) -> None:
    with up(data, config=NO_SHIPPED + "[limits]\nstop_grace_s = 0.2\n") as node:
        children = node.children()
        with streaming(node) as (_, pieces):
            children = node.children()
            assert children
            node.process.send_signal(signal.SIGINT)
            received = b"".join(pieces)
        assert last_event(received)["error"]["code"] == "node_stopping"  # type: ignore[index]
        assert node.process.wait(10) == 0
        assert alive(children) == []
        assert "Traceback" not in node.log.read_text()


@pytest.mark.slow
def test_a_node_killed_under_load_leaves_no_child_and_comes_back(data: Path) -> None:
    with up(data, config=NO_SHIPPED) as node:
        cut: list[bool] = []

        def load() -> None:
            try:
                with streaming(node) as (_, pieces):
                    received = b"".join(pieces)
                cut.append(b"[DONE]" not in received)
            except httpx2.TransportError:
                cut.append(True)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(node.children()) < 1:
            time.sleep(0.05)
        time.sleep(1)
        children = node.children()
        node.process.kill()
        for thread in threads:
            thread.join()
        assert cut == [True] * 4
        assert alive(children) == []
    began = time.monotonic()
    with up(data, config=NO_SHIPPED) as back:
        back.token = node.token
        assert ask(back).status_code == 200
        assert time.monotonic() - began < 20


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    config = tmp_path / "c.toml"
    config.write_text(NO_SHIPPED)
    with up(data, config=NO_SHIPPED) as node:
        made = json.loads(intermodel("tokens", "create", "a", "--json", "--data", data, "--config", config).stdout)
        node.process.kill()
    with up(data, config=NO_SHIPPED) as back:
        for token in (made["token"], node.token):
            response = httpx2.get(f"{back.api}/models", headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 200


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 96 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
def test_a_data_folder_that_became_read_only(disk: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(NO_SHIPPED)
    assert intermodel("tokens", "create", "a", "--data", disk / "data", "--config", config).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for verb in (("up", "--port", "0"), ("tokens", "create", "b"), ("models", "add", str(config))):
        done = intermodel(*verb, "--data", disk / "data", "--config", config)
        assert done.returncode == 5, verb
        assert "Read-only" in done.stderr
        assert "Traceback" not in done.stderr
    found = json.loads(intermodel("doctor", "--json", "--data", disk / "data", "--config", config).stdout)
    assert {"bad"} == {f["level"] for f in found if f["check"] == "data folder"}


@pytest.mark.slow
def test_a_full_disk(disk: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(NO_SHIPPED + '[deployments.echo]\nprovider = "echo"\n')
    where = ("--data", disk / "data", "--config", config)
    with up(disk / "data", config=config.read_text()) as node:
        big = tiny.write(tmp_path / "tiny.gguf")
        with (disk / "ballast").open("wb") as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"x" * 65536)
        done = intermodel("models", "add", big, *where)
        assert done.returncode == 5, done.stderr
        assert "Traceback" not in done.stderr
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(60):  # more lines of log than the last page of its file may still take
            answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers)
            assert answer.status_code == 200, "receipts have room that was taken beforehand"
        assert node.stop() == 0
    done = intermodel("up", "--port", "0", *where)
    assert done.returncode == 5
    assert "Free some space" in done.stderr
    (disk / "ballast").unlink()
    assert intermodel("models", "add", big, *where).returncode == 0
