"""The index as a process holds it in memory: the stored segments, and those of what came after them.

An `Index` never changes. What changes the catalogue makes the next one of it, and that becomes the process's own once
the database has committed the same change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from intermodel.records.catalogue.find import View
from intermodel.records.catalogue.segment import COLUMNS, Segment, merged, to_merge
from intermodel.records.catalogue.values import Collected, Values

MOST = 200_000
"""Entries of a segment: some 15 MB, which is what a merge needs several times of."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment that is in the database, and the numbers that it answers for."""

    id: int
    first: int
    last: int
    view: View


@dataclass(frozen=True, slots=True)
class Index:
    """All entries up to a change: those up to the number `indexed` in stored segments, the others in the tail."""

    change: int = 0
    indexed: int = 0
    stored: tuple[Stored, ...] = ()
    tail: tuple[View, ...] = ()
    values: Mapping[str, Values] = field(default_factory=lambda: {name: Collected().values() for name in COLUMNS})

    @property
    def views(self) -> tuple[View, ...]:
        return (*(one.view for one in self.stored), *self.tail)

    @property
    def waiting(self) -> int:
        """Entries in the tail, dead ones too."""
        return sum(len(view.segment) for view in self.tail)

    def without(self, gone: Sequence[int]) -> Index:
        """The index without the entries of those numbers."""
        if not gone:
            return self
        return replace(
            self,
            stored=tuple(replace(one, view=without(one.view, gone)) for one in self.stored),
            tail=tuple(without(view, gone) for view in self.tail),
        )


def without(view: View, gone: Sequence[int]) -> View:
    """The view without the entries of those numbers; the view itself where it has none of them."""
    places = view.segment.places(gone) if gone else ()
    if not len(places):
        return view
    alive = np.ones(len(view.segment), bool) if view.alive is None else view.alive.copy()
    alive[places] = False
    return replace(view, alive=alive)


class Indexer:
    """Makes indexes of one another. Its methods take their time: run them in a thread, one at a time."""

    def __init__(self) -> None:
        self._values = {name: Collected() for name in COLUMNS}

    def view(self, segment: Segment, gone: Sequence[int] = ()) -> View:
        """How a segment is seen, without the entries of those numbers."""
        numbers = {name: self._values[name].numbers(segment.columns[name].combinations) for name in COLUMNS}
        return without(View(segment, None, numbers), gone)

    def put(self, index: Index, change: int, new: Segment | None, gone: Sequence[int]) -> Index:
        """The index at `change`, with the entries of that segment and without those that are gone."""
        index = index.without(gone)
        tail = index.tail if new is None else (*index.tail, self.view(new))
        while (some := to_merge([len(view.segment) for view in tail], MOST)) is not None:
            tail = (*tail[: some.start], *self._merged(tail[some]))
        return self.known(replace(index, change=change, tail=tail))

    def stored(self, index: Index, new_id: int) -> tuple[Index, list[Stored], list[Stored]]:
        """The index with its tail in stored segments, and which of those are to be written and which deleted.

        Segments of about one size become one, and so does one that is mostly dead.
        """
        of_tail = self._merged(index.tail)
        ids = iter(range(new_id, new_id + len(index.stored) + 16))
        stored = list(index.stored)
        stored += [Stored(next(ids), index.indexed + 1, index.change, view) for view in of_tail]
        for at, one in enumerate(stored):
            if one.view.living * 2 < len(one.view.segment):
                stored[at : at + 1] = self._one([one], next(ids)) or [replace(one, id=-1)]
        stored = [one for one in stored if one.id >= 0]
        while (some := to_merge([len(one.view.segment) for one in stored], MOST)) is not None:
            stored[some] = self._one(stored[some], next(ids))
        kept = {one.id for one in index.stored}
        result = self.known(replace(index, indexed=index.change, stored=tuple(stored), tail=()))
        remaining = {one.id for one in stored}
        written = [one for one in stored if one.id not in kept]
        return result, written, [one for one in index.stored if one.id not in remaining]

    def known(self, index: Index) -> Index:
        """The index, with all values that its segments have."""
        return replace(index, values={name: collected.values() for name, collected in self._values.items()})

    def _merged(self, views: Sequence[View]) -> list[View]:
        """One view of several, or none."""
        segment = merged([(view.segment, view.alive) for view in views]) if views else None
        return [] if segment is None else [self.view(segment)]

    def _one(self, stored: Sequence[Stored], new_id: int) -> list[Stored]:
        views = self._merged([one.view for one in stored])
        return [Stored(new_id, stored[0].first, stored[-1].last, view) for view in views]
