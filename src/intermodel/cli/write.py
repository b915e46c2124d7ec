"""`intermodel write`: five agents draft a post."""

from __future__ import annotations

import asyncio
import functools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from intermodel.cli.door import Door
from intermodel.cli.node import Url
from intermodel.cli.output import (
    Config,
    Data,
    Json,
    cell,
    err,
    exit_code,
    fail,
    print_json,
    read_settings,
)
from intermodel.cli.playing import Way, agree, interruptible, played, searchable
from intermodel.cli.progress import show_end
from intermodel.core import IntermodelError, Invalid, NotFound, OverBudget
from intermodel.settings import Settings
from intermodel.storage import DataFolder
from intermodel.writer import export, reader
from intermodel.writer.estimate import check_budget, estimate
from intermodel.writer.journal import FILE, Journal
from intermodel.writer.keeping import check_free
from intermodel.writer.listed import FOLDER, list_at
from intermodel.writer.runs import check_installed
from intermodel.writer.state import state_of
from intermodel.writer.topic import check_topic, check_wish
from intermodel.writer.values import MOST_ROUNDS, Brief, Role

_DOLLARS = re.compile(r"(?=.*[1-9])\d{1,9}(\.\d{1,9})?")
_MODEL = "The same for this role alone."

OfRole = Annotated[str | None, typer.Option(help=_MODEL, show_default=False)]


def write(
    topic: Annotated[str | None, typer.Argument(help="What to write about, in a sentence or two.")] = None,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", "--out", help="Folder for the run.", show_default=False)
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.", show_default=False)] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Address or route.", show_default="the first route")
    ] = None,
    researcher_model: OfRole = None,
    planner_model: OfRole = None,
    writer_model: OfRole = None,
    critic_model: OfRole = None,
    editor_model: OfRole = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, max=MOST_ROUNDS, help="Most drafts.", show_default=str(MOST_ROUNDS))
    ] = None,
    accept: Annotated[
        float | None, typer.Option(min=0, max=10, help="The score that ends the rounds.", show_default="8")
    ] = None,
    words: Annotated[int | None, typer.Option(min=20, max=5000, help="Length of the post.", show_default="700")] = None,
    audience: Annotated[
        str | None, typer.Option(help="For whom it is, in a few words.", show_default="the planner decides")
    ] = None,
    tone: Annotated[
        str | None, typer.Option(help="How it sounds: sober, friendly, ...", show_default="plain and exact")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="By code or name: de, French, pt-BR.", show_default="as the models choose")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            help="Where to search, in order: folder, searxng, brave, tavily.", show_default="as [writer] search says"
        ),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most that all of it may cost, in dollars, or 'none'.", show_default="1")
    ] = None,
    pause: Annotated[
        bool | None, typer.Option("--pause/--no-pause", help="Wait for you after each round.", show_default=False)
    ] = None,
    accept_draft: Annotated[bool, typer.Option("--accept-draft", help="Take the last draft as it stands.")] = False,
    revise: Annotated[
        str | None, typer.Option(help="Send the last draft back with a note.", show_default=False)
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End with the best draft so far.")] = False,
    plan: Annotated[Path | None, typer.Option(help="Write by the plan in this file.", show_default=False)] = None,
    show_plan: Annotated[bool, typer.Option("--show-plan", help="Print the plan as JSON, to edit it.")] = False,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Write on the topics that ship, and measure whether the rounds help.")
    ] = False,
    topics: Annotated[
        Path | None, typer.Option(help="With --evaluate: topics of your own, in this file.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Have a post drafted by five agents: researched, planned, written, checked against its sources, edited.

    The folder holds the post (Markdown, HTML), everything about it (JSON), a signed statement of how it came to be, and
    a journal from which a run that was stopped or killed goes on without asking anything twice.

    Before it begins it says what that may take, and asks; without a terminal it needs --yes. A run that costs nothing
    begins without either.

    Examples:

        intermodel write "What an open licence really allows" --out post --model best

        intermodel write "Offene Lizenzen" --out post --language German --audience "lawyers without a technical past"

        intermodel write --resume post --revise "Say what it means for a start-up."

        intermodel write --resume post --show-plan > plan.json; intermodel write --resume post --plan plan.json

        intermodel write --evaluate --model best --out evaluation
    """
    models = {
        Role.RESEARCHER: researcher_model, Role.PLANNER: planner_model, Role.WRITER: writer_model,
        Role.CRITIC: critic_model, Role.EDITOR: editor_model,
    }  # fmt: skip
    wanted = {"audience": audience, "tone": tone, "language": language}
    given = _Given(model, models, rounds, accept, words, search, budget, pause, wanted)
    wishes = _Wishes(accept_draft, revise, stop, plan)
    if evaluate and (topic is not None or resume is not None or show_plan or wishes.said):
        raise Invalid(
            "--evaluate writes on topics that are known, from the beginning to the end.",
            hint="Leave out the topic and what is said of a single run; --topics FILE has topics of your own.",
        )
    if topics is not None and not evaluate:
        raise Invalid("--topics is for --evaluate.", hint="A single topic is an argument of its own.")
    way = Way(data, config, url)
    if show_plan:
        print_json(reader.plan_of(_folder(resume or to), way.again).model_dump())
        return
    settings = read_settings(data, config)
    check_installed()
    door = Door(settings, url)
    if evaluate:
        from intermodel.cli.evaluating import evaluate as evaluate_all

        evaluate_all(door, given.brief("", None, door, settings), _folder(to), file=topics, yes=yes, as_json=as_json)
        return
    folder, before = _begun(topic, to, resume)
    wishes.tell(folder, way.again)
    brief = given.brief(topic, before, door, settings)
    searchable(settings.writer, brief.search)
    if before is None:
        _agree(door, brief, yes=yes)
    _list(door, folder, quiet=as_json)
    _end(_play(door, brief, folder, way, quiet=as_json), folder, way, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Given:
    """What was asked for in this command; None where nothing was said."""

    model: str | None
    models: dict[Role, str | None]
    rounds: int | None
    accept: float | None
    words: int | None
    search: str | None
    budget: str | None
    pause: bool | None
    wanted: dict[str, str | None]

    def brief(self, topic: str | None, before: Brief | None, door: Door, settings: Settings) -> Brief:
        """The brief before, changed by what was said now; without one, a new one."""
        base = before if before and before.model else Brief(topic or "", "", search=tuple(settings.writer.search))
        models = dict(base.models) | {role.value: model for role, model in self.models.items() if model}
        changed: dict[str, Any] = {
            "model": self.model, "rounds": self.rounds, "accept": self.accept, "words": self.words,
            "pause": self.pause, "dollars": None if self.budget is None else _dollars(self.budget),
            "search": None if self.search is None else _names(self.search),
            **{name: check_wish(name, text) for name, text in self.wanted.items() if text is not None},
        }  # fmt: skip
        brief = replace(base, models=models, **{name: value for name, value in changed.items() if value is not None})
        return brief if brief.model else replace(brief, model=asyncio.run(door.first_model()))


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What the reader says of a run that there is."""

    accept: bool
    revise: str | None
    stop: bool
    plan: Path | None

    @property
    def said(self) -> int:
        """How many."""
        return sum([self.accept, self.revise is not None, self.stop, self.plan is not None])

    def tell(self, folder: Path, again: reader.Again) -> None:
        if self.said > 1:
            raise Invalid("Say one thing: --accept-draft, --revise, --stop or --plan.")
        if self.plan is not None:
            reader.edit_plan(folder, _read(self.plan), again)
        elif self.revise is not None:
            if not self.revise.strip():
                raise Invalid(
                    "The note is empty.", hint='Say what to change: --revise "Shorter, and say what it costs."'
                )
            reader.choose(folder, "revise", self.revise, again=again)
        elif self.accept or self.stop:
            reader.choose(folder, "accept" if self.accept else "stop", again=again)


def _list(door: Door, folder: Path, *, quiet: bool) -> None:
    """Have the node of this machine show the run on its page. One elsewhere cannot read its folder."""
    if door.url is not None:
        return
    try:
        name = list_at(DataFolder(door.settings.data).path / FOLDER, folder)
        said = f"It can be followed at {door.base}/writer/{name}"
    except IntermodelError as error:
        said = f"The node's page will not list it. {error}"
    if not quiet:
        err.print(cell(said), soft_wrap=True)


def _play(door: Door, brief: Brief, folder: Path, way: Way, *, quiet: bool) -> IntermodelError | None:
    """Start a run or go on with it; what kept it from its end. Exits where it was interrupted."""

    async def work() -> IntermodelError | None:
        try:
            await played(door, brief, folder, quiet=quiet)
        except OverBudget as error:  # its hint is for who makes a single call
            hint = f"Give it more, and go on with: {way.again(folder, '--budget', 'MORE')}"
            if error.code == "unpriced_model":
                return error
            return OverBudget(error.message, hint=hint, code=error.code)
        except IntermodelError as error:
            return error
        return None

    return interruptible(work(), way.again(folder))


def _end(error: IntermodelError | None, folder: Path, way: Way, *, as_json: bool) -> None:
    """Say how a run ended; exit with what its error comes to."""
    try:
        state = state_of(folder)
    except NotFound:
        state = None
    if state is None or (error is not None and state.standing not in ("failed", "stopped")):
        assert error is not None
        raise error  # it did not begin
    if as_json:
        print_json(state.document() | {"folder": str(folder), "error": _told(error)})
    else:
        again = functools.partial(way.again, folder)
        show_end(folder, state, _article(folder), again, failed=error is not None)
        if error is not None:
            fail(error, as_json=False)
    if error is not None or state.standing == "failed":
        raise typer.Exit(exit_code(error) if error is not None else 1)


def _told(error: IntermodelError | None) -> dict[str, str] | None:
    return {"code": error.code, "message": error.message, "hint": error.hint} if error else None


def _article(folder: Path) -> Any:
    try:
        return export.read(folder)
    except (Invalid, NotFound):
        return None


def _agree(door: Door, brief: Brief, *, yes: bool) -> None:
    """Tell what it may take, and ask. Raises `OverBudget` where the budget could not hold."""
    told = estimate(brief, asyncio.run(door.prices(brief)))
    check_budget(brief, told)
    named = ", ".join(dict.fromkeys(brief.model_of(role) for role in Role))
    err.print(cell(f"'{brief.topic[:100]}', by {named}."), soft_wrap=True)
    agree(told, brief.dollars, yes=yes)


def _begun(topic: str | None, to: Path | None, resume: Path | None) -> tuple[Path, Brief | None]:
    """The folder and the brief of the run in it; None where it is to be begun. Raises `Invalid`, `NotFound`."""
    if resume is not None and to is not None:
        raise Invalid("--out begins a run, --resume goes on with one.", hint="Give one of them.")
    folder = _folder(resume or to)
    if resume is None:
        clean = check_topic(topic or "")
        if not (folder / FILE).exists():
            check_free(folder)
            return folder, None
    journal = Journal.there(folder)
    try:
        brief = journal.brief()
        if brief is None:
            raise NotFound(f"The run in {folder} has no brief.", hint='Begin it: intermodel write "TOPIC" --out DIR')
        if resume is None or topic is not None:
            journal.begin(replace(brief, topic=clean if resume is None else check_topic(topic or "")))
        return folder, brief
    finally:
        journal.close()


def _folder(folder: Path | None) -> Path:
    if folder is None:
        raise Invalid("Where to?", hint="--out DIR for a new run, --resume DIR for one that there is.")
    return folder


def _dollars(text: str) -> str:
    if text == "none":
        return ""
    if not _DOLLARS.fullmatch(text):
        raise Invalid(f"'{text[:40]}' is no amount of dollars.", hint="Write --budget 1.50, or --budget none.")
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise Invalid("--search names nothing.", hint="--search folder, or several: --search searxng,folder.")
    return names


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(reader.MOST_PLAN + 1)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from None
