"""Rate limits over several processes, with a real Redis on a socket in a temporary folder."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from intermodel.accounts.limits import Admission, Busy, RateLimits
from intermodel.accounts.payer import Payer
from intermodel.core import Invalid, Limited
from intermodel.core.errors import TooLarge
from intermodel.settings import Rate, RateLimit

ADA = Payer("t1", "laptop", "ada", "engines")


class Server:
    """A Redis that can be killed and started again; it keeps nothing."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self._socket = folder / "redis"
        self.url = f"unix://{self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL,
            cwd=self._socket.parent,
        )
        for _ in range(500):
            if self._socket.exists():
                return
            time.sleep(0.01)
        raise AssertionError("Redis did not start")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._socket.unlink(missing_ok=True)
            self._process = None


@pytest.fixture
def redis() -> Iterator[Server]:
    pytest.importorskip("redis", reason="the package redis is not installed (the extra 'redis')")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with tempfile.TemporaryDirectory(prefix="redis-") as name:  # short: socket paths are limited to 107 bytes
        server = Server(binary, Path(name))
        server.start()
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
async def two(redis: Server) -> AsyncIterator[tuple[RateLimits, RateLimits]]:
    """The limits of two processes."""
    named = {
        "default": RateLimit(requests_per_minute=5, tokens_per_minute=1000, at_once=3),
        "team": RateLimit(organisation="engines", requests_per_minute=100),
    }
    both = RateLimits(named, redis.url), RateLimits(named, redis.url)
    yield both
    for limits in both:
        await limits.close()


async def settled(limits: RateLimits) -> None:
    """Wait until what was to be sent in the background has been."""
    await asyncio.sleep(0.05)


async def test_both_count_together(two: tuple[RateLimits, RateLimits]) -> None:
    began = time.monotonic()
    for turn in range(5):
        admission = await two[turn % 2].admit(ADA, 100)
        admission.close()
        await settled(two[0])
    headers = dict(admission.headers)
    assert headers[b"x-ratelimit-limit-requests"] == b"5"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-remaining-tokens"] == b"500"
    for limits in two:
        with pytest.raises(Limited) as refused:
            await limits.admit(ADA, 0)
        assert 60 - (time.monotonic() - began) - 0.5 <= refused.value.retry_after_s <= 60
        assert dict(refused.value.headers)[b"x-ratelimit-remaining-tokens"] == b"500"


async def test_tokens_are_given_back_and_taken(two: tuple[RateLimits, RateLimits]) -> None:
    first = await two[0].admit(ADA, 1000)
    with pytest.raises(Limited):
        await two[1].admit(ADA, 1)
    with pytest.raises(TooLarge):
        await two[1].admit(ADA, 1001)
    first.settle(100)
    await settled(two[0])
    second = await two[1].admit(ADA, 500)
    second.settle(900)
    await settled(two[1])
    with pytest.raises(Limited):
        await two[0].admit(ADA, 1)


async def test_calls_at_once(two: tuple[RateLimits, RateLimits]) -> None:
    held = [await two[turn % 2].admit(ADA, 0) for turn in range(3)]
    with pytest.raises(Limited) as refused:
        await two[0].admit(ADA, 0)
    assert "at once" in refused.value.message
    held[1].close()
    held[1].close()
    await settled(two[1])
    await two[0].admit(ADA, 0)
    with pytest.raises(Limited):
        await two[1].admit(ADA, 0)


async def test_all_or_none(redis: Server) -> None:
    limits = RateLimits(
        {
            "team": RateLimit(organisation="engines", requests_per_minute=10),
            "default": RateLimit(requests_per_minute=1),
        },
        redis.url,
    )
    await limits.admit(ADA, 0)
    for _ in range(20):
        with pytest.raises(Limited, match="default"):
            await limits.admit(ADA, 0)
    other = await limits.admit(Payer("t2", "x", "x", "engines"), 0)
    assert dict(other.headers)[b"x-ratelimit-limit-requests"] == b"1"
    limits.replace({"team": RateLimit(organisation="engines", requests_per_minute=10)})
    assert dict((await limits.admit(ADA, 0)).headers)[b"x-ratelimit-remaining-requests"] == b"7"
    await limits.close()


async def test_a_deployment_is_asked_together(two: tuple[RateLimits, RateLimits]) -> None:
    rate = Rate(requests_per_minute=1)
    assert isinstance(await two[0].try_admit("a", rate, 0), Admission)
    assert isinstance(await two[1].try_admit("a", rate, 0), Busy)


async def test_a_call_that_is_cancelled_meanwhile_is_not_in_progress(two: tuple[RateLimits, RateLimits]) -> None:
    await two[0].admit(ADA, 0)  # connected
    for _ in range(3):
        task = asyncio.create_task(two[0].admit(ADA, 300))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await settled(two[0])
    await two[1].admit(ADA, 1000)


_WORKER = """
import asyncio, sys
from intermodel.accounts.limits import RateLimits
from intermodel.accounts.payer import Payer
from intermodel.core import Limited
from intermodel.settings import RateLimit

async def main():
    limits = RateLimits({"default": RateLimit.model_validate_json(sys.argv[2])}, sys.argv[1])
    admitted = tokens = 0
    async def caller(number):
        nonlocal admitted, tokens
        for turn in range(60):
            try:
                admission = await limits.admit(Payer("t", "n"), 100)
            except Limited:
                continue
            admitted += 1
            used = 60 + (number + turn) % 80
            tokens += used
            admission.settle(used)
            admission.close()
    await asyncio.gather(*map(caller, range(10)))
    await limits.close()
    print(admitted, tokens)

asyncio.run(main())
"""


async def _work(url: str, limit: RateLimit) -> list[tuple[int, int]]:
    """What two processes were admitted and used, each asking for 600 calls of 100 tokens, ten at once."""
    command = [sys.executable, "-c", _WORKER, url, limit.model_dump_json()]
    workers = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(2)]
    counts = []
    for worker in workers:
        admitted, tokens = map(int, (await worker.communicate())[0].split())
        counts.append((admitted, tokens))
    return counts


async def test_processes_never_exceed_the_requests_together(redis: Server) -> None:
    counts = await _work(redis.url, RateLimit(requests_per_minute=500))
    assert sum(admitted for admitted, _ in counts) == 500


@pytest.mark.slow
async def test_processes_agree_on_the_tokens_that_were_used(redis: Server) -> None:
    limit = RateLimit(tokens_per_minute=30_000)
    used = sum(tokens for _, tokens in await _work(redis.url, limit))
    assert 30_000 - 100 < used + 100 <= 30_000 + 20 * 39  # those in progress may have used 39 more than they asked for
    limits = RateLimits({"default": limit}, redis.url)
    payer = Payer("t", "n")
    if used < 30_000:
        await limits.admit(payer, 30_000 - used)
    with pytest.raises(Limited):
        await limits.admit(payer, 1)
    await limits.close()


_KILLED = """
import asyncio, sys
from intermodel.accounts.limits import RateLimits
from intermodel.accounts.payer import Payer
from intermodel.settings import RateLimit

async def main():
    limits = RateLimits({"default": RateLimit(at_once=3)}, sys.argv[1])
    held = [await limits.admit(Payer("t1", "laptop"), 0) for _ in range(3)]
    print("held", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_what_a_killed_process_had_in_progress_stops_counting(redis: Server) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, redis.url, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout
    assert await worker.stdout.readline() == b"held\n"
    worker.kill()
    await worker.wait()
    limits = RateLimits({"default": RateLimit(at_once=3)}, redis.url)
    began = time.monotonic()
    while True:
        try:
            await limits.admit(ADA, 0)
            break
        except Limited:
            assert time.monotonic() - began < 25
            await asyncio.sleep(0.2)
    assert time.monotonic() - began > 15
    await limits.close()


async def test_without_redis_each_process_goes_by_its_own_counts(
    redis: Server, two: tuple[RateLimits, RateLimits], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "intermodel.accounts")
    held = await two[0].admit(ADA, 300)
    await two[1].admit(ADA, 300)
    redis.kill()
    for _ in range(2):
        (await two[0].admit(ADA, 300)).close()  # with its own 300 before: 900
    with pytest.raises(Limited):
        await two[0].admit(ADA, 300)
    await two[1].admit(ADA, 300)
    held.close()
    gone = [record for record in caplog.records if "Redis is gone" in record.message]
    assert len(gone) == 2  # one in each "process"
    redis.start()
    async with asyncio.timeout(10):
        while sum("Redis is back" in record.message for record in caplog.records) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    # two of `two[1]` are still in progress, and its sister knows
    assert isinstance(await two[0].admit(ADA, 0), Admission)
    with pytest.raises(Limited, match="at once"):
        await two[0].admit(ADA, 0)


async def test_a_redis_that_was_never_there(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    limits = RateLimits({"default": RateLimit(requests_per_minute=2)}, f"unix://{tmp_path}/none")
    for _ in range(2):
        await limits.admit(ADA, 0)
    with pytest.raises(Limited):
        await limits.admit(ADA, 0)
    await limits.close()


async def test_a_redis_that_hangs_costs_one_wait(redis: Server, two: tuple[RateLimits, RateLimits]) -> None:
    await two[0].admit(ADA, 0)
    assert redis._process
    redis._process.send_signal(19)  # SIGSTOP
    began = time.monotonic()
    await two[0].admit(ADA, 0)
    assert time.monotonic() - began < 3
    again = time.monotonic()
    await two[0].admit(ADA, 0)
    assert time.monotonic() - again < 0.1


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(Invalid, match=r"intermodel\[redis\]"):
        RateLimits({}, "redis://localhost")
