"""Requests a minute, tokens a minute, calls at once: of tokens, users, organisations and deployments.

A minute is any 60 seconds, not one of the clock: what was counted at a moment leaves exactly 60 s later. A call is
counted when it is admitted, with the tokens that it may use; `Admission.settle` gives back what it did not use, and
counts what it used beyond that at the moment of settling. Either all limits that bind a call let it in, or none
counts it.

With Redis the same counts hold over several processes (`limits_redis`); each process keeps its own besides, and goes
by them while Redis is gone: the limits then hold in each process by itself. Rather that than refuse all calls
because one helper is missing, for what protects money (budgets) does not rest on these counts; and rather that than
no limit at all.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from intermodel.accounts.limit_headers import Headers, State, headers
from intermodel.accounts.limits_redis import Answer, Kind, Shared, Subject
from intermodel.accounts.payer import Payer
from intermodel.core import Limited
from intermodel.core.errors import TooLarge
from intermodel.settings import Rate, RateLimit

WINDOW_S = 60.0
NEXT_END_S = 1.0
"""When to ask again where too many calls are in progress: nobody knows when the next one ends."""
FEW = 1024
"""So many counts are kept without asking which of them are still needed."""


@dataclass(frozen=True, slots=True)
class Busy:
    """Which limit says no, and when it may say yes: exact for requests and tokens, infinite for what never fits."""

    limit: str
    kind: Kind
    most: int
    retry_after_s: float
    states: tuple[State, ...] = ()
    """Of all limits that bind the call."""


EXACT = 1024
"""So many calls of a window are kept one by one; those after them by the hundredth of a second, which bounds memory."""
GRAIN_S = 0.01


class Counted:
    """What counts in a window until 60 s after `at`: one call or, where they are many, those of a hundredth of a second
    together, which count until the last of them would."""

    __slots__ = ("at", "began", "requests", "tokens")

    def __init__(self, at: float, requests: int, tokens: int) -> None:
        self.began = self.at = at
        self.requests = requests
        self.tokens = tokens


class Window:
    """What counts against one limit of one subject in the last 60 s."""

    __slots__ = ("at_once", "entries", "key", "name", "requests", "rpm", "running", "tokens", "tpm")

    def __init__(self, name: str, key: str, rate: Rate) -> None:
        self.name = name
        self.key = key
        self.entries: deque[Counted] = deque()
        self.requests = 0
        self.tokens = 0
        self.running = 0
        self.bound_to(rate)

    def bound_to(self, rate: Rate) -> None:
        """Another limit for the same counts."""
        self.rpm, self.tpm, self.at_once = rate.requests_per_minute, rate.tokens_per_minute, rate.at_once

    def expire(self, now: float) -> None:
        """Let go of what is 60 s old."""
        entries, gone = self.entries, now - WINDOW_S
        while entries and entries[0].at <= gone:
            entry = entries.popleft()
            self.requests -= entry.requests
            self.tokens -= entry.tokens

    def fits(self, now: float, tokens: int) -> bool:
        if self.entries and self.entries[0].at <= now - WINDOW_S:
            self.expire(now)
        return (
            (self.rpm is None or self.requests < self.rpm)
            and (self.tpm is None or self.tokens + tokens <= self.tpm)
            and (self.at_once is None or self.running < self.at_once)
        )

    def add(self, now: float, requests: int, tokens: int) -> Counted:
        """Count so much from now on."""
        self.requests += requests
        self.tokens += tokens
        entries = self.entries
        if len(entries) >= EXACT and now - (last := entries[-1]).began < GRAIN_S:
            last.at = now
            last.requests += requests
            last.tokens += tokens
            return last
        entry = Counted(now, requests, tokens)
        entries.append(entry)
        return entry

    def refused(self, now: float, tokens: int) -> Iterator[tuple[Kind, float]]:
        """Everything that this limit has against a call of so many tokens now, and for how many seconds."""
        if self.rpm is not None and self.requests >= self.rpm:
            yield "requests", self._wait(now, self.requests - self.rpm + 1, "requests")
        if self.tpm is not None and self.tokens + tokens > self.tpm:
            yield "tokens", self._wait(now, self.tokens + tokens - self.tpm, "tokens")
        if self.at_once is not None and self.running >= self.at_once:
            yield "at_once", NEXT_END_S

    def busy(self, kind: Kind, wait_s: float, states: tuple[State, ...]) -> Busy:
        most = {"requests": self.rpm, "tokens": self.tpm, "at_once": self.at_once}[kind]
        return Busy(self.name, kind, most or 0, wait_s, states)

    def _wait(self, now: float, excess: int, kind: Kind) -> float:
        """Until so much has left the window."""
        for entry in self.entries:
            excess -= entry.requests if kind == "requests" else entry.tokens
            if excess <= 0:
                return entry.at + WINDOW_S - now
        return math.inf

    def state(self, now: float) -> State:
        self.expire(now)
        reset_s = self.entries[-1].at + WINDOW_S - now if self.entries else 0.0
        return State(self.rpm, self.tpm, self.requests, self.tokens, reset_s)

    @property
    def subject(self) -> Subject:
        return Subject(self.key, self.rpm, self.tpm, self.at_once)


class Admission:
    """A call that was let in: `settle` it when its tokens are known, and `close` it when it has ended."""

    __slots__ = ("_clock", "_closed", "_entries", "_settled", "_windows", "tokens")

    def __init__(self, windows: tuple[Window, ...], tokens: int, at: float, clock: Callable[[], float]) -> None:
        self.tokens = tokens
        self._windows = windows
        self._clock = clock
        self._settled = self._closed = False
        entries: list[Counted] = []
        self._entries = entries
        for window in windows:
            entries.append(window.add(at, 1, tokens))
            window.running += 1

    def settle(self, tokens: int) -> None:
        """Say how many tokens the call really used. Only the first time counts."""
        if self._settled:
            return
        self._settled = True
        extra = tokens - self.tokens
        if extra:
            self._correct(extra)

    def close(self) -> None:
        """The call has ended. It need not be settled: what it was admitted with then stays counted."""
        if self._closed:
            return
        self._closed = True
        for window in self._windows:
            window.running -= 1

    @property
    def headers(self) -> Headers:
        """What is left of the tightest limits, in OpenAI's words (`x-ratelimit-*`); empty where nothing binds."""
        now = self._clock()
        return headers([window.state(now) for window in self._windows])

    def _correct(self, extra: int) -> None:
        now = self._clock()
        if extra > 0:
            for window in self._windows:
                window.expire(now)
                window.add(now, 0, extra)
            return
        self.tokens += extra
        for window, entry in zip(self._windows, self._entries, strict=True):
            if entry.at > now - WINDOW_S:  # it still counts
                entry.tokens += extra
                window.tokens += extra


class SharedAdmission(Admission):
    """A call that was let in by the counts in Redis, and is counted here too."""

    __slots__ = ("_id", "_shared", "_states")

    def __init__(
        self,
        windows: tuple[Window, ...],
        tokens: int,
        at: float,
        clock: Callable[[], float],
        shared: Shared,
        answer: Answer,
        states: tuple[State, ...],
    ) -> None:
        super().__init__(windows, tokens, at, clock)
        self._shared = shared
        self._id = answer.id
        self._states = states

    def close(self) -> None:
        if not self._closed:
            self._shared.ended(self._id, [window.key for window in self._windows])
        super().close()

    @property
    def headers(self) -> Headers:
        return headers(self._states)

    def _correct(self, extra: int) -> None:
        self._shared.corrected(self._id, [window.key for window in self._windows], extra)
        super()._correct(extra)


class RateLimits:
    """All limits of a node. `await close()` at the end, where there is a Redis."""

    def __init__(
        self,
        limits: Mapping[str, RateLimit],
        redis_url: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = dict(limits)
        self._clock = clock
        self.refused: Counter[str] = Counter()
        """How many calls each limit refused."""
        self._windows: dict[str, Window] = {}
        self._bound: dict[str, tuple[Payer, tuple[Window, ...]]] = {}
        self._deployments: dict[str, tuple[Rate, tuple[Window]]] = {}
        self._sweep_at = FEW
        self._free = Admission((), 0, 0.0, clock)
        self._shared = Shared(redis_url, self._running) if redis_url else None

    def replace(self, limits: Mapping[str, RateLimit]) -> None:
        """Other limits from now on. What was counted under a name stays counted under it."""
        self._limits = dict(limits)
        self._bound.clear()

    async def admit(self, payer: Payer, tokens: int) -> Admission:
        """Count a call of the payer that may use so many tokens.

        Raises `Limited` where it must wait, and `TooLarge` where it has more tokens than fit into any minute.
        """
        if not self._limits:
            return self._free
        windows = self._binding(payer)
        if not windows:
            return self._free
        tokens = max(0, tokens)
        answer = self._take(windows, tokens) if self._shared is None else await self._take_shared(windows, tokens)
        if isinstance(answer, Busy):
            self.refused[answer.limit] += 1
            raise _refusal(answer, tokens)
        return answer

    async def try_admit(self, deployment: str, rate: Rate, tokens: int) -> Admission | Busy:
        """Whether the deployment can take a call of so many tokens now; if so it is counted."""
        if rate.requests_per_minute is None and rate.tokens_per_minute is None and rate.at_once is None:
            return self._free
        known = self._deployments.get(deployment)
        if known is None or known[0] is not rate:
            self._sweep()
            known = self._deployments[deployment] = rate, (self._window(deployment, f":{deployment}", rate),)
        windows, tokens = known[1], max(0, tokens)
        return self._take(windows, tokens) if self._shared is None else await self._take_shared(windows, tokens)

    async def close(self) -> None:
        """Tell the others that this process counts no more."""
        if self._shared:
            await self._shared.close()

    def _take(self, windows: tuple[Window, ...], tokens: int) -> Admission | Busy:
        now = self._clock()
        for window in windows:
            if not window.fits(now, tokens):
                return self._busy(windows, now, tokens)
        return Admission(windows, tokens, now, self._clock)

    def _busy(self, windows: tuple[Window, ...], now: float, tokens: int) -> Busy:
        states = tuple(window.state(now) for window in windows)
        return _longest(window.busy(*found, states) for window in windows for found in window.refused(now, tokens))

    async def _take_shared(self, windows: tuple[Window, ...], tokens: int) -> Admission | Busy:
        assert self._shared
        answer = await self._shared.admit([window.subject for window in windows], tokens)
        if answer is None:
            return self._take(windows, tokens)
        states = tuple(
            State(window.rpm, window.tpm, *counts) for window, counts in zip(windows, answer.counts, strict=True)
        )
        if answer.refused:
            return _longest(windows[index].busy(kind, wait_s, states) for index, kind, wait_s in answer.refused)
        windows = tuple(self._windows.setdefault(window.key, window) for window in windows)  # a sweep may have come
        return SharedAdmission(windows, tokens, self._clock(), self._clock, self._shared, answer, states)

    def _binding(self, payer: Payer) -> tuple[Window, ...]:
        known = self._bound.get(payer.token_id)
        if known is not None and (known[0] is payer or known[0] == payer):
            return known[1]
        self._sweep()
        windows = tuple(
            self._window(name, key, limit)
            for name, limit in self._limits.items()
            if (key := _key(name, limit, payer)) is not None
        )
        self._bound[payer.token_id] = payer, windows
        return windows

    def _window(self, name: str, key: str, rate: Rate) -> Window:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(name, key, rate)
        else:
            window.bound_to(rate)
        return window

    def _sweep(self) -> None:
        """Forget the counts of those who have not called for a minute, once there are many."""
        if max(len(self._windows), len(self._bound)) < self._sweep_at:
            return
        now = self._clock()
        for key, window in list(self._windows.items()):
            window.expire(now)
            if not window.entries and not window.running:
                del self._windows[key]
        self._bound.clear()
        self._deployments.clear()
        self._sweep_at = max(FEW, 2 * len(self._windows))

    def _running(self) -> dict[str, int]:
        """Calls in progress here, of every limit that counts them."""
        return {key: window.running for key, window in self._windows.items() if window.at_once is not None}


def _key(name: str, limit: RateLimit, payer: Payer) -> str | None:
    """Under which a call of the payer is counted for the limit; None if it does not bind them."""
    if not (limit.token or limit.user or limit.organisation):
        return f"{name}:{payer.token_id}"
    binds = (
        (not limit.token or limit.token in (payer.token_id, payer.name))
        and (not limit.user or limit.user == payer.user)
        and (not limit.organisation or limit.organisation == payer.organisation)
    )
    return f"{name}:" if binds else None


def _longest(found: Iterable[Busy]) -> Busy:
    return max(found, key=lambda busy: busy.retry_after_s)


_SAID = {
    "requests": "{most} requests in any minute",
    "tokens": "{most} tokens in any minute",
    "at_once": "{most} calls at once",
}


def _refusal(busy: Busy, tokens: int) -> Limited | TooLarge:
    allowed = _SAID[busy.kind].format(most=busy.most)
    if math.isinf(busy.retry_after_s):  # asking again changes nothing, as clients do after a 429
        return TooLarge(
            f"The rate limit '{busy.limit}' allows {allowed}; this request may use {tokens}.",
            hint="Send less, or ask for a shorter answer.",
            code="request_over_rate_limit",
        )
    return Limited(
        f"The rate limit '{busy.limit}' allows {allowed}, and they are used.",
        hint=f"Try again in {busy.retry_after_s:.1f} s.",
        retry_after_s=busy.retry_after_s,
        headers=headers(busy.states),
    )
