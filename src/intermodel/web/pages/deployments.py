"""How deployments do: circuits, first tokens, rates and failures, over time; and why routes choose as they do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from starlette.requests import Request
from starlette.responses import Response

from intermodel.accounts.receipts import Performance
from intermodel.core import Call, IntermodelError, Kind
from intermodel.gateway import Candidate, Directory, Gateway, Target, choose
from intermodel.gateway.health import Standing
from intermodel.governance import Caller
from intermodel.web.pages.periods import HOURS, chosen
from intermodel.web.pages.plots import failures, latency
from intermodel.web.pages.render import page

_DEFAULT = "day"
_OWN_FAULT = ("failed", "broken")


@dataclass(frozen=True, slots=True)
class Doing:
    """A deployment or model: how it stands now, and how it did over the period (None: it was not called)."""

    target: Target
    standing: Standing
    did: Performance | None

    @property
    def failed(self) -> float | None:
        """The share of its attempts that it failed."""
        if self.did is None or not self.did.attempts:
            return None
        return sum(self.did.failed.get(outcome, 0) for outcome in _OWN_FAULT) / self.did.attempts


@dataclass(frozen=True, slots=True)
class Choice:
    """A route as it would choose now; `problem` where it cannot."""

    name: str
    order: str
    candidates: Sequence[Candidate]
    problem: str = ""


class Deployments:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def show(self, request: Request, caller: Caller) -> Response:
        now = time.time()
        period = chosen(request.query_params.get("period", ""), HOURS, _DEFAULT)
        receipts, directory = self._gateway.accounts.receipts, await self._gateway.catalog.directory()
        stretches = await receipts.history(period.since(now), period.step)
        did = {one.address: one for one in await receipts.performance(period.since(now))}
        return page(
            request.scope,
            "deployments.html",
            caller,
            periods=HOURS,
            period=period,
            deployments=[self._doing(target, did) for target in directory.targets.values()],
            plots=[latency(stretches, period, now), failures(stretches, period, now)] if stretches else [],
            routes=[self._choice(name, directory) for name in directory.routes],
            problems=self._gateway.registry.declared.problems if caller.admin else {},
        )

    def _doing(self, target: Target, did: Mapping[str, Performance]) -> Doing:
        return Doing(target, self._gateway.standing(target.address), did.get(target.address))

    def _choice(self, name: str, directory: Directory) -> Choice:
        """As for a plain conversation, which needs nothing in particular."""
        order = directory.routes[name].order
        try:
            return Choice(name, order, choose(_plain(name), directory, self._gateway.standing, Random(0)))  # noqa: S311
        except IntermodelError as error:
            return Choice(name, order, (), str(error))


def _plain(model: str) -> Call:
    return Call(Kind.CHAT, model, {"model": model, "messages": []})
