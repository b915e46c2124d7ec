"""Entries of the ledger as lists: those that the page asks for, newest first, and how many there were each day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlencode

from intermodel.core import Invalid, Unavailable
from intermodel.ledger import Entry, Ledger, verify
from intermodel.ledger.withdrawal import Withdrawn, named_by, things
from intermodel.records.trusted import Trusted
from intermodel.web.pages.plots import Plot
from intermodel.web.pages.statements import Signed, signed_by, title_of

PAGE = 40
"""Entries on one page."""
LOOKED_AT = 50_000
"""Entries that are looked at for a picture by day, and for those of one signer: for neither is there an index."""
DAYS = 30
INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_BEGINNING = 1000
"""Of the entries that are looked at, so small a part tells on which day they begin."""
_DAY_S = 86_400
_KEY = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_TEXT = 500
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the page's address asks for; "" is everything."""

    type: str = ""
    signer: str = ""
    digest: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """Raises `Invalid` for what no entry can be like."""
        given = {name: query.get(name, "").strip()[:_TEXT] for name in cls.__slots__}
        digest = _DIGEST.fullmatch(given["digest"].lower())
        if given["digest"] and digest is None:
            raise Invalid(
                f"'{given['digest'][:80]}' is no digest.", hint="Give it as sha256: and 64 hexadecimal digits."
            )
        if given["signer"] and not _KEY.fullmatch(given["signer"]):
            raise Invalid(f"'{given['signer'][:80]}' is no key's id.", hint="It has 64 hexadecimal digits.")
        before = given["before"] if INDEX.fullmatch(given["before"]) else ""
        return cls(**given | {"before": before, "digest": f"sha256:{digest[1]}" if digest else ""})

    @property
    def filtered(self) -> bool:
        """Whether anything is asked for but the page."""
        return bool(self.type or self.signer or self.digest)

    def address(self, **changed: str) -> str:
        """The page's address, with some of it changed."""
        given = {name: getattr(self, name) for name in self.__slots__} | changed
        query = urlencode({name: value for name, value in given.items() if value})
        return f"/ledger?{query}" if query else "/ledger"


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in a list; without `entry` it cannot be read any more. `names`: of what it is about; `withdrawn`: by
    whom it was taken back."""

    index: int
    entry: Entry | None = None
    signed: Signed | None = None
    title: str = "Damaged"
    names: tuple[str, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of entries, and the address of the next one. `low`: where looking for them ended, if not at the last."""

    lines: Sequence[Line]
    older: str = ""
    low: int = 0


class Asking:
    """Asks for things each of which may be damaged, and keeps what was the matter, by its words."""

    def __init__(self) -> None:
        self.problems: dict[str, Unavailable] = {}

    async def tried(self, work: Awaitable[_T], instead: _T) -> _T:
        try:
            return await work
        except Unavailable as error:
            self.told(error)
            return instead

    def told(self, error: Unavailable) -> None:
        """Keep what was the matter."""
        self.problems[error.message] = error


class Entries:
    """Lists of a ledger's entries. Whose word counts beside its own, `trusted` says at each moment."""

    def __init__(self, ledger: Ledger, trusted: Callable[[], Trusted], looked_at: int = LOOKED_AT) -> None:
        self._ledger = ledger
        self._trusted = trusted
        self.looked_at = looked_at

    async def list(self, wanted: Wanted, asking: Asking) -> Listed:
        """The newest that are wanted. One that is damaged is a line all the same."""
        size = self._ledger.log.size
        before = min(int(wanted.before), size) if wanted.before else size
        low = max(0, before - self.looked_at) if wanted.signer and not wanted.digest else 0
        if wanted.filtered:
            index = await self._ledger.indexed()
            found = await index.newest(
                before, PAGE + 1, low=low, predicate_type=wanted.type, signer=wanted.signer, digest=wanted.digest
            )
        else:
            found = list(range(before - 1, max(-1, before - PAGE - 2), -1))
        lines = [await self._line(number, asking) for number in found[:PAGE]]
        withdrawn = await asking.tried(self._withdrawn([one.entry for one in lines if one.entry]), {})
        lines = [replace(one, withdrawn=withdrawn.get(one.index, ())) for one in lines]
        if len(found) > PAGE:
            return Listed(lines, wanted.address(before=str(found[PAGE - 1])))
        return Listed(lines, wanted.address(before=str(low)) if low else "", low)

    async def by_day(self, now: float) -> Plot | None:
        """Entries by day over the last `DAYS`, of the days of which all were looked at; None for less than two."""
        index, low, today = await self._ledger.indexed(), max(0, self._ledger.log.size - self.looked_at), _day(now)
        counts, first = await index.by_day(low), today - DAYS + 1
        if low:  # the day on which those begin that are looked at is not whole
            rows = await index.rows(low, low + 1 + self.looked_at // _BEGINNING)
            own = [row.at for row in rows.values() if row.signer in self._ledger.keys.keys]
            first = max(first, _day(max(own) / 1e6) + 1) if own else today
        days = range(first, today + 1)
        if len(days) < 2:
            return None
        series = {"Entries": [float(counts.get(day, 0)) for day in days]}
        return Plot("Entries", "", "bar", [float(day * _DAY_S) for day in days], series)

    async def _line(self, number: int, asking: Asking) -> Line:
        entry = await asking.tried(self._ledger.entry(number), None)
        if entry is None:
            return Line(number)
        names = tuple(one.name or one.digest for one in things(entry.statement)) if entry.statement else ()
        return Line(number, entry, signed_by(entry, self._ledger.keys, self._trusted()), title_of(entry), names)

    async def _withdrawn(self, entries: Sequence[Entry]) -> dict[int, tuple[Withdrawn, ...]]:
        """What takes these back, by their index, as the page of each tells it: as it is verified."""
        by = await self._ledger.withdrawals([one.index for one in entries])
        digests = {named_by((await self._ledger.entry(number)).statement) for number in by}
        taken_back = [one.index for one in entries if one.digest in digests]
        if not taken_back:
            return {}
        bundle = await self._ledger.bundle([*taken_back, *by])
        report = await asyncio.to_thread(verify, bundle, [self._ledger.verifier, *self._trusted().verifiers])
        return {one.index: one.withdrawn for one in report.entries}


def _day(at: float) -> int:
    return int(at // _DAY_S)
