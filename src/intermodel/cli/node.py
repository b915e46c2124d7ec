"""The node that runs, here or elsewhere, as verbs talk to it: over its own API."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import typer

from intermodel.cli.local import tokens_of
from intermodel.core import Invalid, Unavailable, Upstream
from intermodel.protocols.answered import error_of
from intermodel.settings import Settings
from intermodel.storage import DataFolder

PATIENCE_S = 120.0
"""Longest silence of the node."""
LASTS = timedelta(minutes=10)
"""A verb's own token ends by then, however the verb ends."""

Url = Annotated[str | None, typer.Option(help="A node elsewhere; needs INTERMODEL_TOKEN.", show_default=False)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the node answered."""

    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Node:
    """A node that runs, and a token for it. Its errors come back as this project's own."""

    url: str
    token: str

    def get(self, path: str, **query: Any) -> Any:
        """What is at a path below /api/v1."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.ask("GET", f"/api/v1{path}{'?' if given else ''}{urlencode(given)}").body

    def put(self, path: str, document: Any) -> Any:
        return self.ask("PUT", f"/api/v1{path}", document).body

    def post(self, path: str, document: Any) -> Any:
        return self.ask("POST", f"/api/v1{path}", document).body

    def delete(self, path: str) -> None:
        self.ask("DELETE", f"/api/v1{path}")

    def ask(self, method: str, path: str, document: Any = None) -> Answer:
        """Any path of the node; bytes are sent as they are. Raises what it answers, and `Unavailable` where it does not
        answer."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = document if document is None or isinstance(document, bytes) else orjson.dumps(document)
        connection = _connection(self.url)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            status, told, read = response.status, dict(response.getheaders()), response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"The node cannot be reached: {error}.", hint="Does it still run?") from None
        finally:
            connection.close()
        if status >= 400:
            raise error_of(status, read)
        return Answer(_parsed(read), {name.lower(): value for name, value in told.items()})


@contextlib.contextmanager
def reached(settings: Settings, url: str | None = None, lasts: timedelta = LASTS) -> Iterator[Node]:
    """The node at `url`, with the token of the environment; or that of this machine, with one made for this verb."""
    base = address_of(settings, url)
    if settings.token is not None:
        yield Node(base, settings.token.get_secret_value())
        return
    token = asyncio.run(_make(settings, lasts))
    try:
        yield Node(base, token)
    finally:
        asyncio.run(_forget(settings, token))


def address_of(settings: Settings, url: str | None) -> str:
    """Where the node listens that is meant. Raises `Invalid` for a wrong `url`, `Unavailable` where none runs here."""
    if url is not None and settings.token is None:
        raise Invalid("A node elsewhere needs a token.", hint="export INTERMODEL_TOKEN=... and try again.")
    if url is not None and "://" not in url:
        raise Invalid(f"'{url}' is no address.", hint=f"Write http://{url} or https://{url}.")
    base = url.rstrip("/").removesuffix("/v1") if url else DataFolder(settings.data).url()
    if base is None:
        raise Unavailable(
            f"No node runs on {settings.data}.", hint="Start one with `intermodel up`, in another terminal."
        )
    return base


def named(kind: str, name: str) -> str:
    """The path of one of its kind; a name may hold a slash."""
    return f"/{kind}/{quote(name, safe='')}"


async def _make(settings: Settings, lasts: timedelta) -> str:
    async with tokens_of(settings) as tokens:
        return (await tokens.create(_command(), lasts=lasts, admin=True))[1]


def _command() -> str:
    """The name of a verb's own token, by which it is known later who gave the command on this machine."""
    try:
        return f"intermodel command of {getpass.getuser()}"[:200]
    except (OSError, KeyError):  # nobody has that number here
        return "intermodel command"


async def _forget(settings: Settings, token: str) -> None:
    async with tokens_of(settings) as tokens:
        await tokens.forget(token.split("_")[1])


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=PATIENCE_S)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        raise Upstream("What answered there is no node of ours.", hint="Is the address right?") from None
