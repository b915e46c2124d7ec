"""The circuit breaker and what is measured, with a clock that stands until it is moved."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Fault
from intermodel.gateway.health import IN_A_ROW, KEPT, PROBE_S, Health, Phase, Place


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock, lambda: 0.5)  # no jitter: a draw of one half is the pause itself


@pytest.fixture
def place(health: Health) -> Place:
    return health.of("a", 0)


def fail(place: Place, fault: Fault = Fault.BROKEN, times: int = 1, retry_after_s: float | None = None) -> None:
    for _ in range(times):
        place.failed(fault, retry_after_s)


class TestOpening:
    def test_it_is_closed_at_first(self, place: Place) -> None:
        assert place.may()
        standing = place.standing()
        assert (standing.phase, standing.until, standing.reason, standing.rests_s) == (Phase.CLOSED, 0, "", 0)

    def test_faults_in_a_row_open_it(self, place: Place, clock: Clock) -> None:
        fail(place, times=IN_A_ROW - 1)
        assert place.may()
        fail(place)
        assert not place.may()
        standing = place.standing()
        assert (standing.phase, standing.until, standing.reason) == (Phase.OPEN, clock.now + 1, "broken")
        assert standing.rests_s == 1

    def test_an_answer_between_them_keeps_it_closed(self, place: Place) -> None:
        for _ in range(10):
            place.ok(0.1, 10, 1)
            place.ok(0.1, 10, 1)
            fail(place, times=IN_A_ROW - 1)
        assert place.may()

    def test_more_than_half_of_five_calls_open_it(self, place: Place, clock: Clock) -> None:
        for good in (True, False, True, False):
            place.ok(0.1, 10, 1) if good else fail(place)
            clock.now += 1
        assert place.may()
        fail(place)  # three of five
        assert not place.may()

    def test_faults_of_long_ago_do_not_count(self, place: Place, clock: Clock) -> None:
        for good in (False, True, False):
            place.ok(0.1, 10, 1) if good else fail(place)
        clock.now += 31
        place.ok(0.1, 10, 1)
        fail(place)
        assert place.may()  # one of two; with the old ones it would be three of five

    @pytest.mark.parametrize(
        "fault", [Fault.WRONG, Fault.TOO_LONG, Fault.FILTERED, Fault.UNSUPPORTED, Fault.MISSING], ids=str
    )
    def test_faults_of_the_request_never_open_it(self, place: Place, fault: Fault) -> None:
        fail(place, fault, times=50)
        assert place.may()
        assert (place.standing().error_ratio > 0) == (fault is Fault.MISSING)

    def test_a_tired_server_is_left_alone_for_as_long_as_it_asked(self, place: Place, clock: Clock) -> None:
        fail(place, Fault.TIRED, retry_after_s=7)
        clock.now += 6.99
        assert not place.may()
        clock.now += 0.4  # with the jitter: up to a tenth later, never earlier
        assert place.may()

    def test_one_refusal_without_a_time_is_not_enough(self, place: Place) -> None:
        fail(place, Fault.TIRED)
        assert place.may()
        fail(place, Fault.TIRED, times=IN_A_ROW - 1)
        assert not place.may()

    def test_no_server_can_ask_for_a_day(self, place: Place, clock: Clock) -> None:
        fail(place, Fault.TIRED, retry_after_s=86_400)
        clock.now += 3600 * 1.1
        assert place.may()

    def test_a_longer_wish_that_comes_late_is_heard(self, place: Place, clock: Clock) -> None:
        fail(place, Fault.TIRED, retry_after_s=2)
        fail(place, Fault.TIRED, retry_after_s=20)
        clock.now += 19
        assert not place.may()


class TestWhatOpens:
    def test_a_dead_key_does_not_close_the_deployment(self, health: Health) -> None:
        health.of("a", 0).failed(Fault.KEY)
        assert not health.of("a", 0).may()
        assert health.of("a", 1).may()

    def test_a_deployment_stands_as_its_key_that_can_be_used_first(self, health: Health) -> None:
        health.of("a", 0).failed(Fault.KEY)
        health.of("a", 1).failed(Fault.TIRED, 7)
        assert health.standing("a").rests_s == 300
        assert health.standing("a", 2).reason == "tired"
        assert health.standing("a", 3).phase is Phase.CLOSED

    def test_a_dead_server_closes_all_its_keys(self, health: Health) -> None:
        for key in range(IN_A_ROW):
            health.of("a", key).failed(Fault.BROKEN)
        assert not any(health.of("a", key).may() for key in range(IN_A_ROW))
        assert health.of("b", 0).may()

    def test_a_dead_key_stays_away_longer_each_time(self, place: Place, clock: Clock) -> None:
        pauses = []
        for _ in range(6):
            fail(place, Fault.KEY)
            pauses.append(place.standing().until - clock.now)
            clock.now = place.standing().until
            assert place.may()
        assert pauses == [300, 600, 1200, 2400, 3600, 3600]


class TestHalfOpen:
    def open(self, place: Place, clock: Clock) -> None:
        fail(place, times=IN_A_ROW)
        clock.now = place.standing().until

    def test_one_probe_goes_through(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        assert place.standing().phase is Phase.HALF_OPEN
        assert [place.may() for _ in range(4)] == [True, False, False, False]
        assert place.standing().phase is Phase.OPEN
        assert place.standing().rests_s == 1

    def test_its_first_token_closes_it_for_all(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        assert place.may()
        place.first()
        assert place.may()
        assert place.may()
        assert place.standing().phase is Phase.CLOSED

    def test_its_failure_doubles_the_pause_up_to_a_minute(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        pauses = []
        for _ in range(8):
            assert place.may()
            fail(place)
            pauses.append(place.standing().until - clock.now)
            clock.now = place.standing().until
        assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]

    def test_after_an_answer_it_begins_anew(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        fail(place)
        clock.now = place.standing().until
        place.ok(0.1, 10, 1)
        fail(place, times=IN_A_ROW)
        assert place.standing().until == clock.now + 1

    def test_a_probe_whose_caller_left_says_nothing(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        assert place.may()
        place.left()
        assert place.standing().phase is Phase.HALF_OPEN
        assert place.may()

    def test_a_wrong_request_shows_that_the_server_lives(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        assert place.may()
        fail(place, Fault.WRONG)
        assert place.standing().phase is Phase.CLOSED

    def test_a_probe_that_never_ends_does_not_keep_it_closed(self, place: Place, clock: Clock) -> None:
        self.open(place, clock)
        assert place.may()
        clock.now += PROBE_S - 1
        assert not place.may()
        clock.now += 1
        assert place.may()

    def test_calls_that_began_before_it_opened_change_nothing(self, place: Place, clock: Clock) -> None:
        fail(place, times=IN_A_ROW)
        until = place.standing().until
        fail(place, times=20)
        place.ok(0.1, 10, 1)
        assert place.standing().until == until
        assert place.standing().phase is Phase.OPEN

    def test_a_lone_place_that_is_down_is_tried_once_a_pause(self, place: Place, clock: Clock) -> None:
        tries = 0
        for _ in range(600):  # a minute of ten calls a second, all of which would fail
            if place.may():
                tries += 1
                fail(place)
            clock.now += 0.1
        assert tries <= IN_A_ROW + 6


class TestMeasures:
    def test_median_rate_and_quantiles(self, place: Place, clock: Clock) -> None:
        assert place.standing().first_token_s is None
        assert place.standing().measured is None
        for tenth in range(1, 21):
            place.ok(tenth / 10, 101, tenth / 10 + 2)
        standing = place.standing()
        assert standing.first_token_s == 1.0
        assert standing.rate == pytest.approx(50)
        assert (standing.samples, standing.measured) == (20, clock.now)
        assert place.first_token(0.9) == 1.8
        assert place.first_token(0.99) == 2.0

    def test_too_few_times_have_no_quantile(self, place: Place) -> None:
        for _ in range(15):
            place.ok(1, 10, 2)
        assert place.first_token(0.9) is None

    def test_answers_without_tokens_have_no_rate(self, place: Place) -> None:
        place.ok(0.1, 0, 0.1)
        place.ok(0.1, 1, 0.1)
        assert place.standing().rate is None

    def test_the_error_ratio_follows_the_faults(self, place: Place) -> None:
        draw = random.Random(1)
        for _ in range(1000):
            fail(place, Fault.TIRED) if draw.random() < 0.25 else place.ok(0.1, 10, 1)
        assert 0.1 < place.standing().error_ratio < 0.45

    def test_what_is_measured_belongs_to_all_keys(self, health: Health) -> None:
        health.of("a", 0).ok(0.5, 10, 1)
        health.judged("a", 0.75)
        assert health.of("a", 1).standing().first_token_s == 0.5
        assert health.of("a", 1).standing().quality == 0.75

    @given(st.lists(st.floats(0, 1e6), min_size=16, max_size=400), st.floats(0.01, 0.99))
    def test_a_quantile_is_that_of_the_last_ones(self, times: list[float], share: float) -> None:
        place = Health(Clock()).of("a")
        for value in times:
            place.ok(value, 0, 0)
        kept = sorted(times[-KEPT:])
        found = place.first_token(share)
        assert found in kept
        assert sum(value <= found for value in kept) >= share * len(kept) - 1e-9
        assert sum(value < found for value in kept) < share * len(kept) + 1e-9
        assert place.standing().first_token_s == statistics.median_low(kept)


def test_the_pause_is_spread(clock: Clock) -> None:
    draw = random.Random(2)
    health = Health(clock, draw.random)
    pauses = set()
    for number in range(50):
        place = health.of(str(number))
        fail(place, times=IN_A_ROW)
        pauses.add(place.standing().until - clock.now)
    assert len(pauses) == 50
    assert all(0.8 <= pause <= 1.2 for pause in pauses)


def test_what_is_forgotten_begins_anew(health: Health) -> None:
    for name in ("a", "b"):
        fail(health.of(name), times=IN_A_ROW)
        health.of(name, 1).ok(0.5, 10, 1)
    health.forget("a")
    health.forget("never")
    assert health.standing("a", 2).phase is Phase.CLOSED
    assert health.standing("a", 2).samples == 0
    assert health.of("b").standing().phase is Phase.OPEN
