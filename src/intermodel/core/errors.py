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
    ├── Upstream           another server or an engine failed; `retryable` says whether another may answer
    └── Unavailable        this node cannot do it now; trying later can help

No HTTP status lives here: `web.errors` has the one table that turns these into each protocol's shape.
"""

from __future__ import annotations


class IntermodelError(Exception):
    """What happened (`message`), a stable word for programs (`code`), and what to do next (`hint`).

    `param` names the field of the request at fault, where there is one.
    """

    code = "error"

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


class Upstream(IntermodelError):
    """Another server, or an engine of this node, failed while it was working on a call.

    `retryable` is true where another candidate may well answer; `status` is the HTTP status that the
    upstream gave, where it gave one, and `retry_after_s` how long it asked to be left alone.
    """

    code = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        param: str | None = None,
        retryable: bool = True,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, param=param)
        self.retryable = retryable
        self.status = status
        self.retry_after_s = retry_after_s


class Unavailable(IntermodelError):
    code = "unavailable"
