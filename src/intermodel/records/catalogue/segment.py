"""A part of the index: some entries as sorted arrays, made once and never changed. Pure.

An entry is known by its number, which grows with each change; within a segment by its place. A word's *postings* are
the places of the entries that hold it, in order; all words are sorted, so that those with a common beginning, and their
postings, lie side by side.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from intermodel.records.catalogue.entry import UNKNOWN, Entry, size_of
from intermodel.records.catalogue.errors import DamagedError
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

    def moved(self, by: int) -> Segment:
        """The segment with other numbers."""
        return replace(self, numbers=self.numbers + by)

    def holding(self, word: str, beginning: bool = False) -> Array:
        """The postings of a word, or of all that begin with it (in no order then, and some more than once)."""
        key = word.encode()
        low = int(np.searchsorted(self.words, key))
        if beginning:
            high = int(np.searchsorted(self.words, key + b"\xff"))
        else:
            high = low + (low < len(self.words) and self.words[low] == key)
        return self.postings[self.starts[low] : self.starts[high]]

    def frequent(self, words: Array) -> Array:
        """How many postings each of those words has."""
        if not len(self.words):
            return np.zeros(len(words), np.int64)
        at = np.searchsorted(self.words, words).clip(max=len(self.words) - 1)
        return np.where(self.words[at] == words, np.diff(self.starts.astype(np.int64))[at], 0)

    def places(self, numbers: Sequence[int]) -> Array:
        """Where the entries of those numbers are; others are left out."""
        wanted = np.array(numbers, np.int64)
        found = np.searchsorted(self.numbers, wanted).clip(max=len(self) - 1)
        there: Array = found[self.numbers[found] == wanted]
        return there


class _Numbers(dict[Any, int]):
    """A number for each that is asked for, from 0 in the order in which it first was."""

    def __missing__(self, key: Any) -> int:
        number = self[key] = len(self)
        return number


class Builder:
    """Makes a segment of entries that it is given some at a time, of which it keeps none.

    It numbers their *texts*: pieces of addresses, names and summaries, and whole tags and tasks. Many entries have the
    same: what words those are, and what a facet makes of what is said, is found out once for all of them.
    """

    def __init__(self) -> None:
        self._texts = _Numbers()
        self._named, self._told = array("i"), array("i")  # texts of addresses and names, and the others
        self._each_named, self._each_told = array("i"), array("i")
        self._ranks = array("Q")
        self._said = {name: _Numbers() for name in COLUMNS}
        self._codes = {name: array("i") for name in COLUMNS}

    def add(self, entries: Sequence[Entry]) -> None:
        """Take those after the ones before."""
        named, told, number = self._named, self._told, self._texts.__getitem__
        for entry in entries:
            before = len(named), len(told)
            named.extend(map(number, pieces(f"{entry.address} {entry.name}" if entry.name else entry.address)))
            told.extend(map(number, entry.tags))
            told.extend(map(number, entry.tasks))
            if entry.summary:
                told.extend({*map(number, pieces(entry.summary))})
            self._each_named.append(len(named) - before[0])
            self._each_told.append(len(told) - before[1])
        self._ranks.extend([entry.rank for entry in entries])
        for name, (of, _) in _ATTRIBUTES.items():
            self._codes[name].extend(map(self._said[name].__getitem__, map(of, entries)))

    def segment(self, numbers: Sequence[int], order: Sequence[int]) -> Segment:
        """The segment of the entries that `order` names by when they came, from 0, under those numbers, which ascend.

        Words and values that only others have stay in it, as those of none, until it is merged.
        """
        came = np.array(order, np.int64)
        place_of = np.full(len(self._ranks), -1, np.int32)
        place_of[came] = np.arange(len(came))
        texts = np.concatenate([np.frombuffer(self._named, np.int32), np.frombuffer(self._told, np.int32)])
        each_named, each_told = np.frombuffer(self._each_named, np.int32), np.frombuffer(self._each_told, np.int32)
        doubled = place_of << 1
        postings = np.concatenate([np.repeat(doubled | 1, each_named), np.repeat(doubled, each_told)])
        kept = postings >= 0
        words, starts, postings = _inverted(self._texts, texts[kept], postings[kept])
        return Segment(
            np.array(numbers, np.int64),
            np.frombuffer(self._ranks, np.uint64)[came],
            words,
            starts,
            postings,
            {
                name: _column_of(self._said[name], meaning, np.frombuffer(self._codes[name], np.int32)[came])
                for name, (_, meaning) in _ATTRIBUTES.items()
            },
        )


def build(entries: Sequence[tuple[int, Entry]]) -> Segment:
    """The segment of some entries, at least one, whose numbers ascend."""
    builder = Builder()
    builder.add([entry for _, entry in entries])
    return builder.segment([number for number, _ in entries], range(len(entries)))


def _inverted(texts: Iterable[str], occurring: Array, postings: Array) -> tuple[Array, Array, Array]:
    """The sorted words of texts, where the postings of each start, and those, in order and each once."""
    numbers = _Numbers()
    words_in, each = array("i"), []
    for text in texts:
        found = {word for piece in pieces(text) for word in indexed(piece)}
        words_in.extend(map(numbers.__getitem__, found))
        each.append(len(found))
    words = np.array([word.encode() for word in numbers], dtype=np.bytes_)
    order = np.argsort(words)
    place_of = np.empty(len(order), np.int64)
    place_of[order] = np.arange(len(order))
    sizes = np.array(each, np.int64)
    of_text, lengths = np.cumsum(sizes) - sizes, sizes[occurring]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    word_ids = place_of[np.frombuffer(words_in, np.int32)][np.repeat(of_text[occurring], lengths) + within]
    pairs = word_ids << 32 | np.repeat(postings, lengths)
    pairs.sort()
    if len(pairs):  # the last of those of one word and thing: that of its address or name, if there is one
        pairs = pairs[np.append(pairs[1:] >> 1 != pairs[:-1] >> 1, True)]
    starts = np.zeros(len(words) + 1, np.uint32)
    np.cumsum(np.bincount(pairs >> 32, minlength=len(words)), out=starts[1:])
    return words[order], starts, (pairs & 0xFFFFFFFF).astype(np.uint32)


def _one(value: Any) -> Combination:
    return () if value is None else _several((str(value),))


def _several(values: Combination) -> Combination:
    return tuple(one for one in values if one not in ("", UNKNOWN))


_ATTRIBUTES: dict[str, tuple[Callable[[Entry], Any], Callable[[Any], Combination]]] = {
    "kind": (attrgetter("kind"), _one),
    "task": (attrgetter("tasks"), _several),
    "licence": (attrgetter("licence"), _one),
    "grade": (attrgetter("grade"), _one),
    "size": (attrgetter("parameters"), lambda parameters: () if parameters is None else (size_of(parameters),)),
    "language": (attrgetter("languages"), _several),
    "tier": (attrgetter("tier"), _one),
    "owner": (lambda entry: entry.address.rpartition("/")[0], _one),
    READERS: (
        attrgetter("readers"),
        lambda readers: () if readers is None else (PRIVATE, *(PRIVATE + name for name in readers)),
    ),
}
"""Where an entry says what a column holds, and which values that means."""


def _column_of(said: Iterable[Any], meaning: Callable[[Any], Combination], codes: Array) -> Column:
    """A column of entries, each of which said one of those."""
    known = _Numbers()
    table = np.array([known[meaning(one)] for one in said], np.int64)
    return Column(tuple(known), _small(table[codes], len(known)))


def merged(parts: Sequence[tuple[Segment, Array | None]]) -> Segment | None:
    """One segment of several that follow each other, of the entries that live (all, where None). None is of nothing."""
    lives = [np.ones(len(s), bool) if alive is None else alive for s, alive in parts]
    if not any(alive.any() for alive in lives):
        return None
    words = np.unique(np.concatenate([s.words for s, _ in parts]))
    tables, each, kept_postings, before = [], [], [], 0
    for (segment, _), alive in zip(parts, lives, strict=True):
        places = segment.postings >> 1
        kept = alive[places]
        moved = (np.cumsum(alive, dtype=np.uint32) - 1 + before).astype(np.uint32)
        kept_postings.append((moved[places] << 1 | (segment.postings & 1))[kept])
        left = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
        each.append(np.diff(left[segment.starts]))
        tables.append(np.searchsorted(words, segment.words))
        before += int(alive.sum())
    counts = np.zeros(len(words), np.int64)
    for table, lengths in zip(tables, each, strict=True):
        counts[table] += lengths
    next_of = np.cumsum(counts) - counts
    postings = np.empty(int(counts.sum()), np.uint32)
    for table, lengths, kept_ones in zip(tables, each, kept_postings, strict=True):
        # those of a word lie together in each part already: they are moved, and nothing is sorted
        postings[np.repeat(next_of[table] - (np.cumsum(lengths) - lengths), lengths) + np.arange(len(kept_ones))] = (
            kept_ones
        )
        next_of[table] += lengths
    held = words[counts > 0]  # words of none are dropped
    starts = np.zeros(len(held) + 1, np.uint32)
    np.cumsum(counts[counts > 0], out=starts[1:])
    width = max(1, int(np.char.str_len(held).max(initial=1)))
    return Segment(
        np.concatenate([s.numbers[alive] for (s, _), alive in zip(parts, lives, strict=True)]),
        np.concatenate([s.ranks[alive] for (s, _), alive in zip(parts, lives, strict=True)]),
        held.astype(f"S{width}"),
        starts,
        postings,
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
