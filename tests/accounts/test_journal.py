import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.accounts.journal import Journal, Position
from intermodel.core import Unavailable

START = Position(0, 0)


def opened(folder: Path, **given: Any) -> Journal:
    journal = Journal(folder, **given)
    journal.open()
    return journal


def payloads(journal: Journal, start: Position = START, limit: int = 1024) -> list[bytes]:
    found = []
    while entries := journal.read(start, limit):
        found += [entry.payload for entry in entries]
        start = entries[-1].end
    return found


@given(lines=st.lists(st.integers(0, 5000), max_size=40), limit=st.integers(1, 5000), size=st.integers(1, 20_000))
def test_what_is_written_is_read(
    lines: list[int], limit: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal = opened(tmp_path_factory.mktemp("journal"), segment_bytes=size)
    written = [os.urandom(length).hex().encode() for length in lines]
    for payload in written:
        journal.write(b"R", payload)
    assert payloads(journal, limit=limit) == written
    journal.close()


def test_reading_goes_on_from_any_place(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=100)
    places = [journal.end]
    for number in range(20):
        journal.write(b"R", b'{"n": %d}' % number)
        places.append(journal.end)
    for number, place in enumerate(places):
        assert len(payloads(journal, place)) == 20 - number
    assert len(journal.segments()) > 5
    journal.close()


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(3):
        journal.write(b"R", b'{"n": %d}' % number)
    journal.close()
    (file,) = tmp_path.glob("*.log")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert len(payloads(opened(tmp_path))) == whole[:length].count(b"\n")


def test_a_damaged_line_does_not_hide_those_after_it(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(3):
        journal.write(b"R", b'{"n": %d}' % number)
    journal.close()
    (file,) = tmp_path.glob("*.log")
    file.write_bytes(file.read_bytes().replace(b'"n": 1', b'"n": 7'))
    assert payloads(opened(tmp_path), limit=1) == [b'{"n": 0}', b'{"n": 2}']


def test_a_process_never_writes_into_another_ones_segment(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.write(b"R", b"{}")
    second = Journal(tmp_path)
    second.open(after=7)
    assert (first.end.segment, second.end) == (1, Position(8, 0))
    assert first.owner == second.owner


class Full(Journal):
    """A journal whose disk can be full."""

    full = False

    def _begin_segment(self, line_bytes: int = 0) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super()._begin_segment(line_bytes)


def test_a_full_disk_and_its_end(tmp_path: Path) -> None:
    journal = Full(tmp_path, segment_bytes=40)  # room for one line
    journal.open()
    journal.full = True
    journal.write(b"R", b'{"n": 0}')
    with pytest.raises(Unavailable, match="cannot be written") as caught:
        journal.write(b"R", b'{"n": 1}', owe=True)
    assert caught.value.code == "receipts_unavailable"
    with pytest.raises(Unavailable):
        journal.write(b"O", b'{"n": 2}')
    assert journal.failing
    assert payloads(journal) == [b'{"n": 0}']
    with pytest.raises(Unavailable):
        journal.retry()
    journal.full = False
    journal.retry()
    assert not journal.failing
    journal.write(b"R", b'{"n": 3}')
    assert payloads(journal) == [b'{"n": 0}', b'{"n": 1}', b'{"n": 3}']
    journal.close()
    assert payloads(opened(tmp_path)) == [b'{"n": 0}', b'{"n": 1}', b'{"n": 3}']


async def test_one_sync_is_shared_by_all_who_wait(tmp_path: Path) -> None:
    import asyncio

    journal = Journal(tmp_path, power=True, segment_bytes=500)
    journal.open()

    async def write(number: int) -> None:
        journal.write(b"R", b'{"n": %d}' % number)
        await journal.synced()

    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(write(number))
    assert len(payloads(journal)) == 100
    journal.close()


@pytest.mark.parametrize("what", ["dup", "fdatasync"])
@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), RuntimeError("no more threads")])
async def test_a_sync_that_fails_is_told_to_all_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    import asyncio

    def fail(_: int) -> int:
        raise error

    journal = Journal(tmp_path, power=True)
    journal.open()
    with monkeypatch.context() as patched:
        patched.setattr(os, what, fail)
        async with asyncio.timeout(5):
            told = await asyncio.gather(*(journal.synced() for _ in range(3)), return_exceptions=True)
    assert [getattr(one, "code", None) for one in told] == ["receipts_unavailable"] * 3
    async with asyncio.timeout(5):
        await journal.synced()
    journal.close()
