"""Calls of the node's own API that are made once: what was answered before is taken from the journal.

This sits below the framework of the agents, where a request is bytes: whatever an agent asks, also once more because an
answer could not be read, is kept under the hash of exactly that request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
import openai
import orjson

from intermodel.core import IntermodelError, OverBudget, Unavailable, Upstream
from intermodel.protocols import answered
from intermodel.writer.journal import Called, Journal, key_of
from intermodel.writer.said import plain, said

MOST_ANSWER = 4 * 1024**2
"""Bytes of one answer."""


@dataclass
class Step:
    """The step that asks now: its calls, and how many of them had to be made."""

    role: str
    name: str
    round: int
    structured: bool = False
    """Whether it wants a JSON object, and no text."""
    thinks: bool = False
    """Whether tokens were allowed for thoughts; else an answer that they broke off is void."""
    keys: list[str] = field(default_factory=list)
    made: int = 0
    input: int = 0
    output: int = 0
    error: IntermodelError | None = None
    """Why an answer could not be kept, or not be used; the client above is not to ask once more for that."""
    spent_on_thoughts: bool = False
    """Whether an answer was broken off because thoughts took its tokens."""
    cut: bool = False
    """Whether the last answer was broken off at the limit of its tokens."""


class Once(httpx2.AsyncBaseTransport):
    """Sends what the journal does not know. `step` says who asks; one step at a time.

    A failed answer is not kept and goes on as it is, so that the client above waits and asks again where that helps;
    what it raises in the end, `own_error` turns into this project's error.
    """

    def __init__(self, journal: Journal, wrapped: httpx2.AsyncBaseTransport, after: Callable[[Called], None]) -> None:
        self._journal = journal
        self._wrapped = wrapped
        self._after = after
        self.step: Step | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        step = self.step
        assert step is not None, "a call belongs to a step"
        body = await request.aread()
        key = key_of(step.role, request.url.path, _canonical(body))
        known = self._journal.called(key)
        if known is None:
            answer = await self._wrapped.handle_async_request(request)
            if answer.status_code != 200:
                return answer
            try:
                known = await self._keep(answer, step, key, orjson.loads(body)["model"])
            except IntermodelError as error:
                step.error = error
                return httpx2.Response(500, headers={"x-should-retry": "false"}, request=request)
        told = said(known.answer, structured=step.structured)
        step.cut = told.cut
        if told.cut and told.thought and not step.thinks:
            self._journal.void([key])
            step.spent_on_thoughts = True
            return httpx2.Response(500, headers={"x-should-retry": "false"}, request=request)
        step.keys.append(key)
        step.input += known.input
        step.output += known.output
        content = plain(known.answer, structured=step.structured)
        return httpx2.Response(200, content=content, headers={"content-type": "application/json"}, request=request)

    async def _keep(self, answer: httpx2.Response, step: Step, key: str, model: str) -> Called:
        """The answer, on disk. One that nobody could use is kept as void: it was paid for, and is asked for anew."""
        data = await answer.aread()
        wrong = f"more than {MOST_ANSWER} bytes" if len(data) > MOST_ANSWER else _wrong(data)
        receipt, usage = answer.headers.get("x-intermodel-receipt", ""), _usage(data)
        kept = data[:MOST_ANSWER] if wrong else data
        call = Called(step.role, step.name, model, kept, receipt, *usage, round=step.round, void=bool(wrong))
        self._journal.keep_call(key, call)
        step.made += 1
        self._after(call)
        if wrong:
            raise Upstream(f"'{model}' answered with {wrong}.", hint="Resume the run, or give the role another model.")
        return call

    async def aclose(self) -> None:
        await self._wrapped.aclose()


def refused(error: BaseException) -> bytes | None:
    """What the node said of a request that it, or the model's server, did not take as it was; None for other errors."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, openai.APIStatusError):
            return seen.response.content if seen.status_code in (400, 413, 422) else None
        seen = seen.__cause__ or seen.__context__
    return None


def own_error(error: BaseException) -> IntermodelError | None:
    """What the node answered, or what of ours failed, among the causes of a client's error; None for anything else."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, IntermodelError):
            return seen
        if isinstance(seen, openai.APIStatusError):
            return error_of(seen.status_code, seen.response.content)
        if isinstance(seen, httpx2.TransportError):
            return Unavailable("The node does not answer.", hint="Start it with `intermodel up`, and resume this run.")
        seen = seen.__cause__ or seen.__context__
    return None


def error_of(status: int, body: bytes) -> IntermodelError:
    """What the node answered, as an error of ours, without advice for who makes a single call."""
    error = answered.error_of(status, body)
    error.message = error.message.replace(f" {OverBudget.FEWER}", "")
    return error


def _canonical(body: bytes) -> bytes:
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)


def _wrong(data: bytes) -> str:
    """What is there instead of an answer; "" where there is one."""
    try:
        choices = orjson.loads(data)["choices"]
        return "" if isinstance(choices[0]["message"], dict) else "a choice without a message"
    except IndexError:
        return "no choice"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "nothing that can be read"


def _usage(data: bytes) -> tuple[int, int]:
    """Tokens read and made, as the answer tells them; 0 where it does not."""
    try:
        usage = orjson.loads(data)["usage"]
        return int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return 0, 0
