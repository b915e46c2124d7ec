"""The tree against the definitions of RFC 6962, section 2.1, written down once more and without wit."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.ledger import merkle

SIZES = range(301)
LEAVES = [merkle.leaf_hash(f"leaf {i}".encode()) for i in SIZES]


def node(level: int, index: int) -> bytes:
    return merkle.root_of(LEAVES[index << level : (index + 1) << level])


def split(n: int) -> int:
    return max(1 << k for k in range(n.bit_length()) if 1 << k < n)


def mth(d: list[bytes]) -> bytes:
    if not d:
        return hashlib.sha256().digest()
    if len(d) == 1:
        return d[0]
    k = split(len(d))
    return hashlib.sha256(b"\1" + mth(d[:k]) + mth(d[k:])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: list[bytes], whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], whole), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    return [mth(LEAVES[:n]) for n in SIZES]


def test_roots_of_all_sizes(roots: list[bytes]) -> None:
    peaks = merkle.Peaks()
    for n in SIZES:
        assert merkle.root(n, node) == roots[n] == merkle.root_of(LEAVES[:n]) == peaks.root()
        assert merkle.peaks(n, node).root() == roots[n]
        if n < len(LEAVES):
            peaks.add(LEAVES[n])


@pytest.mark.parametrize(
    "sizes", [(*range(1, 70), 127, 128, 129, 255, 256, 257, 300), pytest.param(range(1, 301), marks=pytest.mark.slow)]
)
def test_every_proof_of_every_size_verifies(roots: list[bytes], sizes: Iterable[int]) -> None:
    known: dict[tuple[int, int], bytes] = {}

    def cached(level: int, index: int) -> bytes:
        if (level, index) not in known:
            known[level, index] = node(level, index)
        return known[level, index]

    for size in sizes:
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, cached)
            assert merkle.includes(index, size, LEAVES[index], proof, roots[size])
        for first in range(1, size + 1):
            proof = merkle.consistency_proof(first, size, cached)
            assert merkle.extends(first, size, roots[first], roots[size], proof)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 300), st.data())
def test_proofs_are_those_of_the_definition(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert merkle.inclusion_proof(index, size, node) == path(index, LEAVES[:size])
    assert merkle.consistency_proof(index + 1, size, node) == subproof(index + 1, LEAVES[:size], True)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.integers(1, 300), st.data())
def test_no_other_proof_verifies(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = merkle.root(size, node), merkle.inclusion_proof(index, size, node)
    other = data.draw(st.integers(0, 300).filter(lambda i: i != index))
    assert not merkle.includes(index, size, LEAVES[other], proof, root)
    assert not merkle.includes(index, size, LEAVES[index], [*proof, proof[-1] if proof else root], root)
    assert not merkle.includes(size, size, LEAVES[index], proof, root)
    if other < size:
        assert not merkle.includes(other, size, LEAVES[index], proof, root)
    if proof:
        assert not merkle.includes(index, size, LEAVES[index], proof[:-1], root)
    first = data.draw(st.integers(1, size))
    grown, before = merkle.consistency_proof(first, size, node), merkle.root(first, node)
    assert not merkle.extends(first, size, before, before if first < size else LEAVES[0][::-1], grown)
    assert not merkle.extends(first, size, before, root, [*grown, root])
    if grown:
        assert not merkle.extends(first, size, before, root, grown[:-1])


def test_a_proof_with_any_bit_changed_proves_nothing() -> None:
    rng = random.Random(6962)
    for size in (1, 2, 3, 7, 8, 100, 255, 256, 257, 300):
        index, first = rng.randrange(size), rng.randrange(1, size + 1)
        root, before = merkle.root(size, node), merkle.root(first, node)
        inclusion, consistency = (
            merkle.inclusion_proof(index, size, node),
            merkle.consistency_proof(first, size, node),
        )
        for place in range(len(inclusion) * 32):
            assert not merkle.includes(index, size, LEAVES[index], changed(inclusion, place), root)
        for place in range(len(consistency) * 32):
            assert not merkle.extends(first, size, before, root, changed(consistency, place))
        for place in range(32):
            assert not merkle.includes(index, size, changed([LEAVES[index]], place)[0], inclusion, root)
            assert not merkle.includes(index, size, LEAVES[index], inclusion, changed([root], place)[0])
            assert not merkle.extends(first, size, changed([before], place)[0], root, consistency)
            assert not merkle.extends(first, size, before, changed([root], place)[0], consistency)


def changed(proof: list[bytes], place: int) -> list[bytes]:
    joined = bytearray(b"".join(proof))
    joined[place] ^= 1 << (place % 8)
    return [bytes(joined[i : i + 32]) for i in range(0, len(joined), 32)]


def test_an_empty_tree_proves_nothing() -> None:
    assert not merkle.extends(0, 0, merkle.EMPTY, merkle.EMPTY, [])
    assert not merkle.extends(0, 5, merkle.EMPTY, merkle.root(5, node), [])
    assert not merkle.extends(5, 3, merkle.root(5, node), merkle.root(3, node), [])
    assert not merkle.includes(0, 0, LEAVES[0], [], LEAVES[0])


def test_hashes_of_another_length_are_none() -> None:
    root = merkle.root(2, node)
    assert merkle.includes(0, 2, LEAVES[0], [LEAVES[1]], root)
    assert not merkle.includes(0, 2, LEAVES[0], [LEAVES[1] + b"\0"], root)
    assert not merkle.includes(0, 1, b"", [], b"")
