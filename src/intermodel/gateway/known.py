"""What routes ask of records: verdicts, openness and tiers of the models that they name."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime

from intermodel.core import NotFound, Unavailable
from intermodel.gateway.choose import Known, Verdict
from intermodel.records.openness import plain
from intermodel.records.record import Record
from intermodel.records.store import Records
from intermodel.records.verdict import Outcome, purpose_of
from intermodel.records.verdict import verdict as verdict_on

log = logging.getLogger(__name__)

FRESH_S = 10.0
"""How long what a record says holds for routes; a route that asks something new looks at once."""


_Kept = tuple[float, frozenset[tuple[str, str]], Known | None]


class KnownOfRecords:
    """Reads records for the catalog; a record is looked at again every `FRESH_S`."""

    def __init__(self, records: Records, clock: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._clock = clock
        self._found: dict[str, _Kept] = {}

    async def known(self, addresses: Collection[str], asked: Collection[tuple[str, str]]) -> Mapping[str, Known]:
        """By address, for each purpose and place that is asked for; nothing of those that have no record.

        Nothing either of a record that cannot be read, with a line in the log: it stops no call to another model.
        """
        now, wanted = self._clock(), frozenset(asked)
        found: dict[str, Known] = {}
        for address in addresses:
            kept = self._found.get(address)
            if kept is None or now - kept[0] > FRESH_S or not wanted <= kept[1]:
                kept = self._found[address] = now, wanted, await self._read(address, wanted, kept)
            if kept[2] is not None:
                found[address] = kept[2]
        for gone in self._found.keys() - set(addresses):
            del self._found[gone]
        return found

    async def _read(self, address: str, asked: frozenset[tuple[str, str]], before: _Kept | None) -> Known | None:
        try:
            record = await self._records.of(address)
            return await asyncio.to_thread(known_of, record, asked)  # it may walk hundreds of ancestors
        except NotFound:
            return None
        except Unavailable as error:
            log.warning("the record of %s cannot be read now: %s", address, error)
            return before[2] if before is not None and asked <= before[1] else None
        except Exception:
            log.exception("the record of %s cannot be read: nothing is known of it", address)
            return None


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
