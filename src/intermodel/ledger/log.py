"""The log on disk: appended to in groups, laid out as tiles, and found whole after a crash.

A group of entries is signed (one checkpoint covers it) and made durable in the file `pending` with one `fdatasync`;
then it is acknowledged. A second later, or when many wait, `settle` lays it out as tiles and entry bundles, publishes
the checkpoint, and empties `pending`. Whatever was given out is in one of the two, at any moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from intermodel.core import Invalid, NotFound, Unavailable
from intermodel.ledger import files, keyring, merkle, tiles
from intermodel.ledger.keys import Signer
from intermodel.ledger.note import Checkpoint, Note, signed
from intermodel.ledger.pending import Group, Pending, scan

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint"
PENDING = "pending"
SETTLE_S = 1.0
"""So long after an entry was acknowledged the files for web servers have it."""
SETTLE_ENTRIES = 8192
"""So many entries are laid out at once, without waiting."""
GROUP_ENTRIES = 4096
"""Most entries of a group that forms by itself."""


class _Item(NamedTuple):
    leaves: tuple[bytes, ...]
    signer: Signer | None
    about_keys: bool
    done: asyncio.Future[range]


class Log:
    """A log in a folder, of which this process is the only writer. `open()` before use, and `close()` after.

    `signer` signs its checkpoints; without one it is for reading. `origin` names a log that is not there yet.
    """

    def __init__(self, folder: Path, *, origin: str = "", group_s: float = 0) -> None:
        self.folder = folder
        self.origin = origin
        self.signer: Signer | None = None
        self.note: Note | None = None
        """The newest checkpoint, signed; None for a log without entries."""
        self.key_hashes: tuple[bytes, ...] | None = None
        """Leaf hashes of its entries about keys, which its checkpoints bind; None for a log that has none."""
        self.settled = 0
        """The size of the tree that the files hold."""
        self._group_s = group_s
        self._pending = Pending(folder / PENDING)
        self._peaks = merkle.Peaks()
        self._size = 0
        self._tiles: dict[tuple[int, int], bytearray] = {}
        self._bundles: dict[int, list[bytes]] = {}
        self._full_tile = functools.lru_cache(512)(self._read_full_tile)
        self._full_bundle = functools.lru_cache(8)(self._read_full_bundle)
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: list[_Item] = []
        self._worker: asyncio.Task[None] | None = None
        self._settler: asyncio.TimerHandle | None = None

    # reading

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._size

    @property
    def writable(self) -> bool:
        return self._thread is not None

    def entry(self, index: int) -> bytes:
        """The bytes of an entry. Raises `NotFound`, or `Unavailable` where they are not what the tree says."""
        if not 0 <= index < self._size:
            raise NotFound(f"The ledger has no entry {index}; it has {self._size}.", code="entry_not_found")
        bundle, place = divmod(index, tiles.WIDTH)
        entries = self._bundles.get(bundle) or self._full_bundle(bundle)
        if place >= len(entries) or merkle.leaf_hash(entries[place]) != self._node(0, index):
            raise _damaged(self.folder / tiles.path(tiles.ENTRIES, bundle), f"entry {index} does not match the tree")
        return entries[place]

    def root(self, size: int) -> bytes:
        return merkle.root(self._within(size), self._node)

    def inclusion(self, index: int, size: int, nodes: merkle.Node | None = None) -> list[bytes]:
        """The proof that the tree of that size holds the entry; made with `nodes()` for many. Raises `NotFound`."""
        if not 0 <= index < self._within(size):
            raise NotFound(f"The tree of size {size} has no entry {index}.", code="entry_not_found")
        return merkle.inclusion_proof(index, size, nodes or self._node)

    def nodes(self) -> merkle.Node:
        """The nodes of the tree, each made once: proofs of many entries share most of theirs."""
        return functools.cache(self._node)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the tree of the first size is how that of the second began. Raises `Invalid`."""
        if not 0 < first <= self._within(second):
            raise Invalid(f"There is no proof from a tree of size {first} to one of {second}.")
        return merkle.consistency_proof(first, second, self._node)

    # opening and closing

    def open(self, *, read_only: bool = False) -> None:
        """Read what is there. Raises `Unavailable`, with the place, where something is missing or was changed."""
        try:
            self._load_files()
            found = scan(self._pending.path)
            for group in found.groups:
                self._replay(group)
            if not self._size and (self.folder / "tile").is_dir():
                raise _damaged(self.folder / CHECKPOINT, "it is missing, and there are tiles")
            if read_only:
                return
            if found.torn:
                log.warning("a write to the ledger was cut off by a crash; nothing that was acknowledged is lost")
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._pending.open(found.end)
            files.sync([self.folder])
            self._thread = ThreadPoolExecutor(1, "ledger")
            self._settle()
        except OSError as error:
            raise _unusable(error) from None

    async def close(self) -> None:
        """Acknowledge what waits, and lay out everything."""
        if self._settler is not None:
            self._settler.cancel()
        while self._worker is not None:
            await asyncio.wait({self._worker})
        if self._thread is not None:
            with contextlib.suppress(Unavailable):  # it is safe in `pending`, and was logged
                await self.settle()
            self._thread.shutdown()
            self._thread = None
        self._pending.close()

    # writing

    def add(
        self, leaves: Sequence[bytes], *, signer: Signer | None = None, about_keys: bool = False
    ) -> asyncio.Future[range]:
        """Append entries; their indices, once they are safe from a power cut. All who wait share one group.

        Their place is behind all that was added before, also where nobody has awaited that yet. `signer` signs the
        checkpoint of this group, and of all after it; entries `about_keys` are bound by those. Raises `TooLarge`, or
        `Unavailable` where the disk or the signer fails: then none of them is in the log.
        """
        tiles.bundle(leaves)
        if self._thread is None:
            raise Unavailable("The ledger is open for reading only.", code="ledger_read_only")
        done: asyncio.Future[range] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(tuple(leaves), signer, about_keys, done))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="ledger")
        return done

    async def settle(self) -> None:
        """Lay out all that is acknowledged, and publish its checkpoint. Raises `Unavailable`."""
        assert self._thread is not None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._settle)
        except OSError as error:
            log.error("the ledger's files cannot be written: %s; what was acknowledged is safe", error.strerror)
            raise _unusable(error) from None

    def append(
        self, leaves: Sequence[bytes], *, signer: Signer | None = None, about_keys: Sequence[bytes] = ()
    ) -> range:
        """The same as `add`, for one writer; `about_keys` are those of the leaves that are about keys. Blocks."""
        by = signer or self.signer
        assert by is not None
        peaks, start = self._peaks.copy(), self._size
        hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
        for one in hashes:
            peaks.add(one)
        keys = self.key_hashes
        if keys is not None:
            keys = (*keys, *map(merkle.leaf_hash, about_keys))
        extensions = () if keys is None else (keyring.listed(keys),)
        note = signed(Checkpoint(self.origin, peaks.size, peaks.root(), extensions).text, self.origin, by)
        try:
            self._pending.write(Group(start, tuple(leaves), bytes(note)))
        except OSError as error:
            raise _unusable(error) from None
        self.signer, self.key_hashes = by, keys
        self._apply(leaves, hashes, peaks, note)
        return range(start, peaks.size)

    def sign_again(self) -> None:
        """Sign and publish the same tree anew, before anything is added: with what checkpoints bind today. Blocks.

        Raises `Unavailable`.
        """
        assert self.signer is not None
        assert self.settled == self._size
        extensions = () if self.key_hashes is None else (keyring.listed(self.key_hashes),)
        text = Checkpoint(self.origin, self._size, self._peaks.root(), extensions).text
        note = signed(text, self.origin, self.signer)
        try:
            files.write(self.folder / CHECKPOINT, bytes(note))
            files.sync([self.folder])
        except OSError as error:
            raise _unusable(error) from None
        self.note = note

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                if self._group_s:
                    await asyncio.sleep(self._group_s)
                batch = self._next_batch()
                await loop.run_in_executor(self._thread, self._commit, batch, loop)
                if self._size - self.settled >= SETTLE_ENTRIES:
                    with contextlib.suppress(Unavailable):
                        await self.settle()
        finally:
            self._worker = None
        if self._settler is None and self._size > self.settled:
            self._settler = loop.call_later(SETTLE_S, self._settle_later)

    def _next_batch(self) -> list[_Item]:
        """Those who wait, up to a group's length; one who brings a signer ends a group."""
        count = entries = 0
        for item in self._waiting:
            count, entries = count + 1, entries + len(item.leaves)
            if entries >= GROUP_ENTRIES or item.signer is not None:
                break
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    def _commit(self, batch: list[_Item], loop: asyncio.AbstractEventLoop) -> None:
        try:
            indices = self.append(
                [leaf for item in batch for leaf in item.leaves],
                signer=batch[-1].signer,
                about_keys=[leaf for item in batch if item.about_keys for leaf in item.leaves],
            )
        except Exception as error:  # noqa: BLE001 - whoever waits must learn of it
            loop.call_soon_threadsafe(_answer, batch, error)
        else:
            loop.call_soon_threadsafe(_answer, batch, indices)

    def _settle_later(self) -> None:
        self._settler = None
        task = asyncio.create_task(self.settle(), name="settle ledger")
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._settler is None and self._thread is not None:
            self._settler = asyncio.get_running_loop().call_later(10 * SETTLE_S, self._settle_later)

    def _settle(self) -> None:
        size, note = self._size, self.note
        if size > self.settled and note is not None:
            changed = list(_changed(self.settled, size))
            files.write_all(self.folder, self._laid_out(changed))
            files.write(self.folder / CHECKPOINT, bytes(note))
            files.sync([self.folder])
            self.settled = size
            for level, index, width in changed:
                if width == tiles.WIDTH:
                    self._forget(level, index)
        self._pending.clear()

    def _laid_out(self, changed: Sequence[tuple[int, int, int]]) -> Iterator[tuple[str, bytes]]:
        for level, index, width in changed:
            yield tiles.path(level, index, width), bytes(self._tiles[level, index])
            if level == 0:
                yield tiles.path(tiles.ENTRIES, index, width), tiles.bundle(self._bundles[index])

    def _forget(self, level: int, index: int) -> None:
        """Of a full tile that is on disk: its copy in memory, and its partial forms."""
        for kind in (level, tiles.ENTRIES) if level == 0 else (level,):
            shutil.rmtree(self.folder / f"{tiles.path(kind, index)}.p", ignore_errors=True)
        del self._tiles[level, index]
        if level == 0:
            del self._bundles[index]

    # the tree in memory

    def _apply(self, leaves: Sequence[bytes], hashes: Sequence[bytes], peaks: merkle.Peaks, note: Note) -> None:
        for number, (leaf, hash_) in enumerate(zip(leaves, hashes, strict=True), self._size):
            self._bundles.setdefault(number // tiles.WIDTH, []).append(leaf)
            level, index = 0, number // tiles.WIDTH
            while True:
                tile = self._tiles.setdefault((level, index), bytearray())
                tile += hash_
                if len(tile) < tiles.WIDTH * merkle.HASH_BYTES:
                    break
                hash_, level, index = tiles.top(bytes(tile)), level + 1, index // tiles.WIDTH
        self._peaks, self.note = peaks, note
        self._size = peaks.size  # last: whoever reads meanwhile finds all below it

    def _node(self, level: int, index: int) -> bytes:
        return tiles.node(self._tile, level, index)

    def _tile(self, level: int, index: int) -> bytes | bytearray:
        return self._tiles.get((level, index)) or self._full_tile(level, index)

    def _within(self, size: int) -> int:
        if not 0 <= size <= self._size:
            raise NotFound(f"The ledger has no tree of size {size} yet; it has {self._size} entries.")
        return size

    # the tree on disk

    def _load_files(self) -> None:
        path = self.folder / CHECKPOINT
        try:
            self.note = Note.parse(path.read_bytes())
            head = Checkpoint.parse(self.note.text)
        except FileNotFoundError:
            return
        except Invalid as error:
            raise _damaged(path, error.message) from None
        for level, index, width in tiles.widths(head.size):
            self._tiles[level, index] = bytearray(
                self._read(tiles.path(level, index, width), width * merkle.HASH_BYTES)
            )
            if level == 0:
                self._bundles[index] = self._read_bundle(index, width)
        self.origin, self._size, self.settled = head.origin, head.size, head.size
        self._peaks = merkle.peaks(head.size, self._node)
        if self._peaks.root() != head.root:
            raise _damaged(self.folder / "tile", "the newest tiles do not have the root that the checkpoint states")

    def _replay(self, group: Group) -> None:
        if group.end <= self.settled:
            return  # a crash came between publishing the checkpoint and emptying `pending`
        peaks, hashes = self._peaks.copy(), [merkle.leaf_hash(entry) for entry in group.entries]
        for one in hashes:
            peaks.add(one)
        note = Note.parse(group.note)
        head = Checkpoint.parse(note.text)
        if group.start != self._size or (head.size, head.root) != (peaks.size, peaks.root()):
            raise _damaged(
                self._pending.path, f"it goes on at entry {group.start}, and the tiles end at {self._size}: a hole"
            )
        self.origin = head.origin
        self._apply(group.entries, hashes, peaks, note)

    def _read(self, name: str, length: int | None) -> bytes:
        path = self.folder / name
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise _damaged(path, "it is missing") from None
        if length is not None and len(data) != length:
            raise _damaged(path, f"it has {len(data)} bytes instead of {length}")
        return data

    def _read_full_tile(self, level: int, index: int) -> bytes:
        """A full tile, compared with what lies above it: up to the newest tiles, which have the checkpoint's root."""
        name = tiles.path(level, index)
        data = self._read(name, tiles.WIDTH * merkle.HASH_BYTES)
        above, place = divmod(index, tiles.WIDTH)
        at = place * merkle.HASH_BYTES
        if tiles.top(data) != self._tile(level + 1, above)[at : at + merkle.HASH_BYTES]:
            raise _damaged(self.folder / name, "it does not match the tile above it")
        return data

    def _read_full_bundle(self, index: int) -> list[bytes]:
        return self._read_bundle(index, tiles.WIDTH)

    def _read_bundle(self, index: int, width: int) -> list[bytes]:
        name = tiles.path(tiles.ENTRIES, index, width)
        try:
            entries = tiles.unbundle(self._read(name, None))
        except Invalid as error:
            raise _damaged(self.folder / name, error.message) from None
        if len(entries) != width:
            raise _damaged(self.folder / name, f"it has {len(entries)} entries instead of {width}")
        return entries


def opened_for_reading(folder: Path, make: Callable[[Path], Log] = Log) -> Log:
    """The log as it is now, also beside a node that goes on writing to it."""
    for attempt in range(5):  # the node may lay out its entries between our reading of one file and of the next
        found = make(folder)
        try:
            found.open(read_only=True)
        except Unavailable:
            if attempt == 4:
                raise
        else:
            break
    return found


def _changed(old: int, new: int) -> Iterator[tuple[int, int, int]]:
    """The tiles that a tree has and an older one of it has not: level, index, width."""
    level = 0
    while new:
        if new > old:
            for index in range(old // tiles.WIDTH, (new + tiles.WIDTH - 1) // tiles.WIDTH):
                yield level, index, min(tiles.WIDTH, new - index * tiles.WIDTH)
        old, new, level = old // tiles.WIDTH, new // tiles.WIDTH, level + 1


def _answer(batch: list[_Item], found: range | Exception) -> None:
    start = 0 if isinstance(found, Exception) else found.start
    for item in batch:
        end = start + len(item.leaves)
        if not item.done.done():
            if isinstance(found, Exception):
                item.done.set_exception(found)
            else:
                item.done.set_result(range(start, end))
        start = end


def _damaged(path: Path, why: str) -> Unavailable:
    return Unavailable(
        f"The ledger was changed: {path}: {why.rstrip('.')}.",
        hint="Restore the ledger's folder from a backup. `intermodel doctor` shows every place.",
        code="ledger_damaged",
    )


def _unusable(error: OSError) -> Unavailable:
    return Unavailable(
        f"The ledger cannot be written or read: {error.strerror}: {error.filename or ''}".rstrip(": ") + ".",
        hint="Free some space in the data folder, or mend its permissions.",
        code="ledger_unusable",
    )
