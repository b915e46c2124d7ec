"""A journal of lines that survive a killed process: written before anything is acknowledged, moved elsewhere later.

A line is `K LLLLLLLL CCCCCCCC PAYLOAD\\n`: its kind, the payload's length in bytes and the CRC-32 of kind and payload,
both in hexadecimal, and the payload, which is JSON without a line break in it. A line that was cut off by a crash
does not match, and is passed over. Lines lie in numbered segments; a process never adds to a segment of another.

A segment's file is given its whole room on the disk when it is begun, and mapped into memory: a line is copied there
and is the kernel's from that moment on, without a system call (which costs 5 to 10 µs under load, the copy less than
one), and a full disk is met between two segments and never in the middle of one. What is shared by all who wait is the
one expensive step, `fdatasync`. Source: mmap(2), MAP_SHARED; posix_fallocate(3).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import mmap
import os
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from intermodel.core import Unavailable

log = logging.getLogger(__name__)

OWED_BYTES = 64 * 1024**2
"""Lines that could not be written are kept in memory up to this size, to be written when the disk takes them."""
REJECTED = "rejected.jsonl"
"""In the journal's folder: lines that could not be taken, for people to look at."""
_HEAD = 20  # "K LLLLLLLL CCCCCCCC "


class Position(NamedTuple):
    """A place between two lines."""

    segment: int
    offset: int


class Entry(NamedTuple):
    """One line: its kind (one ASCII letter), its payload, and the place after it."""

    kind: bytes
    payload: bytes
    end: Position


class Journal:
    """The journal of one process, in a folder that it alone has. `open()` before use and `close()` after."""

    def __init__(self, folder: Path, *, power: bool = False, segment_bytes: int = 1024**2) -> None:
        """`power`: `synced()` waits until lines are safe from a power cut, and not only from `kill -9`."""
        self._folder = folder
        self._power = power
        self._segment_bytes = segment_bytes
        self._file = -1
        self._segment = 0
        self._end = 0
        self._map: mmap.mmap | None = None
        self._owed: list[bytes] = []
        self._unsynced: list[asyncio.Future[None]] = []
        self._sync: asyncio.Task[None] | None = None

    @property
    def owner(self) -> str:
        """What tells this journal from those of other processes; made on first use, and kept in the folder."""
        path = self._folder / "owner"
        if not path.exists():
            temporary = path.with_suffix(".new")
            with temporary.open("w") as file:
                file.write(secrets.token_hex(16))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(self._folder)
        return path.read_text().strip()

    @property
    def end(self) -> Position:
        """The place after the last line."""
        return Position(self._segment, self._end)

    @property
    def failing(self) -> bool:
        """Whether lines wait in memory because the disk did not take them."""
        return bool(self._owed)

    def open(self, after: int = 0) -> None:
        """Begin a new segment, beyond number `after` and all that are there. Raises `Unavailable`."""
        self._segment = max([after, *self.segments()])
        try:
            self._begin_segment()
        except OSError as error:
            raise _unwritable(error) from None

    def close(self) -> None:
        """Give back the room that was not used."""
        if self._map is not None:
            self._map.close()
            self._map = None
            os.ftruncate(self._file, self._end)
            os.close(self._file)
            self._file = -1

    def write(self, kind: bytes, payload: bytes, *, owe: bool = False) -> int:
        """Add a line, which survives `kill -9` once this returns; in which segment.

        Raises `Unavailable` where the disk does not take it: then it is not in the journal, unless `owe` asked to keep
        it in memory and to write it as soon as that is possible again.
        """
        line = b"%b %08x %08x %b\n" % (kind, len(payload), zlib.crc32(payload, zlib.crc32(kind)), payload)
        try:
            if self._owed:
                self._settle()
            return self._put(line)
        except OSError as error:
            if owe:
                self._owe(line)
            raise _unwritable(error) from None

    def retry(self) -> None:
        """Write what is owed. Raises `Unavailable` while that is not possible."""
        try:
            self._settle()
        except OSError as error:
            raise _unwritable(error) from None

    async def synced(self) -> None:
        """Wait until all lines written so far are safe from a power cut, if that is asked for. Raises `Unavailable`.

        All who wait at the same time share one `fdatasync`, in a thread.
        """
        if not self._power:
            return
        future = asyncio.get_running_loop().create_future()
        self._unsynced.append(future)
        if self._sync is None:
            self._sync = asyncio.create_task(self._sync_for_all(), name="sync journal")
        await future

    def segments(self) -> list[int]:
        """The numbers of the segments that are there, in order."""
        return sorted(int(path.stem) for path in self._folder.glob("*.log") if path.stem.isdecimal())

    def drop(self, segment: int) -> None:
        """Delete a segment, whose lines are all somewhere else."""
        self._path(segment).unlink(missing_ok=True)

    def reject(self, payload: bytes) -> None:
        """Put a line aside that nobody can use; where the disk does not take it, it is only logged that it was."""
        try:
            with (self._folder / REJECTED).open("ab") as file:
                file.write(payload + b"\n")
        except OSError as error:
            log.error("it could not be written there either: %s", error.strerror)

    def read(self, start: Position, limit: int = 1024**2) -> list[Entry]:
        """The lines from `start` on: some `limit` bytes of them, but at least one where there is one."""
        found: list[Entry] = []
        for segment in (number for number in self.segments() if number >= start.segment):
            offset = start.offset if segment == start.segment else 0
            while (limit > 0 or not found) and (lines := self._lines(segment, offset, max(limit, 4096))):
                found += _parsed(lines, segment, offset)
                offset += len(lines)
                limit -= len(lines)
            if limit <= 0 and found:
                break
        return found

    def _lines(self, segment: int, offset: int, limit: int) -> bytes:
        """Whole lines, as they lie in the file; a torn end is not one."""
        with self._path(segment).open("rb") as file:
            left = (self._end if segment == self._segment else os.fstat(file.fileno()).st_size) - offset
            file.seek(offset)
            data = file.read(max(0, min(limit, left)))
            while b"\n" not in data and b"\0" not in data and (more := file.read(min(len(data), left - len(data)))):
                data += more  # a line longer than the limit
        return data[: data.rfind(b"\n") + 1]

    def _put(self, line: bytes) -> int:
        end = self._end + len(line)
        if self._map is None or end > len(self._map):
            self._begin_segment(len(line))
            end = len(line)
        assert self._map is not None
        self._map[self._end : end] = line
        self._end = end
        return self._segment

    def _settle(self) -> None:
        """Write what is owed."""
        while self._owed:
            self._put(self._owed[0])
            del self._owed[0]

    def _owe(self, line: bytes) -> None:
        if sum(map(len, self._owed)) + len(line) <= OWED_BYTES:
            self._owed.append(line)
        else:
            log.error("a receipt is lost: the disk takes none, and too many wait in memory")

    def _begin_segment(self, line_bytes: int = 0) -> None:
        """A new segment, with room for a line of that length at least. Raises `OSError`, having changed nothing."""
        number, room = self._segment + 1, max(self._segment_bytes, line_bytes)
        path = self._path(number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, room)
            mapped = mmap.mmap(file, room)
        except OSError:
            os.close(file)
            path.unlink()
            raise
        if self._power and self._file >= 0:
            os.fdatasync(self._file)
        self.close()
        self._file, self._map, self._segment, self._end = file, mapped, number, 0
        if self._power:
            _sync_folder(self._folder)

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:010d}.log"

    async def _sync_for_all(self) -> None:
        try:
            await self._sync_waiting()
        finally:
            self._sync = None

    async def _sync_waiting(self) -> None:
        while self._unsynced:
            waiting, self._unsynced = self._unsynced, []
            failed = await self._sync_now()
            for future in waiting:
                if future.done():
                    continue
                if failed is None:
                    future.set_result(None)
                else:
                    future.set_exception(failed)

    async def _sync_now(self) -> Unavailable | None:
        """What kept the lines from being safe; None: they are."""
        try:
            file = os.dup(self._file)  # a rotation may close the other meanwhile, having synced it
            try:
                await asyncio.to_thread(os.fdatasync, file)
            finally:
                os.close(file)
        except OSError as error:
            return _unwritable(error)
        except Exception:
            log.exception("the journal could not be made safe")
            return _unwritable(OSError(errno.EIO, os.strerror(errno.EIO)))
        return None


def _parsed(lines: bytes, segment: int, offset: int) -> Iterator[Entry]:
    for line in lines.splitlines(keepends=True):
        offset += len(line)
        kind, payload = line[:1], line[_HEAD:-1]
        if line[:_HEAD] == b"%b %08x %08x " % (kind, len(payload), zlib.crc32(payload, zlib.crc32(kind))):
            yield Entry(kind, payload, Position(segment, offset))
        else:
            log.warning("a damaged line of the journal is passed over", extra={"segment": segment})


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(error: OSError) -> Unavailable:
    return Unavailable(
        f"Receipts cannot be written now: {error.strerror}.",
        hint="No call is answered without one. Free some space on the disk of the data folder.",
        code="receipts_unavailable",
    )


def dumped(document: Any) -> bytes:
    """A document as a payload."""
    try:
        return orjson.dumps(document)
    except TypeError:  # a number or text that JSON cannot hold: it is written all the same
        return orjson.dumps(_plain(document))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return str(value).encode(errors="replace").decode()
