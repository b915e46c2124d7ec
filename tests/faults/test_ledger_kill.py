"""`kill -9` while a ledger is written to, again and again: nothing that was acknowledged is lost or changed."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from intermodel.ledger import examine, open_ledger, verify
from intermodel.ledger.note import Checkpoint, Note
from intermodel.storage import Database

CHILD = """
import asyncio, sys
from pathlib import Path
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import log, open_ledger
from intermodel.storage import Database

log.SETTLE_S = 0.02
data, begin = Path(sys.argv[1]), int(sys.argv[2])

async def main():
    database = Database("", default=data / "test.db")
    await database.open()
    async with open_ledger(data, database) as ledger:
        async def work(lane):
            for i in range(100_000):
                number = begin + lane * 1_000_000 + i
                statement = Statement((Subject("x", f"sha256:{number:064x}"),), "https://example.com/v1", {"n": number})
                if lane == 0 and i % 40 == 39:
                    made = await ledger.rotate()
                    number = -1
                else:
                    made = await ledger.record(statement)
                checkpoint = ledger.checkpoint().hex()
                print(made.index, number, checkpoint, flush=True)
        await asyncio.gather(*(work(lane) for lane in range(4)))

asyncio.run(main())
"""


def killed(data: Path, begin: int, after: float) -> list[tuple[int, int, bytes]]:
    """What a process acknowledged before it was killed: index, number and checkpoint."""
    with (data / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(data), str(begin)], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert process.stdout is not None
    with process.stdout as said:
        first = said.readline()
        time.sleep(after)
        process.kill()
        lines = [first, *said]
    process.wait(10)
    assert first, (data / "errors").read_text()
    rows = [line.split() for line in lines if line.endswith("\n")]
    return [(int(index), int(number), bytes.fromhex(checkpoint)) for index, number, checkpoint in rows]


async def check(data: Path, acknowledged: list[tuple[int, int, bytes]]) -> int:
    database = Database("", default=data / "test.db")
    await database.open()
    async with open_ledger(data, database) as ledger:
        for index, number, _ in acknowledged:
            entry = await ledger.entry(index)
            assert entry.statement is not None
            if number >= 0:
                assert entry.statement.predicate == {"n": number}
        given_out = {Checkpoint.parse(Note.parse(note).text).size: note for *_, note in acknowledged}
        sizes = sorted(given_out)
        some = [
            given_out[size] for size in {*sizes[:3], *sizes[-20:], *random.Random(0).sample(sizes, min(30, len(sizes)))}
        ]
        for note in given_out.values():
            head = Checkpoint.parse(Note.parse(note).text)
            assert head.size <= ledger.log.size
            assert ledger.log.root(head.size) == head.root
        last = [index for index, *_ in acknowledged][-20:]
        report = verify(await ledger.bundle(last, earlier=some), [ledger.verifier])
        assert report.good, [one for one in report.checks if not one.holds]
        size = ledger.log.size
    assert await examine(data, database) == []
    await database.close()
    return size


def survive(data: Path, times: int, seed: int) -> int:
    rng = random.Random(seed)
    acknowledged: list[tuple[int, int, bytes]] = []
    for turn in range(times):
        acknowledged += killed(data, turn * 10_000_000, rng.uniform(0, 0.6) if times > 1 else 0.05)
        size = asyncio.run(check(data, acknowledged))
        assert size > max(index for index, *_ in acknowledged)
    return len(acknowledged)


def test_kill_loses_nothing(tmp_path: Path) -> None:
    assert survive(tmp_path, 1, 1) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_at_many_moments(tmp_path: Path) -> None:
    assert survive(tmp_path, 15, 2) > 1000
