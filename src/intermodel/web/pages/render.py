"""From a template to an answer, with the headers that every page carries and the filters that templates use."""

from __future__ import annotations

import functools
import ipaddress
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import URL
from starlette.responses import HTMLResponse, RedirectResponse, Response

from intermodel import __version__
from intermodel.governance import Caller
from intermodel.web.http import Scope
from intermodel.web.pages.static import address
from intermodel.web.pages.words import FILTERS

FOLDER = Path(__file__).parent.parent / "templates"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    # not `no-referrer`: under that, browsers send forms with `Origin: null`, and over plain HTTP on a local network,
    # where they send no `Sec-Fetch-Site`, a form of this node could not be told from one of another site
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(
    scope: Scope,
    template: str,
    caller: Caller | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """The template as an answer. Without a caller the header offers nothing that needs one."""
    values |= {"caller": caller, "path": scope["path"], "origin": origin(scope)}
    html = environment().get_template(template).render(values)
    return HTMLResponse(html, status, {**_headers(scope), **(headers or {})})


def redirect(scope: Scope, to: str) -> Response:
    """Go on with a GET of `to`, a path of this node."""
    return RedirectResponse(to, 303, _headers(scope))


def origin(scope: Scope) -> str:
    """Scheme, host and port by which this browser reached the node."""
    url = URL(scope=scope)
    return f"{url.scheme}://{url.netloc}"


def _headers(scope: Scope) -> dict[str, str]:
    """Where browsers do not trust the connection they ignore the opener policy, and complain about it."""
    if scope.get("scheme") != "https" and not _loopback(URL(scope=scope).hostname or ""):
        return HEADERS
    return {**HEADERS, "Cross-Origin-Opener-Policy": "same-origin"}


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@functools.cache
def environment() -> Environment:
    """Jinja with escaping always on and without silence about unknown names."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"size": size, "number": number, "short": short, "when": when, "marked": marked}
    made.filters |= {"host": host, "pretty": pretty, "kind_of": kind_of}
    made.filters |= FILTERS
    made.globals |= {"static": address, "version": __version__}
    return made


def marked(text: str) -> Markup:
    """`text` with what stands between backticks set as code, all of it escaped."""
    pieces = re.split("`([^`]+)`", text)
    return Markup().join(Markup("<code>{}</code>").format(p) if i % 2 else p for i, p in enumerate(pieces))


def size(count: int) -> str:
    """Bytes with a decimal unit: `1.4 GB`."""
    return _scaled(count, ("bytes", "kB", "MB", "GB", "TB"))


def short(count: int) -> str:
    """A large number for people: `1.24 M`, `7.6 B`."""
    return _scaled(count, ("", "K", "M", "B", "T")).strip()


def host(url: str) -> str:
    """The server of an address, which is all that a line has room for."""
    return urlsplit(url).netloc or url


def pretty(document: Any) -> str:
    """JSON for people to read."""
    return orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2).decode()


def kind_of(predicate_type: str) -> str:
    """What a statement is about, of ours: `lineage`; the whole type of those of others."""
    found = re.fullmatch(r"urn:intermodel:([a-z]+):v\d+", predicate_type)
    return found[1].capitalize() if found else predicate_type


def number(count: int) -> str:
    """Digits in groups: `8,192`."""
    return f"{count:,}"


def when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC")


def _scaled(count: int, units: tuple[str, ...]) -> str:
    value, step = float(count), 0
    while value >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.3g} {units[step]}" if step else f"{count} {units[0]}"
