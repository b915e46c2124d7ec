"""Who is calling: a bearer token, or for pages a signed cookie that stands for one.

Pages cannot be made to act for someone by another site: the cookie is SameSite=Strict, and a request that brings
it must come from this origin (`Sec-Fetch-Site`, or `Origin` in older browsers) unless it only reads.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from intermodel.core import Refused, Unauthenticated
from intermodel.governance import Caller, Tokens
from intermodel.web.http import Scope, header

COOKIE = "intermodel_session"
SESSION_S = 30 * 24 * 3600
CODE_S = 15 * 60

_HINT = "Send 'Authorization: Bearer TOKEN'. `intermodel tokens create NAME` makes one."


class Auth:
    """Turns a request into a `Caller`, and signs pages in and out."""

    def __init__(self, tokens: Tokens, secret: bytes) -> None:
        self._tokens = tokens
        self._key = hmac.digest(secret, b"page sessions", "sha256")
        self._codes: dict[str, float] = {}
        # browsers do not keep the cookies of two ports of one host apart, so each node's has a name of its own
        self.cookie_name = f"{COOKIE}_{self._sign('name')[:8]}"

    async def caller(self, scope: Scope) -> Caller:
        """Who sent this request. Raises `Unauthenticated`."""
        given = header(scope, b"authorization")
        if given[:7].lower() == b"bearer ":
            return await self._tokens.verify(given[7:].strip().decode("latin-1"))
        if given:
            raise Unauthenticated("The Authorization header is not a bearer token.", hint=_HINT)
        if given := header(scope, b"x-api-key"):  # as Anthropic's clients send it
            return await self._tokens.verify(given.strip().decode("latin-1"))
        caller = await self.signed_in(scope)
        if caller is None:
            raise Unauthenticated("This request has no token.", hint=_HINT, code="missing_api_key")
        if scope["method"] not in ("GET", "HEAD"):
            require_same_origin(scope)
        return caller

    async def admin(self, scope: Scope) -> Caller:
        """The same, for a caller who may change the node. Raises `Refused` for others."""
        caller = await self.caller(scope)
        if not caller.admin:
            raise Refused(
                "This token may call models, and neither change the node nor see what others do.",
                hint="Use a token made with `intermodel tokens create NAME --admin`.",
                code="admin_needed",
            )
        return caller

    async def signed_in(self, scope: Scope) -> Caller | None:
        """The caller of the page's cookie; None if there is none or it has ended."""
        token_id = self._token_id(scope)
        if token_id is None:
            return None
        try:
            return await self._tokens.caller(token_id)
        except Unauthenticated:
            return None

    def make_code(self) -> str:
        """A code that signs one browser in, once, within `CODE_S` seconds."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = time.monotonic() + CODE_S
        return code

    async def redeem(self, code: str) -> Caller:
        """The node's owner, for a code that was made and not used. Raises `Unauthenticated`."""
        ends = self._codes.pop(code, 0.0)
        owner = await self._tokens.owner()
        if time.monotonic() > ends or owner is None:
            raise Unauthenticated(
                "This sign-in link was used or is too old.",
                hint="Paste a token instead, or take a fresh link from `intermodel up`.",
            )
        return owner.caller

    async def sign_in(self, token: str) -> Caller:
        """The caller of a pasted token. Raises `Unauthenticated`."""
        return await self._tokens.verify(token.strip())

    def cookie(self, caller: Caller) -> str:
        """The value that stands for `caller` for `SESSION_S` seconds."""
        body = f"{caller.token_id}.{int(time.time()) + SESSION_S}"
        return f"{body}.{self._sign(body)}"

    def _token_id(self, scope: Scope) -> str | None:
        value = _cookies(header(scope, b"cookie").decode("latin-1")).get(self.cookie_name, "")
        token_id, _, rest = value.partition(".")
        ends, _, signature = rest.partition(".")
        genuine = hmac.compare_digest(self._sign(f"{token_id}.{ends}").encode(), signature.encode())
        return token_id if genuine and ends.isdigit() and int(ends) > time.time() else None

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


def _cookies(text: str) -> dict[str, str]:
    """Names and values of a Cookie header. Ours need no unquoting, and those of other programs may be anything:
    http.cookies gives up at the first that is odd, and takes quadratic time over quoted ones (CVE-2024-7592)."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def require_same_origin(scope: Scope) -> None:
    """Raises `Refused` for a request that another site made a browser send."""
    site = header(scope, b"sec-fetch-site")
    origin = header(scope, b"origin")
    host = header(scope, b"host")
    same = site in (b"same-origin", b"none") if site else not origin or origin.partition(b"://")[2] == host
    if not same:
        raise Refused("This request came from another site.", hint="Use the page of this node.", code="cross_site")
