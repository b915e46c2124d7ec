"""Looking a ledger over, byte by byte: what was changed, and where. Nothing is written.

Each entry is hashed and compared with its hash in the tile, each tile with its hash in the tile above, and the topmost
with the checkpoint. Where two disagree, what lies above tells which of them was changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from intermodel.core import IntermodelError, Invalid, Unavailable
from intermodel.ledger import merkle, tiles
from intermodel.ledger import pending as pendings
from intermodel.ledger.cosigned import COSIGNED, COSIGNED_MOST
from intermodel.ledger.entry import entry_of, row_of
from intermodel.ledger.heads import KEY_ENTRIES, checked_ring, found_heads
from intermodel.ledger.history import PUBLISHED, History
from intermodel.ledger.index import Index, Row
from intermodel.ledger.ledger import FOLDER, KEYS
from intermodel.ledger.log import CHECKPOINT, PENDING, opened_for_reading
from intermodel.ledger.note import Checkpoint, Note, Verifier
from intermodel.ledger.personal import Personal
from intermodel.storage import Database

_HASH = merkle.HASH_BYTES
_BATCH = 1000
_RESTORE = "Restore this file from a backup."
_REINDEX = "The index can be made anew from the ledger: `intermodel ledger reindex`, with the node stopped."
Receipts = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not what it was: where, what, and how to mend it. `sure` is False where a crash may do that."""

    where: str
    what: str
    mend: str = _RESTORE
    sure: bool = True


async def examine(data: Path, database: Database | None = None, receipts: Receipts | None = None) -> list[Damage]:
    """All that was changed in the ledger of a data folder, and in what the database knows of it.

    `receipts` gives the bytes of receipts by their ids, to be compared with what the ledger covers.
    """
    folder = data / FOLDER
    if not folder.is_dir():
        known = await Index(database, _log_name(data)).size() if database else 0
        return [Damage(str(folder), "it is missing")] if known else []
    found = await asyncio.to_thread(lambda: list(_files(folder)))
    if database is not None:
        found += await _database(folder, database, receipts, _log_name(data))
    return found


def _log_name(data: Path) -> str:
    """As the index calls the ledger of a data folder; of one without keys nothing is in it."""
    try:
        return (data / KEYS / "log").read_text().strip()
    except OSError:
        return ""


def _files(folder: Path) -> Iterator[Damage]:
    path = folder / CHECKPOINT
    head = Checkpoint("", 0, merkle.EMPTY)
    if path.exists():
        try:
            head = Checkpoint.parse(Note.parse(path.read_bytes()).text)
        except Invalid as error:
            yield Damage(str(path), error.message)
            return
    elif (folder / "tile").is_dir() and not _begins_anew(folder):
        yield Damage(str(path), "it is missing, and there are tiles")
        return
    tree = _Tree(folder, head)
    tree.examine()
    found = [*tree.damage, *_pending(folder, tree, head)]
    yield from found
    if not any(one.sure for one in found):
        yield from _signatures(folder)


def _begins_anew(folder: Path) -> bool:
    """Whether the first checkpoint was about to be published when a crash came."""
    try:
        groups = pendings.scan(folder / PENDING).groups
    except Unavailable:
        return False
    return bool(groups) and groups[0].start == 0


@dataclass(slots=True)
class _Tree:
    """The tiles and bundles of one checkpoint. `kept` holds what each tile says, or should."""

    folder: Path
    head: Checkpoint
    damage: list[Damage] = field(default_factory=list)
    kept: dict[tuple[int, int], bytearray] = field(default_factory=dict)
    bundles: dict[int, list[bytes]] = field(default_factory=dict)
    absent: set[tuple[int, int]] = field(default_factory=set)
    """Tiles whose file is not there."""
    emptied: set[int] = field(default_factory=set)
    """Bundles of entries whose file is not there: what is missing is said once, and not of each entry."""

    def examine(self) -> None:
        size, level = self.head.size, 0
        while size:
            for index in range((size + tiles.WIDTH - 1) // tiles.WIDTH):
                width = min(tiles.WIDTH, size - index * tiles.WIDTH)
                self.kept[level, index] = self._stored(level, index, width)
            size, level = size // tiles.WIDTH, level + 1
        for tile_level, index in sorted(self.kept):
            self._compare(tile_level, index)
        if not self.damage and merkle.root(self.head.size, self._node) != self.head.root:
            self._say(self.folder / CHECKPOINT, "its root is not that of the tiles, which agree among themselves")
        self._strangers()

    def _stored(self, level: int, index: int, width: int) -> bytearray:
        path = self.folder / tiles.path(level, index, width)
        data = path.read_bytes() if path.exists() else b""
        if not path.exists():
            self.absent.add((level, index))
            self._say(path, "it is missing")
        elif len(data) != width * _HASH:
            self._say(path, f"it has {len(data)} bytes instead of {width * _HASH}")
        return bytearray(data[: width * _HASH].ljust(width * _HASH, b"\0"))

    def _compare(self, level: int, index: int) -> None:
        """What lies below a tile with what the tile says."""
        stored = self.kept[level, index]
        width = len(stored) // _HASH
        below = self._entries(index, width) if level == 0 else self._tops(level, index, width)
        if (level, index) in self.absent:
            known = [one for one in below if one is not None]
            if len(known) == width:  # what lies above is then compared with what it was
                stored[:] = b"".join(known)
            return
        if level == 0 and index in self.emptied:
            return
        wrong = [i for i in range(width) if below[i] != bytes(stored[i * _HASH : (i + 1) * _HASH])]
        for i in wrong:
            if level and self._is_lost(index * tiles.WIDTH + i, level - 1):
                continue  # its file is missing, as was said
            self._judge(level, index, i, width, below[i])

    def _judge(self, level: int, index: int, place: int, width: int, derived: bytes | None) -> None:
        """Which was changed: the hash in the tile, or what it is of. What lies above the tile tells."""
        tile_path = self.folder / tiles.path(level, index, width)
        at = f"bytes {place * _HASH} to {(place + 1) * _HASH}: the hash of {self._name(level, index, place)}"
        if self._is_right(level, index):
            self._below(level, index, place, width)
            return
        if derived is not None:
            stored = bytes(self.kept[level, index])
            self.kept[level, index][place * _HASH : (place + 1) * _HASH] = derived
            if self._is_right(level, index) or level > 0:
                self._say(tile_path, f"{at} was changed")
                return
            self.kept[level, index][:] = stored
        self._say(tile_path, f"{at}, or that itself, was changed")

    def _below(self, level: int, index: int, place: int, width: int) -> None:
        """The tile is right, and what it is of is not."""
        if level:
            child = index * tiles.WIDTH + place
            self._say(self.folder / tiles.path(level - 1, child), "some of its hashes were changed")
            return
        number = index * tiles.WIDTH + place
        start = sum(2 + len(one) for one in self.bundles.get(index, [])[:place])
        path = self.folder / tiles.path(tiles.ENTRIES, index, width)
        self._say(path, f"entry {number} was changed or is missing, from byte {start} on")

    def _is_right(self, level: int, index: int) -> bool:
        """Whether a tile has the hash that the tile above, or for the last ones the checkpoint, says."""
        tile = self.kept[level, index]
        parent = self.kept.get((level + 1, index // tiles.WIDTH))
        if len(tile) == tiles.WIDTH * _HASH and parent is not None:
            at = index % tiles.WIDTH * _HASH
            return tiles.top(bytes(tile)) == bytes(parent[at : at + _HASH])
        return merkle.root(self.head.size, self._node) == self.head.root

    def _entries(self, index: int, width: int) -> list[bytes | None]:
        path = self.folder / tiles.path(tiles.ENTRIES, index, width)
        data = path.read_bytes() if path.exists() else b""
        if not path.exists():
            self.emptied.add(index)
            first = index * tiles.WIDTH
            held = f"entries {first} to {first + width - 1} are" if width > 1 else f"entry {first} is"
            self._say(path, f"it is missing: {held} in it")
        found: list[bytes] = []
        at = 0
        while at + 2 <= len(data) and len(found) < width:
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data):
                break
            found.append(data[at + 2 : end])
            at = end
        if len(found) == width and at != len(data):
            self._say(path, f"bytes {at} to {len(data)} do not belong there")
        self.bundles[index] = found
        return [merkle.leaf_hash(one) for one in found] + [None] * (width - len(found))

    def _tops(self, level: int, index: int, width: int) -> list[bytes | None]:
        first = index * tiles.WIDTH
        return [
            None if self._is_lost(first + i, level - 1) else tiles.top(bytes(self.kept[level - 1, first + i]))
            for i in range(width)
        ]

    def _is_lost(self, index: int, level: int) -> bool:
        """Whether a tile is not there, and cannot be made from what lies below it."""
        return (level, index) in self.absent and not any(self.kept[level, index])

    def _strangers(self) -> None:
        """Files that no checkpoint of this size has, and partial tiles of earlier ones."""
        right = {
            tiles.path(kind, index, len(tile) // _HASH): (level, index, kind)
            for (level, index), tile in self.kept.items()
            for kind in ((level, tiles.ENTRIES) if level == 0 else (level,))
        }
        for path in sorted((self.folder / "tile").rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_dir() or name in right or path.name.startswith("."):
                continue
            base, partial, width = name.rpartition(".p/")
            owner = next((one for key, one in right.items() if key.partition(".p/")[0] == base), None)
            if not partial or owner is None or not width.isdecimal():
                self._say(path, "no tree of this ledger has this file", sure=False)
            elif not self._began(owner, int(width), path.read_bytes()):
                self._say(path, "it is not how the tile began")

    def _began(self, owner: tuple[int, int, int | str], width: int, data: bytes) -> bool:
        """Whether a tile, or a bundle of entries, was like that when it was so wide."""
        level, index, kind = owner
        if kind == tiles.ENTRIES:
            try:
                data = b"".join(map(merkle.leaf_hash, tiles.unbundle(data)))
            except Invalid:
                return False
        return len(data) == width * _HASH and self.kept[level, index].startswith(data)

    def _node(self, level: int, index: int) -> bytes:
        return tiles.node(lambda tile_level, number: self.kept[tile_level, number], level, index)

    def _name(self, level: int, index: int, place: int) -> str:
        number = index * tiles.WIDTH + place
        return f"entry {number}" if level == 0 else f"{tiles.path(level - 1, number)}"

    def _say(self, path: Path, what: str, *, sure: bool = True) -> None:
        self.damage.append(Damage(str(path), what, sure=sure))


def _pending(folder: Path, tree: _Tree, head: Checkpoint) -> Iterator[Damage]:
    path = folder / PENDING
    try:
        found = pendings.scan(path)
    except Unavailable as error:
        yield Damage(str(path), error.message)
        return
    if found.torn:
        what = f"from byte {found.end} on there is a write that was cut off; nothing acknowledged is lost by it"
        yield Damage(str(path), what, "The next start takes it away.", sure=False)
    for group in found.groups:
        for number, one in enumerate(group.entries, group.start):
            bundle = tree.bundles.get(number // tiles.WIDTH, [])
            if number // tiles.WIDTH in tree.emptied:
                continue
            if number < head.size and bundle[number % tiles.WIDTH : number % tiles.WIDTH + 1] != [one]:
                yield Damage(str(path), f"entry {number} is another one than in the tiles")


def _signatures(folder: Path) -> Iterator[Damage]:
    """The history of the keys, and the checkpoints, against each other."""
    try:
        log = opened_for_reading(folder)
        if not log.size:
            return
        heads = found_heads(log)
        ring = checked_ring(log, heads)
    except (IntermodelError, OSError) as error:
        yield Damage(str(folder / CHECKPOINT), str(error))
        return
    path = folder / KEY_ENTRIES
    if path.exists() and path.read_bytes() != b"".join(b"%d\n" % one for one in heads):
        yield Damage(str(path), f"the entries about keys are {heads}", "Delete it: it is made anew.")
    yield from _published_keys(folder / PUBLISHED, Verifier(log.origin, ring.current.key))
    for name in (CHECKPOINT, COSIGNED, COSIGNED_MOST):
        path = folder / name
        try:
            note = Note.parse(path.read_bytes())
            head = Checkpoint.parse(note.text)
            by = note.signed_by(Verifier(head.origin, key) for key in ring.heads(head.size))
            whole = head.origin == log.origin and 0 < head.size <= log.size and log.root(head.size) == head.root
            if not by or not whole:
                yield Damage(str(path), "it is not signed by the ledger's key, or not of this tree")
        except FileNotFoundError:
            continue
        except IntermodelError as error:
            yield Damage(str(path), error.message)


def _published_keys(path: Path, key: Verifier) -> Iterator[Damage]:
    """What others are shown of the keys: whether it holds, and leads to the one that signs now."""
    try:
        History.of(path.read_bytes(), [key])
    except FileNotFoundError:
        return
    except (IntermodelError, OSError) as error:
        yield Damage(str(path), str(error), "Start the node: it is made anew.")


async def _database(folder: Path, database: Database, receipts: Receipts | None, name: str) -> list[Damage]:
    found: list[Damage] = []
    if database.dialect == "sqlite":
        async with database.begin() as db:
            said = [str(row[0]) for row in (await db.execute(text("PRAGMA integrity_check"))).all()]
        found += [Damage("database", one) for one in said if one != "ok"]
    for one in await Personal(database).changed():
        found.append(Damage(f"database, table personal, {one}", "the value or its salt was changed"))
    try:
        log = await asyncio.to_thread(opened_for_reading, folder)
        return (
            found
            + await _index(log.size, lambda number: row_of(entry_of(number, log.entry(number))), Index(database, name))
            + (
                await _sealed(
                    lambda number: entry_of(number, log.entry(number)).statement,
                    log.size,
                    Index(database, name),
                    receipts,
                )
            )
        )
    except Unavailable:
        return found  # the files tell where


async def _index(size: int, row: Callable[[int], Row], index: Index) -> list[Damage]:
    known = await index.size()
    found: list[Damage] = []
    if known > size:
        found.append(Damage("the ledger", f"it ends at entry {size}, and the database knows {known}: a hole"))
    for low in range(0, min(known, size), _BATCH):
        high = min(low + _BATCH, known, size)
        rows = await index.rows(low, high)
        for number in range(low, high):
            if rows.get(number) != row(number):
                what = "is missing" if number not in rows else "was changed"
                found.append(Damage(f"database, index of entry {number}", f"it {what}", _REINDEX))
    return found


async def _sealed(said: Callable[[int], object], size: int, index: Index, receipts: Receipts | None) -> list[Damage]:
    found: list[Damage] = []
    for group in await index.groups():
        where = f"database, receipts of entry {group.entry}"
        statement = said(group.entry) if group.entry < size else None
        predicate = getattr(statement, "predicate", {})
        covered = [predicate.get(name) for name in ("root", "count", "first", "last")]
        kept = [merkle.root_of(group.hashes).hex(), len(group.ids), group.first, group.last]
        if covered != kept or (group.first, group.last) != (min(group.ids), max(group.ids)):
            found.append(Damage(where, "they are not those that the entry covers"))
        elif receipts is not None:
            now = await receipts(group.ids)
            found += [
                Damage(f"database, receipt {one}", f"it is not the one that entry {group.entry} covers")
                for one, hash_ in zip(group.ids, group.hashes, strict=True)
                if one in now and merkle.leaf_hash(now[one]) != hash_
            ]
    return found
