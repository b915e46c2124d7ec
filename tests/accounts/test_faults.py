"""Budgets and receipts over several processes that are killed, disks that are full, databases that are gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from intermodel.core import OverBudget, Unavailable
from intermodel.settings import Budget
from intermodel.storage import Database
from tests.accounts.conftest import ADA, DOLLAR, accounts, books, budget, call, over

ROOT = Path(__file__).parents[2]
CENT = DOLLAR // 100
KEY = ("one", "all")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """How a worker is told of the database."""
    if request.param == "sqlite":
        return str(tmp_path / "test.db")
    return str(request.getfixturevalue("postgres"))


@pytest.fixture
async def shared(where: str, tmp_path: Path) -> AsyncIterator[Database]:
    """That database, open and empty."""
    database = Database(where if "://" in where else "", default=tmp_path / "test.db")
    if "://" in where:
        from sqlalchemy import text

        async with database.begin() as db:
            await db.execute(text("DROP SCHEMA public CASCADE"))
            await db.execute(text("CREATE SCHEMA public"))
    await database.open()
    yield database
    await database.close()


class Working:
    """A worker process; `said` is what it printed after `ready`."""

    def __init__(self, folder: Path, where: str, ceiling: str, *more: str) -> None:
        folder.mkdir(exist_ok=True)
        self.output = (folder / f"out-{time.monotonic_ns()}").open("w+b")
        command = [sys.executable, "-m", "tests.accounts.worker", str(folder), where, ceiling, *more]
        self.process = subprocess.Popen(command, stdout=self.output, cwd=ROOT)

    async def ready(self) -> None:
        while not self.said() and self.process.poll() is None:  # noqa: ASYNC110 - a file cannot tell
            await asyncio.sleep(0.02)

    def said(self) -> list[bytes]:
        self.output.seek(0)
        return [line for line in self.output.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def acknowledged(self) -> dict[str, int]:
        return {one.decode(): int(nano) for one, nano in (line.split() for line in self.said()[1:])}

    async def wait(self) -> int:
        return await asyncio.to_thread(self.process.wait, 60)


@contextlib.contextmanager
def working(count: int, tmp_path: Path, where: str, ceiling: str, *more: str) -> Iterator[list[Working]]:
    workers = [Working(tmp_path / f"node{number}", where, ceiling, *more) for number in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            worker.output.close()


async def settled(database: Database, folders: list[Path], ceiling: str) -> tuple[int, set[str]]:
    """Open each folder once more, so that it accounts for what was cut off; what was spent, and every receipt's id."""
    ids: set[str] = set()
    for folder in folders:
        async with accounts(database, folder, {"one": Budget(dollars=Decimal(ceiling), per="all")}) as opened:
            ids |= {found["id"] for found in await opened.receipts.list(limit=100_000)}
    spent, leased = (await books(database))[KEY]
    assert leased == 0
    assert spent <= Decimal(ceiling) * DOLLAR
    return spent, ids


def running_sums(log: Path) -> list[int]:
    return list(itertools.accumulate(map(int, log.read_text().split())))


@pytest.mark.slow
async def test_two_processes_share_a_ceiling(shared: Database, where: str, tmp_path: Path) -> None:
    ceiling = "1.00"
    log = tmp_path / "log"
    with working(2, tmp_path, where, ceiling, str(CENT * 2), "100", "100", str(log)) as workers:
        highest = 0
        while any(worker.process.poll() is None for worker in workers):
            spent, leased = (await books(shared)).get(KEY, (0, 0))
            highest = max(highest, spent + leased)
            await asyncio.sleep(0.02)
        assert [worker.process.returncode for worker in workers] == [0, 0]
        acknowledged = [worker.acknowledged() for worker in workers]
    assert highest <= DOLLAR
    assert max(running_sums(log)) <= DOLLAR
    assert all(acknowledged), "both had their share"
    spent, ids = await settled(shared, [tmp_path / "node0", tmp_path / "node1"], ceiling)
    assert spent == sum(sum(one.values()) for one in acknowledged)
    assert spent > DOLLAR * 9 // 10, "nearly all of it could be spent"
    assert ids == set().union(*acknowledged)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_kill_9_at_any_moment(shared: Database, where: str, tmp_path: Path) -> None:
    ceiling, rng = "20.00", random.Random(7)
    acknowledged: dict[str, int] = {}
    for _ in range(15):
        more = (str(CENT), "100000", "60", str(tmp_path / "log"))
        with working(2, tmp_path, where, ceiling, *more) as workers:
            for worker in workers:
                await worker.ready()
            await asyncio.sleep(rng.random() * 1.5)
            for worker in workers:
                worker.process.kill()
                await worker.wait()
                acknowledged |= worker.acknowledged()
    assert len(acknowledged) > 500
    spent, ids = await settled(shared, [tmp_path / "node0", tmp_path / "node1"], ceiling)
    assert acknowledged.keys() <= ids
    assert spent >= sum(acknowledged.values())
    assert len(ids) > len(acknowledged), "calls in flight became receipts"


async def test_a_killed_call_is_charged_what_was_set_aside(tmp_path: Path) -> None:
    """The same as `kill -9`, seen from within: nothing is closed, and the folder is opened again."""
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    budgets = {"a": budget("1", per="all"), "b": budget("1", per="all", user="ada")}
    first = accounts(database, tmp_path, budgets)
    opened = await first.__aenter__()
    done, known, retried = call(), call(), call()
    for one in (done, known, retried):
        reservation = await opened.budgets.reserve(ADA, DOLLAR // 10, one)
        assert reservation is not None
        if one is not known:
            reservation.settle(1)
    assert await opened.budgets.reserve(ADA, DOLLAR // 5, retried)
    await opened.receipts.record(over(done, 1))
    async with accounts(database, tmp_path, budgets) as again:
        lost = [found for found in await again.receipts.list() if found["outcome"] == "lost"]
        assert {found["id"]: found["spent"] for found in lost} == {
            known["id"]: DOLLAR // 10,
            retried["id"]: DOLLAR // 5 + 1,
        }
        assert [c["nano"] for c in lost[0]["budgets"]] == [lost[0]["spent"]] * 2
        assert lost[0]["caller"]["user"] == "ada"
    spent = DOLLAR // 10 + DOLLAR // 5 + 2
    assert await books(database) == {("a", "all"): (spent, 0), ("b", "all"): (spent, 0)}
    with contextlib.suppress(Exception):
        await first.__aexit__(None, None, None)
    await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["postgresql"], indirect=True)  # SQLite's own files could not grow either
async def test_a_full_disk(tmp_path: Path, shared: Database, where: str) -> None:
    more = (str(CENT), "20", "5", str(tmp_path / "log"), "--fill-the-disk")
    with working(1, tmp_path, where, "1.00", *more) as (worker,):
        assert await worker.wait() == 0
        acknowledged = worker.acknowledged()
    spent, ids = await settled(shared, [tmp_path / "node0"], "1.00")
    assert acknowledged.keys() < ids, "what was refused for the disk was written later"
    assert spent == sum(acknowledged.values())


class Gone(Database):
    """A database whose server can be gone."""

    gone = False

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[object]:  # type: ignore[override]
        if self.gone:
            raise Unavailable("The database is gone.", code="database_unavailable")
        async with super().begin() as connection:
            yield connection


async def test_calls_go_on_from_their_slice_while_the_database_is_gone(tmp_path: Path) -> None:
    database = Gone("", default=tmp_path / "test.db")
    await database.open()
    async with accounts(database, tmp_path, {"a": budget("1", per="all")}) as opened:
        ids = []

        async def one() -> None:
            known = call()
            reservation = await opened.budgets.reserve(ADA, CENT // 10, known)
            assert reservation is not None
            reservation.settle(CENT // 10)
            await opened.receipts.record(over(known, CENT // 10))
            ids.append(known["id"])

        await one()
        database.gone = True
        for _ in range(10):
            await one()
        with pytest.raises(Unavailable, match="gone"):
            await opened.budgets.reserve(ADA, DOLLAR, call())
        with pytest.raises(Unavailable, match="gone"):
            await opened.receipts.find(ids[-1])
        await asyncio.sleep(0.7)
        database.gone = False
        assert {found["id"] for found in await opened.receipts.list()} == set(ids)
        assert (await books(database))["a", "all"][0] == 11 * CENT // 10
    await database.close()


class Proxy:
    """Stands between a process and PostgreSQL, and can be cut at any moment."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.server, self.folder = server / ".s.PGSQL.5432", folder / ".s.PGSQL.5432"
        self.open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self.listener = await asyncio.start_unix_server(self.serve, self.folder)

    async def cut(self) -> None:
        self.listener.close()
        for writer in list(self.open):
            writer.transport.abort()
        self.folder.unlink(missing_ok=True)
        await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self.server)
        self.open |= {writer, back}
        await asyncio.gather(self.pass_on(reader, back), self.pass_on(there, writer))
        self.open -= {writer, back}

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.transport.abort()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_database_that_is_cut_off_again_and_again(postgres: str, tmp_path: Path) -> None:
    rng = random.Random(3)
    with tempfile.TemporaryDirectory(prefix="px-") as name:
        proxy = Proxy(Path(postgres.partition("host=")[2]), Path(name))
        await proxy.start()
        direct = Database(postgres, default=tmp_path / "unused")
        from sqlalchemy import text

        async with direct.begin() as db:
            await db.execute(text("DROP SCHEMA public CASCADE"))
            await db.execute(text("CREATE SCHEMA public"))
        await direct.open()
        through = Database(f"postgresql://tester@/postgres?host={name}", default=tmp_path / "unused")
        ids: set[str] = set()
        total = 0
        async with accounts(through, tmp_path, {"one": budget("50", per="all")}) as opened:
            deadline = time.monotonic() + 25

            async def calls() -> None:
                nonlocal total
                while time.monotonic() < deadline:
                    known = call()
                    try:
                        reservation = await opened.budgets.reserve(ADA, CENT, known)
                    except (Unavailable, OverBudget):
                        await asyncio.sleep(0.05)
                        continue
                    assert reservation is not None
                    await asyncio.sleep(rng.random() * 0.02)
                    spent = rng.randint(0, CENT)
                    reservation.settle(spent)
                    await opened.receipts.record(over(known, spent))
                    ids.add(known["id"])
                    total += spent

            async def cuts() -> None:
                while time.monotonic() < deadline:
                    await asyncio.sleep(rng.random())
                    await proxy.cut()
                    await asyncio.sleep(rng.random() * 0.3)
                    await proxy.start()

            async with asyncio.TaskGroup() as group:
                for _ in range(20):
                    group.create_task(calls())
                group.create_task(cuts())
            await asyncio.sleep(6)
            assert {found["id"] for found in await opened.receipts.list(limit=100_000)} == ids
            assert (await books(direct))[KEY][0] == total
        assert await books(direct) == {KEY: (total, 0)}
        await proxy.cut()
        await through.close()
        await direct.close()
