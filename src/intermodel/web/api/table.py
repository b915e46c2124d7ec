"""The table of operations: everything below /api/v1."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.routing import BaseRoute, Route

from intermodel.gateway import Gateway
from intermodel.governance import Tokens as NodeTokens
from intermodel.ledger import Ledger
from intermodel.records.store import Records as Known
from intermodel.settings import Settings
from intermodel.web.api.budgets import Budgets
from intermodel.web.api.deployments import Deployments
from intermodel.web.api.entered import EnteredOperations
from intermodel.web.api.explain import Explain
from intermodel.web.api.figures import Figures
from intermodel.web.api.ledger import Statements
from intermodel.web.api.openapi import openapi, path_in_starlette
from intermodel.web.api.operation import Asked, Endpoint, Operation
from intermodel.web.api.receipts import Receipts
from intermodel.web.api.records import Records
from intermodel.web.api.routes import Routes
from intermodel.web.api.tokens import Tokens
from intermodel.web.api.writer import Writer
from intermodel.web.auth import Auth
from intermodel.writer.runs import Runs


class OpenApi(BaseModel):
    """This document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Document:
    """What describes itself and all the others."""

    def __init__(self, others: list[Operation]) -> None:
        self.operations = [*others, Operation("GET", "/openapi.json", self.get, OpenApi, who="anyone")]
        self._written: dict[str, Any] | None = None

    async def get(self, _asked: Asked) -> dict[str, Any]:
        """This API as an OpenAPI document."""
        if self._written is None:
            self._written = openapi(self.operations)
        return self._written


def operations(
    settings: Settings, gateway: Gateway, tokens: NodeTokens, records: Known, ledger: Ledger, runs: Runs
) -> list[Operation]:
    """Every operation of the API."""
    resources = (
        Deployments(gateway),
        Routes(gateway),
        Explain(settings.limits, gateway),
        Budgets(gateway.accounts.budgets),
        Receipts(gateway),
        Figures(gateway),
        Records(records),
        EnteredOperations(records),
        Statements(ledger),
        Tokens(tokens),
        Writer(runs, gateway, settings),
    )
    return Document([operation for resource in resources for operation in resource.operations()]).operations


def api_routes(
    settings: Settings, gateway: Gateway, auth: Auth, tokens: NodeTokens, records: Known, ledger: Ledger, runs: Runs
) -> list[BaseRoute]:
    """The same as Starlette's routes, one for each path; longer ones first, since a name may hold a slash."""
    table = sorted(operations(settings, gateway, tokens, records, ledger, runs), key=attrgetter("path"), reverse=True)
    return [
        Route(path_in_starlette(path), Endpoint(list(group), auth))
        for path, group in groupby(table, key=attrgetter("path"))
    ]
