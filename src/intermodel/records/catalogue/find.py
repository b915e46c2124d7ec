"""A search over segments: what matches, which come first, how many have which value. Pure.

Counts of a facet are exact up to a number of hits, and beyond it are estimated from a sample of them, drawn with
replacement by a generator that always starts alike, so that the same question has the same answer. By Hoeffding's
inequality (JASA 58, 1963, theorem 1) a share estimated from n draws is off by more than sqrt(ln(2/d) / 2n) with
probability d at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from intermodel.records.catalogue.query import Count, Missing, Query
from intermodel.records.catalogue.segment import PRIVATE, READERS, Array, Segment
from intermodel.records.catalogue.values import Values
from intermodel.records.catalogue.words import like

IN_NAME = 1 << 63
"""What is added to the rank of a hit that has all words in its address or name: those come first."""
DOUBT = 1e-6
"""The probability that an estimate is further off than it says."""
SHORTEST = 3
"""Letters of a word for which others are proposed: a shorter one is like too many."""
MOST_MISSING = 4
"""Words of a search for which others are looked up; each takes some thousand look-ups a segment."""
MOST_LIKE = 3


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A segment as it is now: which of its entries live (None: all), and its values' numbers over all segments."""

    segment: Segment
    alive: Array | None
    numbers: Mapping[str, Array]

    @property
    def living(self) -> int:
        return len(self.segment) if self.alive is None else int(self.alive.sum())


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranks and numbers of the hits in order, one more than was asked for where there are more."""

    hits: list[tuple[int, int]]
    total: int
    counts: dict[str, tuple[Count, ...]]
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Matches:
    """Of one segment: the places that hold the words and may be seen, their ranks, and if each facet asked agrees."""

    view: View
    places: Array
    ranks: Array
    agreeing: dict[str, Array]

    def left_by(self, but: str | None) -> Array:
        """The places that all facets leave, or all but one."""
        masks = [mask for name, mask in self.agreeing.items() if name != but]
        return self.places[np.logical_and.reduce(masks)] if masks else self.places


def answer(
    views: Sequence[View], values: Mapping[str, Values], query: Query, *, exact_up_to: int, sample: int
) -> Answer:
    """What `query` finds among the segments."""
    asked = {name: values[name].having(wanted) for name, wanted in query.facets.items() if wanted}
    seen = None
    if query.visible_to is not None:
        known = values[READERS]
        seen = known.having([PRIVATE + name for name in query.visible_to]) | ~known.having([PRIVATE])
    seeing = [(view, _kept(view, seen)) for view in views]
    parts = [] if query.asks_nothing else [_matches(view, kept, query, asked) for view, kept in seeing]
    hits = sorted((hit for part in parts for hit in _first(part, query)), reverse=True)
    left = {but: [part.left_by(but) for part in parts] for but in (None, *asked)}
    drawn = {but: _drawn(places, exact_up_to, sample) for but, places in left.items()}
    counts = {
        name: _counts(name, parts, drawn[name if name in asked else None], values[name], query)
        for name in query.counted
    }
    missing = () if any(len(part.places) for part in parts) else _missing(seeing, query)
    return Answer(hits[: query.limit + 1], sum(map(len, left[None])), counts, missing)


def _kept(view: View, seen: Array | None) -> Array | None:
    """Which entries of a segment live and may be seen: None where all do."""
    if seen is None:
        return view.alive
    visible = seen[view.numbers[READERS]]
    if visible.all():
        return view.alive
    some: Array = visible[view.segment.columns[READERS].codes]
    return some if view.alive is None else view.alive & some


def _missing(seeing: Sequence[tuple[View, Array | None]], query: Query) -> tuple[Missing, ...]:
    """The words of a query that none of the entries seen has, with those like them that some have."""
    words = query.words
    missing = [
        word
        for word in words
        if not any(_held(view, kept, word, query.unfinished and word == words[-1]) for view, kept in seeing)
    ]
    told = [Missing(word, _instead(seeing, word)) for word in missing[:MOST_MISSING]]
    return (*told, *(Missing(word, ()) for word in missing[MOST_MISSING:]))


def _held(view: View, kept: Array | None, word: str, beginning: bool = False) -> int:
    """How many of the entries seen have a word."""
    postings = view.segment.holding(word, beginning)
    return len(postings) if kept is None else int(kept[postings >> 1].sum())


def _instead(seeing: Sequence[tuple[View, Array | None]], word: str) -> tuple[Count, ...]:
    if len(word) < SHORTEST:
        return ()
    alike = sorted(like(word))
    each = np.array([one.encode() for one in alike], dtype=np.bytes_)
    frequent = sum((view.segment.frequent(each) for view, _ in seeing), np.zeros(len(alike), np.int64))
    # what only those have who are not seen, or no more, is dropped; a few more than are told make up for it
    first = [alike[i] for i in np.argsort(-frequent, kind="stable")[: 8 * MOST_LIKE].tolist() if frequent[i]]
    counts = [Count(one, sum(_held(view, kept, one) for view, kept in seeing)) for one in first]
    found = sorted((count for count in counts if count.count), key=lambda count: (-count.count, count.value))
    return tuple(found[:MOST_LIKE])


def _matches(view: View, kept: Array | None, query: Query, asked: Mapping[str, Array]) -> _Matches:
    segment = view.segment
    if query.words:
        places, named = _holding(segment, query.words, query.unfinished)
        if kept is not None:
            living = kept[places]
            places, named = places[living], named[living]
        ranks = segment.ranks[places] | named.astype(np.uint64) << np.uint64(63)
    elif kept is not None:
        places = np.flatnonzero(kept)
        ranks = segment.ranks[places]
    else:
        places, ranks = np.arange(len(segment)), segment.ranks
    agreeing = {}
    for name, allowed in asked.items():
        codes = segment.columns[name].codes
        agreeing[name] = allowed[view.numbers[name]][codes if len(places) == len(codes) else codes[places]]
    return _Matches(view, places, ranks, agreeing)


def _holding(segment: Segment, words: Sequence[str], unfinished: bool) -> tuple[Array, Array]:
    """The places of the entries that hold all words, in order, and whether all are in the address or name."""
    lists = [segment.holding(word, unfinished and word == words[-1]) for word in words]
    if not all(map(len, lists)):
        return np.zeros(0, np.int64), np.zeros(0, bool)
    if unfinished:  # what begins with a word may be there more than once: as a table it is not
        table = _table(segment, lists.pop())
        places = np.flatnonzero(table)
        named = table[places] == 2
    else:
        least = lists.pop(min(range(len(lists)), key=lambda i: len(lists[i])))
        places, named = (least >> 1).astype(np.int64), (least & 1).astype(bool)
    for postings in lists:
        held = _table(segment, postings)[places]
        places, named = places[held > 0], named[held > 0] & (held[held > 0] == 2)
    return places, named


def _table(segment: Segment, postings: Array) -> Array:
    """For each place: 0 where it has no posting, 2 where one is of its address or name, else 1."""
    table = np.zeros(len(segment), np.uint8)
    table[postings >> 1] = 1
    table[postings[(postings & 1) == 1] >> 1] = 2
    return table


def _first(part: _Matches, query: Query) -> list[tuple[int, int]]:
    """The first hits of a segment by rank and then by number, in no order."""
    ranks, places = part.ranks, part.places
    if part.agreeing:
        agreeing = np.logical_and.reduce(list(part.agreeing.values()))
        ranks, places = ranks[agreeing], places[agreeing]
    numbers = part.view.segment.numbers
    if query.place is not None:
        rank, number = query.place
        later = (ranks < np.uint64(rank)) | ((ranks == np.uint64(rank)) & (numbers[places] < number))
        ranks, places = ranks[later], places[later]
    if len(ranks) > query.limit + 1:
        least = np.partition(ranks, len(ranks) - query.limit - 1)[len(ranks) - query.limit - 1]
        ranks, places = ranks[ranks >= least], places[ranks >= least]
    return list(zip(ranks.tolist(), numbers[places].tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Places of each part: all `size` of them, or a sample of so many."""

    places: Sequence[Array]
    size: int
    sample: int | None = None


def _drawn(chosen: Sequence[Array], exact_up_to: int, sample: int) -> _Drawn:
    size = sum(map(len, chosen))
    if size <= exact_up_to:
        return _Drawn(chosen, size)
    positions = np.sort(np.random.default_rng(0).integers(0, size, sample))
    drawn, before = [], 0
    for places in chosen:
        first, last = np.searchsorted(positions, (before, before + len(places)))
        drawn.append(places[positions[first:last] - before])
        before += len(places)
    return _Drawn(drawn, size, sample)


def _counts(name: str, parts: Sequence[_Matches], drawn: _Drawn, values: Values, query: Query) -> tuple[Count, ...]:
    """How many of those places have which value."""
    each = np.zeros(values.combinations, np.int64)
    for part, places in zip(parts, drawn.places, strict=True):
        column = part.view.segment.columns[name]
        codes = column.codes if len(places) == len(column.codes) and drawn.sample is None else column.codes[places]
        each[part.view.numbers[name]] += np.bincount(codes, minlength=len(column.combinations))
    told = values.counted(each, query.most_values, query.facets.get(name, ()))
    if drawn.sample is None:
        return tuple(Count(value, count) for value, count in told)
    within = math.ceil(drawn.size * math.sqrt(math.log(2 / DOUBT) / (2 * drawn.sample)))
    return tuple(Count(value, round(count * drawn.size / drawn.sample), False, within) for value, count in told)
