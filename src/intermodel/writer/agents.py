"""Asking an agent: one step of a run, told in the journal as it begins and ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from intermodel.core import IntermodelError, Invalid, OverBudget, Upstream
from intermodel.writer.calls import Once, Step, own_error
from intermodel.writer.journal import BAD, Called, Journal, key_of
from intermodel.writer.roles import TRIES, agent, prompt, tokens_wanted
from intermodel.writer.text import Part, Room, cut, fitted
from intermodel.writer.values import Brief, Role

CONTEXT = 32_768
"""Tokens of context that a model is taken to have where nobody says."""
PATIENCE_S = 900.0
"""Longest wait for one answer."""
_FEW = httpx2.Limits(max_connections=4, max_keepalive_connections=2)
T = TypeVar("T")


class Unusable(Exception):
    """One step failed by itself: what a model answered, or the question; another step may do. `error` says why."""

    def __init__(self, error: IntermodelError) -> None:
        super().__init__(str(error))
        self.error = error


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

    async def close(self) -> None:
        await self._http.aclose()

    def room(self, role: Role) -> Room:
        return Room(self._contexts.get(self.brief.model_of(role), CONTEXT))

    def question(self, role: Role) -> int:
        """Characters that a question to the role may have."""
        room = self.room(role)
        return room.question(room.answer(tokens_wanted(role, self.brief)), len(prompt(role)))

    async def ask(
        self, role: Role, name: str, number: int, parts: Sequence[Part], output: type[T], *, needed: bool = True
    ) -> T:
        """What the role answers to these parts, cut to what its model has room for. `number` is the round.

        Raises `Unusable` where only this step failed; and as it is what every other step would meet too: `OverBudget`,
        `Upstream`, `Unavailable`, `Unauthenticated`, `Refused`. A step that is not `needed` fails for good: the run
        goes on without it, so when it is played again it must fail again. A needed one is asked anew.
        """
        question = fitted(parts, self.question(role))
        key = key_of("unusable", role, self.brief.model_of(role), question)
        if not needed and (before := self._journal.looked(key)) is not None:
            raise Unusable(Upstream(before["why"], hint=before["hint"], code="unusable_answer"))
        return await self._ask(role, name, number, question, output, "" if needed else key)

    async def _ask(self, role: Role, name: str, number: int, question: str, output: type[T], for_good: str) -> T:
        wanted, room = tokens_wanted(role, self.brief), self.room(role)
        model = OpenAIChatModel(self.brief.model_of(role), provider=self._provider)
        step = self._once.step = Step(role, name, number)
        self._journal.tell("step", role=role, step=name, round=number, state="started")
        try:
            answer = await agent(role, model, output, room, wanted).run(question)
        except Exception as error:  # also what the libraries make of an answer that they did not foresee
            raise self._failed(step, error, for_good) from error
        state = "done" if step.made else "replayed"
        self._journal.tell(
            "step", role=role, step=name, round=number, state=state, input=step.input, output=step.output
        )
        found: T = answer.output
        return found

    def _failed(self, step: Step, error: Exception, for_good: str) -> Exception:
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
        self._journal.void(keys, for_good if alone else "", {"why": ours.message, "hint": ours.hint})
        why = "The budget does not reach." if isinstance(ours, OverBudget) else str(ours)  # the run says by how much
        self._journal.tell("step", role=step.role, step=step.name, round=step.round, state="failed", why=why)
        return Unusable(ours) if alone else ours
