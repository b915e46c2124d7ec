"""How deployments do: circuits, first tokens, rates and failures, over time; and why routes choose as they do.

For admins, also what is declared of each, and the forms that declare, change and remove deployments and routes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from starlette.requests import Request
from starlette.responses import Response

from intermodel.accounts import Filter, Stretch
from intermodel.accounts.receipts import Performance
from intermodel.core import Call, IntermodelError, Kind
from intermodel.gateway import Candidate, Directory, Gateway, Target, choose
from intermodel.gateway.health import Standing
from intermodel.governance import Caller
from intermodel.settings import Deployment
from intermodel.web.api.deployments import deployment_names
from intermodel.web.auth import Auth
from intermodel.web.errors import status_of
from intermodel.web.pages.declare import DEPLOYMENT, ORDERS, ROUTE, Draft, act, draft_of, providers, sent
from intermodel.web.pages.forms import read_form
from intermodel.web.pages.own import MOST, history_of, performance_of
from intermodel.web.pages.periods import HOURS, Period, chosen
from intermodel.web.pages.plots import failures, latency
from intermodel.web.pages.render import page, redirect

_DEFAULT = "day"
_OWN_FAULT = ("failed", "broken")
_FORM_BYTES = 64 * 1024


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

    @property
    def refused(self) -> int:
        """How many of its attempts were refused, as wrong or by this node: no fault of the deployment."""
        return self.did.failed.get("refused", 0) if self.did is not None else 0


@dataclass(frozen=True, slots=True)
class SetUp:
    """What is declared of a deployment, for admins; None where it cannot even be read. `problem`: why it is of no use.

    `draft` is the form that changes it, where that is not done in the settings file.
    """

    name: str
    target: Target | None
    deployment: Deployment | None
    problem: str
    draft: Draft | None

    @property
    def price(self) -> str:
        """Of a million tokens; "" where it is not known."""
        if self.target is None or self.target.price_input is None or self.target.price_output is None:
            return ""
        return f"${self.target.price_input.normalize():f} read, ${self.target.price_output.normalize():f} made"

    @property
    def keys(self) -> list[str]:
        """Where its keys are: names, never keys."""
        if self.deployment is None:
            return []
        named = [f"the variable {name}" for name in self.deployment.key_env]
        named += [f"the file {path.name}" for path in self.deployment.key_file]
        return named + [f"{name} of the keyring" for name in self.deployment.key_keyring]


@dataclass(frozen=True, slots=True)
class Choice:
    """A route as it would choose now; `problem` where it cannot. `draft` as of a deployment."""

    name: str
    order: str
    candidates: Sequence[Candidate]
    problem: str
    draft: Draft | None


class Deployments:
    def __init__(self, gateway: Gateway, auth: Auth) -> None:
        self._gateway = gateway
        self._registry = gateway.registry
        self._auth = auth

    async def show(self, request: Request, caller: Caller) -> Response:
        """How deployments do. For those who do not change the node: in their own calls."""
        return await self._page(request, caller)

    async def change(self, request: Request, _caller: Caller) -> Response:
        """Declare, change or remove a deployment or a route."""
        admin = await self._auth.admin(request.scope)
        draft = sent(await read_form(request, _FORM_BYTES))
        try:
            await act(self._registry, draft)
        except IntermodelError as error:  # whatever it is, what was written is not lost
            return await self._page(request, admin, replace(draft, error=error), status_of(error))
        return redirect(request.scope, "/deployments")

    async def _page(self, request: Request, caller: Caller, draft: Draft | None = None, status: int = 200) -> Response:
        now = time.time()
        period = chosen(request.query_params.get("period", ""), HOURS, _DEFAULT)
        directory = await self._gateway.catalog.directory()
        performance, stretches = await self._figures(caller, period, now)
        did = {one.address: one for one in performance}
        making = draft if draft is not None and draft.does == "make" else None
        set_up = self._set_up(directory, draft) if caller.admin else []
        routes = [self._choice(name, directory, draft) for name in directory.routes]
        forms = [one.draft for one in set_up] + [one.draft for one in routes]
        homeless = draft is not None and making is None and not any(form and form.error for form in forms)
        return page(
            request.scope,
            "deployments.html",
            caller,
            status=status,
            periods=HOURS,
            period=period,
            deployments=[self._doing(target, did) for target in directory.targets.values()],
            plots=[latency(stretches, period, now), failures(stretches, period, now)] if stretches else [],
            routes=routes,
            set_up=set_up,
            error=draft.error if draft is not None and homeless else None,
            making={kind: making if making and making.kind == kind else Draft(kind) for kind in (DEPLOYMENT, ROUTE)},
            orders=ORDERS,
            providers={name: name for name in providers()},
        )

    async def _figures(
        self, caller: Caller, period: Period, now: float
    ) -> tuple[Sequence[Performance], Sequence[Stretch]]:
        """What the calls of everybody came to; for those who do not change the node, their own calls."""
        receipts, since = self._gateway.accounts.receipts, period.since(now)
        if caller.admin:
            return await receipts.performance(since), await receipts.history(since, period.step)
        own = await receipts.list(Filter(token=caller.token_id, since=since), MOST)
        return performance_of(own), history_of(own, period.step)

    def _doing(self, target: Target, did: Mapping[str, Performance]) -> Doing:
        return Doing(target, self._gateway.standing(target.address), did.get(target.address))

    def _set_up(self, directory: Directory, draft: Draft | None) -> list[SetUp]:
        return [
            self._one(name, directory.targets.get(name), draft) for name in sorted(deployment_names(self._registry))
        ]

    def _one(self, name: str, target: Target | None, draft: Draft | None) -> SetUp:
        declared = self._registry.declared
        deployment, problem = declared.deployments.get(name), declared.problems.get(name, "")
        if self._registry.is_fixed(name):
            return SetUp(name, target, deployment, problem, None)
        own = draft_of(DEPLOYMENT, name, deployment) if deployment else Draft(DEPLOYMENT, name, does="remove")
        return SetUp(name, target, deployment, problem, _given(own, draft))

    def _choice(self, name: str, directory: Directory, draft: Draft | None) -> Choice:
        """As for a plain conversation, which needs nothing in particular."""
        route = directory.routes[name]
        form = None if self._registry.is_fixed(name) else _given(draft_of(ROUTE, name, route), draft)
        try:
            candidates = choose(_plain(name), directory, self._gateway.standing, Random(0))  # noqa: S311
        except IntermodelError as error:
            return Choice(name, route.order, (), str(error), form)
        return Choice(name, route.order, candidates, "", form)


def _given(own: Draft, sent: Draft | None) -> Draft:
    """What was sent for the same thing and refused, instead of what is declared of it."""
    if sent is None or sent.does == "make" or (sent.kind, sent.name) != (own.kind, own.name):
        return own
    return sent if sent.does == "change" else replace(own, does="remove", error=sent.error)


def _plain(model: str) -> Call:
    return Call(Kind.CHAT, model, {"model": model, "messages": []})
