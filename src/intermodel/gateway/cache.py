"""Answers kept for equal calls, and shared between equal calls that are under way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from intermodel.core import Call, IntermodelError, Upload, Usage
from intermodel.governance import Caller

_SAME_ANSWER = frozenset({
    "user", "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier",
})  # fmt: skip
"""Fields that do not change what is answered."""


def digest_of(name: str, documents: Sequence[str]) -> bytes:
    """What a route and its deployments say, in a few bytes: answers of what was declared otherwise are not given."""
    return hashlib.sha256(orjson.dumps([name, *documents])).digest()


def key_of(call: Call, caller: Caller, route: bytes) -> bytes:
    """What two calls must have in common to be given one answer: all that changes it, and whose they are.

    `route` is the digest of what their route says. Callers of one organisation share; one without an organisation
    shares with nobody.
    """
    whose = ("organisation", caller.organisation) if caller.organisation else ("token", caller.token_id)
    body = {key: value for key, value in call.body.items() if key not in _SAME_ANSWER}
    said = orjson.dumps([whose, call.kind.value, call.stream, body], option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(route + said)
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
    size: int = 512
    """Bytes, with what it takes besides its pieces."""
    until: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ended(self) -> bool:
        return self.whole or self.given_up or self.error is not None

    def tell(self) -> None:
        """Wake those who wait for more."""
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def reader(self) -> Iterator[None]:
        """Somebody waits for it."""
        self.readers += 1
        try:
            yield
        finally:
            self.leave()

    def leave(self) -> None:
        """A reader goes."""
        self.readers -= 1
        if not self.readers:
            self.tell()

    async def unread(self) -> None:
        """Wait until nobody waits for it."""
        while self.readers:
            await self._changed.wait()

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
        """Of all answers, kept or on their way."""
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
        self.bytes += kept.size
        return kept

    def add(self, key: bytes, kept: Kept, piece: bytes) -> bool:
        """A further piece of an answer on its way. Whether it is still wanted: what is too much is given up."""
        if kept.ended:
            return False
        kept.pieces.append(piece)
        kept.size += len(piece)
        self.bytes += len(piece)
        if self.bytes > self._most:
            self._make_room(key, kept)
        kept.tell()
        return not kept.given_up

    def _make_room(self, key: bytes, kept: Kept) -> None:
        """Give up what is worth least: what may be asked for again, what nobody waits for, then the answer itself."""
        while kept.size <= self._most < self.bytes and self._kept:
            self._drop(next(iter(self._kept)))
        unread = [(k, one) for k, one in self._coming.items() if one is not kept and not one.readers]
        for place, one in [*unread, (key, kept)]:
            if self.bytes > self._most:
                self.failed(place, one, None)
                one.pieces.clear()

    def done(self, key: bytes, kept: Kept) -> None:
        """It came whole: keep it."""
        if kept.ended:
            return
        kept.whole = True
        self._coming.pop(key, None)
        kept.until = time.monotonic() + kept.keeps_s
        self._drop(key)
        if kept.size > self._most:  # too large to be kept, but those who wait get it
            self.bytes -= kept.size
        else:
            self._kept[key] = kept
        while self.bytes > self._most and self._kept:
            self._drop(next(iter(self._kept)))
        kept.tell()

    def give(self, key: bytes, kept: Kept, answer: bytes) -> None:
        """It came whole, in one piece."""
        kept.pieces.append(answer)
        kept.size += len(answer)
        self.bytes += len(answer)
        self.done(key, kept)

    def failed(self, key: bytes, kept: Kept, error: IntermodelError | None) -> None:
        """It did not. With an error, those who wait get it too; without, they are to ask by themselves."""
        if kept.ended:
            return
        kept.error, kept.given_up = error, error is None
        self._coming.pop(key, None)
        self.bytes -= kept.size
        kept.tell()

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.bytes -= kept.size
