"""The bounds of a connection, spoken to over a bare socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn

from intermodel.settings import Deployment, Limits
from intermodel.web.server import BESIDES, files_needed
from tests.support import Running, running, settings_for


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("bounds")
    limits = Limits(head_bytes=8192, head_s=1, client_silence_s=1, connections=20)
    with running(settings_for(folder, limits=limits, deployments={"echo": Deployment(provider="echo")})) as node:
        yield node


def connect(node: Running) -> socket.socket:
    parts = urlsplit(node.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def received(connection: socket.socket) -> bytes:
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("head", [b"GET /healthz HTTP/1.1\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10])
def test_a_head_without_end_is_refused(node: Running, head: bytes) -> None:
    with connect(node) as connection:
        connection.sendall(head)
        for _ in range(8):
            try:
                connection.sendall(b"x" * 4096)
            except OSError:
                break
            time.sleep(0.02)
        assert received(connection)[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
    assert httpx2.get(f"{node.url}/healthz").status_code == 200


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: local"])
def test_a_slow_head_is_not_waited_for(node: Running, said: bytes) -> None:
    with connect(node) as connection:
        connection.sendall(said)
        began = time.monotonic()
        assert received(connection) == b""
        assert 0.5 < time.monotonic() - began < 30


def test_a_connection_may_be_kept_and_used_again(node: Running) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(node) as connection:
        for pause in (0, 1.3):
            time.sleep(pause)
            connection.sendall(request)
            answer = b""
            while b'{"status":"ok"}' not in answer:
                answer += connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")


def test_more_connections_than_allowed_are_turned_away(node: Running) -> None:
    held = [connect(node) for _ in range(20)]
    time.sleep(0.2)
    with connect(node) as one_too_many:
        assert received(one_too_many).startswith(b"HTTP/1.1 503")
    for connection in held:
        connection.close()
    time.sleep(0.2)
    assert httpx2.get(f"{node.url}/healthz").status_code == 200


def test_a_client_that_does_not_read_is_let_go(node: Running) -> None:
    text = "word " * 2_000_000
    body = b'{"model":"echo","stream":true,"messages":[{"role":"user","content":"%s"}]}' % text.encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {node.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with connect(node) as connection:
        connection.sendall(head.encode() + body)
        connection.recv(1024)
        until = time.monotonic() + 30
        while "intermodel_calls_running 0.0" not in httpx2.get(f"{node.url}/metrics", headers=node.headers).text:
            assert time.monotonic() < until, "the call is still held"
            time.sleep(0.2)


def test_odd_cookies_cost_nothing_and_sign_nobody_out(node: Running) -> None:
    signed_in = httpx2.post(f"{node.url}/signin", data={"token": node.token}, headers={"Accept": "text/html"})
    cookie = signed_in.cookies[node.node.auth.cookie_name]
    mine = f"{node.node.auth.cookie_name}={cookie}"
    for cookies in (mine, f'other={{"a":1}}; {mine}', f"a b=1; {mine}; x", 'x="' + '\\"z' * 1500 + f'"; {mine}'):
        began = time.monotonic()
        answer = httpx2.get(node.url, headers={"Accept": "text/html", "Cookie": cookies})
        assert answer.status_code == 200, cookies[:80]
        assert time.monotonic() - began < 20


def test_a_head_and_its_body_may_come_apart_and_an_error_does_not_end_the_connection(node: Running) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {node.token}\r\n"
    good, bad = b'{"model":"echo","messages":[{"role":"user","content":"hi"}]}', b'{"model":"echo"}'
    with connect(node) as connection:
        for body, status in ((good, b"200"), (bad, b"400"), (b"{", b"400"), (good, b"200")):
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
            time.sleep(0.05)
            connection.sendall(body)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 " + status), answer
            assert b"connection: close" not in answer


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"stream": True}, {"stream": True, "model": "none"}])
def test_another_server_gives_the_same_answers(node: Running, body: dict[str, object]) -> None:
    asked = {"model": "echo", "messages": [{"role": "user", "content": "a b"}], **body}
    answers = []
    with under_another_server(node) as url:
        for base in (node.url, url):
            answer = httpx2.post(f"{base}/v1/chat/completions", json=asked, headers=node.headers)
            names = sorted(set(answer.headers) - {"date", "server"})
            answers.append((answer.status_code, names, re.sub(r'"(id|created|receipt)":[^,}]*', "", answer.text)))
    assert answers[0] == answers[1]


@contextlib.contextmanager
def under_another_server(node: Running) -> Iterator[str]:
    """The application of `node` with the connections that uvicorn has by itself."""
    server = uvicorn.Server(uvicorn.Config(node.node.app, http="httptools", lifespan="off", log_config=None))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        served = asyncio.run_coroutine_threadsafe(_served(server, listener), node.loop)
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        served.result(10)


async def _served(server: uvicorn.Server, listener: socket.socket) -> None:
    await server._serve([listener])


def test_a_node_takes_as_many_open_files_as_it_may() -> None:
    here = "import resource as r; from intermodel.web.server import raise_file_limit as raised; "
    lower = "r.setrlimit(r.RLIMIT_NOFILE, (256, 512)); print(raised(), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    told = subprocess.run([sys.executable, "-c", here + lower], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["512", "512"]


def test_files_that_may_be_needed_are_counted() -> None:
    assert files_needed(Limits(connections=10, concurrent_calls=5)) == 15 + BESIDES
