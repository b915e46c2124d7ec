"""What can be called, with everything that a page says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from intermodel.core import Capability
from intermodel.engines import Engines, Model, State
from intermodel.gateway import Directory, Gateway, Target
from intermodel.governance import Caller
from intermodel.settings import Deployment

LOCAL, DEPLOYMENT, ROUTE = "This machine", "Deployment", "Route"
ELSEWHERE = "another server"
KINDS = (LOCAL, DEPLOYMENT, ROUTE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A model or route. What is not known of it is None or empty, and pages say so."""

    address: str
    kind: str
    where: str
    """Where the words of a call go."""
    capabilities: tuple[str, ...] = ()
    context_length: int | None = None
    model: Model | None = None
    """The file behind it, of a model of this machine."""
    engine: State | None = None
    """Its engine, if it was asked for since the node started."""
    upstream: str = ""
    """Its name at the other server, of a deployment; empty for those who may not know."""
    candidates: tuple[tuple[str, bool], ...] = ()
    """Of a route: the names in order, and whether each is known here."""

    @property
    def phase(self) -> str:
        """Of the engine: `ready`, `starting`, `stopped`, `failed`; empty where no engine of ours is concerned."""
        if self.kind != LOCAL:
            return ""
        return self.engine.phase.value if self.engine else "stopped"

    @property
    def reachable(self) -> bool:
        """False for a route whose candidates are all unknown."""
        return self.kind != ROUTE or any(known for _, known in self.candidates)

    @property
    def chats(self) -> bool:
        """Whether it may be asked in a conversation; where its capabilities are unknown, it may."""
        return self.reachable and (not self.capabilities or Capability.CHAT in self.capabilities)

    @property
    def embeds_only(self) -> bool:
        return Capability.EMBEDDING in self.capabilities and Capability.CHAT not in self.capabilities


class Listing:
    """Everything that can be called, at the moment of asking."""

    def __init__(self, gateway: Gateway, engines: Engines) -> None:
        self._registry = gateway.registry
        self._catalog = gateway.catalog
        self._engines = engines

    async def all(self, caller: Caller) -> list[Entry]:
        """Models of this machine first, then deployments, then routes; by address within each.

        Which servers are behind deployments is told to admins alone.
        """
        directory, models = await self._catalog.directory(), await self._catalog.models()
        told = self._registry.declared.deployments if caller.admin else {}
        return entries(directory, models, self._engines.states(), told)


def entries(
    directory: Directory,
    models: Mapping[str, Model],
    states: Sequence[State],
    deployments: Mapping[str, Deployment],
) -> list[Entry]:
    """One entry for every address in `directory`. Of a deployment that is not in `deployments` nothing is told."""
    engines = {state.address: state for state in reversed(states)}
    found = [
        _local(target, models.get(target.address), engines.get(target.address))
        if target.local
        else _deployment(target, deployments.get(target.address))
        for target in directory.targets.values()
    ]
    found += [_route(name, route.candidates, directory.targets) for name, route in directory.routes.items()]
    return sorted(found, key=lambda entry: (KINDS.index(entry.kind), entry.address))


def _local(target: Target, model: Model | None, engine: State | None) -> Entry:
    context = engine.context_length if engine else target.context_length
    return Entry(target.address, LOCAL, "this machine", _able(target), context, model, engine)


def _deployment(target: Target, deployment: Deployment | None) -> Entry:
    where, upstream = ELSEWHERE, ""
    if deployment:
        where, upstream = urlsplit(deployment.base_url).netloc or _own(deployment), target.upstream
    return Entry(target.address, DEPLOYMENT, where, _able(target), target.context_length, upstream=upstream)


def _own(deployment: Deployment) -> str:
    return deployment.host or f"{deployment.provider} in this node"


def _route(name: str, candidates: Sequence[str], targets: Mapping[str, Target]) -> Entry:
    known = [targets[candidate] for candidate in candidates if candidate in targets]
    able = [frozenset(_able(target)) for target in known]
    together = frozenset().union(*able) if all(able) else frozenset[str]()
    listed = tuple((candidate, candidate in targets) for candidate in candidates)
    return Entry(name, ROUTE, "the first candidate that answers", tuple(sorted(together)), candidates=listed)


def _able(target: Target) -> tuple[str, ...]:
    return tuple(sorted(capability.value for capability in target.capabilities))
