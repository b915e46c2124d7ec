"""Which place is tried next, after what happened to those before. No I/O, no clock of its own.

A place is a candidate with one of its deployment's keys. The rules, by fault:

- KEY: the deployment's next key, at once; then the next candidate.
- TIRED: its next key, then the next candidate; the place itself again when it has had its rest.
- BROKEN: the next candidate; the place itself again after a pause that doubles, with jitter.
- MISSING, UNSUPPORTED: the next candidate, and never this one again.
- TOO_LONG: the next candidate that is not known to be as short.
- FILTERED: nothing more, unless the route says `past_filters`.
- WRONG: nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from intermodel.core import Fault, IntermodelError, Invalid, OverBudget, Refused, Upstream
from intermodel.gateway.choose import Candidate, Target
from intermodel.settings import Route

PAUSE_S = 0.25
"""First pause before a place is asked again; doubled each time."""

LONGEST_WAIT_S = 5.0
"""A server that asks for a longer rest than this is not waited for: its caller is told, and decides."""


class Place(NamedTuple):
    """What to try, and how many seconds to wait before. `asked`: the server asked for them, and rests until then."""

    target: Target
    key: int
    wait_s: float = 0.0
    asked: bool = False


class Failover:
    """The places of one call, in turn. `jitter` draws from 0 to 1."""

    def __init__(
        self,
        route: Route,
        candidates: Sequence[Candidate],
        keys: Callable[[str], int],
        jitter: Callable[[], float],
    ) -> None:
        """`keys` tells how many keys a target's deployment has."""
        self._route = route
        self._jitter = jitter
        self._left = [Place(c.target, key) for c in candidates if c.fit for key in range(keys(c.target.provider))]
        self._again: list[tuple[float, Place]] = []
        self.errors: list[IntermodelError] = []
        """What the failed attempts ended with, in turn."""
        self._rounds: dict[tuple[str, int], int] = {}
        self._tried = 0

    @property
    def tried(self) -> int:
        """Attempts so far."""
        return self._tried

    def next(self, now: float, ends: float, usable: Callable[[Place], bool]) -> Place | None:
        """The place to try, None when there is none before `ends`; `usable` says whether its circuit lets it be tried.

        The times are seconds of one monotonic clock.
        """
        if self._tried >= self._route.attempts or now >= ends:
            return None
        while self._left:
            place = self._left.pop(0)
            if usable(place):
                self._tried += 1
                return place
        return self._rested(now, ends, usable)

    def rival(self, late: Place, now: float, ends: float, usable: Callable[[Place], bool]) -> Place | None:
        """Another server, not tried yet, to be asked besides `late`."""
        if self._tried >= self._route.attempts or now >= ends:
            return None
        others = (place for place in self._left if place.target.address != late.target.address)
        found = next((place for place in others if usable(place)), None)
        if found is not None:
            self._left.remove(found)
            self._tried += 1
        return found

    def _rested(self, now: float, ends: float, usable: Callable[[Place], bool]) -> Place | None:
        while self._again:
            due, place = min(self._again, key=lambda entry: entry[0])
            self._again.remove((due, place))
            wait_s = max(0.0, due - now)
            if now + wait_s < ends and wait_s <= LONGEST_WAIT_S and (place.asked or usable(place)):
                self._tried += 1
                return place._replace(wait_s=wait_s)
        return None

    def failed(self, place: Place, error: IntermodelError, now: float) -> bool:
        """Take note of a failure. Whether anything else may be tried at all."""
        self.errors.append(error)
        fault = fault_of(error)
        if fault is Fault.WRONG or (fault is Fault.FILTERED and not self._route.past_filters):
            self._left.clear()
            self._again.clear()
            return False
        self._drop_like(place, fault)
        if fault in (Fault.TIRED, Fault.BROKEN) and error.code not in NOT_AGAIN:
            asked = isinstance(error, Upstream) and bool(error.retry_after_s)
            self._again.append((now + self._pause(place, error), place._replace(asked=asked)))
        return True

    def _drop_like(self, place: Place, fault: Fault) -> None:
        """Leave out what must fail in the same way."""
        target = place.target
        if fault not in (Fault.KEY, Fault.TIRED):  # another key of the same server changes nothing
            self._left = [p for p in self._left if p.target.address != target.address]
        if fault is Fault.TOO_LONG and target.context_length:
            most = target.context_length
            self._left = [p for p in self._left if (p.target.context_length or most + 1) > most]

    def _pause(self, place: Place, error: IntermodelError) -> float:
        key = place.target.address, place.key
        rounds = self._rounds[key] = self._rounds.get(key, 0) + 1
        asked = error.retry_after_s if isinstance(error, Upstream) else None
        drawn = PAUSE_S * 2.0 ** (rounds - 1) * (0.5 + self._jitter())
        return max(drawn, asked or 0.0)


NOT_AGAIN = frozenset({"upstream_timeout", "upstream_too_large", "upstream_tls", "model_too_large", "address_refused"})
"""Failures that a second try at the same place would only repeat, at the price of a second wait."""

_BY_CODE = {"context_length_exceeded": Fault.TOO_LONG, "unsupported_content": Fault.UNSUPPORTED,
            "unsupported_field": Fault.UNSUPPORTED}  # fmt: skip


def fault_of(error: IntermodelError) -> Fault:
    """The fault of any error that an attempt can end with."""
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if isinstance(error, Upstream):
        return error.fault
    return Fault.WRONG if isinstance(error, (Invalid, Refused)) else Fault.MISSING  # a guard is not routed around


_TELLING: tuple[Fault | type[IntermodelError], ...] = (
    Fault.MISSING, Fault.KEY, Fault.BROKEN, Fault.TIRED, OverBudget, Fault.UNSUPPORTED, Fault.TOO_LONG, Fault.FILTERED,
    Fault.WRONG,
)  # fmt: skip


def most_telling(errors: Sequence[IntermodelError]) -> IntermodelError:
    """Of several failures, the one that tells the caller most of what can be done; the first of equals."""
    return max(errors, key=lambda e: _TELLING.index(OverBudget if isinstance(e, OverBudget) else fault_of(e)))
