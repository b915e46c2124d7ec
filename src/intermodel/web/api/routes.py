"""`/api/v1/routes`: names for models in some order, and changing them while the node runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intermodel.core import Conflict, NotFound
from intermodel.gateway import Gateway, Registry
from intermodel.settings import Route
from intermodel.web.api.deployments import MOST, DeclaredIn
from intermodel.web.api.forms import Form, Listing, document
from intermodel.web.api.operation import Asked, Made, Operation


class RouteState(Form):
    """One route."""

    name: str
    declared_in: DeclaredIn
    document: dict[str, Any]
    """As `[routes.NAME]` in intermodel.toml, without what is left at its default."""


class Routes:
    def __init__(self, gateway: Gateway) -> None:
        self._registry = gateway.registry

    def operations(self) -> list[Operation]:
        one = "/routes/{name}"
        return [
            Operation("GET", "/routes", self.all, Listing[RouteState]),
            Operation("GET", one, self.get, RouteState, misses=True),
            Operation("PUT", one, self.put, RouteState, takes=Route, who="admin", makes=True, clashes=True),
            Operation("DELETE", one, self.delete, who="admin", misses=True, clashes=True),
        ]

    async def all(self, _asked: Asked) -> Listing[RouteState]:
        """List the routes, by name."""
        await self._registry.renew()
        return Listing(data=[self._state(name) for name in sorted(self._registry.declared.routes)])

    async def get(self, asked: Asked) -> RouteState:
        """Tell one route."""
        await self._registry.renew()
        if asked.name not in self._registry.declared.routes:
            raise NotFound(f"There is no route '{asked.name[:200]}'.", hint="GET /api/v1/routes lists them.")
        return self._state(asked.name)

    async def put(self, asked: Asked) -> RouteState | Made:
        """Declare a route, or change one that was declared while the node runs.

        It holds once this answers, also after a crash. Other processes of the node follow within two seconds.
        """
        is_new = await declare_route(self._registry, asked.name, document(asked.body))
        state = self._state(asked.name)
        return Made(state) if is_new else state

    async def delete(self, asked: Asked) -> None:
        """Remove a route that was declared while the node runs."""
        await self._registry.remove_route(asked.name)

    def _state(self, name: str) -> RouteState:
        route = self._registry.declared.routes[name]
        return RouteState(
            name=name,
            declared_in="file" if self._registry.is_fixed(name) else "run time",
            document=route.model_dump(mode="json", exclude_defaults=True),
        )


async def declare_route(registry: Registry, name: str, told: Mapping[str, Any]) -> bool:
    """Declare a route, or change one; whether it is new. Raises `Invalid`, `Conflict`."""
    await registry.renew()
    routes = registry.declared.routes
    if name not in routes and len(routes) >= MOST:
        raise Conflict(f"There are {MOST} routes, as many as a node takes.", hint="Remove one.")
    await registry.put_route(name, told)
    return name not in routes
