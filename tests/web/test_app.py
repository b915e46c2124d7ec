"""The edge, spoken to in raw HTTP and by a plain client."""

from __future__ import annotations

import json
import logging
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from intermodel.settings import Deployment, Limits
from tests.support import Running, running, settings_for

CHAT: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


def post(server: Running, body: Any, path: str = "/v1/chat/completions", **more: Any) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = server.headers | more.pop("headers", {})
    return httpx2.post(server.url + path, content=content, headers=headers, timeout=20, **more)


def raw(server: Running, data: bytes) -> bytes:
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
            if b"\r\n\r\n" in received:
                return received
    return received


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        (b"", None, "not valid JSON"),
        (b"{", None, "not valid JSON"),
        (b"\xff\xfe", None, "not valid JSON"),
        (b"[1]", None, "not an object"),
        (b"[" * 100_000, None, "not valid JSON"),
        ({}, "model", "missing"),
        ({**CHAT, "model": 7}, "model", "string"),
        ({**CHAT, "model": ""}, "model", "character"),
        ({"model": "echo"}, "messages", "missing"),
        ({**CHAT, "messages": "hi"}, "messages", "list"),
        ({**CHAT, "messages": [{"content": "hi"}]}, "messages.0.role", "missing"),
        ({**CHAT, "messages": [{"role": "king", "content": "hi"}]}, "messages.0.role", "system"),
        ({**CHAT, "messages": [{"role": "user", "content": 7}]}, "messages.0.content", "string or a list"),
        ({**CHAT, "messages": [{"role": "user", "content": [{"smell": 1}]}]}, "messages.0.content", "'type'"),
        ({**CHAT, "messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content", "'text'"),
        ({**CHAT, "stream": "yes"}, "stream", "boolean"),
        ({**CHAT, "n": 0}, "n", "greater"),
        ({**CHAT, "n": 1_000_000}, "n", "at most 8"),
        ({**CHAT, "max_tokens": -1}, "max_tokens", "greater"),
        ({**CHAT, "temperature": 9}, "temperature", "less"),
        ({**CHAT, "temperature": float("inf")}, None, "not valid JSON"),
        ({**CHAT, "tools": [{"type": "function"}]}, "tools.0.function", "missing"),
        ({**CHAT, "tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name", "pattern"),
        ({**CHAT, "tool_choice": "required"}, "tool_choice", "no 'tools'"),
        ({**CHAT, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice", "not among"),
        ({**CHAT, "response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "holds none"),
        ({**CHAT, "response_format": {"type": 7}}, "response_format.type", "string"),
        ({**CHAT, "tool_choice": {"type": "function", "function": None}}, "tool_choice", "names no function"),
        ({**CHAT, "tools": ["x"]}, "tools.0", "'type'"),
        ({**CHAT, "messages": [{"role": "user", "content": [{"type": []}]}]}, "messages.0.content", "'type'"),
        ({**CHAT, "model": "x" * 5000}, "model", "512 characters"),
        ({**CHAT, "stop": [7]}, "stop", "strings"),
        ({**CHAT, "top_logprobs": 3}, "top_logprobs", "needs 'logprobs'"),
        ({**CHAT, "logprobs": True, "top_logprobs": 99}, "top_logprobs", "less"),
    ],
)
def test_a_request_that_is_wrong_is_told_where(server: Running, body: Any, param: str | None, says: str) -> None:
    response = post(server, body)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert says in error["message"]
    assert post(server, CHAT).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"n": None, "stop": None, "logit_bias": None, "stream_options": None, "tools": None, "response_format": None},
        {"max_tokens": 256.0, "temperature": 1, "seed": 1.0, "user": "me", "metadata": {"a": "b"}, "store": False},
        {"tools": [{"type": "custom", "custom": {"name": "x"}}], "response_format": {"type": "text"}},
        {"messages": [{"role": "developer", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": []},
                      {"role": "tool", "tool_call_id": "1", "content": "x"},
                      {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "video_url"}]}]},
    ],
)  # fmt: skip
def test_what_is_legal_or_unknown_goes_on(server: Running, more: dict[str, Any]) -> None:
    response = post(server, CHAT | more)
    assert response.status_code == 200, response.text


def test_a_million_mistakes_are_one(server: Running) -> None:
    began = time.monotonic()
    response = post(server, {"model": "echo", "messages": [0] * 1_000_000})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "messages.0")
    assert time.monotonic() - began < 30


def test_completions_and_embeddings_are_checked_too(server: Running) -> None:
    assert post(server, {"model": "echo"}, "/v1/completions").json()["error"]["param"] == "prompt"
    assert post(server, {"model": "echo", "input": {}}, "/v1/embeddings").json()["error"]["param"] == "input"
    assert post(server, {"model": "echo", "prompt": "a b"}, "/v1/completions").json()["choices"][0]["text"] == "a b"


def test_an_image_needs_a_model_that_can_see(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path, deployments={"blind": Deployment(provider="echo", capabilities=frozenset({"chat"}))}
    )
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    with running(settings) as node:
        response = post(node, {"model": "blind", "messages": [{"role": "user", "content": [image]}]})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "capability_missing"
    assert "vision" in response.json()["error"]["message"]


def test_paths_and_methods_that_are_not_there(server: Running) -> None:
    assert post(server, CHAT, "/v1/nothing").json()["error"]["code"] == "not_found"
    response = httpx2.get(f"{server.api}/chat/completions", headers=server.headers)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    assert httpx2.get(f"{server.api}/models/no/such", headers=server.headers).status_code == 404


def test_a_token_is_needed_for_everything_but_health(server: Running) -> None:
    for path in ("/v1/models", "/v1/models/echo", "/metrics"):
        response = httpx2.get(server.url + path)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.json()["error"]["code"] == "missing_api_key"
    for given in ("Bearer wrong", "Basic abc", "Bearer", "bearer x y"):
        response = httpx2.post(f"{server.api}/chat/completions", json=CHAT, headers={"Authorization": given})
        assert response.status_code == 401, given
    assert httpx2.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert httpx2.get(f"{server.url}/readyz").json() == {"status": "ready", "problems": []}


def test_a_node_without_models_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with running(settings_for(tmp_path, deployments={})) as node:
        response = httpx2.get(f"{node.url}/readyz")
    assert response.status_code == 503
    assert "models add" in response.json()["problems"][0]


def test_a_body_of_a_gigabyte_is_refused_before_it_is_sent(server: Running) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
    answer = raw(server, head.encode() + b"Content-Length: 1073741824\r\n\r\n{")
    assert b" 413 " in answer.splitlines()[0]
    assert b"request_too_large" in answer or b"content-length" in answer.lower()


def test_a_body_without_a_length_is_counted(tmp_path: Path) -> None:
    def pieces() -> Any:
        for _ in range(64):
            yield b" " * 1024

    with running(settings_for(tmp_path, limits=Limits(body_bytes=10_000))) as node:
        response = httpx2.post(f"{node.api}/chat/completions", content=pieces(), headers=node.headers)
        assert response.status_code == 413
        assert httpx2.get(f"{node.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:8080", 200), ("10.0.0.7", 200),
        ("evil.test", 421), ("localhost.evil.test", 421), ("", 421), ("127.0.0.1.nip.test:80", 421),
    ],
)  # fmt: skip
def test_foreign_host_names_are_refused(server: Running, host: str, status: int) -> None:
    answer = raw(server, f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert f" {status} ".encode() in answer.splitlines()[0]


def test_every_answer_has_a_request_id(server: Running) -> None:
    assert httpx2.get(f"{server.url}/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for path, given in (("/nothing", ""), ("/healthz", "bad id"), ("/healthz", "x" * 65)):
        made = httpx2.get(server.url + path, headers={"X-Request-Id": given}).headers["x-request-id"]
        assert len(made) == 16


def test_logs_hold_neither_prompt_nor_token(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    canary = "the-canary-sings"
    with caplog.at_level(logging.DEBUG):
        post(server, {"model": "echo", "messages": [{"role": "user", "content": canary}]})
        post(server, {"model": "nope", "messages": [{"role": "user", "content": canary}]})
        post(server, {"model": "echo", "messages": canary})
        httpx2.get(f"{server.url}/signin?code={canary}")
    from intermodel.cli.logs import JsonLines, TextLines

    assert any(record.getMessage() == "request" for record in caplog.records)
    for formatter in (JsonLines(), TextLines()):
        text = "\n".join(formatter.format(r) for r in caplog.records if r.name.startswith("intermodel"))
        assert canary not in text
        assert server.token not in text


def test_an_unexpected_error_is_answered_and_logged(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr("intermodel.gateway.Gateway.call", explode)
    response = post(server, CHAT)
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server_error")
    assert "secret detail" not in response.text
    assert response.headers["x-request-id"] in response.json()["error"]["message"]
    assert "ZeroDivisionError" in caplog.text


def test_a_path_cannot_forge_a_line_of_the_log() -> None:
    from intermodel.cli.logs import TextLines

    record = logging.makeLogRecord({"msg": "request", "levelname": "INFO", "path": "/\n08:00 INFO forged \x1b[31m"})
    assert TextLines().format(record).count("\n") == 0
    assert "\x1b" not in TextLines().format(record)
