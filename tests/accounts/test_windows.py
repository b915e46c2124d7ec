from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from intermodel.accounts import Payer
from intermodel.accounts.windows import (
    Period,
    Terms,
    Window,
    begins_anew,
    dollars,
    nano_dollars,
    slice_of,
    span_of,
    surplus_of,
)

amounts = st.integers(0, 10**18)
moments = st.integers(0, 4 * 10**9)


@given(amounts)
def test_dollars_are_exact_both_ways(nano: int) -> None:
    assert nano_dollars(dollars(nano)) == nano


def test_what_is_finer_than_a_nano_dollar_counts_whole() -> None:
    assert nano_dollars(Decimal("0.0000000011")) == 2


@given(remaining=st.integers(-(10**12), 10**18), need=st.integers(1, 10**12), part=amounts, demand=amounts)
def test_a_slice_is_what_is_needed_and_never_more_than_there_is(
    remaining: int, need: int, part: int, demand: int
) -> None:
    least = part % (need + 1)
    size = slice_of(remaining, need, least, demand)
    assert 0 <= size <= max(0, remaining)
    if remaining >= need:
        assert size >= need
    elif remaining >= least:
        assert size == max(0, remaining)
    else:
        assert size == 0


@given(remaining=st.integers(1, 10**18), need=st.integers(1, 10**18))
def test_near_the_ceiling_a_slice_is_exactly_what_is_needed(remaining: int, need: int) -> None:
    if remaining // 16 <= need <= remaining:
        assert slice_of(remaining, need, need, 0) == need


@given(free=st.integers(-(10**12), 10**18), demand=amounts)
def test_all_that_is_idle_flows_back(free: int, demand: int) -> None:
    assert 0 <= surplus_of(free, demand) <= max(0, free)
    assert surplus_of(free, 0) == max(0, free)


@given(moments)
def test_a_window_lasts_until_the_next_begins(at: int) -> None:
    periods: tuple[Period, ...] = ("day", "month")
    for period in periods:
        anew = begins_anew(period, at)
        assert anew is not None
        assert anew.timestamp() > at
        assert span_of(period, anew.timestamp() - 1) == span_of(period, at) != span_of(period, anew.timestamp())
    assert begins_anew("all", at) is None
    assert span_of("all", at) == "all"


def test_windows_are_named_in_utc() -> None:
    at = datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp()
    assert (span_of("day", at), span_of("month", at)) == ("2026-12-31", "2026-12")
    assert begins_anew("month", at) == begins_anew("day", at) == datetime(2027, 1, 1, tzinfo=UTC)


def test_whom_a_budget_binds() -> None:
    def binds(subject: str, who: str) -> bool:
        return Terms("b", subject, who, 1, "all").binds(Payer("id", "name", "user", "org"))  # type: ignore[arg-type]

    for subject, who in (("node", ""), ("token", "id"), ("token", "name"), ("user", "user"), ("organisation", "org")):
        assert binds(subject, who)
        assert not who or not binds(subject, "other")


@given(lease=amounts, reserved=amounts, spent=amounts)
def test_an_overshoot_does_not_take_what_others_reserved(lease: int, reserved: int, spent: int) -> None:
    window = Window("b", "all", 0)
    window.lease, window.reserved = lease, reserved
    covered = window.covered(spent)
    assert 0 <= covered <= spent
    assert lease - covered >= min(lease, reserved)
