"""`/api/v1/writer/runs`: drafts that five agents write, begun, answered and stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from intermodel.core import Invalid, NotFound, OverBudget
from intermodel.gateway import Directory, Gateway
from intermodel.gateway.choose import Target
from intermodel.settings import WHOLE, Settings
from intermodel.web.api.forms import Form, Listing
from intermodel.web.api.operation import Asked, Made, Operation
from intermodel.web.openai_requests import MODEL_LENGTH
from intermodel.writer.estimate import FREE, Estimate, Price, check_budget, estimate, price_of
from intermodel.writer.listed import ID
from intermodel.writer.runs import Run, Runs
from intermodel.writer.topic import MOST_WISH, check_topic, check_wish
from intermodel.writer.values import MOST_ROUNDS, MOST_TOPIC, Brief, Role

BRIEF_BYTES = 256 * 1024
"""Largest brief: one whose topic is far too long is to be told so."""
_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_TOPIC = rf"^{_TEXT}*(?!\s){_TEXT}{_TEXT}*$"
"""As `check_topic` has it, which says what is wrong in words."""

_DOLLARS = r"^((?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?)?$"


def _dollars(text: str) -> str:
    if not re.fullmatch(_DOLLARS.removesuffix("$"), text):
        raise ValueError("must be an amount such as 1 or 0.50, or empty for no ceiling")
    return text


def _wish(name: str) -> Callable[[str], str]:
    def checked(text: str) -> str:
        try:
            return check_wish(name, text)
        except Invalid as error:
            raise ValueError(error.message) from None

    return checked


def _wish_schema(name: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "maxLength": MOST_WISH[name], "pattern": rf"^{_TEXT}*$"})


Model = Annotated[str, Field(min_length=1, max_length=MODEL_LENGTH)]
BackEnd = Literal["folder", "searxng", "brave", "tavily"]
BACK_ENDS: tuple[str, ...] = get_args(BackEnd)


class SettingsForm(Form):
    """How a post is written; what is left out is as `intermodel write` has it."""

    model_config = ConfigDict(regex_engine="python-re")

    model: Model
    """Address or route, for every role that has none of its own."""
    models: Annotated[dict[Role, Model], Field(default_factory=dict)]
    """By role."""
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS), WHOLE] = MOST_ROUNDS
    """Most drafts."""
    accept: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 8.0
    """The critic's score, of 10, that ends the rounds."""
    words: Annotated[int, Field(ge=20, le=5000), WHOLE] = 700
    """Length of the post."""
    search: Annotated[tuple[BackEnd, ...], Field(min_length=1, max_length=4)] | None = None
    """Where to search, in order. Null: as `[writer] search` says."""
    dollars: Annotated[str, AfterValidator(_dollars), WithJsonSchema({"type": "string", "pattern": _DOLLARS})] = "1"
    """The most that all calls together may cost; empty: no ceiling."""
    pause: bool = False
    """Wait for the reader after each round."""
    audience: Annotated[str, AfterValidator(_wish("audience")), _wish_schema("audience")] = ""
    """For whom the post is, in a few words; empty: the planner decides."""
    tone: Annotated[str, AfterValidator(_wish("tone")), _wish_schema("tone")] = ""
    """How it sounds."""
    language: Annotated[str, AfterValidator(_wish("language")), _wish_schema("language")] = ""
    """In which it is written, by code (`de`), tag (`pt-BR`) or name; empty: as the models choose."""

    def brief(self, topic: str, settings: Settings) -> Brief:
        return Brief(
            topic, self.model, {role.value: model for role, model in self.models.items()}, self.rounds, self.accept,
            self.words, tuple(dict.fromkeys(self.search or settings.writer.search)), pause=self.pause,
            dollars=self.dollars, audience=self.audience, tone=self.tone, language=self.language,
        )  # fmt: skip


class BriefForm(SettingsForm):
    """What to write about, and how."""

    topic: Annotated[str, WithJsonSchema({"type": "string", "maxLength": MOST_TOPIC, "pattern": _TOPIC})]
    """In a sentence or two."""


class ChoiceForm(Form):
    """What the reader says of the last round."""

    round: Annotated[int, Field(ge=1, le=MOST_ROUNDS), WHOLE]
    action: Literal["accept", "revise", "stop"]
    """Take this draft; send it back with a note; end with the best one."""
    note: Annotated[str, Field(max_length=4000)] = ""
    """What is to be changed besides what the critic and code found."""


class RunState(BaseModel):
    """A run as it stands."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    id: str
    standing: Literal["new", "queued", "running", "stopping", "waiting", "stopped", "failed", "finished", "broken"]
    topic: str
    trouble: str
    """What kept its process from going on."""
    elsewhere: str = ""
    """Where its folder lies, if it was begun in a terminal of this machine."""


class RunsQuery(Form):
    """How many."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before: Annotated[str, Field(pattern=rf"^({ID.pattern})?$")] = ""
    """The last `id` of the answer before."""


class Writer:
    def __init__(self, runs: Runs, gateway: Gateway, settings: Settings) -> None:
        self._runs = runs
        self._gateway = gateway
        self._settings = settings

    def operations(self) -> list[Operation]:
        every, one = "/writer/runs", "/writer/runs/{id}"
        return [
            Operation("GET", every, self.all, Listing[RunState], query=RunsQuery, who="admin"),
            Operation("POST", every, self.post, RunState, takes=BriefForm, who="admin", makes=True, misses=True,
                      clashes=True, most=BRIEF_BYTES),
            Operation("GET", one, self.get, RunState, who="admin", misses=True),
            Operation("DELETE", one, self.delete, who="admin", misses=True, clashes=True),
            Operation("POST", f"{one}/go-on", self.go_on, RunState, who="admin", misses=True, clashes=True),
            Operation("POST", f"{one}/stop", self.stop, RunState, who="admin", misses=True, clashes=True),
            Operation("POST", f"{one}/choice", self.choose, RunState, takes=ChoiceForm, who="admin", misses=True,
                      clashes=True),
        ]  # fmt: skip

    async def all(self, asked: Asked) -> Listing[RunState]:
        """List the runs, newest first."""
        runs = await self._runs.newest(asked.query.limit, asked.query.before)
        return Listing(data=[_state(run) for run in runs])

    async def post(self, asked: Asked) -> Made:
        """Make a run, and begin it. A budget that cannot hold, for want of a price, is refused first."""
        form: BriefForm = asked.body
        brief = form.brief(topic_of(form.topic), self._settings)
        check_ceiling(brief, await estimated(brief, self._gateway))
        return Made(_state(await self._runs.get(await self._runs.new(brief))))

    async def get(self, asked: Asked) -> RunState:
        """Tell one run: its steps, its rounds with their scores, what was not found, what it cost by role."""
        return _state(await self._runs.get(asked.name))

    async def delete(self, asked: Asked) -> None:
        """Delete a run and all that it made. One that was begun in a terminal is taken off the list; its folder
        stays."""
        await self._runs.remove(asked.name)

    async def go_on(self, asked: Asked) -> RunState:
        """Go on with a run that was stopped, that failed or that waits; nothing is asked twice."""
        await self._runs.start(asked.name)
        return _state(await self._runs.get(asked.name))

    async def stop(self, asked: Asked) -> RunState:
        """Have a run stop where it is; what it reached is kept."""
        await self._runs.stop(asked.name)
        return _state(await self._runs.get(asked.name))

    async def choose(self, asked: Asked) -> RunState:
        """Say what is to become of the last draft, and go on."""
        form: ChoiceForm = asked.body
        await self._runs.choose(asked.name, form.action, form.note, form.round)
        return _state(await self._runs.get(asked.name))


def _state(run: Run) -> RunState:
    told: dict[str, Any] = run.state.document() if run.state else {"topic": ""}
    return RunState(
        **told | {"id": run.id, "standing": run.standing, "trouble": run.trouble, "elsewhere": run.elsewhere}
    )


def topic_of(text: str) -> str:
    """The topic as it is worked on. Raises `Invalid`."""
    try:
        return check_topic(text)
    except Invalid as error:
        hint = error.hint if text.strip() else "Say in a sentence or two what to write about."
        raise Invalid(error.message, hint=hint, param="topic") from None


def check_ceiling(brief: Brief, told: Estimate) -> None:
    """Raises `Invalid` where a ceiling is wanted that nobody can keep, or that reaches no draft."""
    try:
        check_budget(brief, told)
    except OverBudget as error:
        raise Invalid(
            error.message,
            hint="State the price of its deployment (0 where it is free), or write without a ceiling."
            if error.code == "unpriced_model"
            else "Give it more, take a cheaper model, or ask for fewer words and rounds.",
            code=error.code,
            param="dollars",
        ) from None


async def estimated(brief: Brief, gateway: Gateway) -> Estimate:
    """What a run may take. Raises `NotFound` for a model that the node does not have."""
    directory = await gateway.catalog.directory()
    return estimate(brief, {model: _price(model, directory) for model in {brief.model_of(role) for role in Role}})


def _price(model: str, directory: Directory) -> Price | None:
    """Of the cheapest and the dearest that may answer; None where one of them has no known price."""
    route = directory.routes.get(model)
    targets = [
        directory.targets[name] for name in (route.candidates if route else [model]) if name in directory.targets
    ]
    if not targets:
        raise NotFound(f"There is no model '{model[:200]}'.", hint="Choose one that the node lists.", param="model")
    return price_of([_of(target) for target in targets])


def _of(target: Target) -> Price | None:
    if target.local:
        return FREE
    if target.price_input is None or target.price_output is None:
        return None
    return Price((target.price_input, target.price_input), (target.price_output, target.price_output))
