"""`/api/v1/explain`: who would answer a call, and why, without calling anyone."""

from __future__ import annotations

from random import Random
from typing import Annotated, Any

from pydantic import Field

from intermodel.core import Call, Capability, Kind
from intermodel.gateway import Gateway, choose
from intermodel.settings import Ability, Limits
from intermodel.web import openai_requests
from intermodel.web.api.forms import Form
from intermodel.web.api.operation import Asked, Operation


class ExplainForm(Form):
    """A call that is not made: a model, and what the call would need of it."""

    model: Annotated[str, Field(min_length=1, max_length=openai_requests.MODEL_LENGTH)]
    """An address or a route."""
    needs: frozenset[Ability] = frozenset()
    """What the call needs."""
    chat: dict[str, Any] | None = None
    """A request as for /v1/chat/completions, from which the needs are read; its `model` may be left out."""


class CandidateState(Form):
    """One candidate."""

    address: str
    fit: bool
    """Whether it would be called."""
    reason: str
    """Why it stands where it stands, or why it would be left out."""


class Explanation(Form):
    """The candidates, the one that would be called first at the beginning, those left out at the end."""

    model: str
    route: str | None
    """Null where the model is called by its own address."""
    order: str | None
    needs: list[str]
    candidates: list[CandidateState]


class Explain:
    def __init__(self, limits: Limits, gateway: Gateway) -> None:
        self._limits = limits
        self._gateway = gateway

    def operations(self) -> list[Operation]:
        return [Operation("POST", "/explain", self.post, Explanation, takes=ExplainForm, misses=True)]

    async def post(self, asked: Asked) -> Explanation:
        """Tell who would answer a call, and why. Nobody is called; what is drawn (`weighted`, the share of calls that
        explore) is drawn anew each time."""
        form: ExplainForm = asked.body
        call = self._call(form, asked.request_id)
        directory = await self._gateway.catalog.directory(call.model)
        candidates = choose(call, directory, self._gateway.standing, Random())  # noqa: S311 - draws lots
        route = directory.routes.get(call.model)
        return Explanation(
            model=call.model,
            route=call.model if route else None,
            order=route.order if route else None,
            needs=sorted(call.needs),
            candidates=[CandidateState(address=c.target.address, fit=c.fit, reason=c.reason) for c in candidates],
        )

    def _call(self, form: ExplainForm, request_id: str) -> Call:
        needs = frozenset(map(Capability, form.needs))
        if form.chat is None:
            return Call(Kind.CHAT, form.model, {}, needs=needs, request_id=request_id)
        body = {**form.chat, "model": form.model}
        call = openai_requests.call_of(Kind.CHAT, body, max_choices=self._limits.choices, request_id=request_id)
        return Call(Kind.CHAT, call.model, call.body, needs=call.needs | needs, request_id=request_id)
