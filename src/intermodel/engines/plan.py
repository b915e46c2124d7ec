"""How an engine is sized, and which engines make room for another. Pure functions over values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from intermodel.engines.facts import Facts
from intermodel.settings import Engines as Settings

MIB = 1024**2
SMALL_FILE = 64 * MIB
"""Below this one thread is faster than several: their hand-overs cost more than the work."""
LONGEST_CONTEXT = 8192
SHORTEST_CONTEXT = 2048
SMALL_BATCH, LARGE_BATCH = 512, 2048
BASE_BYTES = 64 * MIB
CACHE_MIB = 512
BYTES_OF_KV = 2
"""llama.cpp keeps keys and values as 16-bit floats."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one engine is started with. `context` and `batch` are in tokens, `context` for each slot."""

    slots: int
    context: int
    batch: int
    threads: int
    cache_mib: int
    mean_pooling: bool
    bytes: int
    """Estimate of all the memory it will use."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An engine that holds memory."""

    key: int
    bytes: int
    last_used: float
    in_use: bool


@dataclass(frozen=True, slots=True)
class Room:
    """How room is made: engines to unload now, and if that is not enough, engines in use to wait for."""

    unload: tuple[int, ...] = ()
    wait_for: tuple[int, ...] = ()


def parameters(facts: Facts, size: int, settings: Settings, cores: int, budget: int) -> Parameters:
    """The parameters for a model file of `size` bytes, with as many slots and as much context as fit in `budget`.

    Slots are halved first, then the context down to 2048 tokens. What is returned may still exceed the
    budget: then the model cannot run here.
    """
    slots = settings.slots
    context = settings.context_length or min(facts.context_length or SHORTEST_CONTEXT, LONGEST_CONTEXT)
    while True:
        wanted = _sized(facts, size, settings, cores, slots, context)
        if wanted.bytes <= budget:
            return wanted
        if slots > 1:
            slots //= 2
        elif context > SHORTEST_CONTEXT and settings.context_length is None:
            context = max(context // 2, SHORTEST_CONTEXT)
        else:
            return wanted


def _sized(facts: Facts, size: int, settings: Settings, cores: int, slots: int, context: int) -> Parameters:
    # an embedding's input must fit into one batch, so the context bounds it from both sides
    batch = min(context, LARGE_BATCH if size < SMALL_FILE or facts.pooling else SMALL_BATCH)
    kv = kv_bytes(facts, slots * context)
    cache_mib = min(CACHE_MIB, math.ceil(kv / MIB))
    buffers = batch * (facts.vocabulary + 16 * facts.embedding_length) * 4
    return Parameters(
        slots=slots,
        context=context,
        batch=batch,
        threads=settings.threads or (1 if size < SMALL_FILE else cores),
        cache_mib=cache_mib,
        mean_pooling=not facts.pooling,
        bytes=size + kv + cache_mib * MIB + buffers + BASE_BYTES,
    )


def kv_bytes(facts: Facts, tokens: int) -> int:
    """Memory for the keys and values of `tokens` tokens."""
    return tokens * facts.block_count * facts.head_count_kv * (facts.key_length + facts.value_length) * BYTES_OF_KV


def room(loaded: Iterable[Loaded], need: int, budget: int) -> Room:
    """Which engines go, least recently used first, so that `need` more bytes fit into `budget`.

    Engines in use are never unloaded; where the idle ones are not enough, none is unloaded yet.
    """
    engines = sorted(loaded, key=lambda e: e.last_used)
    over = sum(e.bytes for e in engines) + need - budget
    idle = _until(over, [e for e in engines if not e.in_use])
    freed = sum(e.bytes for e in idle)
    if freed >= over:
        return Room(unload=tuple(e.key for e in idle))
    busy = _until(over - freed, [e for e in engines if e.in_use])
    return Room(wait_for=tuple(e.key for e in (*idle, *busy)))


def _until(bytes_: int, engines: list[Loaded]) -> list[Loaded]:
    """The first engines that together hold at least `bytes_`; all of them if they do not."""
    chosen: list[Loaded] = []
    for engine in engines:
        if bytes_ <= 0:
            break
        chosen.append(engine)
        bytes_ -= engine.bytes
    return chosen
