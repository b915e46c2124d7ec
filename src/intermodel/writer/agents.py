"""Asking an agent: one step of a run, told in the journal as it begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from intermodel.core import IntermodelError, Invalid, OverBudget, Upstream
from intermodel.writer.calls import Once, Step, error_of, own_error, refused
from intermodel.writer.fit import THOUGHTS, Fit, is_too_long, smaller
from intermodel.writer.journal import BAD, Called, Journal, key_of
from intermodel.writer.roles import TRIES, agent, prompt_length, tokens_wanted
from intermodel.writer.text import Part, Room, cut, fitted, left_out
from intermodel.writer.values import Answer, Brief, Role

CONTEXT = 32_768
"""Tokens of context that a model is taken to have where nobody says."""
PATIENCE_S = 900.0
"""Longest wait for one answer."""
_FEW = httpx2.Limits(max_connections=4, max_keepalive_connections=2)
_IN_WORDS = ModelProfile(supports_json_object_output=False)
T = TypeVar("T")


class Unusable(Exception):
    """One step failed by itself: what a model answered, or the question; another step may do. `error` says why."""

    def __init__(self, error: IntermodelError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What an agent is asked, and what it is to answer with. `left_out`: characters that had no room in it."""

    text: str
    output: type[T]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Learned:
    """How a model is to be asked, `then`, after it was asked as `before`. `key` is where the journal has it; `for_good`
    where it has that the question asked before failed."""

    key: str
    before: Fit
    then: Fit
    for_good: str


class _Unfit(Exception):
    """A model is to be asked otherwise."""

    def __init__(self, fit: Fit) -> None:
        super().__init__(fit)
        self.fit = fit


class Agents:
    """The agents of one run. `url` is the node's API up to `/v1`; `contexts` are tokens of context by model."""

    def __init__(
        self,
        brief: Brief,
        journal: Journal,
        url: str,
        token: str,
        contexts: Mapping[str, int],
        transport: httpx2.AsyncBaseTransport | None = None,
        after: Callable[[Called], None] = lambda _call: None,
    ) -> None:
        self.brief = brief
        self._journal = journal
        self._once = Once(journal, transport or httpx2.AsyncHTTPTransport(limits=_FEW), after)
        self._http = httpx2.AsyncClient(transport=self._once, timeout=PATIENCE_S)
        client = AsyncOpenAI(base_url=url, api_key=token, http_client=self._http, max_retries=3, timeout=PATIENCE_S)
        self._provider = OpenAIProvider(openai_client=client)
        self._contexts = contexts
        self._fits: dict[str, Fit] = {}

    async def close(self) -> None:
        await self._http.aclose()

    def room(self, role: Role) -> Room:
        return Room(self._fit(role).context)

    def _fit(self, role: Role) -> Fit:
        """How its model is asked, as far as this run has learned it."""
        model = self.brief.model_of(role)
        return self._fits.get(model) or Fit(self._contexts.get(model, CONTEXT))

    def question(self, role: Role) -> int:
        """Characters that a question to the role may have."""
        room, fit = self.room(role), self._fit(role)
        before = prompt_length(role, prompted=fit.prompted)
        return max(int(room.question(room.answer(self._wanted(role)), before) * fit.share), 200)

    def _wanted(self, role: Role) -> int:
        """Tokens for an answer, and for the thoughts before it."""
        return tokens_wanted(role, self.brief) + (THOUGHTS if self._fit(role).thinks else 0)

    async def ask(
        self, role: Role, name: str, number: int, parts: Sequence[Part], output: type[T], *, needed: bool = True
    ) -> T:
        """What the role answers to these parts, cut to what its model has room for. `number` is the round.

        Raises `Unusable` where only this step failed; and as it is what every other step would meet too: `OverBudget`,
        `Upstream`, `Unavailable`, `Unauthenticated`, `Refused`. A step that is not `needed` fails for good: the run
        goes on without it, so when it is played again it must fail again. A needed one is asked anew.
        """

        def made(room: int) -> Question[T]:
            return Question(fitted(parts, room), output, left_out(parts, room))

        return await self.ask_fitting(role, name, number, made, needed=needed)

    async def ask_fitting(
        self, role: Role, name: str, number: int, made: Callable[[int], Question[T]], *, needed: bool = True
    ) -> T:
        """The same with a question that is made for so many characters: anew where the model's server refuses it.

        What is learned of a model holds from that step on, and stands in the journal by that step, so that every step
        is asked the same when the run is played again. That a server takes no schema is a guess until an answer came.
        """
        model, guessed = self.brief.model_of(role), list[_Learned]()
        while True:
            fit, question = self._fit(role), made(self.question(role))
            key = key_of("fit", role, model, repr(fit), question.text)
            if (known := self._journal.looked(key)) is not None:
                self._fits[model] = Fit(**known)
                continue
            for_good = "" if needed else key_of("unusable", role, model, question.text)
            if for_good and (before := self._journal.looked(for_good)) is not None:
                raise Unusable(Upstream(before["why"], hint=before["hint"], code="unusable_answer"))
            try:
                answer = await self._ask(role, name, number, question, for_good, guessed[0].for_good if guessed else "")
            except _Unfit as unfit:
                guessed.append(_Learned(key, fit, unfit.fit, for_good))
                if guessed[0].then.prompted == guessed[0].before.prompted:
                    self._keep(model, guessed)
                self._fits[model] = unfit.fit
                continue
            except (Unusable, IntermodelError) as failed:
                if isinstance(failed, Unusable) and not isinstance(failed.error, Invalid):
                    self._keep(model, guessed)
                elif guessed:  # it was not the schema, or nobody knows
                    self._fits[model] = guessed[0].before
                raise
            self._keep(model, guessed)
            return answer

    def _keep(self, model: str, learned: list[_Learned]) -> None:
        """Known from now on."""
        for one in learned:
            self._journal.tell("learned", model=model, why=one.then.told(model, one.before))
            self._journal.keep_look(one.key, "fit", one.then.document())
        learned.clear()

    async def _ask(
        self, role: Role, name: str, number: int, question: Question[T], for_good: str, guessed_for_good: str
    ) -> T:
        """`for_good`: where it is kept that this question failed; `guessed_for_good` where, if it is refused, and that
        it was to be asked so was a guess."""
        wanted, room, fit = self._wanted(role), self.room(role), self._fit(role)
        structured = issubclass(question.output, Answer)
        profile = _IN_WORDS if fit.prompted else None
        model = OpenAIChatModel(self.brief.model_of(role), provider=self._provider, profile=profile)
        more = room.answer(tokens_wanted(role, self.brief) + THOUGHTS) > room.answer(wanted)
        step = self._once.step = Step(role, name, number, structured, thinks=fit.thinks or not more)
        self._journal.tell("step", role=role, step=name, round=number, state="started")
        try:
            asked = agent(role, model, question.output, room, wanted, prompted=fit.prompted)
            answer = await asked.run(question.text)
        except Exception as error:  # also what the libraries make of an answer that they did not foresee
            if (otherwise := self._otherwise(fit, step, error)) is not None:
                raise _Unfit(otherwise) from error
            raise self._failed(step, error, for_good, guessed_for_good) from error
        self._journal.tell(
            "step", role=role, step=name, round=number, state="done" if step.made else "replayed", input=step.input,
            output=step.output, left_out=question.left_out, context=room.context,
            cut_at=room.answer(wanted) if step.cut and not structured else 0,
        )  # fmt: skip
        found: T = answer.output
        return found

    def _otherwise(self, fit: Fit, step: Step, error: BaseException) -> Fit | None:
        """How to ask instead, after this; None where that would not help."""
        if step.spent_on_thoughts:
            return replace(fit, thinks=True)
        if step.error is not None or (body := refused(error)) is None:
            return None
        told = error_of(400, body)
        if is_too_long(told.code, told.message):
            return smaller(fit, told.message)
        return replace(fit, prompted=True) if step.structured and not fit.prompted else None

    def _failed(self, step: Step, error: Exception, for_good: str, guessed_for_good: str) -> Exception:
        """What to raise. Answers of which nothing came are void."""
        by_model = isinstance(error, UnexpectedModelBehavior)
        ours = step.error or (None if by_model else own_error(error))
        alone = step.error is None and (by_model or (isinstance(ours, Invalid) and ours.code != BAD))
        keys = [] if ours else step.keys
        if ours is None:
            model, tries = self.brief.model_of(Role(step.role)), f" in {TRIES} tries" if by_model else ""
            ours = Upstream(
                f"'{model}' gave no usable answer to the {step.role}{tries or f': {cut(str(error), 300)}'}.",
                hint="Give this role another model.",
                code="unusable_answer",
            )
        if isinstance(ours, Invalid) and guessed_for_good:
            for_good = guessed_for_good
        self._journal.void(keys, for_good if alone else "", {"why": ours.message, "hint": ours.hint})
        why = "The budget does not reach." if isinstance(ours, OverBudget) else str(ours)  # the run says by how much
        self._journal.tell("step", role=step.role, step=step.name, round=step.round, state="failed", why=why)
        return Unusable(ours) if alone else ours
