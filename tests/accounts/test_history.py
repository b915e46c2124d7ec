"""How deployments did over time, on both databases."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from intermodel.storage import Database
from tests.accounts.conftest import accounts, call, over
from tests.storage.conftest import database, postgres  # noqa: F401 - fixtures

HOUR = 3600.0


def attempt(address: str, outcome: str = "ok", first_token_s: float | None = 0.2) -> dict[str, Any]:
    return {"address": address, "seconds": 1.0, "first_token_s": first_token_s, "outcome": outcome}


async def test_attempts_are_told_by_stretches_of_time(database: Database, tmp_path: Path) -> None:  # noqa: F811
    start = time.time() // HOUR * HOUR - 5 * HOUR
    async with accounts(database, tmp_path) as opened:
        for at, *attempts in (
            (start + 60, attempt("a/b", "failed", None), attempt("c/d", first_token_s=0.4)),
            (start + 1200, attempt("a/b", "ok", 0.2)),
            (start + 1300, attempt("a/b", "broken", 0.6)),
            (start + HOUR + 1, attempt("a/b", "left", None)),
        ):
            await opened.receipts.record(over(call(at=at), attempts=attempts))
        told = await opened.receipts.history(start - HOUR, 60)
        assert [(one.at, one.address, one.attempts, one.failed) for one in told] == [
            (start, "a/b", 3, 2),
            (start, "c/d", 1, 0),
            (start + HOUR, "a/b", 1, 0),
        ]
        assert [one.first_token_s and round(one.first_token_s, 9) for one in told] == [0.4, 0.4, None]
        assert [one.at for one in await opened.receipts.history(start + HOUR, 60)] == [start + HOUR]
        by_minute = await opened.receipts.history(start, 1)
        assert [one.at for one in by_minute] == [start + 60, start + 60, start + 1200, start + 1260, start + HOUR]
        assert await opened.receipts.history(time.time() + HOUR, 15) == []
