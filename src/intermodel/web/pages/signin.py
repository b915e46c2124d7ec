"""Signing in: by the link that `intermodel up` prints, or with a token; and signing out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import Unauthenticated
from intermodel.governance import Caller
from intermodel.web.auth import SESSION_S, Auth, require_same_origin
from intermodel.web.http import header
from intermodel.web.pages.forms import read_form
from intermodel.web.pages.render import page, redirect

_FORM_BYTES = 16 * 1024


class SignIn:
    def __init__(self, auth: Auth) -> None:
        self._auth = auth

    async def show(self, request: Request) -> Response:
        """Use the code of a link, or offer the form."""
        going = local(request.query_params.get("next", ""))
        code = request.query_params.get("code", "")
        if code and request.method == "GET":
            try:
                return self._let_in(request, await self._auth.redeem(code), going)
            except Unauthenticated as error:
                return _form(request, going, error)
        if _from_elsewhere(request):
            return _continue(request, going)
        if await self._auth.signed_in(request.scope):
            return redirect(request.scope, going)
        return _form(request, going)

    async def submit(self, request: Request) -> Response:
        """Take a token."""
        require_same_origin(request.scope)
        form = await read_form(request, _FORM_BYTES)
        going = local(form.text("next"))
        try:
            return self._let_in(request, await self._auth.sign_in(form.text("token")), going)
        except Unauthenticated as error:
            return _form(request, going, error)

    async def sign_out(self, request: Request) -> Response:
        """Forget the cookie."""
        require_same_origin(request.scope)
        answer = redirect(request.scope, "/signin")
        answer.delete_cookie(self._auth.cookie_name, path="/", httponly=True, samesite="strict")
        return answer

    def _let_in(self, request: Request, caller: Caller, going: str) -> Response:
        answer = _continue(request, going) if _from_elsewhere(request) else redirect(request.scope, going)
        answer.set_cookie(
            self._auth.cookie_name,
            self._auth.cookie(caller),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer


def local(target: str) -> str:
    """`target` if it is a path of this node, else `/`.

    Browsers drop tabs and line ends from addresses and read a backslash as a slash, so none of them may be in it.
    """
    is_path = target.startswith("/") and not target.startswith("//")
    return target if is_path and target.isprintable() and "\\" not in target else "/"


def _form(request: Request, going: str, error: Unauthenticated | None = None) -> Response:
    return page(request.scope, "signin.html", status=401 if error else 200, going=going, error=error)


def _continue(request: Request, going: str) -> Response:
    """A page that goes on by itself: a redirect would still count as sent by the other site, without the cookie."""
    return page(request.scope, "continue.html", going=going if going != "/signin" else "/")


def _from_elsewhere(request: Request) -> bool:
    return header(request.scope, b"sec-fetch-site") in (b"cross-site", b"same-site")
