"""Random choices from a hash, so that a corpus is the same on every machine and Python version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SEED = "pebble-1"


class Stream:
    """A sequence of choices fixed by its label: SHAKE-256 of the seed and the label, 32 bits a draw."""

    def __init__(self, *label: object, seed: str = SEED) -> None:
        self._label = "\x1f".join([seed, *(str(part) for part in label)])
        self._block = 0
        self._bytes = b""
        self._at = 0

    def draw(self) -> int:
        """The next integer in [0, 2**32)."""
        if self._at == len(self._bytes):
            source = f"{self._label}\x1f{self._block}".encode()
            self._bytes = hashlib.shake_256(source).digest(256)
            self._block += 1
            self._at = 0
        value = int.from_bytes(self._bytes[self._at : self._at + 4], "big")
        self._at += 4
        return value

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return self.draw() * limit >> 32

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of a hundred cases."""
        return self.below(100) < percent

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def some(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items, in drawn order."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]

    def weighted(self, weights: dict[str, int]) -> str:
        """A key, drawn in proportion to its weight."""
        at = self.below(sum(weights.values()))
        for key, weight in weights.items():
            at -= weight
            if at < 0:
                return key
        raise AssertionError("weights sum to more than their parts")


def digest(*parts: object) -> int:
    """A 64-bit number fixed by the parts: what ordering and holding out are decided by."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.shake_256(text.encode()).digest(8), "big")
