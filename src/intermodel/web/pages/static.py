"""Style sheet, scripts and logo, read once, under an address that changes with their content."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import NotFound

FOLDER = Path(__file__).parent.parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@functools.cache
def files() -> dict[str, bytes]:
    """Every file by name."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}


@functools.cache
def version() -> str:
    """A digest of all files together: scripts import each other by relative address, and must be of one version."""
    content = b"".join(name.encode() + b"\0" + data for name, data in files().items())
    return hashlib.sha256(content).hexdigest()[:16]


def address(name: str) -> str:
    """The path under which browsers find the file, and may keep it for good."""
    return f"/static/{version()}/{name}"


async def static(request: Request) -> Response:
    """A file of this version; pages of another one are told so instead of being given something that may not fit."""
    name = request.path_params["name"]
    if request.path_params["version"] != version() or name not in files():
        raise NotFound("There is no such file in this version of the node.", hint="Load the page again.")
    return _file(name, _FOREVER)


async def favicon(_request: Request) -> Response:
    """For browsers that ask for it without reading the page."""
    return _file("logo.svg", _FOREVER | {"Cache-Control": "public, max-age=86400"})


def _file(name: str, headers: dict[str, str]) -> Response:
    return Response(files()[name], media_type=_TYPES[Path(name).suffix], headers=headers)
