"""What the ledger holds about things, read once: an entry never changes, and the ledger only grows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from intermodel.core.statements import Statement
from intermodel.ledger import Ledger
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.ledger.withdrawal import named_by
from intermodel.records.predicates import WHAT
from intermodel.records.said import Said, Signer, after_withdrawals, newest_count, read_statement
from intermodel.records.trusted import NOBODY, Trusted

SAID_REMEMBERED = 10_000
PLACES_REMEMBERED = 20_000
MOST_NEW = 100
"""Entries that are looked at to see of which things something new is said; after more, all is asked anew."""
BESIDE = 32
"""Entries before one that are looked at for what is likely asked next."""
_BREATH = 16
"""Entries that are read in one go, so that calls which stream through this thread go on."""


class Evidence:
    """Statements about things, with whose word they are. `trusted` says whose counts beside this node's own."""

    def __init__(self, ledger: Ledger, trusted: Trusted = NOBODY) -> None:
        self._ledger = ledger
        self._trusted = trusted
        self._said: dict[int, Said | None] = {}
        self._places: dict[str, tuple[int, ...]] = {}
        self._seen = 0
        """The size of the ledger for which `_places` holds."""

    async def about(self, address: str, digests: Sequence[str]) -> list[Said]:
        """The statements about any of these, each once.

        Two things may have the same bytes and not the same licence, card or maker: of what is said of the bytes under
        another name only the facts that a file shows are taken. What was signed by a key that this ledger did not have
        at that entry, or has revoked, is shown and does not count, unless it is a trusted signer's.
        """
        places = await self.expect(digests)
        found = []
        for count, index in enumerate(sorted({index for of_one in places.values() for index in of_one}), 1):
            said = self._said[index] if index in self._said else await self._read(index)
            if said:
                found.append(self._judged(said))
            if not count % _BREATH:
                await asyncio.sleep(0)
        found = after_withdrawals(found)
        here = [one for one in found if address in one.about or one.predicate_type == WHAT or not one.known]
        shown = {one.digest for one in here}
        return [
            one
            for one in here
            if one.predicate_type != WITHDRAWAL or address in one.about or named_by(one.statement) in shown
        ]

    def trust(self, trusted: Trusted) -> None:
        """Whose word counts from now on."""
        self._trusted = trusted
        self._said.clear()

    def knows(self, digests: Iterable[str]) -> bool:
        """Whether it was looked up already where something is said of these; more may have been said since."""
        return all(digest in self._places for digest in digests)

    async def expect(self, digests: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Where something is said of these; one query for all of which it is not known yet."""
        size = await self._forget_what_changed()
        found = {digest: self._places[digest] for digest in digests if digest in self._places}
        if missing := [digest for digest in digests if digest not in found]:
            told = await self._ledger.places(missing)
            asked = {digest: tuple(told.get(digest, ())) for digest in missing}
            found |= asked
            if size == self._seen == self._ledger.log.size:  # else it may be from before something new was said
                if len(self._places) > PLACES_REMEMBERED:
                    self._places.clear()
                self._places |= asked
        return found

    async def expect_beside(self, digests: Sequence[str], index: int) -> bool:
        """The same of these, and of all of which the entries just before that one speak: a lineage is mostly told in
        one go, parents first. Whether any of these was among them."""
        beside: dict[str, None] = {}
        for number in range(max(0, index - BESIDE), index):
            said = self._said[number] if number in self._said else await self._read(number)
            if said and said.known:
                beside |= dict.fromkeys(subject.digest for subject in said.subjects)
            if not number % _BREATH:
                await asyncio.sleep(0)
        await self.expect(list(dict.fromkeys((*digests, *beside))))
        return any(digest in beside for digest in digests)

    async def new(self, address: str, digest: str, told: Sequence[Statement], *, again: bool = True) -> list[Statement]:
        """Those that say something which this node's newest of their kind and source does not say.

        What was withdrawn is new where it is told `again`; a node that reads the same once more does not tell it again.
        """
        said = await self.about(address, [digest])
        before = [
            one
            for one in newest_count(said, address)
            if one.own and address in one.about and (one.counts or (one.withdrawn and not again))
        ]
        return [
            one
            for one in told
            if not any(
                old.predicate_type == one.predicate_type and _same(old.predicate, one.predicate) for old in before
            )
        ]

    async def _forget_what_changed(self) -> int:
        """Of what was said since, the places are asked anew. The size of the ledger up to which they hold now."""
        size = self._ledger.log.size
        if size - self._seen > MOST_NEW:
            self._places.clear()
        elif self._places:
            for index in range(self._seen, size):
                entry = await self._ledger.entry(index)
                for subject in entry.statement.subjects if entry.statement else ():
                    self._places.pop(subject.digest, None)
        self._seen = max(self._seen, size)
        return size

    async def _read(self, index: int) -> Said | None:
        entry = await self._ledger.entry(index)
        said = None
        if entry.statement is not None:
            said = read_statement(index, entry.signer, entry.at, entry.statement, entry.digest)
            if entry.signer not in self._ledger.keys.keys:
                signers = [Signer(*one, self._trusted.rank(one[0])) for one in self._trusted.signers(entry.envelope)]
                if signers:
                    first, *also = signers
                    said = replace(said, by=first.name, signer=first.key, rank=first.rank, also=tuple(also))
                elif revoked := self._trusted.revoked_signer(entry.envelope):
                    said = replace(said, problem=f"{revoked} revoked the key that signed it.")
        if len(self._said) > SAID_REMEMBERED:
            self._said.clear()
        self._said[index] = said
        return said

    def _judged(self, said: Said) -> Said:
        """Whose key signs now is asked each time: it may have been revoked."""
        ring = self._ledger.keys
        if said.by:
            return replace(said, learned=said.signer in self._trusted.learned) if self._trusted.learned else said
        if ring.signs(said.signer, said.index):
            return replace(said, own=True)
        if said.signer in ring.keys:
            return replace(said, problem="the key that signed it is not in force there.")
        return replace(said, stranger=True)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """By their bytes: for Python `1` and `true` are the same."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
