"""A part of the index: some entries as sorted arrays, made once and never changed. Pure.

An entry is known by its number, which grows with each change; within a segment by its place. A word's *postings* are
the places of the entries that hold it, in order; all words are sorted, so that those with a common beginning, and their
postings, lie side by side.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from intermodel.records.catalogue.entry import UNKNOWN, Entry
from intermodel.records.catalogue.query import FACETS
from intermodel.records.catalogue.words import indexed, pieces

Array = NDArray[Any]
Combination = tuple[str, ...]
"""All values that an entry has in one facet."""
READERS = "readers"
COLUMNS = (*FACETS, READERS)
PRIVATE = "\0"
"""What readers have who are not everybody, and before each name: no value of a facet, and no other's name."""
FORMAT = 1


class DamagedError(Exception):
    """The bytes of a segment are not what was written. It can be made again from the entries."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Of each entry in order, which of the `combinations` it has."""

    combinations: tuple[Combination, ...]
    codes: Array


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """See the module. `postings` hold a place, doubled, and one more where the word is in the address or name."""

    numbers: Array
    ranks: Array
    words: Array
    starts: Array
    """Where in `postings` a word's begin; the next word's start is their end."""
    postings: Array
    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def first(self) -> int:
        return int(self.numbers[0])

    @property
    def last(self) -> int:
        return int(self.numbers[-1])

    def holding(self, word: str, beginning: bool = False) -> Array:
        """The postings of a word, or of all that begin with it (in no order then, and some more than once)."""
        key = word.encode()
        low = int(np.searchsorted(self.words, key))
        if beginning:
            high = int(np.searchsorted(self.words, key + b"\xff"))
        else:
            high = low + (low < len(self.words) and self.words[low] == key)
        return self.postings[self.starts[low] : self.starts[high]]

    def places(self, numbers: Sequence[int]) -> Array:
        """Where the entries of those numbers are; others are left out."""
        wanted = np.array(numbers, np.int64)
        found = np.searchsorted(self.numbers, wanted).clip(max=len(self) - 1)
        there: Array = found[self.numbers[found] == wanted]
        return there


def build(entries: Sequence[tuple[int, Entry]]) -> Segment:
    """The segment of some entries, at least one, whose numbers ascend."""
    ids = _Ids()
    word_of, posting = array("q"), array("q")
    for place, (_, entry) in enumerate(entries):
        named = ids.of(f"{entry.address} {entry.name}" if entry.name else entry.address)
        about = ids.of_values((*entry.tags, *entry.tasks))
        if entry.summary:
            about |= ids.of(entry.summary)
        about -= named
        word_of.extend(named)
        word_of.extend(about)
        posting.extend([place << 1 | 1] * len(named))
        posting.extend([place << 1] * len(about))
    words = np.array([word.encode() for word in ids.words], dtype=np.bytes_)
    order = np.argsort(words)
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    return _assembled(
        np.array([number for number, _ in entries], np.int64),
        np.array([entry.rank for _, entry in entries], np.uint64),
        words[order],
        place_of[np.frombuffer(word_of, np.int64)],
        np.frombuffer(posting, np.int64),
        {name: _told([attribute(entry) for _, entry in entries]) for name, attribute in _ATTRIBUTES.items()},
    )


_ATTRIBUTES: dict[str, Callable[[Entry], Any]] = {
    "kind": attrgetter("kind"),
    "task": attrgetter("tasks"),
    "licence": attrgetter("licence"),
    "grade": attrgetter("grade"),
    "size": attrgetter("size"),
    "language": attrgetter("languages"),
    "tier": attrgetter("tier"),
    "owner": attrgetter("owner"),
    READERS: lambda entry: () if entry.readers is None else (PRIVATE, *(PRIVATE + name for name in entry.readers)),
}


def _told(values: Sequence[Any]) -> Column:
    """A column of what entries say: a value, several in a tuple, or nothing, which is empty or None."""
    told: dict[Any, int] = {}
    codes = np.array([told.setdefault(value, len(told)) for value in values], np.int64)
    known: dict[Combination, int] = {}
    table = np.array([known.setdefault(_combination(value), len(known)) for value in told], np.int64)
    return Column(tuple(known), _small(table[codes], len(known)))


def _combination(value: Any) -> Combination:
    values = value if isinstance(value, tuple) else () if value is None else (str(value),)
    return tuple(one for one in values if one not in ("", UNKNOWN))


class _Ids:
    """Numbers of words, and those of the words in texts. What many entries have is taken apart once."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self._pieces: dict[str, list[int]] = {}
        self._values: dict[str, frozenset[int]] = {}

    def of(self, text: str) -> set[int]:
        found: set[int] = set()
        for piece in pieces(text):
            known = self._pieces.get(piece)
            if known is None:
                words = self.words
                known = self._pieces[piece] = [words.setdefault(word, len(words)) for word in indexed(piece)]
            found.update(known)
        return found

    def of_values(self, values: Sequence[str]) -> set[int]:
        for value in values:
            if value not in self._values:
                self._values[value] = frozenset(self.of(value))
        return set().union(*[self._values[value] for value in values])


def merged(parts: Sequence[tuple[Segment, Array | None]]) -> Segment | None:
    """One segment of several that follow each other, of the entries that live (all, where None). None is of nothing."""
    lives = [np.ones(len(s), bool) if alive is None else alive for s, alive in parts]
    if not any(alive.any() for alive in lives):
        return None
    words = np.unique(np.concatenate([s.words for s, _ in parts]))
    word_ids, postings, before = [], [], 0
    for (segment, _), alive in zip(parts, lives, strict=True):
        ids = np.repeat(np.searchsorted(words, segment.words), segment.starts[1:] - segment.starts[:-1])
        places = segment.postings >> 1
        kept = alive[places]
        moved = np.cumsum(alive) - 1 + before
        word_ids.append(ids[kept])
        postings.append(moved[places[kept]] << 1 | (segment.postings[kept] & 1))
        before += int(alive.sum())
    return _assembled(
        np.concatenate([s.numbers[alive] for (s, _), alive in zip(parts, lives, strict=True)]),
        np.concatenate([s.ranks[alive] for (s, _), alive in zip(parts, lives, strict=True)]),
        words,
        np.concatenate(word_ids),
        np.concatenate(postings),
        {name: _column([(s.columns[name], a) for (s, _), a in zip(parts, lives, strict=True)]) for name in COLUMNS},
    )


def _column(parts: Sequence[tuple[Column, Array]]) -> Column:
    known: dict[Combination, int] = {}
    codes = []
    for column, alive in parts:
        used = column.codes[alive]
        table = np.zeros(len(column.combinations), np.int64)
        for old in np.unique(used).tolist():
            table[old] = known.setdefault(column.combinations[old], len(known))
        codes.append(table[used])
    return Column(tuple(known), _small(np.concatenate(codes), len(known)))


def _assembled(
    numbers: Array, ranks: Array, words: Array, word_ids: Array, postings: Array, columns: dict[str, Column]
) -> Segment:
    """`word_ids` says of which of the sorted `words` each posting is. Words of none are dropped."""
    order = np.argsort(word_ids, kind="stable")
    each = np.bincount(word_ids, minlength=len(words))
    starts = np.zeros(int((each > 0).sum()) + 1, np.uint32)
    np.cumsum(each[each > 0], out=starts[1:])
    held = words[each > 0]
    width = max(1, int(np.char.str_len(held).max(initial=1)))
    return Segment(numbers, ranks, held.astype(f"S{width}"), starts, postings[order].astype(np.uint32), columns)


def _small(codes: Array, values: int) -> Array:
    return codes.astype(np.uint8 if values <= 1 << 8 else np.uint16 if values <= 1 << 16 else np.uint32)


def written(segment: Segment) -> bytes:
    """The segment as bytes: a checksum, a line of JSON that says what follows, and the arrays."""
    arrays = {"numbers": segment.numbers, "ranks": segment.ranks, "words": segment.words, "starts": segment.starts,
              "postings": segment.postings, **{f".{name}": c.codes for name, c in segment.columns.items()}}  # fmt: skip
    body = b"".join(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in arrays.values())
    head = {
        "format": FORMAT,
        "arrays": [[name, a.dtype.newbyteorder("<").str, len(a)] for name, a in arrays.items()],
        "combinations": {name: c.combinations for name, c in segment.columns.items()},
    }
    told = orjson.dumps(head) + b"\n" + body
    return b"%08x\n" % zlib.crc32(told) + told


def read(data: bytes) -> Segment:
    """The other way. Raises `DamagedError`, also for a format of another version."""
    try:
        if data[:9] != b"%08x\n" % zlib.crc32(memoryview(data)[9:]):
            raise DamagedError
        end = data.index(b"\n", 9)
        head = orjson.loads(data[9:end])
        if head["format"] != FORMAT:
            raise DamagedError
        arrays, at = {}, end + 1
        for name, kind, length in head["arrays"]:
            arrays[name] = np.frombuffer(data, np.dtype(kind), length, at)
            at += arrays[name].nbytes
        columns = {
            name: Column(tuple(map(tuple, head["combinations"][name])), arrays.pop(f".{name}")) for name in COLUMNS
        }
        return Segment(columns=columns, **arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError from error


def to_merge(sizes: Sequence[int], most: int, fan: int = 8) -> slice | None:
    """Which neighbours among segments of those sizes had better be one: the last `fan` of about the same size.

    So an entry is copied about once for each power of `fan`, and there are about `fan` segments of each size. What
    would be larger than `most` is left alone.
    """
    if len(sizes) < fan:
        return None
    last = sizes[-fan:]
    if sum(last) > most or max(last) > fan * max(1, min(last)):
        return None
    return slice(len(sizes) - fan, len(sizes))
