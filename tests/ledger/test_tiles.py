from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.core.errors import TooLarge
from intermodel.ledger import merkle, tiles


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (tiles.path(0, 0), "tile/0/000"),
        (tiles.path(1, 999), "tile/1/999"),
        (tiles.path(0, 1000), "tile/0/x001/000"),
        (tiles.path(0, 1234067), "tile/0/x001/x234/067"),  # the example of the specification
        (tiles.path(3, 1234, 17), "tile/3/x001/234.p/17"),
        (tiles.path(tiles.ENTRIES, 5, 1), "tile/entries/005.p/1"),
    ],
)
def test_paths(found: str, path: str) -> None:
    assert found == path


def test_partial_tiles_of_the_specifications_examples() -> None:
    assert list(tiles.widths(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(tiles.widths(256)) == [(1, 0, 1)]
    assert list(tiles.widths(0)) == []


def test_a_node_is_the_root_over_its_leaves() -> None:
    leaves = [merkle.leaf_hash(b"%d" % i) for i in range(512)]
    tile0 = {i: b"".join(leaves[i * 256 : (i + 1) * 256]) for i in range(2)}
    tile1 = b"".join(tiles.top(tile0[i]) for i in range(2))

    def read(level: int, index: int) -> bytes:
        return tile0[index] if level == 0 else tile1

    for level in range(10):
        for index in range(512 >> level):
            expected = merkle.root_of(leaves[index << level : (index + 1) << level])
            assert tiles.node(read, level, index) == expected


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_bundles(entries: list[bytes]) -> None:
    data = tiles.bundle(entries)
    assert tiles.unbundle(data) == entries
    if data:
        with pytest.raises(Invalid):
            tiles.unbundle(data + b"\0")


def test_an_entry_too_large() -> None:
    assert tiles.unbundle(tiles.bundle([b"x" * 65535])) == [b"x" * 65535]
    with pytest.raises(TooLarge, match="65,536"):
        tiles.bundle([b"x" * 65536])
