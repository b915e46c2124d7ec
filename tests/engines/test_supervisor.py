"""Engines with real processes: they start, are shared, fall, come back, make room and end."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from intermodel.core import Unavailable, Upstream
from intermodel.engines import Engines, Facts, Model, Phase, State, sockets
from intermodel.engines.inspect_gguf import Header, facts
from intermodel.engines.process import LOG_BYTES, is_healthy, last_lines, trim
from intermodel.storage import digest_of
from tests.engines.test_inspect import mutated

MakeEngines = Callable[..., Engines]
MIB = 1024**2


def model_at(path: Path, address: str = "local/tiny") -> Model:
    with path.open("rb") as file:
        found = Facts.from_json(facts(Header(file, path.stat().st_size)))
    return Model(address, digest_of(path), path.stat().st_size, path, found, datetime.now(UTC))


@pytest.fixture
async def model(tiny_file: Path, tmp_path: Path) -> Model:
    return model_at(Path(shutil.copy(tiny_file, tmp_path / "tiny.gguf")))


def only(engines: Engines) -> State:
    (state,) = engines.states()
    return state


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - states are looked at, as pages do
            await asyncio.sleep(0.005)


async def test_a_lease_starts_an_engine_and_leaves_it_warm(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(slots=4)
    async with engines.lease(model) as endpoint:
        assert endpoint.model == model
        assert (endpoint.slots, endpoint.context_length) == (4, 2048)
        assert await is_healthy(endpoint.socket, 5)
        assert endpoint.socket.parent.stat().st_mode & 0o777 == 0o700
        state = only(engines)
        assert (state.phase, state.users, state.restarts, state.reason) == (Phase.READY, 1, 0, "")
        assert 0 < state.rss_bytes < state.estimated_bytes
        first = state.pid
    assert only(engines).users == 0
    async with engines.lease(model):
        assert only(engines).pid == first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells another process's processor time")
async def test_an_engines_processor_time_is_known_while_it_runs(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(slots=2)
    assert engines.cpu_seconds(model.address) is None
    async with engines.lease(model) as endpoint:
        before = engines.cpu_seconds(model.address)
        for _ in range(20):
            assert await is_healthy(endpoint.socket, 5)
        after = engines.cpu_seconds(model.address)
        pid = only(engines).pid
        assert pid
        times = psutil.Process(pid).cpu_times()
    assert before is not None
    assert after is not None
    assert 0 < before < after  # in nanoseconds: twenty small questions are seen
    assert after <= times.user + times.system + 0.02
    await engines.unload(model.address)
    assert engines.cpu_seconds(model.address) is None


async def test_callers_share_one_start(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(slots=16)
    sockets = set()

    async def one() -> None:
        async with engines.lease(model) as endpoint:
            sockets.add(endpoint.socket)

    await asyncio.gather(*(one() for _ in range(20)))
    assert len(sockets) == 1
    assert last_starts(only(engines).log) == 1


def last_starts(log: Path) -> int:
    return log.read_text().count("--- ")


async def test_closing_ends_every_child_and_its_folder(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    async with engines.lease(model) as endpoint:
        pid = only(engines).pid
        assert pid
    started = time.monotonic()
    await engines.close()
    assert time.monotonic() - started < 20
    assert not psutil.pid_exists(pid)
    assert not endpoint.socket.parent.exists()
    with pytest.raises(Unavailable) as caught:
        async with engines.lease(model):
            pass
    assert caught.value.code == "node_stopping"


async def test_closing_while_one_starts_tells_its_callers(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()

    async def ask() -> None:
        async with engines.lease(model):
            pass

    asking = asyncio.create_task(ask())
    await until(lambda: bool(engines.states()))
    await engines.close()
    with pytest.raises(Unavailable, match="stopping") as caught:
        await asking
    assert caught.value.code == "node_stopping"


async def test_without_a_socket_no_child_is_left(
    make_engines: MakeEngines, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sockets, "new", full)
    with pytest.raises(Upstream, match="No space left on device") as caught:
        async with make_engines().lease(model):
            pass
    assert caught.value.code == "engine_failed"
    assert not [c for c in psutil.Process().children() if "child.py" in " ".join(c.cmdline())]


async def test_without_a_child_no_socket_is_left(
    make_engines: MakeEngines, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(Upstream, match="No such file"):
        async with make_engines().lease(model):
            pass
    assert not list(tmp_path.glob(f"{sockets.PREFIX}*"))


async def test_every_address_has_a_log_of_its_own(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    for address in ("a-b/c", "a/b-c"):
        engines.slots(dataclasses.replace(model, address=address))
    assert [state.log.name for state in engines.states()] == ["engine-a-b+c.log", "engine-a+b-c.log"]


async def test_a_killed_engine_is_back_at_once(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    async with engines.lease(model):
        first = only(engines).pid
        assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: only(engines).phase is Phase.READY and only(engines).pid != first)
    assert only(engines).restarts == 1
    assert "signal 9" in only(engines).reason


async def test_a_hung_engine_is_killed_and_started_again(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(pulse_s=0.3)
    async with engines.lease(model):
        first = only(engines).pid
        assert first
    os.kill(first, signal.SIGSTOP)
    await until(lambda: only(engines).phase is Phase.READY and only(engines).pid != first)
    assert "did not answer" in only(engines).reason
    assert not psutil.pid_exists(first)


async def test_a_crash_loop_is_given_up_with_the_reason_and_the_log(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(crash_limit=3)
    async with engines.lease(model):
        pass
    for _ in range(3):
        pid = only(engines).pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda pid=pid: only(engines).phase is Phase.FAILED or only(engines).pid not in (None, pid))  # type: ignore[misc]
    assert only(engines).phase is Phase.FAILED
    with pytest.raises(Upstream) as caught:
        async with engines.lease(model):
            pass
    assert caught.value.code == "engine_given_up"
    assert "signal 9" in caught.value.message
    assert str(only(engines).log) in caught.value.hint
    os.utime(model.path)
    async with engines.lease(model):
        assert only(engines).phase is Phase.READY


async def test_a_file_that_does_not_load_fails_the_call_with_llama_cpps_reason(
    make_engines: MakeEngines, tiny_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "strange.gguf"
    path.write_bytes(tiny_file.read_bytes().replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llamb"))
    engines = make_engines(crash_limit=2)
    strange = dataclasses.replace(model_at(tiny_file, "local/strange"), path=path, digest=digest_of(path))
    for code in ("engine_failed", "engine_failed", "engine_given_up"):
        with pytest.raises(Upstream, match="llamb") as caught:
            async with engines.lease(strange):
                pass
        assert caught.value.code == code
        assert caught.value.retryable
    assert only(engines).phase is Phase.FAILED


async def test_a_file_that_changed_is_not_loaded(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    data = bytearray(model.path.read_bytes())
    data[-100] ^= 1
    model.path.write_bytes(data)
    with pytest.raises(Upstream, match=model.digest) as caught:
        async with engines.lease(model):
            pass
    assert caught.value.code == "digest_mismatch"
    assert caught.value.retryable
    assert "models add" in caught.value.hint
    assert only(engines).phase is Phase.STOPPED
    data[-100] ^= 1
    model.path.write_bytes(data)
    async with engines.lease(model):
        pass


async def test_a_file_that_is_gone_says_so(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    model.path.unlink()
    with pytest.raises(Upstream) as caught:
        async with engines.lease(model):
            pass
    assert caught.value.code == "model_file_unreadable"


async def test_a_new_file_under_the_same_address_gets_a_new_engine(
    make_engines: MakeEngines, model: Model, tmp_path: Path
) -> None:
    engines = make_engines()
    moved = dataclasses.replace(model, path=Path(shutil.copy(model.path, tmp_path / "moved.gguf")))
    async with engines.lease(model) as old:
        async with engines.lease(moved) as new:
            assert new.socket != old.socket
        assert await is_healthy(old.socket, 5), "a call in progress keeps the old engine"
    await until(lambda: len(engines.states()) == 1)
    await until(lambda: not old.socket.exists())


async def test_an_engine_replaced_while_it_starts_does_not_stay(
    make_engines: MakeEngines, model: Model, tmp_path: Path
) -> None:
    engines = make_engines()
    moved = dataclasses.replace(model, path=Path(shutil.copy(model.path, tmp_path / "moved.gguf")))

    async def ask(model: Model) -> None:
        async with engines.lease(model):
            pass

    first = asyncio.create_task(ask(model))
    await until(lambda: bool(engines.states()) and only(engines).phase is Phase.STARTING)
    first.cancel()
    await ask(moved)
    await until(lambda: len(engines.states()) == 1)
    assert len([c for c in psutil.Process().children() if "child.py" in " ".join(c.cmdline())]) == 1


async def test_the_least_recently_used_makes_room(make_engines: MakeEngines, model: Model) -> None:
    models = [dataclasses.replace(model, address=f"local/{name}") for name in "abc"]
    need = await estimate(make_engines, model)
    engines = make_engines(memory_bytes=2 * need + MIB)

    async def use(n: int) -> None:
        async with engines.lease(models[n]):
            pass

    for n in (0, 1, 0, 2):
        await use(n)
    ready = {state.address for state in engines.states() if state.phase is Phase.READY}
    assert ready == {"local/a", "local/c"}
    await until(lambda: all(s.pid is None or s.phase is Phase.READY for s in engines.states()))


async def estimate(make_engines: MakeEngines, model: Model) -> int:
    engines = make_engines()
    async with engines.lease(model):
        needed = only(engines).estimated_bytes
    await engines.close()
    return needed


async def test_what_is_in_use_stays_and_those_who_wait_take_turns(make_engines: MakeEngines, model: Model) -> None:
    one, two = (dataclasses.replace(model, address=f"local/{name}") for name in ("one", "two"))
    engines = make_engines(memory_bytes=await estimate(make_engines, model) + MIB)
    order: list[str] = []

    async def use(model: Model, name: str) -> None:
        async with engines.lease(model):
            order.append(name)
            await asyncio.sleep(0.05)

    async with engines.lease(one):
        tasks = [asyncio.create_task(use(two, "two"))]
        await until(lambda: any(s.address == "local/two" and s.phase is Phase.STARTING for s in engines.states()))
        await asyncio.sleep(0.1)
        tasks.append(asyncio.create_task(use(one, "one again")))
        await asyncio.sleep(0.05)
        assert order == [], "the first holds the memory, and the others wait"
    await asyncio.wait_for(asyncio.gather(*tasks), 15)
    assert order == ["two", "one again"]


async def test_a_wait_for_memory_has_an_end(make_engines: MakeEngines, model: Model) -> None:
    other = dataclasses.replace(model, address="local/other")
    memory = await estimate(make_engines, model) + MIB
    engines = make_engines(memory_bytes=memory, start_timeout_s=2)
    async with engines.lease(model):
        with pytest.raises(Unavailable) as caught:
            async with engines.lease(other):
                pass
        assert caught.value.code == "no_memory"
    async with engines.lease(other):
        pass


async def test_a_model_that_can_never_fit_is_refused(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(memory_bytes=MIB)
    with pytest.raises(Upstream, match="needs about") as caught:
        async with engines.lease(model):
            pass
    assert (caught.value.code, caught.value.retryable) == ("model_too_large", True)
    assert "memory_bytes" in caught.value.hint


async def test_an_idle_engine_is_unloaded(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(pulse_s=0.1, idle_unload_s=0.3)
    async with engines.lease(model):
        await asyncio.sleep(0.6)
        assert only(engines).phase is Phase.READY, "in use is not idle"
    await until(lambda: only(engines).phase is Phase.STOPPED)
    assert only(engines).restarts == 0
    async with engines.lease(model):
        assert only(engines).phase is Phase.READY


async def test_callers_beyond_what_an_engine_takes_wait_in_order(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(slots=1)  # two calls at once: one answered, one waiting in llama.cpp
    order: list[int] = []

    async def use(n: int) -> None:
        async with engines.lease(model):
            assert only(engines).users <= 2
            order.append(n)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(use(n) for n in range(8)))
    assert order == list(range(8))


async def test_a_caller_who_gives_up_waiting_leaves_no_trace(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines(slots=1)

    async def hold() -> None:
        async with engines.lease(model):
            await asyncio.sleep(60)

    holders = [asyncio.create_task(hold()) for _ in range(3)]
    await until(lambda: bool(engines.states()) and only(engines).users == 2)
    for task in reversed(holders):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (only(engines).users, only(engines).waiting) == (0, 0)
    async with asyncio.timeout(5), engines.lease(model):
        pass


async def test_unloading_on_request(make_engines: MakeEngines, model: Model) -> None:
    engines = make_engines()
    async with engines.lease(model):
        pid = only(engines).pid
        assert pid
        await engines.unload(model.address)
        assert psutil.pid_exists(pid), "calls in progress end first"
    await until(lambda: not psutil.pid_exists(pid))
    await engines.unload("local/unknown")


NODE = """
import asyncio, sys
from pathlib import Path
from intermodel.core import Digest
from intermodel.engines import Engines, Model, inspect
from intermodel.settings import Engines as Settings
from datetime import UTC, datetime

async def main():
    path, logs = Path(sys.argv[1]), Path(sys.argv[2])
    model = Model("local/tiny", Digest(sys.argv[3]), path.stat().st_size, path, await inspect(path), datetime.now(UTC))
    engines = Engines(Settings(), logs)
    async with engines.lease(model) as endpoint:
        print(engines.states()[0].pid, endpoint.socket, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_node_leaves_no_child(tiny_file: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NODE, str(tiny_file), str(tmp_path), digest_of(tiny_file)], stdout=subprocess.PIPE
    ) as node:
        assert node.stdout
        pid, listening = node.stdout.readline().decode().split()
        child = psutil.Process(int(pid))
        assert child.is_running()
        node.kill()
    deadline = time.monotonic() + 5
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its node"
        time.sleep(0.01)
    while Path(listening).exists():  # a killed process's threads, and so its socket, end a moment after it
        assert time.monotonic() < deadline, "its socket was not swept"
        sockets.sweep()


def test_only_what_nothing_listens_on_is_swept() -> None:
    alive, dead, loading, old = (sockets.new() for _ in range(4))
    os.utime(old.parent, (0, 0))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as ended:
        listener.bind(str(alive))
        listener.listen()
        ended.bind(str(dead))
        ended.close()
        sockets.sweep()
        assert [path.parent.exists() for path in (alive, dead, loading, old)] == [True, False, True, False]
    for path in (alive, loading):
        sockets.discard(path)


def test_a_long_folder_for_temporary_files_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ("x" * 90)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 90)))
    path = sockets.new()
    assert len(str(path)) < 104
    assert path.parent.stat().st_mode & 0o777 == 0o700
    sockets.discard(path)
    assert not path.parent.exists()


def test_a_log_is_cut_down_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    with log.open("ab") as writer:
        for n in range(LOG_BYTES // 16 + 10):
            writer.write(b"line %010d\n" % n)
        writer.flush()
        trim(log)
        assert log.stat().st_size <= LOG_BYTES // 4
        assert log.read_bytes().startswith(b"line ")
        writer.write(b"the last\n")
    assert log.read_text().splitlines()[-1] == "the last"


def test_last_words_are_those_of_the_last_start(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("--- one\nold\n--- two\n0.00.001.002 I srv: routine\nGGML_ASSERT(x) failed\n0.1 E it hurts\n")
    assert last_lines(log) == "GGML_ASSERT(x) failed | it hurts"
    assert last_lines(tmp_path / "none.log") == ""


@pytest.mark.slow
async def test_fifty_mutated_files_fail_alone_or_run(
    make_engines: MakeEngines, tiny_file: Path, tmp_path: Path, model: Model
) -> None:
    engines = make_engines(crash_limit=1)
    good = tiny_file.read_bytes()
    outcomes: dict[str, int] = {}
    for seed in range(50):
        path = tmp_path / f"{seed}.gguf"
        path.write_bytes(mutated(good, seed))
        hurt = dataclasses.replace(model, address=f"local/{seed}", path=path, digest=digest_of(path))
        try:
            async with engines.lease(hurt):
                outcome = "runs"
        except Upstream as error:
            outcome = error.code if error.hint else "no hint"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    async with engines.lease(model) as endpoint:
        assert await is_healthy(endpoint.socket, 5), "and the whole one is served all the same"
    assert set(outcomes) <= {"runs", "engine_failed"}
    assert outcomes["engine_failed"] > 10


@pytest.mark.slow
async def test_under_cancellations_kills_and_scarce_memory_nothing_is_lost(
    make_engines: MakeEngines, model: Model
) -> None:
    rng = random.Random(7)
    models = [dataclasses.replace(model, address=f"local/{name}") for name in "abc"]
    memory = 2 * await estimate(make_engines, model) + MIB
    engines = make_engines(memory_bytes=memory, slots=2, crash_limit=1000, start_timeout_s=30)
    served = 0

    async def use(model: Model) -> None:
        nonlocal served
        async with engines.lease(model):
            await asyncio.sleep(rng.random() * 0.05)
            served += 1

    async def kill_now_and_then() -> None:
        while True:
            await asyncio.sleep(0.3)
            for state in engines.states():
                if state.pid and rng.random() < 0.3:
                    os.kill(state.pid, signal.SIGKILL)

    killer = asyncio.create_task(kill_now_and_then())
    tasks = []
    for _ in range(300):
        tasks.append(asyncio.create_task(use(rng.choice(models))))
        await asyncio.sleep(0.01)
        if rng.random() < 0.2:
            rng.choice(tasks).cancel()
        loaded = sum(s.estimated_bytes for s in engines.states() if s.phase is Phase.READY)
        assert loaded <= memory
    async with asyncio.timeout(60):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    killer.cancel()
    await asyncio.gather(killer, return_exceptions=True)
    others = [r for r in results if r is not None and not isinstance(r, asyncio.CancelledError | Upstream)]
    assert others == []
    assert served > 150
    for each in models:
        async with asyncio.timeout(10), engines.lease(each):
            pass
    assert all((s.users, s.waiting) == (0, 0) for s in engines.states())
    pids = [s.pid for s in engines.states() if s.pid]
    await engines.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not [c for c in psutil.Process().children() if "child.py" in " ".join(c.cmdline())]
