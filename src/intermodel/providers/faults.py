"""The error for an answer that is no success; `protocols.faults` knows what its words mean."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from intermodel.core import Fault, Upstream
from intermodel.protocols.faults import code_of, delay_of, error_object, fault_of
from intermodel.providers.http import Response

LONGEST_PAUSE_S = 24 * 3600.0
"""A server that asks to be left alone for longer is told to callers as this."""


def failed(name: str, response: Response, body: bytes) -> Upstream:
    """The error for an answer that is not 200. Credentials are this node's own, so the message says so."""
    status = response.status
    said = error_object(body)
    message = str(said.get("message") or body[:200].decode(errors="replace") or "no reason given")
    code = code_of(said)
    fault = fault_of(status, code, message)
    retry_after_s = _seconds(response.headers.get("Retry-After")) or delay_of(said)
    if fault is Fault.KEY:
        return Upstream(
            f"'{name}' refused this node's own key ({status}).",
            code="upstream_credentials",
            hint="The token you sent to this node is fine; its operator must mend the key of that deployment.",
            fault=fault,
            status=status,
            retry_after_s=retry_after_s,
        )
    return Upstream(
        f"'{name}' answered {status}: {message}",
        code="context_length_exceeded" if fault is Fault.TOO_LONG else code or "upstream_error",
        param=said.get("param") if isinstance(said.get("param"), str) else None,
        fault=fault,
        status=status,
        retry_after_s=retry_after_s,
    )


def _seconds(header: str | None) -> float | None:
    """Retry-After in seconds: RFC 9110, 10.2.3 has a number of them and a date. A date that is past says nothing."""
    said = (header or "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said), LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000": a time in UTC (RFC 5322, 3.3)
        moment = moment.replace(tzinfo=UTC)
    left = (moment - datetime.now(UTC)).total_seconds()
    return min(left, LONGEST_PAUSE_S) if left > 0 else None
