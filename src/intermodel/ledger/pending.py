"""The file that makes groups of entries durable before they are laid out as tiles: written, synced, acknowledged.

A group is `G SSSSSSSSSSSSSSSS EEEEEEEE NNNNNNNN HHHHHHHH\\n`, the index of its first entry, the lengths of its entries
and of its note in hexadecimal, and the CRC-32 of that; then the entries, the note (the checkpoint that covers them) and
the SHA-256 of all of it. A group that was cut off by a crash was never acknowledged: it is the last one, and is short,
or a block of it that a power cut kept from the disk is zeros. Anything else that does not match was changed
afterwards, and is never passed over in silence.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Unavailable
from intermodel.ledger import tiles

_HEAD = 46
_DIGEST = 32
_ZEROS = bytes(8)
"""So many at the end of a file are no hash: blocks that a power cut kept from the disk are longer."""
_BLOCK = 512
"""The least that a disk writes: aligned, whole, or not at all. No entry holds so many zeros: it is JSON."""
_PATTERN = re.compile(rb"G ([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8})\n")


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that were made durable together, and the signed checkpoint of the tree that ends with them."""

    start: int
    entries: tuple[bytes, ...]
    note: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.entries)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds: whole groups, and where their last one ends. `torn`: something that was cut off follows."""

    groups: tuple[Group, ...]
    end: int
    torn: bool


class Pending:
    """The open file. Blocks: use it from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._end = 0

    def open(self, end: int) -> None:
        """Go on writing after byte `end`, where the last whole group ends; what lies behind it is cut off."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = end
        if os.fstat(self._file).st_size != end:
            os.ftruncate(self._file, end)
            os.fsync(self._file)

    def write(self, group: Group) -> None:
        """Durable when this returns. Raises `OSError`, and then nothing of it is there."""
        if os.fstat(self._file).st_size != self._end:  # a write before this one failed, and what it left is still there
            os.ftruncate(self._file, self._end)
        try:
            data, at = memoryview(dumped(group)), self._end
            while data:
                written = os.pwrite(self._file, data, at)
                data, at = data[written:], at + written
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end = at

    def clear(self) -> None:
        """Begin anew: everything it held is durable elsewhere."""
        if self._end:
            os.ftruncate(self._file, 0)
            os.fsync(self._file)
            self._end = 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def dumped(group: Group) -> bytes:
    """A group as it lies in the file."""
    entries = tiles.bundle(group.entries)
    head = b"G %016x %08x %08x " % (group.start, len(entries), len(group.note))
    data = b"%b%08x\n%b%b" % (head, zlib.crc32(head), entries, group.note)
    return data + hashlib.sha256(data).digest()


def scan(path: Path) -> Scan:
    """Read the file. Raises `Unavailable`, with the place, where something in it was changed."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Scan((), 0, torn=False)
    groups: list[Group] = []
    at = 0
    while at < len(data):
        group, length = _group(data, at)
        if group is None:
            if _is_torn(data, at, length):
                return Scan(tuple(groups), at, torn=True)
            raise Unavailable(
                f"The ledger was changed: {path}, bytes {at} to {min(at + length, len(data))}, break their hash.",
                hint="Restore the file from a backup. Nothing is recorded until then, for entries may be missing.",
                code="ledger_damaged",
            )
        groups.append(group)
        at += length
    return Scan(tuple(groups), at, torn=False)


def _group(data: bytes, at: int) -> tuple[Group | None, int]:
    """The group there, if it is whole, and how long it is or would be."""
    match = _PATTERN.match(data, at)
    if match is None or int(match[4], 16) != zlib.crc32(data[at : at + _HEAD - 9]):
        return None, _HEAD
    start, entries, note = (int(match[i], 16) for i in (1, 2, 3))
    body = at + _HEAD
    end = body + entries + note
    length = end + _DIGEST - at
    if hashlib.sha256(data[at:end]).digest() != data[end : end + _DIGEST]:
        return None, length
    found = Group(start, tuple(tiles.unbundle(data[body : body + entries])), data[body + entries : end])
    return found, length


def _is_torn(data: bytes, at: int, length: int) -> bool:
    """Whether what lies there is a write that a crash cut off: short, or with blocks of zeros, and the last."""
    rest = data[at:]
    if _PATTERN.match(rest) is None:
        return len(rest) < _HEAD or not rest.strip(b"\0") or (_lost_head(data, at) and not _has_group(rest))
    intact = int(rest[_HEAD - 9 : _HEAD - 1], 16) == zlib.crc32(rest[: _HEAD - 9])
    lost = rest.endswith(_ZEROS) or _lost_block(data, at)
    return intact and (len(rest) < length or (len(rest) == length and lost))


def _lost_block(data: bytes, at: int) -> bool:
    """Whether a whole block from there on is zeros."""
    first = -(-at // _BLOCK) * _BLOCK
    zeros = bytes(_BLOCK)
    return any(data[i : i + _BLOCK] == zeros for i in range(first, len(data), _BLOCK))


def _lost_head(data: bytes, at: int) -> bool:
    """Whether a block in which the head of a group lies there is zeros, as far as it is that group's."""
    starts = {at, (at + _HEAD - 1) // _BLOCK * _BLOCK}
    return any(not data[max(i, at) : (i // _BLOCK + 1) * _BLOCK].strip(b"\0") for i in starts)


def _has_group(rest: bytes) -> bool:
    """Whether another group begins in it: then what lies before was acknowledged, and is no write of a crash."""
    return any(int(one[4], 16) == zlib.crc32(one[0][: _HEAD - 9]) for one in _PATTERN.finditer(rest))
