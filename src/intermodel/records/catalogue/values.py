"""The values of a facet over all segments: each segment numbers its own, a search adds them up."""

from __future__ import annotations

import heapq
import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from intermodel.records.catalogue.entry import UNKNOWN
from intermodel.records.catalogue.segment import Array, Combination


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """All values of a facet, and all combinations of them that entries have, by their numbers."""

    names: Sequence[str]
    ids: dict[str, int]
    """Of names; it may hold more than are here."""
    combinations: int
    without: int
    """The combination of no value; -1 where there is none."""
    of: Array
    """For each value of each combination, which combination that is."""
    held: Array
    """And which value."""

    def having(self, wanted: Iterable[str]) -> Array:
        """Whether each combination has one of those values."""
        found = np.zeros(self.combinations, bool)
        for name in wanted:
            if name == UNKNOWN and self.without >= 0:
                found[self.without] = True
            if (number := self.ids.get(name, len(self.names))) < len(self.names):
                found[self.of[self.held == number]] = True
        return found

    def counted(self, counts: Array, most: int, also: Iterable[str]) -> list[tuple[str, int]]:
        """How many entries have each value, from how many have each combination.

        The `most` frequent ones, by falling count and then by name, and those that are asked for `also`.
        """
        each = np.bincount(self.held, weights=counts[self.of], minlength=len(self.names)).astype(np.int64)
        unknown = int(counts[self.without]) if self.without >= 0 else 0
        told = {self.names[i]: int(each[i]) for i in self._most(each, most)}
        if unknown:
            told[UNKNOWN] = unknown
        first = heapq.nsmallest(most, told.items(), key=lambda pair: (-pair[1], pair[0]))
        shown = {name for name, _ in first}
        for name in sorted(set(also) - shown):
            number = self.ids.get(name, len(self.names))
            known = int(each[number]) if number < len(self.names) else 0
            first.append((name, unknown if name == UNKNOWN else known))
        return first

    def _most(self, each: Array, most: int) -> list[int]:
        """The values of the `most` highest counts above 0; of those with the same, the first by name."""
        held = np.flatnonzero(each)
        if len(held) <= most:
            return [int(i) for i in held]
        least = np.partition(each[held], len(held) - most)[len(held) - most]
        above = held[each[held] > least]
        equal = heapq.nsmallest(most - len(above), held[each[held] == least], key=lambda i: self.names[i])
        return [int(i) for i in (*above, *equal)]


class Collected:
    """Values as they become known; numbers once given stay."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._ids: dict[str, int] = {}
        self._combinations: dict[Combination, int] = {}
        self._of, self._held = array("q"), array("q")
        self._values: Values | None = None
        self._lock = threading.Lock()  # a thread whose task was cancelled goes on beside the next

    def numbers(self, combinations: Sequence[Combination]) -> Array:
        """The number of each; new ones get one."""
        with self._lock:
            return np.array([self._number(combination) for combination in combinations], np.int64)

    def _number(self, combination: Combination) -> int:
        number = self._combinations.get(combination)
        if number is None:
            number = self._combinations[combination] = len(self._combinations)
            self._values = None
            for name in combination:
                if name not in self._ids:
                    self._ids[name] = len(self._names)
                    self._names.append(name)
                self._of.append(number)
                self._held.append(self._ids[name])
        return number

    def values(self) -> Values:
        """What is known now; it does not change when more becomes known."""
        with self._lock:
            if self._values is None:
                self._values = Values(
                    tuple(self._names),
                    self._ids,
                    len(self._combinations),
                    self._combinations.get((), -1),
                    np.array(self._of, np.int64),
                    np.array(self._held, np.int64),
                )
            return self._values
