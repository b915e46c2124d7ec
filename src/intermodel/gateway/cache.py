"""Answers kept for equal calls, and shared between equal calls that are under way."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import orjson

from intermodel.core import Call, IntermodelError, Upload, Usage
from intermodel.governance import Caller

_SAME_ANSWER = frozenset({
    "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier",
})  # fmt: skip
"""Fields that do not change what is answered."""


def key_of(call: Call, caller: Caller, route: str) -> bytes:
    """What two calls must have in common to be given one answer: all that changes it, and whose they are.

    Callers of one organisation share; one without an organisation shares with nobody.
    """
    whose = ("organisation", caller.organisation) if caller.organisation else ("token", caller.token_id)
    body = {key: value for key, value in call.body.items() if key not in _SAME_ANSWER}
    said = orjson.dumps([whose, route, call.kind.value, call.stream, body], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(said)
    for upload in call.upload:
        digest.update(_upload(upload))
    return digest.digest()


def _upload(upload: Upload) -> bytes:
    return hashlib.sha256(upload.content).digest() + orjson.dumps([upload.field, upload.filename, upload.media_type])


@dataclass(eq=False, slots=True)
class Kept:
    """One answer, as it comes or whole. Whoever reads a piece that is not there yet waits for it."""

    receipt: str
    keeps_s: float
    address: str = ""
    media_type: str = ""
    streamed: bool = False
    pieces: list[bytes] = field(default_factory=list)
    usage: Usage | None = None
    whole: bool = False
    error: IntermodelError | None = None
    given_up: bool = False
    """The first caller's call ended for a reason of its own: whoever waits must call by itself."""
    readers: int = 0
    until: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces)) + 512

    @property
    def ended(self) -> bool:
        return self.whole or self.given_up or self.error is not None

    def tell(self) -> None:
        """Wake those who wait for more."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def more(self, have: int) -> bool:
        """Wait until there are more than `have` pieces, or it has ended; whether there are more."""
        while len(self.pieces) <= have and not self.ended:
            await self._changed.wait()
        return len(self.pieces) > have


class Cache:
    """Bounded by the bytes of its answers; those not asked for longest go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self.bytes = 0
        """Of all kept answers."""
        self.hits = self.misses = 0
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._coming: dict[bytes, Kept] = {}

    def find(self, key: bytes) -> Kept | None:
        """An answer that is fresh, or on its way."""
        kept = self._find(key)
        if kept is None:
            self.misses += 1
        else:
            self.hits += 1
        return kept

    def _find(self, key: bytes) -> Kept | None:
        if (coming := self._coming.get(key)) is not None:
            return coming
        kept = self._kept.get(key)
        if kept is None:
            return None
        if time.monotonic() >= kept.until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def begin(self, key: bytes, receipt: str, keeps_s: float) -> Kept:
        """An answer that is now asked for; `done` or `failed` ends that."""
        kept = self._coming[key] = Kept(receipt, keeps_s)
        return kept

    def done(self, key: bytes, kept: Kept) -> None:
        """It came whole: keep it."""
        kept.whole = True
        self._coming.pop(key, None)
        if kept.size <= self._most:
            kept.until = time.monotonic() + kept.keeps_s
            self._drop(key)
            self._kept[key] = kept
            self.bytes += kept.size
            while self.bytes > self._most:
                self._drop(next(iter(self._kept)))
        kept.tell()

    def failed(self, key: bytes, kept: Kept, error: IntermodelError | None) -> None:
        """It did not. With an error, those who wait get it too; without, they are to ask by themselves."""
        kept.error, kept.given_up = error, error is None
        self._coming.pop(key, None)
        kept.tell()

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.size
