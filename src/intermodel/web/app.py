"""The application: paths, and the guard around them (host names, request ids, errors, one log line a request)."""

from __future__ import annotations

import functools
import ipaddress
import itertools
import logging
import re
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from intermodel.core import IntermodelError, Kind, NotFound
from intermodel.core.errors import MethodNotAllowed
from intermodel.engines import Engines
from intermodel.gateway import Gateway
from intermodel.governance import Tokens
from intermodel.ledger import Ledger
from intermodel.ledger.witness import Witness
from intermodel.records.store import Records
from intermodel.settings import Settings
from intermodel.storage import Database
from intermodel.web.anthropic import CountTokens
from intermodel.web.api import api_routes
from intermodel.web.auth import Auth
from intermodel.web.calls import Calls
from intermodel.web.exchange import Adapted, Exchange, Serve
from intermodel.web.health import Health
from intermodel.web.http import Scope, error_answer, header
from intermodel.web.ledger import ledger_routes
from intermodel.web.openai import Models
from intermodel.web.pages import page_error, page_routes, writer_routes
from intermodel.web.told import Tell, Told, to_logging
from intermodel.writer.runs import Runs

log = logging.getLogger(__name__)

_UNKNOWN_HOST = b"This node does not answer under that host name. Its operator can name it in 'allowed_hosts'.\n"
_PLAIN = ((b"content-type", b"text/plain"),)
_HOSTS = 256
"""How many names given as hosts are remembered."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Services:
    """What the edges need of the rest of the node."""

    settings: Settings
    gateway: Gateway
    engines: Engines
    database: Database
    auth: Auth
    tokens: Tokens
    records: Records
    ledger: Ledger
    witness: Witness | None
    runs: Runs
    tell: Tell = to_logging


def build_app(services: Services) -> Guard:
    """The node's HTTP side, as an ASGI application."""
    limits, auth, gateway = services.settings.limits, services.auth, services.gateway
    health = Health(gateway, services.database, services.engines, auth)
    calls = {f"/v1/{kind.value}": Calls(kind, gateway, auth, limits) for kind in Kind}
    counting = CountTokens(gateway, auth, limits)
    models = Models(gateway, auth)
    router = Router(
        routes=[
            *[Route(path, one, methods=["POST"]) for path, one in calls.items()],
            Route("/v1/messages/count_tokens", counting, methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{address:path}", models, methods=["GET"]),
            *api_routes(
                services.settings, gateway, auth, services.tokens, services.records, services.ledger, services.runs
            ),
            *ledger_routes(services.ledger, services.witness, publish=services.settings.ledger.publish),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *page_routes(services.settings, gateway, services.engines, auth, services.tokens, health, services.records),
            *writer_routes(services.settings, gateway, services.engines, auth, services.runs),
        ]
    )
    lane = {path: one.serve for path, one in calls.items()} | {"/v1/messages/count_tokens": counting.serve}
    return Guard(router, host_names(services.settings), lane, services.tell)


def host_names(settings: Settings) -> frozenset[str]:
    """The names under which this node may be addressed, besides bare IP addresses."""
    return frozenset({"localhost", socket.gethostname().lower(), settings.host, *settings.allowed_hosts})


class Guard:
    """Around every request: refuses foreign host names, gives it an id, turns errors into answers, tells of it once.

    An ASGI application; its `lane` is a shorter way to the calling paths, for the server that knows it.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], lane: Mapping[str, Serve], tell: Tell) -> None:
        self._app = app
        self._hosts = hosts
        self._tell = tell
        self._ids = RequestIds()
        self._is_foreign = functools.lru_cache(_HOSTS)(self._foreign)
        self.lane: dict[bytes, Serve] = {
            path.encode(): functools.partial(self._guarded, serve) for path, serve in lane.items()
        }
        """Who answers a POST to a path."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app  # makes Starlette's router raise, so that 404 and 405 take the common way

        async def routed(exchange: Exchange) -> None:
            assert isinstance(exchange, Adapted)
            await self._app(scope, receive, exchange.send)

        await self._guarded(routed, Adapted(scope, receive, send))

    async def _guarded(self, serve: Serve, exchange: Exchange) -> None:
        began = time.perf_counter()
        scope = exchange.scope
        request_id = scope["request_id"] = self._ids.of(scope)
        exchange.fields = ((b"x-request-id", request_id.encode()),)
        try:
            if self._is_foreign(header(scope, b"host")):
                await exchange.answer(421, _PLAIN, _UNKNOWN_HOST)
            else:
                await serve(exchange)
        except IntermodelError as error:
            await _fail(exchange, error)
        except HTTPException as error:
            await _fail(exchange, _not_served(scope, error))
        except Exception:  # the edge: whatever it was, the client gets an answer and the log the trace
            log.exception("unexpected error", extra={"request": request_id})
            await _fail(exchange, _unexpected(request_id))
        finally:
            self._tell(_told(exchange, began))

    def _foreign(self, host: bytes) -> bool:
        """Whether a browser may have been tricked into this name (DNS rebinding). Bare addresses cannot be."""
        given = host.decode("latin-1")
        name = given.rpartition(":")[0] if not given.endswith("]") and ":" in given else given
        if name.strip("[]").lower() in self._hosts:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return True
        return False


class RequestIds:
    """Names for requests: the client's own, or one that no other request has; not secret, so not drawn each time."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(4)
        self._count = itertools.count()

    def of(self, scope: Scope) -> str:
        given = header(scope, b"x-request-id")
        return given.decode() if given and _REQUEST_ID.fullmatch(given) else f"{self._start}{next(self._count):08x}"


async def _fail(exchange: Exchange, error: IntermodelError) -> None:
    """Answer with the error, as a page to a browser; once an answer has begun it can only be logged."""
    if exchange.status:
        log.warning("failed after the answer had begun", extra={"code": error.code, "reason": error.message})
    elif page := page_error(exchange.scope, error):
        fields = [field for field in page.raw_headers if field[0] != b"content-length"]
        await exchange.answer(page.status_code, fields, bytes(page.body))
    else:
        await exchange.answer(*error_answer(error, exchange.scope.get("protocol")))


def _not_served(scope: Scope, error: HTTPException) -> IntermodelError:
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return MethodNotAllowed(f"{scope['path'][:200]} takes {allow}, not {scope['method']}.", allow=allow)
    return NotFound(f"There is nothing at {scope['path'][:200]}.", hint="docs/api.md lists the paths.")


def _unexpected(request_id: str) -> IntermodelError:
    return IntermodelError("Something went wrong in this node.", hint=f"Its log says more under {request_id}.")


def _told(exchange: Exchange, began: float) -> Told:
    scope = exchange.scope
    return Told(
        scope["method"],
        scope["path"],
        499 if scope.get("left") else exchange.status,
        int((time.perf_counter() - began) * 100_000 + 0.5) / 100,  # round() takes as long as all the rest here
        scope["request_id"],
        scope.get("caller", ""),
        scope.get("model", ""),
    )
