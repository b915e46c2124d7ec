"""What an upstream's error means: which of its statuses, codes and words say which fault.

Sources: RFC 9110 (statuses), the error pages of OpenAI's, Anthropic's and Google's API references.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from intermodel.core import Fault, Upstream

_BY_STATUS = {
    401: Fault.KEY, 402: Fault.KEY, 403: Fault.KEY, 404: Fault.MISSING, 405: Fault.MISSING, 408: Fault.BROKEN,
    409: Fault.TIRED, 410: Fault.MISSING, 413: Fault.TOO_LONG, 425: Fault.TIRED, 429: Fault.TIRED,
    501: Fault.UNSUPPORTED, 503: Fault.TIRED, 529: Fault.TIRED,
}  # fmt: skip
_BY_CODE = {
    "insufficient_quota": Fault.KEY, "invalid_api_key": Fault.KEY, "account_deactivated": Fault.KEY,
    "billing_hard_limit_reached": Fault.KEY, "context_length_exceeded": Fault.TOO_LONG,
    "request_too_large": Fault.TOO_LONG, "string_above_max_length": Fault.TOO_LONG,
    "content_filter": Fault.FILTERED, "content_policy_violation": Fault.FILTERED,
    "unsupported_content": Fault.UNSUPPORTED, "model_not_found": Fault.MISSING,
    # Anthropic's types; its invalid_request_error says nothing more than status 400 does
    "authentication_error": Fault.KEY, "permission_error": Fault.KEY, "billing_error": Fault.KEY,
    "rate_limit_error": Fault.TIRED, "overloaded_error": Fault.TIRED, "not_found_error": Fault.MISSING,
    "timeout_error": Fault.BROKEN, "api_error": Fault.BROKEN,
    # Google's (google.rpc.Code); its INVALID_ARGUMENT says nothing more than status 400 does
    "API_KEY_INVALID": Fault.KEY, "UNAUTHENTICATED": Fault.KEY, "PERMISSION_DENIED": Fault.KEY,
    "RESOURCE_EXHAUSTED": Fault.TIRED, "UNAVAILABLE": Fault.TIRED, "ABORTED": Fault.TIRED,
    "DEADLINE_EXCEEDED": Fault.BROKEN, "INTERNAL": Fault.BROKEN, "NOT_FOUND": Fault.MISSING,
    "UNIMPLEMENTED": Fault.UNSUPPORTED, "FAILED_PRECONDITION": Fault.UNSUPPORTED,
}  # fmt: skip
# vendors that have no code for it say it in words
_TOO_LONG = re.compile(r"maximum context length|prompt is too long|exceeds? the (maximum|available) context|"
                       r"exceed context limit|input token count .{0,40}exceeds|too many (input )?tokens",
                       re.IGNORECASE)  # fmt: skip
_DELAY = re.compile(r"(\d{1,5}(?:\.\d+)?)s")
_FILTERED = re.compile(r"content (management )?policy|content filter|safety (system|filter|setting)", re.IGNORECASE)


def fault_of(status: int, code: str = "", message: str = "") -> Fault:
    """What is the matter, from an answer's status (200 for an error inside a stream) and its error's code and words."""
    if (known := _BY_CODE.get(code)) is not None:
        return known
    if status in (200, 400, 413, 422) and _TOO_LONG.search(message):
        return Fault.TOO_LONG
    if status in (200, 400, 403, 422) and _FILTERED.search(message):
        return Fault.FILTERED
    if (known := _BY_STATUS.get(status)) is not None:
        return known
    return Fault.WRONG if 400 <= status < 500 else Fault.BROKEN


def error_object(body: bytes) -> dict[str, Any]:
    """The `error` object of a body in the shape of OpenAI, Anthropic or Google; empty where there is none."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list) and parsed:  # Google, for streams that are not server-sent events
        parsed = parsed[0]
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def code_of(said: dict[str, Any]) -> str:
    """An error's word for programs. Where its code is a number (Google, vLLM), another field has the word."""
    code = said.get("code")
    if not isinstance(code, int):
        return str(code or said.get("type") or "")
    reasons = (detail.get("reason") for detail in _details(said))
    known = next((reason for reason in reasons if reason in _BY_CODE), None)
    return str(known or said.get("status") or said.get("type") or code)


def delay_of(said: dict[str, Any]) -> float | None:
    """How many seconds Google asks to be left alone (google.rpc.RetryInfo)."""
    delays = (detail.get("retryDelay") for detail in _details(said))
    matches = (_DELAY.fullmatch(delay) for delay in delays if isinstance(delay, str))
    return next((float(match[1]) for match in matches if match), None)


def _details(said: dict[str, Any]) -> list[dict[str, Any]]:
    details = said.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def told(error: Any) -> Upstream:
    """The error that an upstream told of in the place of an answer, or inside one."""
    said = error if isinstance(error, dict) else {"message": error}
    message = str(said.get("message") or "no reason given")
    code, status = code_of(said), said.get("code")
    fault = fault_of(status if isinstance(status, int) else 200, code, message)
    if fault is Fault.KEY:  # its words may hold the key
        return Upstream(
            "The upstream refused this node's own key.",
            code="upstream_credentials",
            hint="The token you sent to this node is fine; its operator must mend the key of that deployment.",
            fault=fault,
            retry_after_s=delay_of(said),
        )
    return Upstream(
        f"The upstream told of an error: {message}",
        code=code or "upstream_error",
        fault=fault,
        retry_after_s=delay_of(said),
    )
