"""A second candidate that is asked because the first is late: the first to answer wins, the other is called off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.gateway.health import LEAST_FOR_QUANTILE
from tests.faults.server import Asked, Script, Server, Step, framed, steps
from tests.faults.table import on
from tests.gateway.calling import ask, body, calling, receipt, until
from tests.support import Running


@pytest.fixture(params=["cancel", "drain"])
def hedged(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Running, Server]]:
    """A route whose first candidate was quick so far."""
    leaves = {name: {"when_client_leaves": request.param} for name in ("first", "second")}
    route = {"candidates": ("first", "second"), "hedge": 0.9}
    with calling(tmp_path, {"r": route}, leaves) as (node, server):
        server.script = lambda asked: steps("ok", stream=bool(asked.body.get("stream")))
        for _ in range(LEAST_FOR_QUANTILE):
            assert ask(node, "r").headers["x-intermodel-model"] == "first"
        server.asked.clear()
        yield node, server


def late(first: str, second: str = "ok") -> Script:
    """From here on the two answer like this."""

    def script(asked: Asked) -> list[Step]:
        return steps(first if asked.model == "first" else second, stream=bool(asked.body.get("stream")))

    return script


@pytest.mark.parametrize("stream", [False, True])
def test_the_second_wins_and_the_first_is_stopped(hedged: tuple[Running, Server], stream: bool) -> None:
    node, server = hedged
    server.script = late("silent-before")
    answer = ask(node, "r", stream=stream)
    assert answer.headers["x-intermodel-model"] == "second"
    until(server.of("first")[0].left.is_set)
    told = receipt(node, answer)
    lost, won = told["attempts"]
    assert (lost["address"], lost["outcome"], won["address"], won["outcome"]) == ("first", "lost", "second", "ok")
    assert won["hedge"]
    assert told["wasted"] == lost["cost"] > 0, "what was read may be billed"
    assert told["spent"] == lost["cost"] + won["cost"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_wins_after_all(hedged: tuple[Running, Server], stream: bool) -> None:
    node, server = hedged
    server.script = late("slow-0.4", "silent-before")
    answer = ask(node, "r", stream=stream)
    assert answer.headers["x-intermodel-model"] == "first"
    until(server.of("second")[0].left.is_set)
    assert [a["outcome"] for a in receipt(node, answer)["attempts"]] == ["ok", "lost"]


def test_one_that_fails_leaves_the_other_running(hedged: tuple[Running, Server]) -> None:
    node, server = hedged
    server.script = late("slow-0.3", "status-500")
    answer = ask(node, "r")
    assert answer.headers["x-intermodel-model"] == "first"
    assert [a["code"] or a["outcome"] for a in receipt(node, answer)["attempts"]] == ["ok", "some_code"]


def test_a_mistake_of_ours_leaves_no_rival_running(
    hedged: tuple[Running, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, server = hedged
    gateway = node.node.gateway
    rightly = gateway._ask

    async def mistaken(*place: Any, hedge: bool = False) -> Any:
        if hedge:
            raise RuntimeError("as the test wants it")
        return await rightly(*place)

    monkeypatch.setattr(gateway, "_ask", mistaken)
    server.script = late("silent-before")
    assert ask(node, "r").status_code == 500
    until(lambda: all(asked.left.is_set() for asked in server.of("first")))  # it may not have come so far


def test_both_fail_and_the_most_telling_is_told(hedged: tuple[Running, Server]) -> None:
    node, server = hedged
    server.script = lambda asked: [0.3, *steps("status-413" if asked.model == "first" else "status-500", stream=False)]
    answer = ask(node, "r")
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_a_filter_is_not_routed_around_by_a_hedge(hedged: tuple[Running, Server]) -> None:
    node, server = hedged
    said = b'{"error": {"message": "Blocked.", "code": "content_filter"}}'
    filtered: list[Step] = [0.3, framed(said, "400 No")]
    server.script = lambda asked: filtered if asked.model == "first" else steps("slow-3", stream=False)
    answer = ask(node, "r")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    until(server.of("second")[0].left.is_set)
    assert [a["outcome"] for a in receipt(node, answer)["attempts"]] == ["refused", "lost"]


def test_both_at_the_same_moment_leave_nothing_behind(hedged: tuple[Running, Server]) -> None:
    node, server = hedged
    server.script = late("slow-0.2", "slow-0.19")
    for _ in range(10):
        told = receipt(node, ask(node, "r"))
        assert sorted(a["outcome"] for a in told["attempts"]) in (["lost", "ok"], ["ok"])
    until(lambda: not node.node.gateway._after)


def test_who_leaves_a_race_leaves_one_receipt(hedged: tuple[Running, Server]) -> None:
    node, server = hedged
    server.script = late("slow-0.8", "slow-0.8")
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{node.api}/chat/completions", json=body("r"), headers=node.headers, timeout=0.5)
    receipts = node.node.gateway.accounts.receipts

    def mine() -> list[dict[str, Any]]:
        return [r for r in on(node, receipts.list()) if r["outcome"] == "left"]

    until(mine)
    (told,) = mine()
    assert [a["outcome"] for a in told["attempts"]] == ["left", "left"]
