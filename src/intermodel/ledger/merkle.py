"""Merkle trees as Certificate Transparency has them: hashes, proofs, and checking proofs. Pure functions.

Source: RFC 6962, section 2.1 (hashes and paths); RFC 9162, sections 2.1.3.2 and 2.1.4.2 (how a proof is checked).
The tree over n leaves is named by n, its *size*; `node(level, index)` is the hash of the perfect subtree over
the leaves from `index * 2**level` up to `(index + 1) * 2**level`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256().digest()
"""The root of the tree without leaves."""

Node = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf, which no inner node can have: it begins with another byte."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over leaves, given by their hashes."""
    level = list(hashes)
    if not level:
        return EMPTY
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)] + odd
    return level[0]


class Peaks:
    """The roots of the perfect subtrees that make up a tree, largest first: all that is needed to add leaves to it."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self._hashes = list(hashes)

    def copy(self) -> Peaks:
        return Peaks(self.size, self._hashes)

    def add(self, leaf: bytes) -> None:
        """Add a leaf, given by its hash."""
        size = self.size
        while size & 1:
            leaf = node_hash(self._hashes.pop(), leaf)
            size >>= 1
        self._hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return _folded(self._hashes)


def peaks(size: int, node: Node) -> Peaks:
    """The peaks of a tree whose nodes are kept somewhere."""
    return Peaks(size, _subtrees(0, size, node))


def root(size: int, node: Node) -> bytes:
    """The root of the tree of that size."""
    return _range(0, size, node) if size else EMPTY


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """RFC 6962, 2.1.1: the path from a leaf to the root, from the leaf's sibling up."""
    low, high, path = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    return [_range(start, end, node) for start, end in reversed(path)]


def consistency_proof(first: int, second: int, node: Node) -> list[bytes]:
    """RFC 6962, 2.1.2: that the tree of size `first` is how that of size `second` began; 0 < first <= second."""
    low, high, whole, path = 0, second, True, []
    while high != first:
        middle = low + _split(high - low)
        if first <= middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low, whole = middle, False
    if not whole:
        path.append((low, high))
    return [_range(start, end, node) for start, end in reversed(path)]


def includes(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows the leaf (given by its hash) at that index of the tree with that size and root."""
    if not 0 <= index < size or not _hashes(leaf, root, *proof):
        return False
    place, last, found = index, size - 1, leaf
    for hash_ in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(hash_, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, hash_)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def extends(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the second tree begins with the first. An empty first tree proves nothing: no."""
    if not 0 < first <= second or not _hashes(first_root, second_root, *proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof) if first & (first - 1) else [first_root, *proof]
    if not path:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for hash_ in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _hashes(*found: bytes) -> bool:
    return all(len(one) == HASH_BYTES for one in found)


def _split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def _range(low: int, high: int, node: Node) -> bytes:
    """The root over leaves `low` to `high`, where `low` is one at which such a subtree can begin."""
    return _folded(_subtrees(low, high, node))


def _subtrees(low: int, high: int, node: Node) -> list[bytes]:
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        found.append(node(level, low >> level))
        low += 1 << level
    return found


def _folded(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return EMPTY
    found = hashes[-1]
    for one in reversed(hashes[:-1]):
        found = node_hash(one, found)
    return found
