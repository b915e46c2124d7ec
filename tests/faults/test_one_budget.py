"""Many calls at once, two processes, streams, fallbacks to a dearer model: one budget, and it holds."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from intermodel.accounts.budgets import shown
from tests.faults.server import Server, faulty
from tests.process import Up, up

CEILING = 20_000_000  # nano-dollars: two cents, of which one call may take about a thousandth
CONFIG = """
database = "sqlite:///{folder}/shared.db"
[engines]
shipped = false
[limits]
concurrent_calls = 1000
[deployments.cheap]
base_url = "{base}"
model = "{cheap}"
price = {{ input = "1", output = "2" }}
[deployments.dear]
base_url = "{base}"
model = "ok"
price = {{ input = "5", output = "10" }}
[routes.chat]
candidates = ["cheap", "dear"]
[budgets.all]
dollars = "0.02"
per = "all"
"""


@pytest.fixture
def upstream() -> Iterator[Server]:
    with faulty() as server:
        yield server


def config(folder: Path, upstream: Server, cheap: str) -> str:
    return CONFIG.format(folder=folder, base=upstream.base, cheap=cheap)


def rows(folder: Path, query: str) -> list[Any]:
    engine = sa.create_engine(f"sqlite:///{folder}/shared.db")
    try:
        with engine.connect() as connection:
            return list(connection.execute(sa.text(query)))
    finally:
        engine.dispose()


async def ask(client: httpx2.AsyncClient, node: Up, number: int) -> tuple[int, str]:
    """The status and receipt of one call: every second one a stream, a fifth of which the client leaves early."""
    body = {
        "model": "chat",
        "messages": [{"role": "user", "content": f"question {number}"}],
        "max_tokens": 100,
        "stream": number % 2 == 0,
    }
    url = f"{node.api}/chat/completions"
    async with client.stream("POST", url, json=body, headers=node.headers) as response:
        async for _ in response.aiter_bytes():
            if number % 10 == 0:
                break
        return response.status_code, response.headers.get("x-intermodel-receipt", "")


async def all_at_once(nodes: list[Up], calls: int) -> list[tuple[int, str]]:
    limits = httpx2.Limits(max_connections=calls)
    async with httpx2.AsyncClient(timeout=60, limits=limits) as client:
        return await asyncio.gather(*[ask(client, nodes[i % len(nodes)], i) for i in range(calls)])


def settled(folder: Path, receipts: set[str]) -> None:
    """Wait until all of these receipts are in the database."""
    ends = time.monotonic() + 15
    while time.monotonic() < ends:
        if receipts <= {row.id for row in rows(folder, "SELECT id FROM receipts")}:
            return
        time.sleep(0.1)
    there = {row.id for row in rows(folder, "SELECT id FROM receipts")}
    raise AssertionError(f"{len(receipts - there)} of {len(receipts)} receipts are missing: {min(receipts - there)!r}")


@pytest.mark.slow
@pytest.mark.parametrize("cheap", ["ok", "status-500"])
def test_two_processes_never_overspend(tmp_path: Path, upstream: Server, cheap: str) -> None:
    text = config(tmp_path, upstream, cheap)
    secret = {"INTERMODEL_TOKEN": "a-token-that-only-tests-use"}
    with up(tmp_path / "one", config=text, environ=secret) as one:
        (tmp_path / "two").mkdir()
        shutil.copy(tmp_path / "one" / "secret", tmp_path / "two" / "secret")
        with up(tmp_path / "two", config=text, environ=secret) as two:
            answers: list[tuple[int, str]] = []
            for _ in range(60):
                answers += asyncio.run(all_at_once([one, two], 200))
                for window in rows(tmp_path, "SELECT spent, leased FROM budget_windows"):
                    assert window.spent + window.leased <= CEILING
                if Counter(status for status, _ in answers)[402] > 200:
                    break
            told = Counter(status for status, _ in answers)
            assert set(told) == {200, 402}, told
            settled(tmp_path, {receipt for _, receipt in answers})
            assert (one.stop(), two.stop()) == (0, 0)
    (window,) = rows(tmp_path, "SELECT spent, leased FROM budget_windows")
    (sums,) = rows(tmp_path, "SELECT sum(cost) AS cost, count(*) AS calls FROM receipts")
    assert window.spent == sums.cost, "what was spent is the sum of the receipts"
    assert window.spent <= CEILING
    assert window.leased == 0, "what was held was given back at the end"
    assert window.spent > CEILING * 0.9, f"the money was used: {shown(window.spent)} of {shown(CEILING)}"
    assert sums.calls == len(answers)
