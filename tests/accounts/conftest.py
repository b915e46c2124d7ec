"""Accounts on both databases; a receipt as a gateway writes it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from intermodel.accounts import Accounts, Payer, Receipt, new_id, open_accounts
from intermodel.core import Usage
from intermodel.settings import Budget, Receipts, Settings
from intermodel.storage import Database
from intermodel.storage.tables import budget_leases, budget_windows, receipts
from tests.storage.conftest import database, postgres  # noqa: F401 - fixtures

ADA = Payer("0123456789ab", "app", "ada", "lovelace")
DOLLAR = 10**9


def budget(dollars: str = "1", **given: Any) -> Budget:
    return Budget(dollars=Decimal(dollars), **given)


@contextlib.asynccontextmanager
async def accounts(
    database: Database,  # noqa: F811
    folder: Path,
    budgets: dict[str, Budget] | None = None,
    clock: Any = time.time,
    **given: Any,
) -> AsyncIterator[Accounts]:
    settings = Settings(data=folder, budgets=budgets or {}, receipts=Receipts(**given))
    async with open_accounts(settings, database, folder / "journal", clock=clock) as opened:
        yield opened


def call(payer: Payer = ADA, **given: Any) -> Receipt:
    """What is known of a call when it begins."""
    caller = {"token": payer.token_id, "name": payer.name, "user": payer.user, "organisation": payer.organisation}
    known: Any = {"id": new_id(), "at": time.time(), "caller": caller, "kind": "chat/completions", "model": "fast"}
    return known | given  # type: ignore[no-any-return]


def over(known: Receipt, spent: int = 0, **given: Any) -> Receipt:
    """The same when it is over."""
    attempt = {"address": "a/b", "seconds": 0.5, "first_token_s": 0.1, "outcome": "ok", "cost": spent}
    told: Any = {"seconds": 0.5, "answered": "a/b", "outcome": "ok", "usage": Usage(10, 5), "spent": spent}
    return known | told | {"attempts": [attempt]} | given  # type: ignore[no-any-return]


async def books(database: Database) -> dict[tuple[str, str], tuple[int, int]]:  # noqa: F811
    """What was spent and leased, by budget and window; checked against the receipts and the leases."""
    async with database.begin() as db:
        one_moment = "BEGIN" if database.dialect == "sqlite" else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
        await db.exec_driver_sql(one_moment)
        windows = (await db.execute(select(budget_windows))).all()
        leases = (await db.execute(select(budget_leases))).all()
        documents = [orjson.loads(text) for text in (await db.execute(select(receipts.c.document))).scalars()]
    found = {(row.budget, row.span): (row.spent, row.leased) for row in windows}
    for key, (spent, leased) in found.items():
        charged = [c["nano"] for d in documents for c in d["budgets"] if (c["budget"], c["window"]) == key]
        assert spent == sum(charged)
        assert leased == sum(row.amount for row in leases if (row.budget, row.span) == key)
        assert leased >= 0
    return found
