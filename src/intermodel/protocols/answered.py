"""What a node's own API answered, as this project's error again: `web.errors`, read backwards."""

from __future__ import annotations

import orjson

from intermodel.core import (
    Conflict,
    IntermodelError,
    Invalid,
    NotFound,
    OverBudget,
    Refused,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from intermodel.core.errors import TooLarge

_BY_CODE: dict[str, type[IntermodelError]] = {
    "over_budget": OverBudget, "unpriced_model": OverBudget, "model_not_found": NotFound,
}  # fmt: skip
_BY_STATUS: dict[int, type[IntermodelError]] = {
    400: Invalid, 401: Unauthenticated, 402: OverBudget, 403: Refused, 404: NotFound, 405: Invalid, 409: Conflict,
    413: TooLarge, 422: Invalid, 429: Unavailable, 502: Upstream, 503: Unavailable, 504: Upstream,
}  # fmt: skip


def error_of(status: int, body: bytes) -> IntermodelError:
    """The error behind an answer that is no success. Its hint stands in its message, as OpenAI's form has no other
    place for it."""
    try:
        told = orjson.loads(body)["error"]
        message, code, param = str(told["message"]), told.get("code"), told.get("param")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        message, code, param = f"The node answered {status}, and nothing that can be read.", None, None
    kind = _BY_CODE.get(str(code)) or _BY_STATUS.get(status, IntermodelError)
    return kind(message, code=str(code) if code else None, param=param if isinstance(param, str) else None)
