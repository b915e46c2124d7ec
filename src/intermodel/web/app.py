"""The application: paths, and the guard around them (host names, request ids, errors, one log line a request)."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from intermodel.core import IntermodelError, Kind, NotFound
from intermodel.core.errors import MethodNotAllowed
from intermodel.engines import Engines
from intermodel.gateway import Gateway
from intermodel.settings import Settings
from intermodel.storage import Database
from intermodel.web.auth import Auth
from intermodel.web.calls import Calls
from intermodel.web.health import Health
from intermodel.web.http import Receive, Scope, Send, header, respond, respond_error
from intermodel.web.openai import Models
from intermodel.web.pages import page_error, page_routes

log = logging.getLogger(__name__)

_UNKNOWN_HOST = b"This node does not answer under that host name. Its operator can name it in 'allowed_hosts'.\n"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Services:
    """What the edges need of the rest of the node."""

    settings: Settings
    gateway: Gateway
    engines: Engines
    database: Database
    auth: Auth


def build_app(services: Services) -> ASGIApp:
    """The node's HTTP side, as an ASGI application."""
    limits, auth, gateway = services.settings.limits, services.auth, services.gateway
    health = Health(gateway, services.database, services.engines, auth)
    calls = [Route(f"/v1/{kind.value}", Calls(kind, gateway, auth, limits), methods=["POST"]) for kind in Kind]
    models = Models(gateway, auth)
    router = Router(
        routes=[
            *calls,
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{address:path}", models, methods=["GET"]),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
            *page_routes(services.settings, gateway, services.engines, auth, health),
        ]
    )
    return Guard(router, host_names(services.settings))


def host_names(settings: Settings) -> frozenset[str]:
    """The names under which this node may be addressed, besides bare IP addresses."""
    return frozenset({"localhost", socket.gethostname().lower(), settings.host, *settings.allowed_hosts})


class Guard:
    """Around every request: refuses foreign host names, gives it an id, turns errors into answers, logs it once."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = header(scope, b"x-request-id")
        scope["request_id"] = given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["app"] = self._app  # makes Starlette's router raise, so that 404 and 405 take the common way
        answer = _Sender(send, scope["request_id"])
        try:
            if self._foreign(header(scope, b"host").decode("latin-1")):
                await respond(
                    answer,
                    421,
                    b"This node does not answer under that host name; allowed_hosts can name it.\n",
                    b"text/plain",
                )
            else:
                await self._app(scope, receive, answer)
        except IntermodelError as error:
            await self._fail(scope, receive, answer, error)
        except HTTPException as error:
            await self._fail(scope, receive, answer, _not_served(scope, error))
        except Exception:  # the edge: whatever it was, the client gets an answer and the log the trace
            log.exception("unexpected error", extra={"request": scope["request_id"]})
            await self._fail(scope, receive, answer, _unexpected(scope["request_id"]))
        finally:
            _log(scope, answer.status, began)

    async def _fail(self, scope: Scope, receive: Receive, answer: _Sender, error: IntermodelError) -> None:
        """Answer with the error, as a page to a browser; once an answer has begun it can only be logged."""
        if answer.status:
            log.warning("failed after the answer had begun", extra={"code": error.code, "reason": error.message})
        elif page := page_error(scope, error):
            await page(scope, receive, answer)
        else:
            await respond_error(answer, error, scope.get("protocol"))

    def _foreign(self, host: str) -> bool:
        """Whether a browser may have been tricked into this name (DNS rebinding). Bare addresses cannot be."""
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name.strip("[]").lower() in self._hosts:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return True
        return False


class _Sender:
    """`send`, with the request's id on every answer and its status remembered."""

    __slots__ = ("_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = (b"x-request-id", request_id.encode())
        self.status = 0

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._id]
        await self._send(message)


def _not_served(scope: Scope, error: HTTPException) -> IntermodelError:
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return MethodNotAllowed(f"{scope['path'][:200]} takes {allow}, not {scope['method']}.", allow=allow)
    return NotFound(f"There is nothing at {scope['path'][:200]}.", hint="docs/api.md lists the paths.")


def _unexpected(request_id: str) -> IntermodelError:
    return IntermodelError("Something went wrong in this node.", hint=f"Its log says more under {request_id}.")


def _log(scope: Scope, status: int, began: float) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    extra = {
        "method": scope["method"],
        "path": scope["path"],
        "status": 499 if scope.get("left") else status,
        "ms": round((time.perf_counter() - began) * 1000, 2),
        "request": scope["request_id"],
    }
    for key in ("caller", "model"):
        if key in scope:
            extra[key] = scope[key]
    log.info("request", extra=extra)
