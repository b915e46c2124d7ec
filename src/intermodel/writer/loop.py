"""The five agents in a plain loop, bounded by code.

A run is played from its beginning each time: whatever is in the journal is taken from there (`calls`, `look`), so a run
that was killed, or that waited for its reader, goes on where it was.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from intermodel.core import IntermodelError, OverBudget
from intermodel.writer.agents import Agents, Unusable
from intermodel.writer.check import adds, check, score_of, unverified
from intermodel.writer.journal import Journal, draft_key
from intermodel.writer.language import name_of
from intermodel.writer.look import Looking
from intermodel.writer.research import Research
from intermodel.writer.text import CITED, Part, cited, cut, draft_of, outside_code
from intermodel.writer.values import (
    MOST_ROUNDS,
    Article,
    Because,
    Brief,
    Choice,
    Claim,
    Ending,
    Notes,
    Plan,
    Problem,
    Review,
    Role,
    Round,
    Verdict,
    Waiting,
)

STUCK = 2
"""So many rounds without a better draft end the rounds."""


@dataclass(frozen=True, slots=True)
class Writing:
    """One run."""

    brief: Brief
    journal: Journal
    agents: Agents
    looking: Looking

    async def run(self) -> Article | Waiting:
        """The best draft there is when the rounds end, or the reader's turn.

        Raises what keeps it from having any draft: `NotFound` where there is no source, `OverBudget`, `Upstream`,
        `Unavailable`, `Refused`. What was reached until then stays in the journal.
        """
        research = Research(self.brief, self.agents, self.looking)
        notes = await research.begin()
        plan = self.journal.edited_plan() or await self._plan(notes)
        told = await self._rounds(research, plan, notes)
        return settled(told) if isinstance(told, Article) else Waiting(settled(told.article))

    async def _rounds(self, research: Research, plan: Plan, notes: Notes) -> Article | Waiting:
        rounds: list[Round] = []
        ending, remark = Ending.ROUNDS, ""
        for number in range(1, self._most + 1):
            try:
                rounds.append(await self._round(number, plan, notes, rounds))
            except IntermodelError as error:
                if not rounds:
                    raise
                ending = Ending.BUDGET if isinstance(error, OverBudget) else Ending.FAILED
                told = error.message if ending is Ending.BUDGET else error  # its hint is for who makes a single call
                remark = f"Round {number} was not finished. {told}"
                break
            ended = self._ended(plan, rounds)
            if isinstance(ended, Ending):
                ending = ended
                break
            if ended is None and self.brief.pause:
                return Waiting(Article(self.brief, plan, notes, tuple(rounds), best_of(rounds), Ending.READER))
            with suppress(IntermodelError):  # a draft can do without, and the next step meets what it met
                notes = await research.more(notes, rounds[-1].verdict.questions, number)
        choice = self._chosen(plan, rounds[-1])
        if choice is not None and choice.action == "accept":
            return Article(self.brief, plan, notes, tuple(rounds), rounds[-1], ending, because=Because.READER)
        best, because = best_of(rounds), None
        if self._asked_for(plan, rounds) and rounds[-1] is not best:
            if rounds[-1].verdict.score >= best.verdict.score:
                best, because = rounds[-1], Because.NOTE
            else:
                told = f"With your note it came to {rounds[-1].verdict.score:g}; round {best.number} stays the best."
                remark = f"{remark} {told}".strip()
        article = Article(self.brief, plan, notes, tuple(rounds), best, ending, remark, because=because)
        return article if ending is Ending.BUDGET else await self._edited(article)

    def _asked_for(self, plan: Plan, rounds: Sequence[Round]) -> bool:
        """Whether the last draft is the one that a note of the reader asked for."""
        before = self._chosen(plan, rounds[-2]) if len(rounds) > 1 else None
        return before is not None and before.action == "revise" and bool(before.note)

    @property
    def _most(self) -> int:
        return max(1, min(self.brief.rounds, MOST_ROUNDS))

    async def _round(self, number: int, plan: Plan, notes: Notes, rounds: Sequence[Round]) -> Round:
        last = rounds[-1] if rounds else None
        try:
            draft = await self._draft(number, plan, notes, last)
        except Unusable as failed:
            raise failed.error from failed
        done = Round(number, draft, await self._review(number, draft, plan, notes))
        verdict, best = done.verdict, best_of([*rounds, done])
        self.journal.tell(
            "round", round=number, score=verdict.score, scores=verdict.scores, problems=len(verdict.problems),
            best=best.number, sources=len(notes.sources), draft=draft_key(draft),
        )  # fmt: skip
        return done

    def _ended(self, plan: Plan, rounds: Sequence[Round]) -> Ending | Choice | None:
        """Why these were the last rounds; or the reader's word to go on; or None, where nobody said anything."""
        last = rounds[-1]
        choice = self._chosen(plan, last)
        if choice is not None:
            return choice if choice.action == "revise" else Ending.READER
        if last.verdict.score >= self.brief.accept and not last.verdict.musts:
            return Ending.ACCEPTED
        if last.number - best_of(rounds).number >= STUCK:
            return Ending.STUCK
        return Ending.ROUNDS if last.number >= self._most else None

    def _chosen(self, plan: Plan, last: Round) -> Choice | None:
        return self.journal.chosen(plan, last.number, last.draft)

    # The steps

    async def _plan(self, notes: Notes) -> Plan:
        parts = [Part("Topic", self.brief.topic), *wishes(self.brief), Part("Claims", _listed(notes.claims))]
        try:
            return await self.agents.ask(Role.PLANNER, "plan", 0, parts, Plan)
        except Unusable as failed:
            raise failed.error from failed

    async def _draft(self, number: int, plan: Plan, notes: Notes, last: Round | None) -> str:
        parts = [
            Part("Topic", self.brief.topic),
            Part("Length", f"about {self.brief.words} words"),
            *wishes(self.brief),
            Part("Plan", _outline(plan)),
            Part("Claims, each with the number of its source", _sourced(notes.claims)),
        ]
        if last is not None:
            problems = list(last.verdict.problems)
            choice = self._chosen(plan, last)
            if choice is not None and choice.note:
                problems.insert(0, Problem("", choice.note, "", "must", "reader"))
            parts += [Part("Your last draft", last.draft), Part("Problems to mend", _told(problems))]
        self.journal.tell("draft", round=number, sources=len(notes.sources))
        answer = await self.agents.ask(Role.WRITER, f"draft {number}", number, parts, str)
        return draft_of(answer, len(notes.sources))

    async def _review(self, number: int, draft: str, plan: Plan, notes: Notes) -> Verdict:
        """Code first; then the model, which sees what the cited sources say and nothing else of them."""
        problems = check(draft, notes, self.brief.words, self.brief.language)
        told = "\n".join(f"[{c.source}] {c.quote}" for c in notes.claims if c.source in cited(draft))
        parts = [
            Part("Round", f"{number} of at most {MOST_ROUNDS}"),  # so that one more asks for no review again
            *wishes(self.brief),
            Part("Plan", _outline(plan)),
            Part("Draft", draft, others=True),
            Part("What the cited sources say", told, others=True),
            Part("Found by code already", _told(problems)),
        ]
        try:
            review = await self.agents.ask(Role.CRITIC, f"review {number}", number, parts, Review, needed=False)
        except Unusable as failed:
            why = f"No model has judged this draft: {failed.error}"
            return Verdict(0.0, {}, (*problems, Problem("", why, "", "should", "code")))
        by_model = tuple(Problem(p.quote, p.why, p.fix, p.severity, "critic") for p in review.problems)
        score = score_of(review.scores, problems)
        questions = tuple(question for question in review.questions[:3] if question.strip())
        return Verdict(score, review.scores.model_dump(), (*problems, *by_model), questions)

    async def _edited(self, article: Article) -> Article:
        """With the editor's wording, if that adds nothing and breaks nothing."""
        best = article.best
        mend = Part("Problems to mend", _told(best.verdict.problems))
        parts = [Part("Post", best.draft), *wishes(self.brief), mend]
        try:
            answer = await self.agents.ask(Role.EDITOR, "edit", best.number, parts, str, needed=False)
            text = draft_of(answer, len(article.notes.sources))
        except (Unusable, IntermodelError) as error:
            return self._unedited(article, f"It was not edited. {getattr(error, 'message', error)}")
        if new := adds(best.draft, text, self.brief.language):
            return self._unedited(article, f"The editor's text was not taken: it adds {new}.")
        problems = check(text, article.notes, self.brief.words, self.brief.language)
        before = [problem for problem in best.verdict.problems if problem.by == "code"]
        if lost := _lost(best.draft, text, article.notes):
            return self._unedited(article, f"The editor's text was not taken: it no longer cites {lost}.")
        language = self.brief.language
        unsaid = len(unverified(text, problems, language)) > len(unverified(best.draft, before, language))
        if unsaid or _musts(problems) > _musts(before) or len(text) < 0.6 * len(best.draft):
            return self._unedited(article, "The editor's text was not taken: it lost what the draft had.")
        kept = tuple(problem for problem in best.verdict.problems if problem.by != "code")
        edited = Round(best.number, text, replace(best.verdict, problems=(*problems, *kept)))
        return replace(article, best=edited, edited=True)

    def _unedited(self, article: Article, why: str) -> Article:
        return replace(article, remark=f"{article.remark} {why}".strip())


def wishes(brief: Brief) -> list[Part]:
    """What was asked for of the post besides its topic, for an agent; nothing where nothing was."""
    told = [f"Audience: {brief.audience}"] if brief.audience else []
    told += [f"Tone: {brief.tone}"] if brief.tone else []
    if brief.language:
        name = name_of(brief.language)
        all_of_it = f"All of the post is in {name}, its title and headings too, with numbers as they are written in it"
        told.append(f"Language: {name}. {all_of_it}; a quotation stays in the language of its source.")
    return [Part("Wishes", "\n".join(told))] if told else []


def settled(article: Article) -> Article:
    """With no citation that leads nowhere: what it stood for is then a statement without a source, and told as such."""
    draft, found = article.best.draft, dict[int, None]()
    while lost := [number for number in cited(draft) if article.notes.source(number) is None]:
        draft = outside_code(draft, functools.partial(_without, lost))
        found |= dict.fromkeys(lost)  # taking one out may make another: [[9]9]
    if not found:
        return article
    told = ", ".join(f"[{number}]" for number in found)
    remark = f"{article.remark} Citations of sources that do not exist were taken out: {told}.".strip()
    return replace(article, best=replace(article.best, draft=draft), remark=remark)


def _without(lost: Sequence[int], text: str) -> str:
    return re.sub(rf" ?{CITED.pattern}", lambda found: "" if int(found[1]) in lost else found[0], text)


def best_of(rounds: Sequence[Round]) -> Round:
    """The draft with the highest score; of equals the one with fewer grave problems, and then the first."""
    return max(rounds, key=lambda one: (one.verdict.score, -one.verdict.musts, -one.number))


def _musts(problems: Sequence[Problem]) -> int:
    return sum(problem.severity == "must" for problem in problems)


def _lost(before: str, after: str, notes: Notes) -> str:
    """The citations of sources that only the first text has; "" where there are none."""
    gone = [number for number in cited(before) if number not in cited(after) and notes.source(number)]
    return ", ".join(f"[{number}]" for number in gone)


def _listed(claims: Sequence[Claim]) -> str:
    return "\n".join(f"{claim.number}. {claim.text}" for claim in claims)


def _sourced(claims: Sequence[Claim]) -> str:
    return "\n".join(f"{claim.number}. {claim.text} [{claim.source}]" for claim in claims)


def _outline(plan: Plan) -> str:
    sections = "\n".join(f"## {s.heading} (claims {', '.join(map(str, s.claims)) or 'none'})" for s in plan.sections)
    return f"# {plan.title}\nFor: {plan.audience}\n{sections}"


def _told(problems: Sequence[Problem]) -> str:
    lines = [
        f"- {p.severity}: {f'«{cut(p.quote, 160)}» ' if p.quote else ''}{p.why} {p.fix}".rstrip() for p in problems
    ]
    return "\n".join(sorted(lines, key=lambda line: not line.startswith("- must")))
