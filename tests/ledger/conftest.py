from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Ledger, open_ledger, uri
from intermodel.storage import Database


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def said(number: int = 1, **more: Any) -> Statement:
    """A statement about the thing of that number."""
    predicate = {"framework": "mof", "version": "1", "outcome": "class I"} | more
    return Statement((Subject("thing", digest(number)),), uri("grade"), predicate)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database("", default=tmp_path / "test.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(tmp_path: Path, database: Database) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path, database) as opened:
        yield opened


@pytest.fixture
def flipped() -> Callable[[bytes], list[bytes]]:
    """The same bytes with one bit of one byte changed, for each byte."""
    return lambda data: [data[:i] + bytes([data[i] ^ (1 << (i % 8))]) + data[i + 1 :] for i in range(len(data))]
