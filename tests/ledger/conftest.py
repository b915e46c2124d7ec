from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Ledger, Verifier, open_ledger, uri
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.watch import Watch
from intermodel.storage import Database

SIGNER = LocalSigner.make()
VERIFIER = Verifier("log", SIGNER.public)


def note(log: Log) -> bytes:
    """A log's newest checkpoint."""
    assert log.note is not None
    return bytes(log.note)


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
async def logs(tmp_path: Path) -> AsyncIterator[tuple[Log, Log]]:
    """Two logs of one name and key, alike for five entries and then not: a fork."""
    made = []
    for name in ("one", "other"):
        log = Log(tmp_path / name, origin="log")
        log.open()
        log.signer = SIGNER
        log.append([b"%d" % i for i in range(5)])
        made.append(log)
    yield made[0], made[1]
    for log in made:
        await log.close()


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "watch", [VERIFIER])


@pytest.fixture
def flipped() -> Callable[[bytes], list[bytes]]:
    """The same bytes with one bit of one byte changed, for each byte."""
    return lambda data: [data[:i] + bytes([data[i] ^ (1 << (i % 8))]) + data[i + 1 :] for i in range(len(data))]
