"""Every error a person may see, as one tree.

::

    IntermodelError
    ├── Invalid            what was asked is wrong in itself; asking again changes nothing
    │   ├── TooLarge       the same, because of its size
    │   └── MethodNotAllowed  the same, because of its verb
    ├── NotFound           there is no such model, file, token, page
    ├── Conflict           something else holds the place: a port, a folder, a name
    ├── Unauthenticated    no token, or one that this node does not know
    ├── Refused            the caller is known and may not
    ├── OverBudget         the money granted does not reach
    ├── Limited            too many requests or tokens in this minute; `retry_after_s` says when again
    ├── Upstream           another server or an engine failed; `fault` says what was the matter with it
    └── Unavailable        this node cannot do it now; trying later can help

No HTTP status lives here: `web.errors` has the one table that turns these into each protocol's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class IntermodelError(Exception):
    """What happened (`message`), a stable word for programs (`code`), and what to do next (`hint`).

    `param` names the field of the request at fault, where there is one. `told` is what else a program may want to know
    (the receipt, the attempts), as it is given to callers.
    """

    code = "error"
    told: Mapping[str, Any] = {}

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.param = param
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class Invalid(IntermodelError):
    code = "invalid_request"


class TooLarge(Invalid):
    code = "request_too_large"


class MethodNotAllowed(Invalid):
    """`allow` lists the methods that are taken, as the Allow header does (RFC 9110, 10.2.1)."""

    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class NotFound(IntermodelError):
    code = "not_found"


class Conflict(IntermodelError):
    code = "conflict"


class Unauthenticated(IntermodelError):
    code = "invalid_api_key"


class Refused(IntermodelError):
    code = "refused"


class OverBudget(IntermodelError):
    """`FEWER` is the advice for who makes a single call; who makes many leaves it out."""

    code = "over_budget"
    FEWER = "A call that may make fewer tokens (max_tokens) sets aside less."


class Limited(IntermodelError):
    """`retry_after_s`: when to ask again. `headers` tell what is left, by name."""

    code = "rate_limited"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        retry_after_s: float,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after_s = retry_after_s
        self.headers = headers


class Fault(StrEnum):
    """What is the matter with an upstream's failure, and so what can be done."""

    KEY = "key"
    """This node's key is dead there: another key, or another deployment."""
    TIRED = "tired"
    """It is overloaded or over its quota: leave it alone for a while, go on elsewhere."""
    BROKEN = "broken"
    """It failed or could not be reached: once more, or elsewhere."""
    WRONG = "wrong"
    """The request is wrong: no other will take it either."""
    MISSING = "missing"
    """It has no such model or path: elsewhere."""
    TOO_LONG = "too_long"
    """The request is too long for it: a candidate with a longer context."""
    UNSUPPORTED = "unsupported"
    """It cannot do what this request asks: another may."""
    FILTERED = "filtered"
    """Its content filter refused: not routed around, unless the route says so."""


class Upstream(IntermodelError):
    """Another server, or an engine of this node, failed while it was working on a call.

    `fault` says in which way; `status` is the HTTP status that the upstream gave, where it gave one, and
    `retry_after_s` how long it asked to be left alone.
    """

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        param: str | None = None,
        fault: Fault = Fault.BROKEN,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, param=param)
        self.fault = fault
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether another candidate may answer the very same request."""
        return self.fault not in (Fault.WRONG, Fault.FILTERED)


class Unavailable(IntermodelError):
    """`retry_after_s`: when trying again may help."""

    code = "unavailable"
    retry_after_s = 1.0
