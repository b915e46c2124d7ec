"""/api/v1/deployments and /routes: declaring what can be called, while the node runs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.cli.logs import JsonLines
from intermodel.settings import Deployment, GuardTable, Route
from tests.support import Running, running, settings_for
from tests.upstream import Upstream

KEY = "canary-4f1d-upstream-key"


@pytest.fixture
def node(tmp_path: Path, upstream_server: Upstream) -> Iterator[Running]:
    settings = settings_for(
        tmp_path / "data",
        deployments={
            "echo": Deployment(provider="echo"),
            "vendor": Deployment(base_url=upstream_server.base, model="ok", key_env="VENDOR_API_KEY"),
        },
        routes={"fixed": Route(candidates=("echo",))},
        guards={"secrets": GuardTable()},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDOR_API_KEY", KEY)
        with running(settings) as node:
            yield node


def api(node: Running, method: str, path: str, document: Any = None, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", node.headers)
    return httpx2.request(method, f"{node.url}/api/v1{path}", json=document, headers=headers, timeout=20, **more)


def plain(node: Running, **given: Any) -> dict[str, str]:
    """The headers of a new token that may not change the node."""
    return {"Authorization": f"Bearer {api(node, 'POST', '/tokens', {'name': 'plain'} | given).json()['token']}"}


def ask(node: Running, model: str, **more: Any) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]} | more
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=20)


@pytest.mark.parametrize("name", ["mine", "acme/mine", "acme%2Fmine"])
def test_a_deployment_is_declared_changed_and_removed(node: Running, upstream_server: Upstream, name: str) -> None:
    path, called = f"/deployments/{name}", name.replace("%2F", "/")
    document = {"base_url": upstream_server.base, "model": "ok", "price": {"input": "1.25", "output": 10}}
    made = api(node, "PUT", path, document)
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    told = made.json()
    assert (told["name"], told["declared_in"], told["problem"]) == (called, "run time", None)
    assert told["document"]["price"] == {"input": "1.25", "output": "10"}
    assert told["price"] == {"input": "1.25", "output": "10"}
    assert ask(node, called).json()["model"] == "ok"

    changed = api(node, "PUT", path, {"provider": "echo", "region": "eu"})
    assert (changed.status_code, changed.json()["document"]) == (200, {"provider": "echo", "region": "eu"})
    assert ask(node, called).json()["choices"][0]["message"]["content"] == "hi"
    standing = api(node, "GET", path).json()["standing"]
    assert (standing["phase"], standing["samples"], standing["rests_s"]) == ("closed", 2, 0.0)
    assert [d["name"] for d in api(node, "GET", "/deployments").json()["data"]] == sorted(["echo", "vendor", called])

    removed = api(node, "DELETE", path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert api(node, "GET", path).status_code == api(node, "DELETE", path).status_code == 404
    assert ask(node, called).json()["error"]["code"] == "model_not_found"
    assert f'model="{called}"' not in httpx2.get(f"{node.url}/metrics", headers=node.headers).text
    anew = api(node, "PUT", path, {"provider": "echo"}).json()["standing"]
    assert (anew["samples"], anew["first_token_s"]) == (0, None)
    assert api(node, "DELETE", path).status_code == 204


@pytest.mark.parametrize(
    ("path", "document", "status", "param", "says"),
    [
        ("/deployments/x", {}, 400, None, "'base_url' is missing"),
        ("/deployments/x", {"base_url": "gopher://x"}, 400, "base_url", "http://"),
        ("/deployments/x", {"base_ulr": "http://x"}, 400, "base_ulr", "Did you mean 'base_url'?"),
        ("/deployments/x", {"provider": "echo", "timeout_s": 0}, 400, "timeout_s", "greater"),
        ("/deployments/x", {"provider": "echo", "timeout_s": 1e30}, 400, "timeout_s", "less"),
        ("/deployments/x", {"provider": "echo", "context_length": 10**40}, 400, "context_length", "less"),
        ("/deployments/x", {"provider": "echo", "context_length": "8192"}, 400, "context_length", "integer"),
        ("/deployments/x", {"provider": "echo", "price": {"input": -1}}, 400, "price.input", "greater"),
        ("/deployments/x", {"provider": "echo", "price": {"inptu": 1}}, 400, "price.inptu", "no field"),
        ("/deployments/x", {"provider": "nobody"}, 400, None, "not installed"),
        ("/deployments/a b", {"provider": "echo"}, 400, "name", "pattern"),
        ("/deployments/x", {"provider": "echo", "key_env": "UNSET_API_KEY"}, 400, None, "not set"),
        ("/deployments/x", {"provider": "echo", "key_env": "HOME"}, 403, "key_env", "key_variables"),
        ("/deployments/x", {"provider": "echo", "key_file": "/etc/passwd"}, 403, "key_file", "does not lie in"),
        ("/deployments/x", {"provider": "echo", "script": "/etc/passwd"}, 403, "script", "intermodel.toml alone"),
        ("/deployments/x", {"provider": "echo", "key_env": "VENDOR_API_KEY"}, 403, "key_env", "no other server"),
        ("/deployments/echo", {"provider": "echo"}, 409, None, "declared in intermodel.toml"),
        ("/deployments/fixed", {"provider": "echo"}, 409, None, "name of a route"),
        ("/routes/x", {}, 400, "candidates", "missing"),
        ("/routes/x", {"candidates": ["fixed"]}, 400, None, "lists the route"),
        ("/routes/x", {"candidates": ["echo"], "weights": {"other": 1}}, 400, None, "no candidate"),
        ("/routes/x", {"candidates": ["echo"], "guards": ["nobody"]}, 400, None, "not declared"),
        ("/routes/x", {"candidates": ["echo"] * 33}, 400, "candidates", "at most 32"),
        ("/routes/fixed", {"candidates": ["echo"]}, 409, None, "declared in intermodel.toml"),
        ("/routes/echo", {"candidates": ["vendor"]}, 409, None, "name of a deployment"),
    ],
)
def test_what_is_wrong_is_told_where(
    node: Running, path: str, document: Any, status: int, param: str | None, says: str
) -> None:
    refused = api(node, "PUT", path, document)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (status, param), error
    assert says in error["message"]
    assert [d["name"] for d in api(node, "GET", "/deployments").json()["data"]] == ["echo", "vendor"]
    assert [d["name"] for d in api(node, "GET", "/routes").json()["data"]] == ["fixed"]


def test_a_route_is_declared_explained_and_removed(node: Running) -> None:
    document = {"candidates": ["echo", "vendor"], "order": "cheapest", "guards": ["secrets"]}
    made = api(node, "PUT", "/routes/acme/fast", document)
    assert (made.status_code, made.json()["declared_in"]) == (201, "run time")
    assert made.json()["document"] == document
    assert ask(node, "acme/fast").headers["x-intermodel-model"] == "echo"
    told = api(node, "POST", "/explain", {"model": "acme/fast"}).json()
    assert (told["route"], told["order"]) == ("acme/fast", "cheapest")
    assert [(c["address"], c["fit"]) for c in told["candidates"]] == [("echo", True), ("vendor", True)]
    assert "blended price $0" in told["candidates"][0]["reason"]
    in_use = api(node, "DELETE", "/deployments/echo")
    assert (in_use.status_code, in_use.json()["error"]["code"]) == (409, "deployment_in_use")
    assert api(node, "PUT", "/routes/acme/fast", {"candidates": ["vendor"]}).status_code == 200
    assert ask(node, "acme/fast").headers["x-intermodel-model"] == "vendor"
    assert api(node, "DELETE", "/routes/acme/fast").status_code == 204
    assert api(node, "GET", "/routes/acme/fast").status_code == 404


def test_explain_reads_what_a_chat_needs(node: Running, upstream_server: Upstream) -> None:
    api(node, "PUT", "/deployments/words", {"provider": "echo", "capabilities": ["chat"]})
    api(node, "PUT", "/routes/any", {"candidates": ["words", "echo"]})
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    chat = {"messages": [{"role": "user", "content": [picture]}]}
    told = api(node, "POST", "/explain", {"model": "any", "chat": chat}).json()
    assert told["needs"] == ["chat", "vision"]
    assert [(c["address"], c["fit"]) for c in told["candidates"]] == [("echo", True), ("words", False)]
    assert told["candidates"][1]["reason"] == "it does not offer vision"
    assert told == api(node, "POST", "/explain", {"model": "any", "needs": ["vision", "chat"]}).json()
    assert api(node, "POST", "/explain", {"model": "words", "needs": ["tools"]}).json()["candidates"][0]["fit"] is False
    nobody = api(node, "POST", "/explain", {"model": "ecko"})
    assert (nobody.status_code, "Did you mean echo" in nobody.json()["error"]["message"]) == (404, True)
    wrong = api(node, "POST", "/explain", {"model": "any", "chat": {"messages": []}})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "messages")
    assert upstream_server.bodies == []
    assert api(node, "GET", "/receipts").json()["data"] == []


def test_plain_tokens_read_and_change_nothing(node: Running) -> None:
    headers = plain(node)
    seen = api(node, "GET", "/deployments/vendor", headers=headers).json()
    assert (seen["document"], seen["standing"]["phase"]) == (None, "closed")
    assert "127.0.0.1" not in api(node, "GET", "/deployments", headers=headers).text
    for method, path, document in (
        ("PUT", "/deployments/x", {"provider": "echo"}),
        ("DELETE", "/deployments/vendor", None),
        ("PUT", "/routes/x", {"candidates": ["echo"]}),
        ("DELETE", "/routes/fixed", None),
        ("PUT", "/budgets/x", {"dollars": "1"}),
        ("DELETE", "/budgets/x", None),
        ("POST", "/tokens", {"name": "more", "admin": True}),
        ("DELETE", "/tokens/environment", None),
        ("GET", "/performance", None),
    ):
        refused = api(node, method, path, document, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_needed"), path
        nobody = api(node, method, path, document, headers={})
        assert nobody.status_code == 401, path


def test_pages_may_change_the_node_and_other_sites_may_not(node: Running) -> None:
    with httpx2.Client(base_url=node.url) as browser:
        browser.post("/signin", data={"token": node.token})
        document = {"provider": "echo"}
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            refused = browser.put("/api/v1/deployments/x", json=document, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross_site")
        same = browser.put("/api/v1/deployments/x", json=document, headers={"Sec-Fetch-Site": "same-origin"})
        assert same.status_code == 201


def test_a_change_does_not_disturb_a_stream_that_runs(node: Running, upstream_server: Upstream) -> None:
    api(node, "PUT", "/deployments/moving", {"base_url": upstream_server.base, "model": "slow-100"})
    body = {"model": "moving", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with httpx2.stream("POST", f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=20) as stream:
        pieces = stream.iter_bytes()
        received = next(pieces)
        (live,) = api(node, "GET", "/live").json()["data"]
        assert (live["model"], live["answering"], live["stream"]) == ("moving", "moving", True)
        assert live["id"] == stream.headers["x-intermodel-receipt"]
        assert live["first_token_s"] >= 0
        assert api(node, "GET", "/live", headers=plain(node)).json()["data"] == []
        assert api(node, "PUT", "/deployments/moving", {"provider": "echo"}).status_code == 200
        assert ask(node, "moving").json()["choices"][0]["message"]["content"] == "hi"
        assert api(node, "DELETE", "/deployments/moving").status_code == 204
        assert ask(node, "moving").status_code == 404
        received += b"".join(pieces)
    assert received.count(b"data: {") >= 101
    assert b"error" not in received
    assert received.rstrip().endswith(b"data: [DONE]")
    assert api(node, "GET", "/live").json()["data"] == []


def test_keys_appear_nowhere(
    node: Running, upstream_server: Upstream, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    in_file, in_variable = "canary-in-a-file", "canary-in-a-variable"
    (node.node.folder.keys / "theirs").write_text(in_file)
    monkeypatch.setenv("THEIR_API_KEY", in_variable)
    document = {"base_url": upstream_server.base, "model": "ok"}
    said = [
        api(node, "PUT", "/deployments/by-file", document | {"key_file": "theirs"}),
        api(node, "PUT", "/deployments/by-variable", document | {"key_env": "THEIR_API_KEY", "model": "status-401"}),
        ask(node, "by-file"),
        ask(node, "by-variable"),
        *(api(node, "GET", path) for path in ("/deployments", "/deployments/by-file", "/routes", "/receipts", "/live")),
        api(node, "POST", "/explain", {"model": "by-file"}),
        api(node, "PUT", "/deployments/bad", document | {"key_file": "missing"}),
    ]
    assert said[0].json()["document"]["key_file"] == [str(node.node.folder.keys / "theirs")]
    assert upstream_server.keys == [f"Bearer {in_file}", f"Bearer {in_variable}"]
    assert said[-1].json()["error"]["code"] == "key_missing"
    logged = "".join(JsonLines().format(record) for record in caplog.records)
    kept = b"".join(path.read_bytes() for path in node.node.folder.path.glob("intermodel.db*"))
    for canary in (KEY, in_file, in_variable):
        assert all(canary not in answer.text for answer in said)
        assert canary not in logged
        assert canary.encode() not in kept


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "says"),
    [
        ("GET", "/deployments?nmae=x", b"", 400, "no query parameter 'nmae'"),
        ("GET", "/receipts?limti=5", b"", 400, "Did you mean 'limit'?"),
        ("GET", "/receipts?limit=5&limit=6", b"", 400, "twice"),
        ("GET", "/receipts?limit=0", b"", 400, "greater"),
        ("GET", "/receipts?limit=100000", b"", 400, "less"),
        ("GET", "/receipts?since=yesterday", b"", 400, "2026-11-20T12:00:00Z"),
        ("GET", "/receipts?since=1700000000", b"", 400, "2026-11-20T12:00:00Z"),
        ("GET", "/receipts?before=x", b"", 400, "pattern"),
        ("GET", "/receipts?outcome=nonsense", b"", 400, "'ok', 'failed', 'refused', 'broken', 'left' or 'lost'"),
        ("GET", "/receipts?token=billing", b"", 400, "pattern"),
        ("GET", "/receipts?token=%ff", b"", 400, "cannot be read"),
        ("GET", "/receipts?" + "&".join(f"a{i}=1" for i in range(140)), b"", 400, "cannot be read"),
        ("GET", "/spending?by=colour", b"", 400, "'model'"),
        ("GET", "/nothing", b"", 404, "nothing at"),
        ("PATCH", "/deployments/echo", b"", 405, "takes"),
        ("POST", "/deployments", b"{}", 405, "not POST"),
        ("PUT", "/deployments/x", b"{", 400, "not valid JSON"),
        ("PUT", "/deployments/x", b"[]", 400, "not an object"),
        ("PUT", "/deployments/x", b"", 400, "not valid JSON"),
        ("PUT", "/deployments/x", b'{"model": "' + b"x" * 70_000 + b'"}', 413, "65536"),
    ],
)
def test_requests_that_are_wrong(
    server: Running, method: str, path: str, content: bytes, status: int, says: str
) -> None:
    refused = httpx2.request(method, f"{server.url}/api/v1{path}", content=content, headers=server.headers)
    assert refused.status_code == status, refused.text
    assert set(refused.json()) == {"error"}
    assert says in refused.json()["error"]["message"]


def test_the_document_needs_no_token_and_names_every_path(server: Running) -> None:
    told = httpx2.get(f"{server.url}/api/v1/openapi.json")
    document = told.json()
    assert (told.status_code, document["openapi"]) == (200, "3.1.0")
    assert {path.removeprefix("/api/v1/").split("/")[0] for path in document["paths"]} == {
        "deployments", "routes", "explain", "budgets", "receipts", "records", "spending", "performance", "live",
        "tokens", "ledger", "writer", "openapi.json",
    }  # fmt: skip
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
    assert "script" not in document["components"]["schemas"]["DeploymentForm"]["properties"]
    assert b"$defs" not in told.content


def test_many_changes_at_once_leave_one_of_them(node: Running) -> None:
    answers: list[int] = []

    def change(region: str) -> None:
        answers.append(api(node, "PUT", "/deployments/busy", {"provider": "echo", "region": region}).status_code)

    threads = [threading.Thread(target=change, args=(f"r{i}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {200, 201}
    assert json.loads(api(node, "GET", "/deployments/busy").text)["region"] in {f"r{i}" for i in range(12)}
