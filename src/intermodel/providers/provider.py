"""The extension point for wire formats, and the door by which they are found."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from intermodel.core import Call, Invalid, Kind
from intermodel.providers.answer import Answer
from intermodel.providers.http import Http
from intermodel.settings import Deployment
from intermodel.settings.installed import installed

GROUP = "intermodel.providers"


class Provider(Protocol):
    """A connection, with one key, to something that answers calls in some wire format."""

    kinds: frozenset[Kind]
    """The forms in which it is asked and answers; a conversation in another form comes to it translated into CHAT."""

    async def call(self, call: Call, model: str) -> Answer:
        """Ask `model`, by its upstream name, and return as soon as its answer begins.

        Raises `Upstream` if it fails before that and `Invalid` for what can never work. Cancelling the task
        stops the work upstream.
        """


@runtime_checkable
class CountsTokens(Protocol):
    """A provider that can say how many tokens a request has, without answering it."""

    async def count_tokens(self, call: Call, model: str) -> int:
        """Of a request in any form that the provider is asked in. Raises as `call` does."""


class Factory(Protocol):
    def __call__(self, name: str, deployment: Deployment, key: str, http: Http) -> Provider: ...


def connect(name: str, deployment: Deployment, key: str, http: Http) -> Provider:
    """The provider that a deployment names, found among the entry points `intermodel.providers`."""
    known = installed(GROUP)
    if deployment.provider not in known:
        raise Invalid(
            f"Deployment '{name}' asks for the provider '{deployment.provider}', which is not installed.",
            hint=f"Known here: {', '.join(sorted(known))}.",
            code="unknown_provider",
        )
    factory: Factory = known[deployment.provider].load()
    return factory(name, deployment, key, http)
