"""What the page of a run shows, read from its folder: the post, its rounds, what it rests on, what it came to. Blocks.

While a run goes on its drafts stand in the journal alone; once it waits or has ended, `article.json` has them with what
was found wrong in each, and with the sources.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from intermodel.core import Conflict, IntermodelError
from intermodel.writer import export
from intermodel.writer.check import unverified
from intermodel.writer.journal import Called, Journal
from intermodel.writer.outcome import said_of
from intermodel.writer.reader import plan_of
from intermodel.writer.runs import UNREADABLE, Run, broken
from intermodel.writer.said import said
from intermodel.writer.state import ARTICLE, RoundState, StepState
from intermodel.writer.text import draft_of
from intermodel.writer.values import MOST_ROUNDS, Article, Choice, Gap, Notes, Plan, Problem, Review, Role, Spent

FILES = {
    export.MARKDOWN: ("Markdown", "text/markdown; charset=utf-8"),
    export.HTML: ("HTML", "text/html; charset=utf-8"),
    ARTICLE: ("JSON of everything", "application/json"),
    export.BUNDLE: ("Signed statement", "application/json"),
    export.SCORES: ("Scores as SVG", "image/svg+xml"),
}
"""What may be downloaded of a run, by name."""
_LEVELS = 2
"""So many headings stand above those of a post."""
_Notes = TypeAdapter(Notes)


@dataclass(frozen=True, slots=True)
class Drafted:
    """A round: its draft, what changed since the one before, what is wrong with it. `problems` is None where only a
    number is known of them, and `score` where nobody has judged it yet."""

    number: int
    text: str
    changes: Sequence[export.Change]
    state: RoundState | None
    problems: Sequence[Problem] | None
    choice: Choice | None
    best: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """Of the chart, in its own units."""

    x: float
    y: float
    height: float
    number: int
    score: float
    best: bool


@dataclass(frozen=True, slots=True)
class Chart:
    bars: Sequence[Bar]
    width: int
    line: float
    accept: float


@dataclass(frozen=True, slots=True)
class Paid:
    """What a role, or all of them, came to; `nano` is None where a price is not known."""

    role: str
    model: str
    spent: Spent

    @property
    def nano(self) -> int | None:
        return None if self.spent.dollars is None else int(self.spent.dollars * 10**9)


@dataclass(frozen=True, slots=True)
class Shown:
    """A run for its page."""

    run: Run
    post: Markup | None = None
    """The best draft, or what the editor made of it."""
    article: Article | None = None
    outcome: str = ""
    """Which draft the post is, why that one, and what is wrong with it."""
    rounds: Sequence[Drafted] = ()
    chart: Chart | None = None
    notes: Notes = field(default_factory=Notes)
    read: Sequence[str] = ()
    """Pages that were read, as long as nothing more is known of them."""
    plan: Plan | None = None
    unverified: Sequence[Gap] = ()
    not_found: Sequence[Gap] = ()
    bill: Sequence[Paid] = ()
    total: Paid | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Working time of the steps."""

    @property
    def last(self) -> int:
        """The number of the last round that was judged."""
        state = self.run.state
        return state.rounds[-1].round if state and state.rounds else 0

    @property
    def best(self) -> RoundState | None:
        state = self.run.state
        if not state or not state.rounds:
            return None
        return next((one for one in state.rounds if one.round == state.rounds[-1].best), state.rounds[-1])

    @property
    def doing(self) -> StepState | None:
        """The step that is worked on."""
        steps = self.run.state.steps if self.run.state and self.run.going else ()
        return next((one for one in reversed(steps) if one.state == "started"), None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stands in the journal and in article.json."""

    article: Article | None
    notes: Notes
    drafts: Mapping[int, str]
    reviews: Mapping[int, Review]
    unjudged: frozenset[int]
    choices: Mapping[int, Choice]
    read: Sequence[str]


def shown(run: Run) -> Shown:
    """Everything of a run. Of one that cannot be read, that."""
    state = run.state
    if state is None:
        return Shown(run, files=_files(run))
    plan = _plan(run)
    try:
        kept = _kept(run, plan)
    except UNREADABLE as error:
        return Shown(broken(run.id, run.folder, error), files=_files(run))
    article = None if run.going or kept.article is None or not kept.article.rounds else kept.article
    rounds = _rounds(state.rounds, kept, article)
    best = article.best.draft if article else next((one.text for one in rounds if one.best), "")
    problems = article.best.verdict.problems if article else ()
    models = state.brief.get("models", {})
    bill = [Paid(role, models.get(role) or state.brief.get("model", ""), one) for role, one in state.spent.items()]
    notes = kept.notes if not run.going or kept.notes.sources else Notes()
    gaps = [Gap(one["what"], one["why"]) for one in state.gaps]
    return Shown(
        run,
        post=_post(best) if best else None,
        article=article,
        outcome=said_of(state.post, waiting=state.standing == "waiting") if article and state.post else "",
        rounds=rounds,
        chart=_chart(state.rounds, float(state.brief.get("accept", 0))),
        notes=notes,
        read=kept.read,
        plan=plan,
        unverified=unverified(best, problems, state.brief.get("language", "")) if best else (),
        not_found=export.not_found(article) if article else list(dict.fromkeys(gaps)),
        bill=bill,
        total=Paid("all", "", _sum(list(state.spent.values()), state.dollars)) if bill else None,
        files=_files(run),
        seconds=sum(one.seconds for one in state.steps),
    )


def _kept(run: Run, plan: Plan | None) -> _Kept:
    journal = Journal.there(run.folder)
    try:
        calls = [one for one in journal.calls() if not one.void]
        told = journal.told()
        numbers = range(1, MOST_ROUNDS + 1)
        choices = {n: choice for n in numbers if plan and (choice := journal.chosen(plan, n))}
    finally:
        journal.close()
    drafts, reviews, last = {}, {}, -1
    sources = {one.data["round"]: one.data["sources"] for one in told if one.kind in ("draft", "round")}
    places: dict[int, int] = {}
    for place, call in enumerate(calls):
        number = _number(call)
        if call.role == Role.WRITER and number:
            text = said(call.answer, structured=False).text
            drafts[number], places[number] = draft_of(text, sources.get(number, 0)), place
        elif call.role == Role.CRITIC and number:
            last = place
            with suppress(ValidationError):
                reviews[number] = Review.model_validate_json(said(call.answer, structured=True).text)
    unjudged = frozenset(number for number, place in places.items() if place > last)
    read = [str(one.data["what"]) for one in told if one.kind == "page" and not one.data.get("why")]
    article, notes = _article(run)
    return _Kept(article, notes, drafts, reviews, unjudged, choices, list(dict.fromkeys(read)))


def _article(run: Run) -> tuple[Article | None, Notes]:
    """What article.json holds; of a run without a draft what was found until then."""
    try:
        raw = (run.folder / ARTICLE).read_bytes()
        article = export.article_of(raw)
        return article, article.notes if article else _Notes.validate_python(orjson.loads(raw)["notes"])
    except (OSError, IntermodelError, ValidationError, ValueError, KeyError, TypeError):
        return None, Notes()


def _plan(run: Run) -> Plan | None:
    try:
        return plan_of(run.folder)
    except (Conflict, IntermodelError):
        return None


def _number(call: Called) -> int:
    """The round of a draft or a review; 0 for other steps."""
    found = re.fullmatch(r"(?:draft|review) (\d)", call.step)
    return int(found[1]) if found else 0


def _rounds(states: Sequence[RoundState], kept: _Kept, article: Article | None) -> list[Drafted]:
    judged = {one.round: one for one in states}
    known = {one.number: one for one in (kept.article.rounds if kept.article else ())}
    numbers = sorted(judged | {n: None for n in kept.unjudged if n == len(judged) + 1})
    best = states[-1].best if states else 0
    found: list[Drafted] = []
    before = ""
    for number in numbers:
        told = known.get(number)
        text = told.draft if article and told else kept.drafts.get(number, told.draft if told else "")
        problems: Sequence[Problem] | None = None
        if told and told.draft == text:
            problems = told.verdict.problems
        elif number in judged and (review := kept.reviews.get(number)):
            problems = [Problem(p.quote, p.why, p.fix, p.severity, "critic") for p in review.problems]
        changes = _diff(before, text) if before else [export.Change("same", text)]
        found.append(
            Drafted(number, text, changes, judged.get(number), problems, kept.choices.get(number), number == best)
        )
        before = text
    return found


def _chart(states: Sequence[RoundState], accept: float) -> Chart | None:
    """Bars of 12 units for each point of the score, on a ground at 140."""
    if not states:
        return None
    best = states[-1].best
    bars = [
        Bar(52 + 72 * i, 140 - 12 * one.score, max(12 * one.score, 1), one.round, one.score, one.round == best)
        for i, one in enumerate(states)
    ]
    return Chart(bars, 60 + 72 * len(states), 140 - 12 * accept, accept)


def _sum(spent: Sequence[Spent], dollars: Any) -> Spent:
    return Spent(
        sum(one.calls for one in spent),
        sum(one.input_tokens for one in spent),
        sum(one.output_tokens for one in spent),
        dollars,
    )


def _files(run: Run) -> dict[str, str]:
    with suppress(OSError):  # nobody may look there
        return {name: title for name, (title, _) in FILES.items() if not run.going and (run.folder / name).is_file()}
    return {}


_ONE_AT_A_TIME = threading.Lock()


def _diff(before: str, after: str) -> Sequence[export.Change]:
    """Made once, also for several who ask at the same time."""
    with _ONE_AT_A_TIME:
        return _compared(before, after)


@functools.lru_cache(64)
def _compared(before: str, after: str) -> Sequence[export.Change]:
    return tuple(export.diff(before, after))


@functools.lru_cache(64)
def _post(draft: str) -> Markup:
    """As HTML, of which no tag is a model's. Its headings stand below those of the page."""
    html = export.body(draft)
    lowered = re.sub(r"<(/?)h([1-6])>", lambda tag: f"<{tag[1]}h{min(int(tag[2]) + _LEVELS, 6)}>", html)
    return Markup(lowered)  # noqa: S704 - `export.body` escapes all that a model wrote
