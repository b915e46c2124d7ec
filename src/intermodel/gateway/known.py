"""What routes ask of records: verdicts, openness and tiers of the models that they name."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from intermodel.core import NotFound
from intermodel.gateway.choose import Known, Verdict
from intermodel.records.openness import plain
from intermodel.records.record import Record
from intermodel.records.store import Records
from intermodel.records.verdict import Outcome, purpose_of
from intermodel.records.verdict import verdict as verdict_on

FRESH_S = 10.0
"""How long what a record says holds for routes; a route that asks something new looks at once."""


class KnownOfRecords:
    """Reads records for the catalog; a record is looked at again every `FRESH_S`."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._clock = clock
        self._found: dict[str, tuple[float, frozenset[tuple[str, str]], Known | None]] = {}

    async def known(self, addresses: Collection[str], asked: Collection[tuple[str, str]]) -> Mapping[str, Known]:
        """By address, for each purpose and place that is asked for; nothing of those that have no record."""
        now, wanted = self._clock(), frozenset(asked)
        found: dict[str, Known] = {}
        for address in addresses:
            kept = self._found.get(address)
            if kept is None or now - kept[0] > FRESH_S or not wanted <= kept[1]:
                kept = self._found[address] = now, wanted, await self._read(address, wanted)
            if kept[2] is not None:
                found[address] = kept[2]
        for gone in self._found.keys() - set(addresses):
            del self._found[gone]
        return found

    async def _read(self, address: str, asked: frozenset[tuple[str, str]]) -> Known | None:
        try:
            record = await self._records.of(address)
        except NotFound:
            return None
        return known_of(record, asked)


def known_of(record: Record, asked: Collection[tuple[str, str]]) -> Known:
    """What a record says, in the words of routes; verdicts as of today, strictly read."""
    today = datetime.now(UTC).date()
    verdicts = {}
    for purpose, place in asked:
        said = verdict_on(record.graph, record.address, purpose_of(purpose), place, today)
        strict = said.strict.outcome
        allows = None if strict is Outcome.UNKNOWN else strict is not Outcome.REFUSE
        reasons = (*(reason.words for reason in said.strict.reasons), *said.unknown)
        verdicts[purpose, place] = Verdict(allows, reasons[0] if reasons else "")
    grade = plain.grade(record.disclosure)
    lacking = f"missing: {', '.join(grade.raised_by)}" if grade.raised_by else ""
    return Known(verdicts, grade.outcome, lacking)
