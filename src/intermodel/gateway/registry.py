"""What was declared: deployments and routes of intermodel.toml, and those that were added while the node runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.core import Conflict, IntermodelError, Invalid, NotFound
from intermodel.gateway.key_rules import admitted
from intermodel.providers import Provider
from intermodel.settings import Deployment, Name, Route, Settings
from intermodel.settings.load import check_routes
from intermodel.storage import Database, DataFolder, tables

log = logging.getLogger(__name__)

Connect = Callable[[str, Deployment], tuple[Provider, ...]]
"""The connections of a deployment, one for each of its keys. Raises `Invalid`."""

_NAME = TypeAdapter(Name)
Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared at one moment. `problems` says why a deployment cannot be used."""

    deployments: Mapping[str, Deployment] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    connections: Mapping[str, tuple[Provider, ...]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


class Registry:
    """Keeps `declared` in step with the database, where other processes may change it too.

    What the settings file declares is changed there and nowhere else. A deployment that changes is connected anew;
    calls that run over its old connections end on them.
    """

    FRESH_S = 2.0

    def __init__(self, database: Database, connect: Connect, settings: Settings) -> None:
        """`settings` are those of the file. Raises `Invalid` for a deployment that can never be connected.

        One whose key is missing is a problem of its own, and no reason not to start.
        """
        self._database = database
        self._connect = connect
        self._guards = settings.guards.keys()
        self._variables = settings.key_variables
        self._keys = DataFolder(settings.data).keys
        connections, problems = {}, {}
        for name, deployment in settings.deployments.items():
            try:
                connections[name] = connect(name, deployment)
            except Invalid as error:
                if error.code != "key_missing":
                    raise
                problems[name] = _told(name, error)  # the others can be called all the same
        self._file = Declared(settings.deployments, settings.routes, connections, problems)
        self._documents: dict[str, Any] = {}
        self._changing = asyncio.Lock()
        self._renewed = float("-inf")
        self.declared = self._file
        self.version = 0
        """Counts up when `declared` changes."""
        self.forgets: list[Callable[[str], None]] = []
        """Called with the name of each deployment that is no longer declared."""

    def is_fixed(self, name: str) -> bool:
        """Whether the settings file declares it."""
        return name in self._file.deployments or name in self._file.routes

    async def renew(self) -> None:
        """Read what other processes may have changed. Raises `Unavailable` where the database does not answer."""
        async with self._changing:
            if time.monotonic() - self._renewed > self.FRESH_S:
                await self._renew()

    async def put_deployment(self, name: str, document: Mapping[str, Any]) -> Deployment:
        """Add or change a deployment.

        Raises `Invalid` for a wrong document, `Refused` for a key it may not use, `Conflict` for a name that is taken.
        """
        deployment = checked(Deployment, name, document)
        deployment = admitted(deployment, self._file.deployments, self._variables, self._keys)
        async with self._changing:
            await self._renew()
            if name in self.declared.routes:
                raise _taken(name, "a route")
            self._connect(name, deployment)  # before it is stored: a key that is missing is told now
            await self._put(tables.deployments, name, deployment)
        return deployment

    async def put_route(self, name: str, document: Mapping[str, Any]) -> Route:
        """Add or change a route. Raises `Invalid`, or `Conflict` for a name that is taken."""
        route = checked(Route, name, document)
        async with self._changing:
            await self._renew()
            if name in self.declared.deployments:
                raise _taken(name, "a deployment")
            check_routes({**self.declared.routes, name: route}, self.declared.deployments, self._guards)
            await self._put(tables.routes, name, route)
        return route

    async def remove_deployment(self, name: str) -> None:
        """Raises `NotFound`, or `Conflict` for one of the settings file or one that a route needs."""
        async with self._changing:
            await self._renew()
            using = [route for route, r in self.declared.routes.items() if name in r.candidates]
            if using:
                raise Conflict(
                    f"Route '{using[0]}' has the deployment '{name}' among its candidates.",
                    hint="Change the route first.",
                    code="deployment_in_use",
                )
            await self._remove(tables.deployments, name, "deployment")

    async def remove_route(self, name: str) -> None:
        """Raises `NotFound`, or `Conflict` for one of the settings file."""
        async with self._changing:
            await self._renew()
            await self._remove(tables.routes, name, "route")

    async def _put(self, table: Table, name: str, document: BaseModel) -> None:
        self._refuse_fixed(name)
        values = {"document": document.model_dump(mode="json", exclude_defaults=True), "changed": datetime.now(UTC)}
        async with self._database.begin() as db:
            changed = await db.execute(update(table).where(table.c.name == name).values(values))
            if not changed.rowcount:
                await db.execute(insert(table).values(name=name, **values))
            documents = await _read(db)
        self._take(documents)

    async def _remove(self, table: Table, name: str, kind: str) -> None:
        self._refuse_fixed(name)
        async with self._database.begin() as db:
            removed = await db.execute(delete(table).where(table.c.name == name))
            documents = await _read(db)
        if not removed.rowcount:
            raise NotFound(f"There is no {kind} '{name[:200]}'.", hint=f"`intermodel {kind}s` lists them.")
        self._take(documents)

    def _refuse_fixed(self, name: str) -> None:
        if self.is_fixed(name):
            raise Conflict(
                f"'{name}' is declared in intermodel.toml.",
                hint="Change it there and start the node again.",
                code="declared_in_file",
            )

    async def _renew(self) -> None:
        async with self._database.begin() as db:
            documents = await _read(db)
        self._take(documents)

    def _take(self, documents: dict[str, Any]) -> None:
        self._renewed = time.monotonic()
        if documents == self._documents:
            return
        before, self._documents = self._documents, documents
        deployments, routes = dict(self._file.deployments), dict(self._file.routes)
        connections, problems = dict(self._file.connections), dict(self._file.problems)
        for name, document in self._added(documents["deployments"]):
            old = self.declared.connections.get(name)
            try:
                deployments[name] = checked(Deployment, name, document)
                same = old is not None and before and before["deployments"].get(name) == document
                connections[name] = old if same and old else self._connect(name, deployments[name])
            except IntermodelError as error:
                problems[name] = _told(name, error)
        for name, document in self._added(documents["routes"]):
            try:
                routes[name] = checked(Route, name, document)
            except IntermodelError as error:
                log.error("route cannot be used", extra={"model": name, "reason": str(error)})
        gone = self.declared.deployments.keys() - deployments.keys()
        self.declared = Declared(deployments, routes, connections, problems)
        self.version += 1
        for name in gone:
            for forget in self.forgets:
                forget(name)

    def _added(self, documents: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Those of the database; what the file declares since then wins."""
        return [(name, document) for name, document in documents.items() if not self.is_fixed(name)]


def _told(name: str, error: IntermodelError) -> str:
    """A problem in words, which are logged."""
    log.error("deployment cannot be used", extra={"model": name, "reason": str(error)})
    return str(error)


def checked(form: type[Form], name: str, document: Mapping[str, Any]) -> Form:
    """The document as a value. Raises `Invalid` whose `param` is the field at fault."""
    try:
        _NAME.validate_python(name)
        return form.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"])) or "name"
        said = first["msg"].removeprefix("Value error, ")
        raise Invalid(
            f"{form.__name__} '{name[:200]}', '{param}': {said[0].lower()}{said[1:]}.",
            hint="docs/settings.md says what is expected.",
            param=param,
            code="unknown_setting" if first["type"] == "extra_forbidden" else "invalid_setting",
        ) from None


async def _read(db: AsyncConnection) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in (tables.deployments, tables.routes):
        rows = await db.execute(select(table.c.name, table.c.document).order_by(table.c.name))
        found[table.name] = {row.name: row.document for row in rows}
    return found


def _taken(name: str, by: str) -> Conflict:
    return Conflict(f"'{name}' is the name of {by}.", hint="Choose another name.", code="name_taken")
