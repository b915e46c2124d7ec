"""The log on disk: what is there after each kind of end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core import Invalid, NotFound, Unavailable
from intermodel.core.errors import TooLarge
from intermodel.ledger import Verifier, merkle, tiles
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log, opened_for_reading
from intermodel.ledger.note import Checkpoint, Note
from intermodel.ledger.pending import Group, dumped, scan

SIGNER = LocalSigner.make()
VERIFIER = Verifier("log", SIGNER.public)


def make(folder: Path) -> Log:
    log = Log(folder, origin="log")
    log.open()
    log.signer = SIGNER
    return log


def leaf(number: int) -> bytes:
    return f"leaf {number}".encode()


def check(log: Log, size: int) -> None:
    """Everything of the log, against leaves that were hashed anew."""
    hashes = [merkle.leaf_hash(leaf(i)) for i in range(size)]
    assert log.size == size
    assert [log.entry(i) for i in range(size)] == [leaf(i) for i in range(size)]
    if size:
        assert log.note is not None
        assert log.note.signed_by([VERIFIER])
        assert Checkpoint.parse(log.note.text) == Checkpoint("log", size, merkle.root_of(hashes))
    for i in range(0, size, max(1, size // 17)):
        assert merkle.includes(i, size, hashes[i], log.inclusion(i, size), log.root(size))
        assert merkle.extends(i + 1, size, log.root(i + 1), log.root(size), log.consistency(i + 1, size))


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    made = make(tmp_path)
    yield made
    await made.close()


async def test_entries_and_proofs_before_and_after_they_are_laid_out(tmp_path: Path) -> None:
    size = 0
    for step in (1, 2, 252, 1, 1, 300, 0, 1):
        log = make(tmp_path)
        check(log, size)
        for number in range(size, size + step):
            assert await log.add([leaf(number)]) == range(number, number + 1)
        size += step
        check(log, size)
        await log.settle()
        check(log, size)
        await log.close()
    assert (tmp_path / "pending").stat().st_size == 0
    check(opened_for_reading(tmp_path), size)


async def test_a_log_over_several_levels_of_tiles(log: Log, tmp_path: Path) -> None:
    size = 256 * 256 + 300
    await log.add([leaf(i) for i in range(size)])
    await log.settle()
    assert (tmp_path / "tile/2/000.p/1").stat().st_size == 32
    assert (tmp_path / "tile/0/255").stat().st_size == 8192
    assert not (tmp_path / "tile/0/x001").exists()
    hashes = [merkle.leaf_hash(leaf(i)) for i in range(size)]
    assert log.root(size) == merkle.root_of(hashes)
    again = opened_for_reading(tmp_path)
    for i in (0, 255, 256, 65535, 65536, size - 1):
        assert again.entry(i) == leaf(i)
        assert merkle.includes(i, size, hashes[i], again.inclusion(i, size), again.root(size))


async def test_what_is_wrong_ends_in_one_full_stop(log: Log, tmp_path: Path) -> None:
    await log.add([leaf(i) for i in range(3)])
    await log.settle()
    path = tmp_path / "tile/entries/000.p/3"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unavailable) as caught:
        opened_for_reading(tmp_path).entry(2)
    assert "cut off" in caught.value.message
    assert not caught.value.message.endswith("..")


async def test_those_who_wait_share_a_group(log: Log, tmp_path: Path) -> None:
    found = await asyncio.gather(*(log.add([leaf(i)]) for i in range(50)))
    assert [one.start for one in found] == list(range(50))
    assert len(scan(tmp_path / "pending").groups) <= 2
    check(log, 50)


async def test_the_files_for_web_servers_follow_by_themselves(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intermodel.ledger.log.SETTLE_S", 0.02)
    for number in range(3):
        await log.add([leaf(number)])
        async with asyncio.timeout(20):
            while not (tmp_path / f"tile/0/000.p/{number + 1}").exists() or log.settled <= number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        head = Checkpoint.parse(Note.parse((tmp_path / "checkpoint").read_bytes()).text)
        assert head.size == number + 1
        assert tiles.unbundle((tmp_path / f"tile/entries/000.p/{number + 1}").read_bytes())[number] == leaf(number)
    # partial tiles of all checkpoints that were published stay, until the tile is full
    assert sorted(path.name for path in (tmp_path / "tile/0/000.p").iterdir()) == ["1", "2", "3"]
    await log.add([leaf(number) for number in range(3, 256)])
    await log.settle()
    assert not (tmp_path / "tile/0/000.p").exists()
    assert not (tmp_path / "tile/entries/000.p").exists()


async def test_reading_beside_a_writer(log: Log, tmp_path: Path) -> None:
    for number in range(300):
        await log.add([leaf(number)])
        if number % 40 == 0:
            await log.settle()
        if number % 23 == 0:
            check(opened_for_reading(tmp_path), number + 1)


def cut_off(path: Path, at: int) -> None:
    os.truncate(path, at)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_a_write_that_was_cut_off_anywhere(
    tmp_path_factory: pytest.TempPathFactory, groups: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = make(folder)
    ends, size = [0], 0
    for count in groups:
        log.append([leaf(i) for i in range(size, size + count)])
        size += count
        ends.append((folder / "pending").stat().st_size)
    asyncio.run(abandon(log))
    at = data.draw(st.integers(0, ends[-1]))
    zeros = data.draw(st.booleans())
    os.truncate(folder / "pending", at)
    if zeros:  # a power cut may leave a file longer than what was written to it
        os.truncate(folder / "pending", ends[-1])
    whole = max(i for i, end in enumerate(ends) if end <= at)
    expected = sum(groups[:whole])
    if zeros and at > ends[whole] and (at - ends[whole] < 46 or ends[-1] - at < 8 or whole < len(groups) - 1):
        return  # half a head and zeros is told from a change by nobody; disks cut off blocks, and in the last group
    again = make(folder)
    check(again, expected)
    again.append([leaf(expected)])
    check(again, expected + 1)
    asyncio.run(again.close())
    check(opened_for_reading(folder), expected + 1)


@pytest.mark.parametrize("before", [0, 100, 434, 500, 512, 4096 - 20])
def test_a_block_that_a_power_cut_kept_from_the_disk(tmp_path: Path, before: int) -> None:
    """Blocks of the last write, which reach the disk in any order: without any one of them it is torn."""
    path = tmp_path / "pending"
    first = dumped(Group(0, (b"x" * (before - 80),), b"")) if before else b""
    whole = first + dumped(Group(1, (b"a" * 3000, b"b" * 3000), b"note"))
    path.write_bytes(whole)
    assert len(scan(path).groups) == 1 + bool(first)
    for block in range(len(first) // 512, len(whole) // 512 + 1):
        start, end = max(block * 512, len(first)), min((block + 1) * 512, len(whole))
        if end - start < 8 and end == len(whole):
            continue  # a few zeros may be a hash
        damaged = whole[:start] + bytes(end - start) + whole[end:]
        path.write_bytes(damaged)
        found = scan(path)
        assert (len(found.groups), found.end, found.torn) == (bool(first), len(first), True)
        path.write_bytes(damaged + dumped(Group(3, (b"c",), b"note")))  # acknowledged: the one before it was too
        with pytest.raises(Unavailable):
            scan(path)


async def abandon(log: Log) -> None:
    """As a killed process leaves it."""
    log._pending.close()
    if log._thread is not None:
        log._thread.shutdown()


def test_a_change_in_what_waits_is_never_taken_for_a_crash(tmp_path: Path) -> None:
    groups = [Group(0, (b"a",), b"note"), Group(1, (b"bb", b""), b"note 2")]
    data = b"".join(map(dumped, groups))
    path = tmp_path / "pending"
    path.write_bytes(data)
    assert scan(path).groups == tuple(groups)
    for place in range(len(data)):
        for bit in range(8):
            path.write_bytes(data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :])
            with pytest.raises(Unavailable, match="bytes"):
                scan(path)


async def test_a_crash_between_publishing_and_emptying(tmp_path: Path) -> None:
    log = make(tmp_path)
    await log.add([leaf(0), leaf(1)])
    kept = (tmp_path / "pending").read_bytes()
    await log.close()
    (tmp_path / "pending").write_bytes(kept)
    again = make(tmp_path)
    check(again, 2)
    assert (tmp_path / "pending").stat().st_size == 0
    await again.close()


async def test_a_crash_before_the_first_checkpoint_was_published(tmp_path: Path) -> None:
    log = make(tmp_path)
    await log.add([leaf(0)])
    kept = (tmp_path / "pending").read_bytes()
    await log.close()
    (tmp_path / "pending").write_bytes(kept)
    (tmp_path / "checkpoint").unlink()
    again = make(tmp_path)
    check(again, 1)
    await again.close()


@pytest.mark.parametrize("gone", ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/000"])
async def test_a_log_with_a_hole(tmp_path: Path, gone: str) -> None:
    log = make(tmp_path)
    await log.add([leaf(i) for i in range(300)])
    await log.close()
    (tmp_path / gone).unlink()
    with pytest.raises(Unavailable, match=gone) as caught:
        read_all(tmp_path)
    assert caught.value.hint


def read_all(folder: Path) -> None:
    log = opened_for_reading(folder)
    for i in range(log.size):
        log.entry(i)
        log.inclusion(i, log.size)


async def test_groups_that_went_missing(tmp_path: Path) -> None:
    log = make(tmp_path)
    for i in range(3):
        log.append([leaf(i)])
    groups = scan(tmp_path / "pending").groups
    await abandon(log)
    (tmp_path / "pending").write_bytes(dumped(groups[0]) + dumped(groups[2]))
    with pytest.raises(Unavailable, match="a hole"):
        make(tmp_path)


async def test_a_full_disk_loses_nothing_and_adds_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    await log.add([leaf(0)])
    write = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        write(file, bytes(data)[:10], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(Unavailable, match="No space left"):
        await log.add([leaf(1)])
    monkeypatch.undo()
    check(log, 1)
    await log.add([leaf(1)])
    check(log, 2)
    check(opened_for_reading(log.folder), 2)


async def test_a_disk_that_does_not_take_the_tiles(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("intermodel.ledger.files.write", fail)
    await log.add([leaf(0)])
    with pytest.raises(Unavailable):
        await log.settle()
    await log.add([leaf(1)])
    monkeypatch.undo()
    await log.settle()
    check(log, 2)
    check(opened_for_reading(log.folder), 2)


async def test_what_is_not_there_or_too_large(log: Log) -> None:
    await log.add([leaf(0)])
    for index in (-1, 1):
        with pytest.raises(NotFound):
            log.entry(index)
    with pytest.raises(NotFound):
        log.inclusion(1, 1)
    with pytest.raises(NotFound):
        log.inclusion(0, 2)
    with pytest.raises(Invalid):
        log.consistency(0, 1)
    with pytest.raises(TooLarge):
        await log.add([b"x" * 65536])
    with pytest.raises(Unavailable):
        await opened_for_reading(log.folder).add([b"x"])
    check(log, 1)
