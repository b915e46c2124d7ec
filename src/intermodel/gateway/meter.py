"""How far the money of a running stream reaches, where it was not granted for the longest answer there could be."""

from __future__ import annotations

from intermodel.accounts import Price, Reservation
from intermodel.core import Kind, OverBudget, Upstream
from intermodel.protocols import Chunk, is_read, outbound

AHEAD_TOKENS = 256
"""For how many more tokens money is asked at once."""

_SAID = ("content", "reasoning_content", "refusal")


class Meter:
    """Counts what one stream has cost at most so far. A token has at least a byte, so bytes are counted."""

    def __init__(self, price: Price, reservation: Reservation, read: int, spoken: Kind) -> None:
        """`read` bounds the tokens of the request; `spoken` is the upstream's protocol."""
        self._price = price
        self._reservation = reservation
        self._read = read
        self._made = 0
        self._decoder = outbound(spoken).decoder() if is_read(spoken) else None

    async def pay(self, data: bytes) -> None:
        """Have the money for what `data` says. Raises `OverBudget` where there is no more."""
        self._made += self._count(data)
        most = self._price.bound(self._read, self._made)
        if most <= self._reservation.amount:
            return
        ahead = self._price.bound(self._read, self._made + AHEAD_TOKENS)
        for wanted in (ahead, most):
            if await self._reservation.grow(wanted - self._reservation.amount):
                return
        raise OverBudget(
            "The answer was ended here: the money of a budget is used up.",
            hint="`intermodel budgets` shows which, and when it begins anew.",
            code="budget_exhausted",
        )

    def _count(self, data: bytes) -> int:
        if self._decoder is None:
            return len(data)
        try:
            return sum(map(_bytes_said, self._decoder.feed(data)))
        except Upstream:
            return 0  # an error, which whoever reads the stream will meet


def _bytes_said(chunk: Chunk) -> int:
    said = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        texts = [delta.get(key) for key in _SAID] + [choice.get("text")]
        texts += [(call.get("function") or {}).get("arguments") for call in delta.get("tool_calls") or ()]
        said += sum(len(text.encode()) for text in texts if isinstance(text, str))
    return said
