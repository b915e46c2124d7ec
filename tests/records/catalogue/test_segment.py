import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.records.catalogue import Entry
from intermodel.records.catalogue.errors import DamagedError
from intermodel.records.catalogue.index import Indexer, without
from intermodel.records.catalogue.segment import Builder, Segment, build, merged, read, to_merge, written

ENTRIES = [Entry(f"o{i % 3}/llama-{i}", tasks=("t",) * (i % 2), summary="some words", parameters=i) for i in range(40)]


def told(segment: Segment) -> object:
    """All that a segment says, as plain values."""
    postings = {word: segment.holding(word.decode()).tolist() for word in segment.words.tolist()}
    columns = {
        name: [column.combinations[code] for code in column.codes.tolist()] for name, column in segment.columns.items()
    }
    return segment.numbers.tolist(), segment.ranks.tolist(), postings, columns


def test_bytes_say_the_same() -> None:
    segment = build(list(enumerate(ENTRIES, 5)))
    assert told(read(written(segment))) == told(segment)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_says_the_same(at: int, change: int) -> None:
    data = bytearray(written(build(list(enumerate(ENTRIES[:10], 1)))))
    segment = read(bytes(data))
    data[at % len(data)] ^= change
    with contextlib.suppress(DamagedError):
        assert told(read(bytes(data))) == told(segment)


@pytest.mark.parametrize("data", [b"", b"{}", b"\n", b"[]\n", b'{"format": 2}\n', b"\xff\n"])
def test_other_bytes_are_no_segment(data: bytes) -> None:
    with pytest.raises(DamagedError):
        read(data)


@given(st.permutations(range(len(ENTRIES))), st.lists(st.integers(0, 20), max_size=4), st.integers(1, len(ENTRIES)))
def test_what_comes_some_at_a_time_is_built_in_any_order(order: list[int], lengths: list[int], most: int) -> None:
    builder, at = Builder(), 0
    for length in (*lengths, len(ENTRIES)):
        builder.add(ENTRIES[at : at + length])
        at += length
    segment = merged([(builder.segment(range(5, 5 + most), order[:most]), None)])  # drops the words of none
    assert segment is not None
    assert told(segment) == told(build([(number, ENTRIES[i]) for number, i in enumerate(order[:most], 5)]))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.sets(st.integers(1, 40)))
def test_merging_is_building_of_what_lives(lengths: list[int], gone: set[int]) -> None:
    numbered = list(enumerate(ENTRIES, 1))[: sum(lengths)]
    parts, at = [], 0
    for length in lengths:
        if some := numbered[at : at + length]:
            view = without(Indexer().view(build(some)), sorted(gone))
            parts.append((view.segment, view.alive))
        at += length
    living = [(number, entry) for number, entry in numbered if number not in gone]
    result = merged(parts)
    if not living:
        assert result is None
    else:
        assert result is not None
        assert told(result) == told(build(living))


@given(st.integers(1, 3000), st.integers(2, 9))
def test_segments_stay_few(puts: int, fan: int) -> None:
    sizes: list[int] = []
    for _ in range(puts):
        sizes.append(1)
        while (some := to_merge(sizes, 10**9, fan)) is not None:
            sizes[some] = [sum(sizes[some])]
    assert sum(sizes) == puts
    assert len(sizes) <= fan * 12


def test_what_would_be_too_large_is_left() -> None:
    assert to_merge([100] * 8, 799) is None
    assert to_merge([100] * 8, 800) == slice(0, 8)
