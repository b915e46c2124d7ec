"""Which places can be called now, and how well they did: a circuit breaker and what was measured, without any I/O.

A *place* is a deployment with one of its keys. Two circuits stand before it: the server's, shared by all keys of the
deployment, which BROKEN opens; and the key's own, which KEY and TIRED open. Both must be passed. What the caller
did wrong (WRONG, TOO_LONG, UNSUPPORTED, FILTERED) shows that the server lives, and opens nothing; neither does
MISSING, which comes fast, and may be true of one path of a server that answers well on the others.

A lone place opens as any other does: its callers get a quick "not now, again in 4 s" instead of waiting for the same
failure one after the other.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from intermodel.core import Fault

IN_A_ROW = 3
"""Faults without an answer between them that open a circuit."""
WINDOW_S, LEAST, SHARE = 30.0, 5, 0.5
"""So do faults that are more than this share of at least so many calls in the last seconds."""
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""First pause, doubled at each failed probe, and its bound."""
KEY_PAUSE_S, LONGEST_KEY_PAUSE_S = 300.0, 3600.0
"""The same for a key that was refused: it rarely comes back by itself."""
LONGEST_ASKED_S = 3600.0
"""Longest pause that a server can ask for: some answer with a day, and may be well again in an hour."""
PROBE_S = 30.0
"""How long a probe may keep others out; then one more is let through."""
KEPT = 128
"""First-token times kept, the latest ones."""
LEAST_FOR_QUANTILE = 16
"""Fewer times than this say nothing about a quantile other than the median."""
_NEW = 1 / 16
"""Weight of the latest value in a moving mean: three quarters of it come from the last 22 values."""
_BUCKETS = 10
_BUCKET_S = WINDOW_S / _BUCKETS


class Phase(StrEnum):
    """Whether calls go through: CLOSED lets all through, OPEN none, HALF_OPEN one that shows how things are.

    While that one, the probe, is under way, no other goes through, and the circuit counts as OPEN.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Standing:
    """A place as it was at one moment. Times are of the clock that `Health` was given; None is not yet known."""

    phase: Phase
    until: float
    """When an open circuit lets a probe through; 0 while it is closed."""
    rests_s: float
    """From now until then, or until the probe that is under way may have ended; 0 where a call may go through."""
    reason: str
    """The fault that opened it; empty while it is closed."""
    first_token_s: float | None
    """Median of the last ones."""
    rate: float | None
    """Tokens a second after the first, moving mean."""
    error_ratio: float
    """Share of calls that the place failed (KEY, TIRED, BROKEN, MISSING), moving mean."""
    samples: int
    """Answers measured since the node started."""
    measured: float | None
    """When the last of them ended: old figures deserve a new look."""
    quality: float | None
    """Moving mean of what `judged` was told, from 0 to 1."""
    ratings: int = 0
    """How often it was told something."""


class Health:
    """All places of a node. `clock` gives seconds and never goes back; `random` draws from 0 to 1, for the jitter."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, random: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._random = random
        self._servers: dict[str, _Server] = {}
        self._places: dict[tuple[str, int], Place] = {}

    def of(self, deployment: str, key_index: int = 0) -> Place:
        """The place's one record; keep it or ask again, as you like."""
        place = self._places.get((deployment, key_index))
        if place is None:
            server = self._servers.get(deployment)
            if server is None:
                server = self._servers[deployment] = _Server()
            place = self._places[deployment, key_index] = Place(server, self._clock, self._random)
        return place

    def forget(self, deployment: str) -> None:
        """It was removed: another of that name begins anew."""
        self._servers.pop(deployment, None)
        for place in [place for place in self._places if place[0] == deployment]:
            del self._places[place]

    def standing(self, deployment: str, keys: int = 1) -> Standing:
        """How a deployment with that many keys stands: as its key that can be used first."""
        standing = self.of(deployment).standing()
        for index in range(1, keys):
            if not standing.rests_s:
                return standing
            standing = min(standing, self.of(deployment, index).standing(), key=lambda one: one.rests_s)
        return standing

    def judged(self, deployment: str, quality: float) -> None:
        """Someone rated an answer of the deployment, from 0 to 1."""
        server = self.of(deployment)._server
        server.quality = _moved(server.quality, quality)
        server.ratings += 1


class Place:
    """A deployment with one of its keys. Each yes of `may` is followed by one of `ok`, `failed` and `left`."""

    __slots__ = ("_clock", "_key", "_random", "_server")

    def __init__(self, server: _Server, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._server = server
        self._key = _Breaker()
        self._clock = clock
        self._random = random

    def may(self) -> bool:
        """Whether to try it now. In half-open circuits a yes is *the* probe: others get a no until it has ended."""
        server, key = self._server.breaker, self._key
        if not (server.until or key.until):
            return True
        now = self._clock()
        if not (server.lets(now) and key.lets(now)):
            return False
        server.probed = key.probed = now
        return True

    def first(self) -> None:
        """The first token has come: enough to close the circuits, however long the answer takes."""
        now = self._clock()
        for breaker in (self._server.breaker, self._key):
            if breaker.until:  # it does not count as a success: that is known at the answer's end
                breaker.passed(now)

    def ok(self, first_token_s: float, tokens: int, seconds: float) -> None:
        """The answer came whole: `tokens` of it (0 where it has none) within `seconds` of the request."""
        now = self._clock()
        server = self._server
        server.breaker.passed(now)
        self._key.passed(now)
        server.errors -= _NEW * server.errors
        server.samples += 1
        server.measured = now
        server.firsts.add(first_token_s)
        if tokens > 1 and seconds > first_token_s:
            server.rate = _moved(server.rate, (tokens - 1) / (seconds - first_token_s))

    def failed(self, fault: Fault, retry_after_s: float | None = None) -> None:
        """The attempt failed; `retry_after_s` is how long the server asked to be left alone, where it did."""
        now = self._clock()
        server, key = self._server, self._key
        if fault in _FAULTS_OF_THE_PLACE:
            server.errors += _NEW * (1 - server.errors)
        if fault is Fault.BROKEN:
            server.breaker.broke(now, fault, retry_after_s, self._random())
            key.probed = 0.0
            return
        server.breaker.passed(now)  # it has answered
        if fault is Fault.KEY:
            key.open(now, fault, _pause(KEY_PAUSE_S, LONGEST_KEY_PAUSE_S, key.openings), retry_after_s, self._random())
        elif fault is Fault.TIRED:
            key.broke(now, fault, retry_after_s, self._random())
        else:
            key.probed = 0.0

    def left(self) -> None:
        """The caller went away, or another was faster: nothing was learned."""
        self._server.breaker.probed = self._key.probed = 0.0

    def first_token(self, quantile: float) -> float | None:
        """The time within which that share of first tokens came; None before there are enough of them."""
        firsts = self._server.firsts
        return firsts.quantile(quantile) if len(firsts) >= LEAST_FOR_QUANTILE else None

    def standing(self) -> Standing:
        """How the place stands now."""
        now = self._clock()
        server, key = self._server, self._key
        shut = server.breaker if server.breaker.until >= key.until else key
        return Standing(
            phase=shut.phase(now),
            until=shut.until,
            rests_s=shut.rests_s(now),
            reason=shut.reason,
            first_token_s=server.firsts.quantile(0.5),
            rate=server.rate,
            error_ratio=server.errors,
            samples=server.samples,
            measured=server.measured,
            quality=server.quality,
            ratings=server.ratings,
        )


def are_closed(places: Iterable[Place]) -> bool:
    """Whether all circuits before them are closed."""
    for place in places:  # noqa: SIM110 - for each call; a generator takes thrice as long
        if place._server.breaker.until or place._key.until:
            return False
    return True


_FAULTS_OF_THE_PLACE = frozenset({Fault.KEY, Fault.TIRED, Fault.BROKEN, Fault.MISSING})


class _Breaker:
    """One circuit. `until` is 0 while it is closed, `probed` is 0 while no probe is under way."""

    __slots__ = ("_calls", "in_a_row", "openings", "probed", "reason", "until")

    def __init__(self) -> None:
        self._calls = _Window()
        self.until = 0.0
        self.probed = 0.0
        self.reason = ""
        self.openings = 0
        self.in_a_row = 0

    def lets(self, now: float) -> bool:
        if not self.until:
            return True
        return now >= self.until and (not self.probed or now - self.probed >= PROBE_S)

    def phase(self, now: float) -> Phase:
        if not self.until:
            return Phase.CLOSED
        return Phase.HALF_OPEN if self.lets(now) else Phase.OPEN

    def rests_s(self, now: float) -> float:
        return 0.0 if self.lets(now) else max(self.until - now, PAUSE_S if self.probed else 0.0)

    def passed(self, now: float) -> None:
        """A call got through. One that began before the circuit opened does not close it."""
        self.in_a_row = 0
        self._calls.count(now, fault=False)
        if self.until and now >= self.until:
            self.until = self.probed = 0.0
            self.reason = ""
            self.openings = 0
            self._calls = _Window()

    def broke(self, now: float, fault: Fault, asked_s: float | None, draw: float) -> None:
        """A fault that opens the circuit if it is one of many, ends a probe, or says how long to stay away."""
        self.in_a_row += 1
        self._calls.count(now, fault=True)
        if asked_s or self.until or self.in_a_row >= IN_A_ROW or self._calls.mostly_faults():
            self.open(now, fault, _pause(PAUSE_S, LONGEST_PAUSE_S, self.openings), asked_s, draw)

    def open(self, now: float, fault: Fault, pause_s: float, asked_s: float | None, draw: float) -> None:
        """Let nothing through for the pause, give or take a fifth, and never come back before the server's own time."""
        asked_s = min(asked_s or 0.0, LONGEST_ASKED_S)
        until = now + max(pause_s * (0.8 + 0.4 * draw), asked_s * (1 + 0.1 * draw))
        if now < self.until:  # a call that began before it opened: no new failure, but perhaps a longer wish
            self.until = max(self.until, until) if asked_s else self.until
            return
        self.until = until
        self.probed = 0.0
        self.reason = fault.value
        self.openings += 1


class _Window:
    """Calls and faults of the last WINDOW_S, in buckets of a tenth of it."""

    __slots__ = ("_all", "_at", "_bad")

    def __init__(self) -> None:
        self._all = [0] * _BUCKETS
        self._bad = [0] * _BUCKETS
        self._at = 0

    def count(self, now: float, *, fault: bool) -> None:
        at = int(now / _BUCKET_S)
        if at != self._at:
            for passed in range(max(self._at + 1, at - _BUCKETS + 1), at + 1):
                self._all[passed % _BUCKETS] = self._bad[passed % _BUCKETS] = 0
            self._at = at
        self._all[at % _BUCKETS] += 1
        if fault:
            self._bad[at % _BUCKETS] += 1

    def mostly_faults(self) -> bool:
        calls = sum(self._all)
        return calls >= LEAST and sum(self._bad) > SHARE * calls


class _Times:
    """The last KEPT values, exact: in order of arrival, to know which goes, and sorted, to read quantiles."""

    __slots__ = ("_arrived", "_sorted")

    def __init__(self) -> None:
        self._arrived: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: float) -> None:
        if len(self._sorted) == KEPT:
            del self._sorted[bisect_left(self._sorted, self._arrived.popleft())]
        self._arrived.append(value)
        insort(self._sorted, value)

    def quantile(self, share: float) -> float | None:
        """The smallest kept value that at least `share` of them do not exceed."""
        if not self._sorted:
            return None
        rank = -int(-share * len(self._sorted) // 1)  # rounded up
        return self._sorted[min(max(rank, 1), len(self._sorted)) - 1]


class _Server:
    """What the places of one deployment share: its server's circuit and all that was measured."""

    __slots__ = ("breaker", "errors", "firsts", "measured", "quality", "rate", "ratings", "samples")

    def __init__(self) -> None:
        self.breaker = _Breaker()
        self.firsts = _Times()
        self.rate: float | None = None
        self.errors = 0.0
        self.samples = 0
        self.measured: float | None = None
        self.quality: float | None = None
        self.ratings = 0


def _moved(mean: float | None, value: float) -> float:
    return value if mean is None else mean + _NEW * (value - mean)


def _pause(first_s: float, longest_s: float, openings: int) -> float:
    return min(first_s * 2.0 ** min(openings, 32), longest_s)
