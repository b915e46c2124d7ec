from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from intermodel.engines import crashes

times = st.lists(st.floats(0, 1000), max_size=12).map(sorted)


def test_a_first_crash_is_mended_at_once() -> None:
    assert crashes.delay_s([], 10, window_s=60, jitter=0) == 0
    assert crashes.delay_s([10], 10, window_s=60, jitter=0) == 0


def test_delays_double_up_to_a_bound_and_jitter_only_shortens_them() -> None:
    delays = [crashes.delay_s([10.0] * n, 10, window_s=60, jitter=0) for n in range(2, 10)]
    assert delays == [0.25, 0.5, 1, 2, 4, 8, 10, 10]
    assert crashes.delay_s([10.0] * 4, 10, window_s=60, jitter=0.999) >= 0.5


def test_time_that_has_passed_counts() -> None:
    assert crashes.delay_s([10, 10], 10.2, window_s=60, jitter=0) < 0.051
    assert crashes.delay_s([10, 10], 20, window_s=60, jitter=0) == 0


def test_given_up_at_the_limit_within_the_window_alone() -> None:
    assert not crashes.is_given_up([1, 2, 3], 4, limit=4, window_s=60)
    assert crashes.is_given_up([1, 2, 3, 4], 4, limit=4, window_s=60)
    assert not crashes.is_given_up([1, 2, 3, 64], 64, limit=4, window_s=60)


@given(times, st.floats(1, 100), st.floats(0, 0.999))
def test_a_delay_is_never_negative_nor_beyond_the_bound(found: list[float], window: float, jitter: float) -> None:
    now = max(found, default=0.0)
    assert 0 <= crashes.delay_s(found, now, window_s=window, jitter=jitter) <= crashes.LONGEST_DELAY_S
