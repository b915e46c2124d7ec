"""The one table from the project's errors to HTTP, and their bodies in each protocol."""

from __future__ import annotations

import math
from typing import Any

import orjson

from intermodel.core import (
    Conflict,
    Fault,
    IntermodelError,
    Invalid,
    Kind,
    Limited,
    NotFound,
    OverBudget,
    Refused,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from intermodel.core.errors import MethodNotAllowed, TooLarge

STATUS: dict[type[IntermodelError], tuple[int, str]] = {
    TooLarge: (413, "invalid_request_error"),
    MethodNotAllowed: (405, "invalid_request_error"),
    Invalid: (400, "invalid_request_error"),
    NotFound: (404, "invalid_request_error"),
    Conflict: (409, "invalid_request_error"),
    Unauthenticated: (401, "authentication_error"),
    Refused: (403, "permission_error"),
    OverBudget: (402, "insufficient_quota"),
    Limited: (429, "rate_limit_error"),
    Upstream: (502, "upstream_error"),
    Unavailable: (503, "unavailable_error"),
    IntermodelError: (500, "server_error"),
}
"""HTTP status and OpenAI's `type`, by error; a subclass comes before its base."""

_PASSED_ON = {400: "invalid_request_error", 413: "invalid_request_error", 422: "invalid_request_error",
              429: "rate_limit_error"}  # fmt: skip
"""Statuses of an upstream that say something of the caller's own request, and go on as they are."""

_ANTHROPIC = {400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
              404: "not_found_error", 405: "invalid_request_error", 409: "invalid_request_error",
              413: "request_too_large", 422: "invalid_request_error", 429: "rate_limit_error", 500: "api_error",
              502: "api_error", 503: "overloaded_error", 504: "timeout_error"}  # fmt: skip
"""Anthropic's `type` by status (API reference, "Errors")."""


def status_of(error: IntermodelError) -> int:
    if isinstance(error, Upstream):
        if error.fault in (Fault.TOO_LONG, Fault.FILTERED, Fault.UNSUPPORTED):
            return error.status if error.status in (413, 422) else 400
        if error.status in _PASSED_ON:
            return error.status
        if error.code == "upstream_timeout":
            return 504
        if error.fault is Fault.TIRED:
            return 503
        if error.fault is Fault.WRONG:  # a status of 4xx that is none of those: as 400 (RFC 9110, 15)
            return 400
    return _entry(error)[0]


def headers_of(error: IntermodelError) -> list[tuple[bytes, bytes]]:
    """Headers that go with the status: a challenge with 401, a pause with 429 and 503."""
    if isinstance(error, Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="intermodel"')]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allow.encode())]
    if isinstance(error, Upstream) and error.retry_after_s is not None:
        return [(b"retry-after", b"%d" % math.ceil(error.retry_after_s))]
    if isinstance(error, Unavailable):
        return [(b"retry-after", b"%d" % math.ceil(error.retry_after_s))]
    if isinstance(error, Limited):
        return [(b"retry-after", b"%d" % math.ceil(error.retry_after_s)), *error.headers]
    return []


def openai_body(error: IntermodelError) -> dict[str, Any]:
    """OpenAI's error object. The hint is part of the message, since that is what clients print."""
    kind = _PASSED_ON.get(status_of(error)) or _entry(error)[1]
    return {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code, **error.told}}


def anthropic_body(error: IntermodelError) -> dict[str, Any]:
    """Anthropic's error object."""
    kind = _ANTHROPIC.get(status_of(error), "api_error")
    return {"type": "error", "error": {"type": kind, "message": str(error), "code": error.code, **error.told}}


def body_of(protocol: Kind | None, error: IntermodelError) -> dict[str, Any]:
    """The error in the protocol of the request."""
    return anthropic_body(error) if protocol is Kind.MESSAGES else openai_body(error)


def event_of(protocol: Kind, error: IntermodelError) -> bytes:
    """The same inside a stream that has begun."""
    named = b"event: error\n" if protocol is Kind.MESSAGES else b""
    return named + b"data: " + orjson.dumps(body_of(protocol, error)) + b"\n\n"


def _entry(error: IntermodelError) -> tuple[int, str]:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
