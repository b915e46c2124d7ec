"""When a crashed engine is started again, and when it is given up. Pure functions over times in seconds."""

from __future__ import annotations

from collections.abc import Sequence

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0


def recent(times: Sequence[float], now: float, window_s: float) -> tuple[float, ...]:
    """The crashes that still count."""
    return tuple(t for t in times if now - t < window_s)


def is_given_up(times: Sequence[float], now: float, *, limit: int, window_s: float) -> bool:
    return len(recent(times, now, window_s)) >= limit


def delay_s(times: Sequence[float], now: float, *, window_s: float, jitter: float) -> float:
    """How long to wait from `now` before the next start: nothing after a first crash, then doubling.

    `jitter` in [0, 1) takes up to half of it off, so that engines that died together do not return together.
    """
    crashed = recent(times, now, window_s)
    if len(crashed) < 2:
        return 0.0
    pause = min(FIRST_DELAY_S * 2.0 ** (len(crashed) - 2), LONGEST_DELAY_S) * (1 - jitter / 2)
    return max(0.0, crashed[-1] + pause - now)
