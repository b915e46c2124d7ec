"""The catalogue as plainly as can be: every entry is looked at, everything is sorted and counted."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

from intermodel.records.catalogue import FACETS, UNKNOWN, Entry, Query, size_of
from intermodel.records.catalogue.words import indexed, pieces, words_of


def words_in(text: str) -> set[str]:
    return {word for piece in pieces(text) for word in indexed(piece)}


def values(entry: Entry, facet: str) -> tuple[str, ...]:
    told: dict[str, tuple[str, ...]] = {
        "kind": (entry.kind,),
        "task": entry.tasks,
        "licence": (entry.licence,),
        "grade": (entry.grade,),
        "size": () if entry.parameters is None else (size_of(entry.parameters),),
        "language": entry.languages,
        "tier": () if entry.tier is None else (str(entry.tier),),
        "owner": (entry.owner,),
    }
    return tuple(value for value in told[facet] if value not in ("", UNKNOWN)) or (UNKNOWN,)


@functools.cache
def named(entry: Entry) -> frozenset[str]:
    return frozenset(words_in(f"{entry.address} {entry.name}"))


@functools.cache
def held(entry: Entry) -> frozenset[str]:
    return named(entry).union(*map(words_in, (*entry.tags, *entry.tasks, entry.summary)))


def holds(found: frozenset[str], query: Query) -> bool:
    words = words_of(query.text)
    unfinished = words.pop() if words and query.unfinished else None
    begun = unfinished is None or any(word.startswith(unfinished) for word in found)
    return begun and all(word in found for word in words)


def seen(entry: Entry, query: Query) -> bool:
    if query.visible_to is None or entry.readers is None:
        return True
    return bool(set(entry.readers) & set(query.visible_to))


def left(entries: Iterable[Entry], query: Query, but: str | None = None) -> list[Entry]:
    """What all facets leave, or all but one."""
    if query.asks_nothing:
        return []
    return [
        entry
        for entry in entries
        if seen(entry, query)
        and holds(held(entry), query)
        and all(
            set(values(entry, name)) & set(wanted) for name, wanted in query.facets.items() if wanted and name != but
        )
    ]


def in_order(entries: Iterable[Entry], query: Query) -> list[Entry]:
    return sorted(entries, key=lambda e: (not query.words or holds(named(e), query), e.rank), reverse=True)


def counts(entries: Iterable[Entry], query: Query, facet: str) -> Counter[str]:
    return Counter(value for entry in left(entries, query, facet) for value in values(entry, facet))


__all__ = ["FACETS", "counts", "in_order", "left"]
