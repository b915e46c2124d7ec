"""A log's tree and entries as plain files, 256 hashes or entries wide, which any web server can publish.

Source: C2SP tlog-tiles (https://c2sp.org/tlog-tiles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from intermodel.core import Invalid
from intermodel.core.errors import TooLarge
from intermodel.ledger.merkle import HASH_BYTES, node_hash

WIDTH = 256
ENTRIES = "entries"
LARGEST_ENTRY = 0xFFFF
"""Bytes of an entry: its length is written as 16 bits."""


def path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Where a tile of hashes, or with level `entries` a bundle of entries, lies: `tile/0/x001/x234/067.p/5`."""
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03d}")
    partial = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(reversed(parts))}{partial}"


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """The partial tiles of a tree: level, index, width."""
    level = 0
    while size:
        if size % WIDTH:
            yield level, size // WIDTH, size % WIDTH
        size //= WIDTH
        level += 1


def node(read: Callable[[int, int], bytes | bytearray], level: int, index: int) -> bytes:
    """The hash of a perfect subtree, from the tile that holds its 2**(level mod 8) topmost hashes."""
    tile_level, height = divmod(level, 8)
    first = index << height
    tile = read(tile_level, first // WIDTH)
    start = first % WIDTH * HASH_BYTES
    return top(bytes(tile[start : start + (HASH_BYTES << height)]))


def top(hashes: bytes) -> bytes:
    """The root over a power of two of hashes that lie one after another."""
    level = [hashes[i : i + HASH_BYTES] for i in range(0, len(hashes), HASH_BYTES)]
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each behind its length. Raises `TooLarge` for one that is longer than the format takes."""
    parts = []
    for entry in entries:
        if len(entry) > LARGEST_ENTRY:
            raise TooLarge(
                f"An entry of {len(entry):,} bytes is too large for the ledger, which takes {LARGEST_ENTRY:,}.",
                hint="State the digest of a long text instead of the text.",
                code="entry_too_large",
            )
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `Invalid` for one that is cut off."""
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise Invalid("A bundle of entries is cut off.", code="bundle_damaged")
        entries.append(data[at + 2 : end])
        at = end
    return entries
