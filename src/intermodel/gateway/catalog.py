"""The directory of what can be called: models of this machine, deployments, aliases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from intermodel.core import Capability
from intermodel.engines import Engines, Library, Model
from intermodel.gateway.choose import Directory, Target
from intermodel.settings import Alias, Deployment

LOCAL = "llamacpp"
"""The key of the provider that stands for this machine's engines."""


class Catalog:
    """Keeps a `Directory`, renewed every `FRESH_S` and at once when a name is not found in it."""

    FRESH_S = 2.0

    def __init__(
        self,
        library: Library,
        engines: Engines,
        deployments: Mapping[str, Deployment],
        aliases: Mapping[str, Alias],
    ) -> None:
        self._library = library
        self._engines = engines
        self._remote = {name: _remote(name, deployment) for name, deployment in deployments.items()}
        self._aliases = {name: alias.candidates for name, alias in aliases.items()}
        self._models: Mapping[str, Model] = {}
        self._directory = Directory()
        self._renewed = float("-inf")
        self._renewing = asyncio.Lock()

    async def models(self) -> Mapping[str, Model]:
        """The models of this machine, by address."""
        await self.directory()
        return self._models

    async def directory(self, wanted: str | None = None) -> Directory:
        """What can be called now; always looked up afresh when `wanted` was not there."""
        known = wanted is None or wanted in self._directory.targets or wanted in self._aliases
        if not (known and time.monotonic() - self._renewed <= self.FRESH_S):
            asked = time.monotonic()
            async with self._renewing:  # many may wait here, of whom the first looks it up for all
                if self._renewed < asked:
                    await self._renew()
        return self._directory

    async def _renew(self) -> None:
        self._models = {model.address: model for model in await self._library.all()}
        local = {address: self._local(model) for address, model in self._models.items()}
        self._directory = Directory(local | self._remote, self._aliases)
        self._renewed = time.monotonic()

    def _local(self, model: Model) -> Target:
        return Target(
            address=model.address,
            provider=LOCAL,
            upstream=model.address,
            local=True,
            capabilities=model.facts.capabilities,
            context_length=self._engines.context_length(model),
        )


def _remote(name: str, deployment: Deployment) -> Target:
    return Target(
        address=name,
        provider=name,
        upstream=deployment.model or name,
        local=False,
        capabilities=frozenset(map(Capability, deployment.capabilities)),
        context_length=deployment.context_length,
    )
