"""The writer: what a run is asked for, the runs so far, and one of them as it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import IntermodelError, Invalid, NotFound
from intermodel.gateway import Gateway
from intermodel.governance import Caller
from intermodel.settings import Settings
from intermodel.web.api.forms import explained
from intermodel.web.api.writer import BACK_ENDS, SettingsForm, check_ceiling, estimated, topic_of
from intermodel.web.auth import Auth
from intermodel.web.errors import status_of
from intermodel.web.pages.forms import Form, read_form
from intermodel.web.pages.listing import KINDS, Listing
from intermodel.web.pages.render import HEADERS, page, redirect
from intermodel.web.pages.writing import FILES, shown
from intermodel.writer.estimate import Estimate
from intermodel.writer.listed import new_id
from intermodel.writer.runs import Run, Runs, missing
from intermodel.writer.topic import MOST_WISH
from intermodel.writer.values import MOST_ROUNDS, Brief, Plan, Role

_FORM_BYTES = 1024 * 1024
PAGE = 30
"""Runs on one page."""
STANDINGS = {"new": "Not begun", "queued": "Waits its turn", "running": "Writing", "stopping": "Stopping",
             "waiting": "Waits for you", "stopped": "Stopped", "failed": "Failed", "finished": "Finished",
             "broken": "Cannot be read"}  # fmt: skip
ENDINGS = {
    "accepted": "The critic accepted it.",
    "stuck": "Two rounds brought no gain; this is the best draft.",
    "rounds": "All rounds are over; this is the best draft.",
    "reader": "You ended it.",
    "budget": "The budget is spent; this is the best draft until then.",
    "failed": "",
}
_FIELDS = ("model", "rounds", "accept", "words", "dollars", "audience", "tone", "language")


@dataclass(frozen=True, slots=True)
class Draft:
    """The form of a brief as someone filled it in, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    search: tuple[str, ...] = ()
    pause: bool = False
    error: IntermodelError | None = None
    estimate: Estimate | None = None
    id: str = ""

    def value(self, name: str) -> str:
        return self.values.get(name, "")

    @property
    def wrong(self) -> str:
        """The field at fault."""
        param = (self.error.param or "") if self.error else ""
        return param.replace("models.", "model-")

    @property
    def detailed(self) -> bool:
        """Whether what is seldom changed was changed, or is wrong."""
        own = any(name.startswith("model-") and text for name, text in self.values.items())
        return own or self.wrong.startswith("model-") or self.wrong in ("accept", "search")

    def settings(self) -> SettingsForm:
        """Raises `Invalid`, which names the field."""
        told: dict[str, Any] = {name: text for name in _FIELDS if (text := self.value(name)) or name == "dollars"}
        if told["dollars"].lower() in ("none", "no"):
            told["dollars"] = ""
        told["models"] = {role.value: text for role in Role if (text := self.value(f"model-{role}"))}
        told["search"] = self.search or None
        try:
            return SettingsForm.model_validate(told | {"pause": self.pause})
        except ValidationError as error:
            said = explained(error, SettingsForm)
            raise Invalid(said.message, hint=_WANTED.get(said.param or "", ""), param=said.param) from None


_WANTED = {
    "model": "Choose a model.",
    "rounds": f"A whole number from 1 to {MOST_ROUNDS}.",
    "accept": "A number from 0 to 10.",
    "words": "A whole number from 20 to 5000.",
    "dollars": "An amount such as 1.50; empty for no ceiling.",
    **{name: f"At most {most} characters of text." for name, most in MOST_WISH.items()},
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the reader of a run wrote, and what is wrong with it."""

    error: IntermodelError | None = None
    what: str = ""
    note: str = ""
    plan: Mapping[str, str] = field(default_factory=dict)
    brief: Draft | None = None


class Writer:
    def __init__(self, runs: Runs, gateway: Gateway, settings: Settings, listing: Listing, auth: Auth) -> None:
        self._runs = runs
        self._gateway = gateway
        self._settings = settings
        self._listing = listing
        self._auth = auth

    async def show_all(self, request: Request, caller: Caller) -> Response:
        """The form, and the runs so far. Writing spends the node's money, so both are an admin's."""
        return await self._page(request, caller, await self._fresh(caller))

    async def make(self, request: Request, _caller: Caller) -> Response:
        """Say what a run may take; or make it."""
        admin = await self._auth.admin(request.scope)
        form = await read_form(request, _FORM_BYTES)
        draft = _draft(form)
        try:
            brief = draft.settings().brief(topic_of(draft.value("topic")), self._settings)
            told = await estimated(brief, self._gateway)
            check_ceiling(brief, told)
            if form.text("do") == "begin":
                return redirect(request.scope, f"/writer/{await self._runs.new(brief, draft.id)}")
        except IntermodelError as error:
            return await self._page(request, admin, replace(draft, error=error, id=""), status_of(error))
        return await self._page(request, admin, replace(draft, estimate=told, id=draft.id or new_id()))

    async def show(self, request: Request, _caller: Caller) -> Response:
        """One run."""
        admin = await self._auth.admin(request.scope)
        return await self._run(request, admin, Said())

    async def act(self, request: Request, _caller: Caller) -> Response:
        """What its reader says of it."""
        admin = await self._auth.admin(request.scope)
        form, name = await read_form(request, _FORM_BYTES), request.path_params["id"]
        said = Said(what=form.text("do"), note=form.text("note").strip(), plan=_plan_fields(form))
        try:
            await self._do(await self._runs.get(name), form, said)
        except NotFound:
            raise
        except IntermodelError as error:
            brief = _draft(form) if said.what == "settings" else None
            told = replace(said, error=error, brief=replace(brief, error=error) if brief else None)
            return await self._run(request, admin, told, status_of(error))
        return redirect(request.scope, "/writer" if said.what == "remove" else f"/writer/{name}")

    async def file(self, request: Request, _caller: Caller) -> Response:
        """One of the files of a run. None is shown in the node's own origin: it is downloaded."""
        await self._auth.admin(request.scope)
        run, name = await self._runs.get(request.path_params["id"]), request.path_params["file"]
        if name not in FILES:
            raise NotFound(f"A run has no file '{name[:100]}'.", hint="Its page lists them.")
        try:
            data = await asyncio.to_thread((run.folder / name).read_bytes)
        except OSError:
            raise NotFound(f"There is no {name} yet.", hint="It is written when the run waits or ends.") from None
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(data, headers=headers, media_type=FILES[name][1])

    async def _do(self, run: Run, form: Form, said: Said) -> None:
        match said.what:
            case "accept" | "revise" | "end":
                action = "stop" if said.what == "end" else said.what
                await self._runs.choose(run.id, action, said.note, _whole(form.text("round")))
            case "go-on":
                brief = _brief_of(run)
                await self._runs.start(run.id, replace(brief, pause=False) if form.text("pause") == "off" else None)
            case "stop":
                await self._runs.stop(run.id)
            case "settings":
                before = _brief_of(run)
                brief = replace(_draft(form).settings().brief(before.topic, self._settings), questions=before.questions)
                check_ceiling(brief, await estimated(brief, self._gateway))
                await self._runs.start(run.id, replace(brief, sources=before.sources))
            case "plan":
                claims = len((await asyncio.to_thread(shown, run)).notes.claims)
                await self._runs.edit_plan(run.id, _plan(said.plan, claims))
            case "remove":
                await self._runs.remove(run.id)
            case _:
                raise Invalid("The form says nothing that can be done.", hint="Load the page again.")

    # The pages

    async def _fresh(self, caller: Caller) -> Draft:
        models = [entry for entry in await self._listing.all(caller) if entry.chats] if caller.admin else []
        routes = [entry for entry in models if entry.kind == "route"]
        sure = routes[:1] or (models if len(models) == 1 else [])  # among deployments nobody but a person can choose
        first = sure[0].address if sure else ""
        values = _values(Brief("", first))
        return Draft(values, tuple(self._settings.writer.search))

    async def _choices(self, caller: Caller) -> dict[str, Any]:
        entries = [entry for entry in await self._listing.all(caller) if entry.chats]
        found = [(kind, [entry.address for entry in entries if entry.kind == kind]) for kind in KINDS]
        return {
            "models": [(kind, addresses) for kind, addresses in found if addresses],
            "roles": [role.value for role in Role],
            "back_ends": _back_ends(self._settings),
            "most_rounds": MOST_ROUNDS,
        }

    async def _page(self, request: Request, caller: Caller, draft: Draft, status: int = 200) -> Response:
        before = request.query_params.get("before", "")
        runs = await self._runs.newest(PAGE + 1, before) if caller.admin else []
        return page(
            request.scope,
            "writer.html",
            caller,
            status=status,
            draft=draft,
            runs=runs[:PAGE],
            older=f"/writer?before={runs[PAGE - 1].id}" if len(runs) > PAGE else "",
            missing=missing(),
            words=STANDINGS,
            **await self._choices(caller),
        )

    async def _run(self, request: Request, caller: Caller, said: Said, status: int = 200) -> Response:
        run = await self._runs.get(request.path_params["id"])
        told = await asyncio.to_thread(shown, run)
        run = told.run  # of which more was read
        brief = said.brief or (_settings_of(run) if run.state and run.state.brief else Draft())
        return page(
            request.scope,
            "writing.html",
            caller,
            status=status,
            run=run,
            shown=told,
            said=said,
            settings=brief,
            plan=said.plan if said.what == "plan" and said.error else _plan_text(told.plan),
            words=STANDINGS,
            endings=ENDINGS,
            missing=missing(),
            **await self._choices(caller),
        )


def _draft(form: Form) -> Draft:
    names = ("topic", *_FIELDS, *(f"model-{role}" for role in Role))
    values = {name: form.text(name).strip() for name in names}
    return Draft(values, tuple(form.texts("search")), form.text("pause") == "on", id=form.text("id"))


def _values(brief: Brief) -> dict[str, str]:
    own = {f"model-{role}": model for role, model in brief.models.items()}
    told = {name: f"{value:g}" if isinstance(value := getattr(brief, name), float) else str(value) for name in _FIELDS}
    return told | own | {"topic": brief.topic}


def _settings_of(run: Run) -> Draft:
    brief = _brief_of(run)
    return Draft(_values(brief), brief.search, brief.pause)


def _brief_of(run: Run) -> Brief:
    if run.state is None or not run.state.brief:
        raise Invalid("The run cannot be read.", hint="Remove it, and begin anew.")
    told = dict(run.state.brief)
    return Brief(**told | {"search": tuple(told["search"])})


def _back_ends(settings: Settings) -> dict[str, str]:
    """What can be searched, as the settings have it, and how people call it."""
    writer = settings.writer
    known = {"folder": "documents of this node", "searxng": "SearXNG", "brave": "Brave", "tavily": "Tavily"}
    used = [name for name in BACK_ENDS if name != "searxng" or writer.searxng.base_url]
    return {name: known[name] for name in dict.fromkeys((*writer.search, *used))}


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Invalid("The form names no round.", hint="Load the page again.")
    return int(text)


# The plan, as people write it


def _plan_fields(form: Form) -> dict[str, str]:
    return {name: form.text(name) for name in ("title", "audience", "sections", "questions")}


def _plan_text(plan: Plan | None) -> dict[str, str]:
    if plan is None:
        return {}
    sections = [f"{one.heading} | {', '.join(map(str, one.claims))}".rstrip() for one in plan.sections]
    questions = "\n".join(plan.open_questions)
    return {"title": plan.title, "audience": plan.audience, "sections": "\n".join(sections), "questions": questions}


def _plan(told: Mapping[str, str], claims: int) -> bytes:
    """As JSON. Raises `Invalid`, which names the line. So many claims are known; 0 where nobody knows."""
    sections = []
    for line in filter(str.strip, told["sections"].splitlines()):
        heading, bar, numbers = line.rpartition("|")
        wanted = numbers.replace(",", " ").split()
        if not bar or not heading.strip():
            raise Invalid(
                f"The section '{line.strip()[:80]}' has no {'heading' if bar else 'claims'}.",
                hint="Write `Heading | 1, 2, 5`, and `Heading |` for one without claims.",
                param="sections", code="bad_plan",
            )  # fmt: skip
        if not all(one.isascii() and one.isdigit() and len(one) < 5 for one in wanted):
            raise Invalid(
                f"The section '{line.strip()[:80]}' names claims by something that is no number.",
                hint="Write `Heading | 1, 2, 5`.", param="sections", code="bad_plan",
            )  # fmt: skip
        if claims and (wrong := [one for one in wanted if not 1 <= int(one) <= claims]):
            raise Invalid(
                f"The section '{heading.strip()[:80]}' names claim {wrong[0]}; there are {claims}.",
                hint="Their numbers stand below the plan.", param="sections", code="bad_plan",
            )  # fmt: skip
        sections.append({"heading": heading.strip(), "claims": [int(one) for one in wanted]})
    questions = [line.strip() for line in told["questions"].splitlines() if line.strip()]
    plan = {"title": told["title"].strip(), "audience": told["audience"].strip(), "sections": sections}
    return orjson.dumps(plan | {"open_questions": questions})
