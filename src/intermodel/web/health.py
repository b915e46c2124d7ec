"""For those who watch the node: /healthz (it runs), /readyz (it can answer), /metrics (what it did)."""

from __future__ import annotations

import contextlib

from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from intermodel.core import IntermodelError
from intermodel.engines import Engines
from intermodel.gateway import Gateway
from intermodel.storage import Database
from intermodel.web.auth import Auth


class Health:
    def __init__(self, gateway: Gateway, database: Database, engines: Engines, auth: Auth) -> None:
        self._gateway = gateway
        self._database = database
        self._engines = engines
        self._auth = auth

    async def healthz(self, _request: Request) -> Response:
        """200 as long as the process serves requests."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """200 if a call can be taken now, else 503 with what is in the way."""
        problems = await self.problems()
        return JSONResponse(
            {"status": "not ready" if problems else "ready", "problems": problems}, status_code=503 if problems else 200
        )

    async def problems(self) -> list[str]:
        """What keeps this node from taking calls."""
        found = ["the node is stopping"] if self._gateway.stopping else []
        try:
            async with self._database.begin():
                pass
            directory = await self._gateway.catalog.directory()
        except IntermodelError as error:
            return [*found, error.message]
        if not directory.targets:
            found.append("there is no model to call: add one with `intermodel models add FILE.gguf`")
        return found

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format. Needs an admin's token: it tells of everybody's calls, budgets and money."""
        await self._auth.admin(request.scope)
        with contextlib.suppress(IntermodelError):  # the database is gone: what was known of it is better than nothing
            await self._gateway.gauges.renew()
        return Response(generate_latest(self._gateway.metrics.registry), media_type="text/plain; version=0.0.4")
