"""Which addresses of pages are read at all, before any name is looked up. Pure.

What a name leads to is checked where the connection is made (`providers.addresses`); an address that is written out
passes there, since operators write them, so it is held up here, where strangers do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from intermodel.core import Refused
from intermodel.providers.addresses import reachable, written

MOST_URL = 2048
_PORTS = {"http": 80, "https": 443}
_ODD = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Place:
    """A page: the server (`https://host` with a port where it is odd), the host alone, and path with query."""

    server: str
    host: str
    path: str

    @property
    def url(self) -> str:
        return self.server + self.path


def place(url: str, *, private: bool) -> Place:
    """Where a page is. `private` allows addresses of this network, and any port. Raises `Refused`."""
    shown = f"'{url[:120]}'"
    if len(url) > MOST_URL or _ODD.search(url):
        raise _refused(f"{shown} is no address of a page.")
    try:
        parts = urlsplit(url)
        port = parts.port
        # what is looked up must be what is checked: full-width letters and the like become plain ones here
        host = _ascii(parts.hostname or "")
    except ValueError:
        raise _refused(f"{shown} is no address of a page.") from None
    if parts.scheme not in _PORTS:
        raise _refused(f"{shown} is not at http or https.")
    if "@" in parts.netloc:
        raise _refused(f"{shown} holds a user.")
    _check(shown, host, private=private)
    odd = port not in (None, _PORTS[parts.scheme])
    if odd and not private:
        raise _refused(f"{shown} is at port {port}; pages are read at 80 and 443 alone.")
    bracketed = f"[{host}]" if ":" in host else host
    return Place(f"{parts.scheme}://{bracketed}" + (f":{port}" if odd else ""), host, _path(parts))


def onward(at: Place, location: str, *, private: bool) -> Place:
    """Where a redirect leads. Raises `Refused`."""
    try:
        url = urljoin(at.url, location.strip(" \t"))
    except ValueError:
        raise _refused(f"{at.url[:120]} leads to what is no address.") from None
    return place(url, private=private)


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode().lower()


def _check(shown: str, host: str, *, private: bool) -> None:
    address = written(host)
    if address is None and not _HOST.fullmatch(host):
        raise _refused(f"{shown} has no host name.")
    local = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    if (address is not None and not reachable(address, private=private)) or (local and not private):
        raise unreached(shown)


def unreached(shown: str) -> Refused:
    return _refused(f"{shown} is at an address of this network, or one that is never read.")


def _path(parts: SplitResult) -> str:
    """Without the fragment, which is not sent."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _refused(why: str) -> Refused:
    return Refused(
        why, hint="Pages are read at public addresses; an intranet's too with [writer] private = true.",
        code="page_refused",
    )  # fmt: skip
