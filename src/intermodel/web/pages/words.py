"""Numbers as people read them: money, lengths of time, shares, moments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from intermodel.accounts.budgets import shown

UNKNOWN = "\N{EN DASH}"
_LAST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


def money(nano: int) -> str:
    """Nano-dollars: cents from a dollar on, three digits below: `$12.40`, `$0.0035`, `$0`."""
    if nano < 0:
        return f"-{money(-nano)}"
    if not nano or nano >= 10**9:
        return f"${nano / 1e9:,.2f}" if nano else "$0"
    return f"${float(f'{nano / 1e9:.3g}'):.9f}".rstrip("0")


def exact(nano: int) -> str:
    """Nano-dollars, all of them: `$0.003512345`."""
    return f"${shown(nano)}"


def seconds(length: float | None) -> str:
    """`12 ms`, `0.35 s`, `42 s`, `3 min 20 s`, `2 h 5 min`; a dash where it is not known."""
    if length is None:
        return UNKNOWN
    if length < 0.0995:
        return f"{length * 1000:.2g} ms"
    if length < 59.95:
        return f"{length:.2f} s" if length < 9.995 else f"{length:.0f} s"
    whole = round(length)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def tick(length: float) -> str:
    """A round length of time on an axis: `0`, `250 ms`, `2.5 s`."""
    if not length:
        return "0"
    return f"{length * 1000:g} ms" if length < 1 else f"{length:g} s"


def share(ratio: float) -> str:
    """`0 %`, `0.4 %`, `37 %`."""
    return f"{ratio * 100:.0f} %" if ratio >= 0.0995 or not ratio else f"{ratio * 100:.1f} %"


def moment(at: float) -> str:
    """Unix seconds, to the second, in UTC: `20 Nov 2026, 11:08:03`."""
    return _utc(at).strftime("%d %b %Y, %H:%M:%S")


def machine(at: float) -> str:
    """The same for programs: `2026-11-20T11:08:03Z`."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: float, now: float) -> str:
    """When that was, as short as it can be said: `11:08:03` today, `19 Nov, 11:08` before (UTC)."""
    when, today = _utc(at), _utc(now)
    return when.strftime("%H:%M:%S" if when.date() == today.date() else "%-d %b, %H:%M")


def _utc(at: float) -> datetime:
    """Somebody else's last microsecond of the year 9999 is a second later as a float, and no moment any more."""
    return datetime.fromtimestamp(min(at, _LAST), UTC)


def until(length: float) -> str:
    """How long it takes until then, roughly: `5 min`, `3 h`, `12 days`."""
    if length < 3600:
        return f"{max(1, round(length / 60))} min"
    return f"{length / 3600:.0f} h" if length < 36 * 3600 else f"{length / 86_400:.0f} days"


def energy(told: Any) -> str:
    """What a receipt says of energy: `12 J (9 to 20 J), estimated`."""
    if not isinstance(told, Mapping) or told.get("joules") is None:
        return "not known"
    low, high = told.get("joules_low"), told.get("joules_high")
    between = f" ({low:.3g} to {high:.3g} J)" if low is not None and high is not None and low != high else ""
    return f"{told['joules']:.3g} J{between}, {told.get('method', 'estimated')}"


FILTERS = {
    "money": money, "exact": exact, "seconds": seconds, "share": share, "moment": moment, "machine": machine,
    "until": until, "energy": energy, "tick": tick,
}  # fmt: skip
