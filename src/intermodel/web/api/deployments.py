"""`/api/v1/deployments`: where models can be called, how each stands, and changing that while the node runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict

from intermodel.core import Conflict, NotFound
from intermodel.gateway import Gateway, Registry, Target
from intermodel.gateway.health import Phase
from intermodel.gateway.health import Standing as Measured
from intermodel.governance import Caller
from intermodel.settings import Deployment
from intermodel.web.api.forms import Form, Listing, document
from intermodel.web.api.operation import Asked, Made, Operation

MOST = 1000
"""Deployments, and routes, that may be declared in one node."""

DeclaredIn = Literal["file", "run time"]


_FOR_ALL = ("phase", "rests_s", "reason")


def _without_script(schema: dict[str, Any]) -> None:
    schema["properties"].pop("script")
    schema["description"] = (
        "As `[deployments.NAME]` in intermodel.toml. Keys are named, never sent: `key_env` within `key_variables` of "
        "the settings, `key_file` in the folder `keys` of the node's data folder, `key_keyring`."
    )


class DeploymentForm(Deployment):
    """A deployment as it may be declared while the node runs."""

    model_config = ConfigDict(json_schema_extra=_without_script)


class Standing(Form):
    """How a deployment does, as measured since the node started; null is not known yet.

    What calls of everybody came to (all but `phase`, `rests_s` and `reason`) is told to admins.
    """

    phase: Phase
    """`closed`: calls go through; `open`: none does; `half_open`: one may try."""
    rests_s: float
    """Seconds until a call may go through."""
    reason: str
    first_token_s: float | None
    """Median of the last ones."""
    rate: float | None
    """Tokens a second after the first."""
    error_ratio: float | None
    samples: int | None
    quality: float | None
    """Mean of the ratings of its answers, from 0 to 1."""
    ratings: int | None
    """How many those are."""

    @classmethod
    def of(cls, measured: Measured, caller: Caller) -> Standing:
        told = {name: getattr(measured, name) for name in cls.model_fields}
        return cls(**told if caller.admin else {name: told[name] if name in _FOR_ALL else None for name in told})


class PriceState(Form):
    """Dollars for a million tokens."""

    input: str
    output: str


class DeploymentState(Form):
    """One deployment. What is declared of it is told to admins: it names servers and keys (never a key itself)."""

    name: str
    declared_in: DeclaredIn
    document: dict[str, Any] | None
    """As `[deployments.NAME]`, without what is left at its default."""
    capabilities: list[str]
    context_length: int | None
    region: str
    price: PriceState | None
    """Null: nobody knows."""
    standing: Standing
    problem: str | None
    """Why it cannot be used."""


class Deployments:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = gateway.registry

    def operations(self) -> list[Operation]:
        one = "/deployments/{name}"
        state = DeploymentState
        return [
            Operation("GET", "/deployments", self.all, Listing[DeploymentState]),
            Operation("GET", one, self.get, state, misses=True),
            Operation("PUT", one, self.put, state, takes=DeploymentForm, who="admin", makes=True, clashes=True),
            Operation("DELETE", one, self.delete, who="admin", misses=True, clashes=True),
        ]

    async def all(self, asked: Asked) -> Listing[DeploymentState]:
        """List the deployments, by name."""
        targets = (await self._gateway.catalog.directory()).targets
        return Listing(data=[self._state(name, targets.get(name), asked) for name in sorted(self._names())])

    async def get(self, asked: Asked) -> DeploymentState:
        """Tell one deployment."""
        targets = (await self._gateway.catalog.directory(asked.name)).targets
        if asked.name not in self._names():
            raise NotFound(f"There is no deployment '{asked.name[:200]}'.", hint="GET /api/v1/deployments lists them.")
        return self._state(asked.name, targets.get(asked.name), asked)

    async def put(self, asked: Asked) -> DeploymentState | Made:
        """Declare a deployment, or change one that was declared while the node runs.

        It holds once this answers, also after a crash. Calls in progress end where they began; new ones go to the new
        place. Other processes of the node follow within two seconds.
        """
        is_new = await declare_deployment(self._registry, asked.name, document(asked.body))
        state = await self.get(asked)
        return Made(state) if is_new else state

    async def delete(self, asked: Asked) -> None:
        """Remove a deployment that was declared while the node runs."""
        await self._registry.remove_deployment(asked.name)

    def _names(self) -> set[str]:
        return deployment_names(self._registry)

    def _state(self, name: str, target: Target | None, asked: Asked) -> DeploymentState:
        declared = self._registry.declared
        deployment = declared.deployments.get(name)
        told = deployment is not None and asked.caller.admin
        return DeploymentState(
            name=name,
            declared_in="file" if self._registry.is_fixed(name) else "run time",
            document=deployment.model_dump(mode="json", exclude_defaults=True) if deployment and told else None,
            capabilities=sorted(deployment.capabilities) if deployment else [],
            context_length=deployment.context_length if deployment else None,
            region=deployment.region if deployment else "",
            price=_price(target),
            standing=Standing.of(self._gateway.standing(name), asked.caller),
            problem=_problem(declared.problems.get(name), asked.caller),
        )


def deployment_names(registry: Registry) -> set[str]:
    """All that are declared, also those that cannot be used."""
    return registry.declared.deployments.keys() | registry.declared.problems.keys()


async def declare_deployment(registry: Registry, name: str, told: Mapping[str, Any]) -> bool:
    """Declare a deployment, or change one; whether it is new. Raises `Invalid`, `Refused`, `Conflict`."""
    await registry.renew()
    names = deployment_names(registry)
    if name not in names and len(names) >= MOST:
        raise Conflict(f"There are {MOST} deployments, as many as a node takes.", hint="Remove one.")
    await registry.put_deployment(name, told)
    return name not in names


def _problem(problem: str | None, caller: Caller) -> str | None:
    return problem if caller.admin or problem is None else "It is set up wrongly; an admin sees how."


def _price(target: Target | None) -> PriceState | None:
    if target is None or target.price_input is None or target.price_output is None:
        return None
    return PriceState(input=f"{target.price_input:f}", output=f"{target.price_output:f}")
