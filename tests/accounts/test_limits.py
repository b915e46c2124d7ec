"""Rate limits of one process, against the plainest possible account of the same calls."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.accounts.limit_headers import in_anthropic_words
from intermodel.accounts.limits import EXACT, FEW, GRAIN_S, Admission, Busy, RateLimits
from intermodel.accounts.payer import Payer
from intermodel.core import Limited
from intermodel.core.errors import TooLarge
from intermodel.settings import Rate, RateLimit

ADA = Payer("t1", "laptop", "ada", "engines")
BOB = Payer("t2", "ci", "bob", "engines")
EVE = Payer("t3", "ci", "eve")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(clock: Clock, **limits: Any) -> RateLimits:
    return RateLimits({name: RateLimit(**fields) for name, fields in limits.items()}, clock=clock)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestRequests:
    async def test_any_sixty_seconds_count(self, clock: Clock) -> None:
        limits = limited(clock, default={"requests_per_minute": 2})
        await limits.admit(ADA, 0)
        clock.now = 59  # a clock's minute would begin anew in a second
        await limits.admit(ADA, 0)
        clock.now = 59.75
        with pytest.raises(Limited) as refused:
            await limits.admit(ADA, 0)
        assert refused.value.retry_after_s == 0.25
        assert "'default'" in refused.value.message
        clock.now = 60
        await limits.admit(ADA, 0)
        with pytest.raises(Limited) as refused:
            await limits.admit(ADA, 0)
        assert refused.value.retry_after_s == 59

    async def test_a_refused_call_is_not_counted(self, clock: Clock) -> None:
        limits = limited(clock, default={"requests_per_minute": 1})
        await limits.admit(ADA, 0)
        for clock.now in range(1, 60):
            with pytest.raises(Limited):
                await limits.admit(ADA, 0)
        clock.now = 60
        await limits.admit(ADA, 0)


class TestWhoIsBound:
    async def test_with_no_one_named_every_token_by_itself(self, clock: Clock) -> None:
        limits = limited(clock, default={"requests_per_minute": 1})
        for payer in (ADA, BOB, EVE):
            await limits.admit(payer, 0)
        with pytest.raises(Limited):
            await limits.admit(ADA, 0)

    @pytest.mark.parametrize(
        ("named", "bound"),
        [
            ({"token": "t1"}, {ADA}),
            ({"token": "ci"}, {BOB, EVE}),
            ({"user": "ada"}, {ADA}),
            ({"organisation": "engines"}, {ADA, BOB}),
            ({"organisation": "engines", "token": "ci"}, {BOB}),
        ],
    )
    async def test_those_it_names_together(self, clock: Clock, named: dict[str, str], bound: set[Payer]) -> None:
        limits = limited(clock, one=named | {"requests_per_minute": 1})
        first = Payer("t9", "x", "x", "x")
        await limits.admit(first, 0)
        await limits.admit(first, 0)
        admitted = 0
        for payer in bound:
            try:
                await limits.admit(payer, 0)
                admitted += 1
            except Limited:
                pass
        assert admitted == 1

    async def test_a_token_that_changes_hands_is_bound_anew(self, clock: Clock) -> None:
        limits = limited(clock, one={"organisation": "engines", "requests_per_minute": 1})
        moved = Payer("t1", "laptop", "ada", "elsewhere")
        await limits.admit(ADA, 0)
        await limits.admit(moved, 0)
        await limits.admit(moved, 0)

    async def test_all_or_none(self, clock: Clock) -> None:
        limits = limited(
            clock, default={"requests_per_minute": 5}, team={"organisation": "engines", "requests_per_minute": 1}
        )
        await limits.admit(BOB, 0)
        for _ in range(10):
            with pytest.raises(Limited) as refused:
                await limits.admit(ADA, 0)
        assert "'team'" in refused.value.message
        headers = dict(refused.value.headers)
        assert headers[b"x-ratelimit-remaining-requests"] == b"0"
        clock.now = 60
        admission = await limits.admit(ADA, 0)  # her own five were never touched
        assert dict(admission.headers)[b"x-ratelimit-limit-requests"] == b"1"
        limits.replace({"default": RateLimit(requests_per_minute=5)})
        assert dict((await limits.admit(ADA, 0)).headers)[b"x-ratelimit-remaining-requests"] == b"3"


class TestTokens:
    async def test_what_was_not_used_is_given_back(self, clock: Clock) -> None:
        limits = limited(clock, default={"tokens_per_minute": 1000})
        admission = await limits.admit(ADA, 900)
        with pytest.raises(Limited):
            await limits.admit(ADA, 200)
        admission.settle(100)
        admission.settle(0)  # only once
        await limits.admit(ADA, 900)

    async def test_what_was_used_beyond_counts_from_then(self, clock: Clock) -> None:
        limits = limited(clock, default={"tokens_per_minute": 1000})
        admission = await limits.admit(ADA, 100)
        clock.now = 50
        admission.settle(1000)
        clock.now = 60  # the hundred have left, the nine hundred not
        with pytest.raises(Limited) as refused:
            await limits.admit(ADA, 101)
        assert refused.value.retry_after_s == 50
        await limits.admit(ADA, 100)

    async def test_nothing_is_given_back_that_no_longer_counts(self, clock: Clock) -> None:
        limits = limited(clock, default={"tokens_per_minute": 1000})
        admission = await limits.admit(ADA, 1000)
        clock.now = 61
        await limits.admit(ADA, 1000)
        admission.settle(0)
        with pytest.raises(Limited):
            await limits.admit(ADA, 1)

    async def test_what_never_fits_is_no_matter_of_waiting(self, clock: Clock) -> None:
        limits = limited(clock, default={"tokens_per_minute": 1000})
        with pytest.raises(TooLarge) as refused:
            await limits.admit(ADA, 1001)
        assert refused.value.code == "request_over_rate_limit"


class TestAtOnce:
    async def test_a_call_that_ended_makes_room_once(self, clock: Clock) -> None:
        limits = limited(clock, default={"at_once": 2})
        first = await limits.admit(ADA, 0)
        await limits.admit(ADA, 0)
        with pytest.raises(Limited):
            await limits.admit(ADA, 0)
        first.close()
        first.close()
        await limits.admit(ADA, 0)
        with pytest.raises(Limited):
            await limits.admit(ADA, 0)

    async def test_many_tasks_never_exceed_it(self, clock: Clock) -> None:
        limits = limited(clock, default={"at_once": 3})
        running = most = done = 0

        async def call() -> None:
            nonlocal running, most, done
            try:
                admission = await limits.admit(ADA, 0)
            except Limited:
                return
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            done += 1
            admission.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(call())
        assert (most, done, running) == (3, 3, 0)


class TestDeployments:
    async def test_the_router_is_told_when_again(self, clock: Clock) -> None:
        limits = limited(clock)
        rate = Rate(requests_per_minute=1, tokens_per_minute=100)
        assert isinstance(await limits.try_admit("a", rate, 100), Admission)
        clock.now = 10
        busy = await limits.try_admit("a", rate, 100)
        assert isinstance(busy, Busy)
        assert busy.retry_after_s == 50
        assert isinstance(await limits.try_admit("b", rate, 100), Admission)

    async def test_what_never_fits(self, clock: Clock) -> None:
        busy = await limited(clock).try_admit("a", Rate(tokens_per_minute=100), 101)
        assert isinstance(busy, Busy)
        assert math.isinf(busy.retry_after_s)

    async def test_without_a_rate_all_goes_through(self, clock: Clock) -> None:
        limits = limited(clock)
        for _ in range(10):
            admission = await limits.try_admit("a", Rate(), 10**9)
            assert isinstance(admission, Admission)
            assert admission.headers == ()


class TestReplacing:
    async def test_what_was_counted_stays(self, clock: Clock) -> None:
        limits = limited(clock, default={"requests_per_minute": 5})
        held = [await limits.admit(ADA, 0) for _ in range(4)]
        limits.replace({"default": RateLimit(requests_per_minute=2, at_once=4)})
        clock.now = 30
        with pytest.raises(Limited) as refused:
            await limits.admit(ADA, 0)
        assert refused.value.retry_after_s == 30
        clock.now = 60
        with pytest.raises(Limited):  # four are still in progress
            await limits.admit(ADA, 0)
        held[0].close()
        await limits.admit(ADA, 0)

    async def test_those_who_left_are_forgotten(self, clock: Clock) -> None:
        limits = limited(clock, default={"requests_per_minute": 5, "at_once": 9})
        for number in range(20 * FEW):
            clock.now += 0.5
            (await limits.admit(Payer(str(number), "x"), 0)).close()
        assert len(limits._windows) <= 2 * FEW
        assert len(limits._bound) <= 2 * FEW


class TestHeaders:
    async def test_the_tightest_limit_speaks(self, clock: Clock) -> None:
        limits = limited(
            clock,
            default={"requests_per_minute": 10, "tokens_per_minute": 5000},
            team={"organisation": "engines", "requests_per_minute": 3},
        )
        await limits.admit(ADA, 1000)
        clock.now = 1.5
        admission = await limits.admit(ADA, 500)
        assert admission.headers == (
            (b"x-ratelimit-limit-requests", b"3"),
            (b"x-ratelimit-remaining-requests", b"1"),
            (b"x-ratelimit-reset-requests", b"60.000s"),
            (b"x-ratelimit-limit-tokens", b"5000"),
            (b"x-ratelimit-remaining-tokens", b"3500"),
            (b"x-ratelimit-reset-tokens", b"60.000s"),
        )
        now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert in_anthropic_words(admission.headers, now) == (
            (b"anthropic-ratelimit-requests-limit", b"3"),
            (b"anthropic-ratelimit-requests-remaining", b"1"),
            (b"anthropic-ratelimit-requests-reset", b"2026-01-02T03:05:05Z"),
            (b"anthropic-ratelimit-tokens-limit", b"5000"),
            (b"anthropic-ratelimit-tokens-remaining", b"3500"),
            (b"anthropic-ratelimit-tokens-reset", b"2026-01-02T03:05:05Z"),
        )

    async def test_nothing_binds_nothing_is_said(self, clock: Clock) -> None:
        assert (await limited(clock).admit(ADA, 5)).headers == ()
        assert (await limited(clock, one={"user": "x", "at_once": 1}).admit(ADA, 5)).headers == ()


@dataclass
class Plain:
    """Every call ever, looked through from the beginning at each question."""

    limits: dict[str, RateLimit]
    calls: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    running: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def keys(self, payer: Payer) -> dict[str, RateLimit]:
        return {
            name if limit.organisation else name + payer.token_id: limit
            for name, limit in self.limits.items()
            if limit.organisation in ("", payer.organisation)
        }

    def fits(self, payer: Payer, tokens: float, now: float) -> bool:
        for key, limit in self.keys(payer).items():
            inside = [entry for entry in self.calls[key] if entry[0] > now - 60]
            if limit.requests_per_minute and sum(e[1] for e in inside) + 1 > limit.requests_per_minute:
                return False
            if limit.tokens_per_minute and sum(e[2] for e in inside) + tokens > limit.tokens_per_minute:
                return False
            if limit.at_once and self.running[key] + 1 > limit.at_once:
                return False
        return True

    def largest(self, payer: Payer) -> int | None:
        most = [limit.tokens_per_minute for limit in self.keys(payer).values()]
        return min(filter(None, most), default=None)

    def add(self, payer: Payer, entry: list[float]) -> None:
        for key in self.keys(payer):
            self.calls[key].append(entry)

    def begin(self, payer: Payer, entry: list[float]) -> None:
        self.add(payer, entry)
        for key in self.keys(payer):
            self.running[key] += 1

    def end(self, payer: Payer) -> None:
        for key in self.keys(payer):
            self.running[key] -= 1

    def first_fit(self, payer: Payer, tokens: float, now: float) -> float | None:
        times = {e[0] + 60 for key in self.keys(payer) for e in self.calls[key] if e[0] + 60 > now}
        return next((time - now for time in sorted(times) if self.fits(payer, tokens, time)), None)


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 40 * 4).map(lambda quarters: quarters / 4)),
        st.tuples(st.just("admit"), st.sampled_from([ADA, BOB, EVE]), st.integers(0, 120)),
        st.tuples(st.just("settle"), st.integers(0, 30), st.integers(0, 150)),
        st.tuples(st.just("close"), st.integers(0, 30)),
    ),
    max_size=60,
)
_some = st.one_of(st.none(), st.integers(1, 6))
_rates = st.fixed_dictionaries(
    {"requests_per_minute": _some, "tokens_per_minute": st.one_of(st.none(), st.integers(50, 300)), "at_once": _some}
)


class Both:
    """The limits and the plain account side by side."""

    def __init__(self, named: dict[str, RateLimit]) -> None:
        self.clock = Clock()
        self.limits, self.plain = RateLimits(named, clock=self.clock), Plain(named)
        self.calls: list[tuple[Admission, Payer, list[float]]] = []
        self.settled: set[int] = set()
        self.closed: set[int] = set()

    async def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    async def admit(self, payer: Payer, tokens: int) -> None:
        now = self.clock.now
        largest = self.plain.largest(payer)
        if largest is not None and tokens > largest:
            with pytest.raises(TooLarge):
                await self.limits.admit(payer, tokens)
        elif self.plain.fits(payer, tokens, now):
            entry = [now, 1, tokens]
            self.calls.append((await self.limits.admit(payer, tokens), payer, entry))
            self.plain.begin(payer, entry)
        else:
            with pytest.raises(Limited) as refused:
                await self.limits.admit(payer, tokens)
            if not any(self.plain.running.values()):
                assert refused.value.retry_after_s == self.plain.first_fit(payer, tokens, now)

    async def settle(self, index: int, used: int) -> None:
        if not self.calls:
            return
        index %= len(self.calls)
        admission, payer, entry = self.calls[index]
        admission.settle(used)
        if index not in self.settled:
            self.settled.add(index)
            if used > entry[2]:
                self.plain.add(payer, [self.clock.now, 0, used - entry[2]])
            else:
                entry[2] = used

    async def close(self, index: int) -> None:
        if not self.calls:
            return
        index %= len(self.calls)
        admission, payer, _ = self.calls[index]
        admission.close()
        if index not in self.closed:
            self.closed.add(index)
            self.plain.end(payer)


@settings(max_examples=300, deadline=None)
@given(_rates, _rates, _steps)
def test_it_does_as_the_plain_account(default: dict[str, Any], team: dict[str, Any], steps: list[Any]) -> None:
    both = Both({"default": RateLimit(**default), "team": RateLimit(organisation="engines", **team)})

    async def go() -> None:
        for verb, *arguments in steps:
            await getattr(both, verb)(*arguments)

    asyncio.run(go())


async def test_memory_is_bounded_however_many_call() -> None:
    clock = Clock()
    limits = RateLimits({"all": RateLimit(requests_per_minute=10**9, tokens_per_minute=10**9)}, clock=clock)
    for _ in range(20_000):
        (await limits.admit(ADA, 1)).close()
        clock.now += 0.001
    (window,) = limits._windows.values()
    assert (window.requests, window.tokens) == (20_000, 20_000)
    assert len(window.entries) <= EXACT + 20 / GRAIN_S
    clock.now += 60.01
    window.expire(clock.now)
    assert (window.requests, window.tokens, len(window.entries)) == (0, 0, 0)
