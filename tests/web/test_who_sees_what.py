"""Who does not change the node is told names of deployments and their own figures: no server, nobody else's calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from intermodel.settings import Deployment, Route
from intermodel.web.pages.own import history_of, performance_of
from tests.support import Running, running, settings_for
from tests.upstream import upstream
from tests.web.test_gateway_pages import text, token, visit_as
from tests.web.test_pages import visit

CANARY = "canary-model-of-the-vendor"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with upstream() as server:
        deployments = {
            "echo": Deployment(provider="echo"),
            "own": Deployment(base_url=server.base, model="ok"),
            "named": Deployment(base_url=server.base, model=CANARY),
            "dead": Deployment(base_url="http://127.0.0.1:9/v1"),
        }
        routes = {"both": Route(candidates=("dead", "own"))}
        with running(settings_for(tmp_path_factory.mktemp("who"), deployments=deployments, routes=routes)) as served:
            yield served


def ask(node: Running, model: str, headers: dict[str, str]) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=headers)
    return str(answer.headers["x-intermodel-receipt"])


def test_no_server_is_told(node: Running) -> None:
    secret = token(node, "plain")
    headers = {"Authorization": f"Bearer {secret}"}
    receipt = ask(node, "both", headers)
    paths = ("/", "/models", "/models/own", "/models/named", "/models/dead", "/chat", "/calls", f"/calls/{receipt}",
             "/deployments", "/api/v1/deployments", "/api/v1/deployments/own", "/api/v1/receipts",
             f"/api/v1/receipts/{receipt}", "/v1/models", "/api/v1/routes")  # fmt: skip
    with visit_as(node, secret) as browser:
        for path in paths:
            answer = browser.get(path)
            assert answer.status_code == 200, path
            told = answer.text.replace(node.url, "").replace("models.example.org", "")
            assert not re.search(r"127\.0\.0\.1(:9|\D)|base_url = \"http://1", told), path
            assert CANARY not in told, path
            assert '"upstream":' not in told, path
    with visit(node) as browser:
        assert "127.0.0.1" in text(browser.get("/models/own")), "an admin sees it"
        assert CANARY in text(browser.get("/models/named"))
    whole = httpx2.get(f"{node.url}/api/v1/receipts/{receipt}", headers=node.headers).json()
    assert whole["upstream"]["host"] == "127.0.0.1"


def test_figures_are_ones_own(node: Running) -> None:
    for _ in range(3):
        ask(node, "echo", node.headers)
    secret = token(node, "another")
    ask(node, "echo", {"Authorization": f"Bearer {secret}"})
    with visit_as(node, secret) as browser:
        page = browser.get("/deployments")
        standing = browser.get("/api/v1/deployments/echo").json()["standing"]
        assert browser.get("/api/v1/performance").status_code == 403
        assert "Engines on this machine" not in browser.get("/").text
    assert "1 attempts, receipts of echo" in page.text
    assert "Figures are of your token" in text(page)
    assert "Tokens a second" not in page.text
    assert "Set up" not in text(page)
    assert standing == dict.fromkeys(standing) | {"phase": "closed", "rests_s": 0.0, "reason": ""}
    with visit(node) as browser:
        assert "4 attempts, receipts of echo" in browser.get("/deployments").text


def test_metrics_need_an_admin(node: Running) -> None:
    plain = {"Authorization": f"Bearer {token(node, 'scraper')}"}
    admin = {"Authorization": f"Bearer {token(node, 'prometheus', admin=True)}"}
    refused = httpx2.get(f"{node.url}/metrics", headers=plain)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_needed")
    assert httpx2.get(f"{node.url}/metrics").status_code == 401
    assert "intermodel_calls_total" in httpx2.get(f"{node.url}/metrics", headers=admin).text


def test_figures_from_receipts() -> None:
    def attempt(outcome: str, first: float | None, began: float = 0.0) -> dict[str, object]:
        return {"address": "a", "outcome": outcome, "first_token_s": first, "seconds": 1.0, "started_ms": began}

    receipts: list[dict[str, Any]] = [
        {"at": 60.0, "attempts": [attempt("failed", None), attempt("ok", 0.5, 61_000)]},
        {"at": 61.0, "attempts": [attempt("ok", 1.5)]},
        {"at": 600.0},
    ]
    (did,) = performance_of(receipts)
    assert (did.address, did.attempts, did.failed, did.seconds) == ("a", 3, {"failed": 1}, 1.0)
    assert (did.first_token_s, did.first_token_p50_s, did.first_token_p95_s) == (1.0, 1.5, 1.5)
    stretches = history_of(receipts, 1)
    assert [(one.at, one.attempts, one.failed, one.first_token_s) for one in stretches] == [
        (60.0, 2, 1, 1.5), (120.0, 1, 0, 0.5),
    ]  # fmt: skip
    assert not performance_of([])
    assert not history_of([], 1)
