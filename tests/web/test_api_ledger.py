"""`/api/v1/ledger`: statements that are signed on demand, and entries with their proof."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.ledger import verify
from tests.support import Running, running, settings_for

SAID = {
    "topic": "A topic", "models": {"writer": {"address": "m"}}, "sources": [], "rounds": [{"round": 1, "score": 8}],
    "score": 8, "ending": "accepted",
}  # fmt: skip
SUBJECT = {"name": "article.md", "digest": "sha256:" + "a" * 64}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("node") / "data")) as served:
        yield served


def sign(node: Running, body: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.post(f"{node.url}/api/v1/ledger/statements", json=body, headers=headers or node.headers)


def test_a_statement_is_signed_and_proven(node: Running) -> None:
    made = sign(node, {"subject": SUBJECT, "predicate": "article", "said": SAID})
    assert made.status_code == 201, made.text
    index = made.json()["index"]
    bundle = httpx2.get(f"{node.url}/api/v1/ledger/{index}/bundle", headers=node.headers)
    assert verify(bundle.content, [node.node.ledger.verifier]).good
    assert node.node.ledger.log.size > index


def test_the_same_statement_is_signed_once(node: Running) -> None:
    body = {"subject": SUBJECT | {"digest": "sha256:" + "b" * 64}, "predicate": "article", "said": SAID}
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: sign(node, body), range(4)))
    assert [one.status_code for one in made] == [201] * 4
    assert len({one.json()["index"] for one in made}) == 1
    others = [body | {"said": SAID | {"score": 7}}, body | {"subject": body["subject"] | {"name": "other.md"}}]  # type: ignore[operator]
    assert len({one.json()["index"] for one in (made[0], *(sign(node, other) for other in others))}) == 3
    asyncio.run_coroutine_threadsafe(node.node.ledger.rotate(), node.loop).result(10)
    assert sign(node, body).json()["signer"] != made[0].json()["signer"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"predicate": "receipts"}, "predicate"),
        ({"predicate": "key"}, "predicate"),
        ({"subject": {"name": "x", "digest": "sha256:A"}}, "digest"),
        ({"subject": {"name": "", "digest": "sha256:" + "a" * 64}}, "name"),
        ({"said": {}}, "breaks its schema"),
        ({"said": SAID | {"reader": "anna"}}, "reader"),
        ({"said": SAID | {"topic": "x" * 60_000}}, "topic"),
        ({"said": []}, "said"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_not_signed(node: Running, changed: dict[str, Any], said: str) -> None:
    size = node.node.ledger.log.size
    answer = sign(node, {"subject": SUBJECT, "predicate": "article", "said": SAID} | changed)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert node.node.ledger.log.size == size


@pytest.mark.parametrize("index", ["99", "-1", "01", "1e3", "9" * 30, "x", "0%2F1"])
def test_no_such_entry(node: Running, index: str) -> None:
    assert httpx2.get(f"{node.url}/api/v1/ledger/{index}/bundle", headers=node.headers).status_code == 404


def test_admins_alone(node: Running, tmp_path: Path) -> None:
    made = asyncio.run_coroutine_threadsafe(node.node.tokens.create("plain"), node.loop).result(10)[1]
    headers = {"Authorization": f"Bearer {made}"}
    body = {"subject": SUBJECT, "predicate": "article", "said": SAID}
    assert sign(node, body, headers).status_code == 403
    assert httpx2.get(f"{node.url}/api/v1/ledger/0/bundle", headers=headers).status_code == 403
    assert httpx2.get(f"{node.url}/api/v1/ledger/0/bundle").status_code == 401
