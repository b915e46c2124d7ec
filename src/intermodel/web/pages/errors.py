"""What a person sees when something is wrong."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.responses import Response

from intermodel.core import IntermodelError, Unauthenticated
from intermodel.web.auth import COOKIE
from intermodel.web.errors import headers_of, status_of
from intermodel.web.http import Scope, header
from intermodel.web.pages.render import page, redirect

_TITLES = {
    400: "That could not be understood",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not this way",
    413: "Too much at once",
    429: "Too many questions",
    502: "A model could not answer",
    503: "Not just now",
    504: "A model took too long",
}


def page_error(scope: Scope, error: IntermodelError) -> Response | None:
    """The error as a page, or the way to the sign-in page; None for programs, which have shapes of their own."""
    if not _is_for_a_person(scope):
        return None
    if isinstance(error, Unauthenticated):
        return redirect(scope, f"/signin?{urlencode({'next': _wanted(scope)})}")
    status = status_of(error)
    return page(
        scope,
        "error.html",
        status=status,
        headers={key.decode(): value.decode() for key, value in headers_of(error)},
        error=error,
        title=_TITLES.get(status, "Something went wrong"),
        request_id=scope["request_id"],
        signed_in=f"{COOKIE}_".encode() in header(scope, b"cookie"),
    )


def _is_for_a_person(scope: Scope) -> bool:
    return b"text/html" in header(scope, b"accept") and not scope["path"].startswith(("/v1/", "/api/"))


def _wanted(scope: Scope) -> str:
    """Where to go on after signing in. What a form carried is lost with the sign-in; its page is not."""
    path = quote(scope["path"])
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query and scope["method"] in ("GET", "HEAD") else path
