"""The chat page. With JavaScript it streams from /v1; without, the same form comes here and answers come whole."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import IntermodelError, Invalid, Kind, Upstream
from intermodel.gateway import Gateway, Replay, Reply
from intermodel.governance import Caller
from intermodel.settings import Limits
from intermodel.web.http import Watch
from intermodel.web.openai_requests import call_of
from intermodel.web.pages.conversation import MOST_MODELS, Answer, Asked, Turn, recent, write_turns
from intermodel.web.pages.forms import read_form
from intermodel.web.pages.listing import KINDS, Entry, Listing
from intermodel.web.pages.models import named
from intermodel.web.pages.render import page, redirect

_FORM_BYTES = 4 * 1024**2
_CUT = "Cut off: the answer reached its limit of tokens."


class Chat:
    def __init__(self, limits: Limits, gateway: Gateway, listing: Listing) -> None:
        self._limits = limits
        self._gateway = gateway
        self._listing = listing

    async def show(self, request: Request, caller: Caller) -> Response:
        """An empty conversation with the models that the query names."""
        talking = [entry for entry in await self._listing.all(caller) if entry.chats]
        wanted = [name for name in request.query_params.getlist("model") if name]
        models = tuple(dict.fromkeys(named(name, talking).address for name in wanted))[:MOST_MODELS]
        return _page(request, caller, talking, Asked(models or tuple(e.address for e in talking[:1])))

    async def say(self, request: Request, caller: Caller) -> Response:
        """One more turn; the page comes back with it."""
        form = await read_form(request, min(_FORM_BYTES, self._limits.body_bytes))
        asked = Asked.of(form)
        if form.text("do") == "clear":
            return redirect(request.scope, f"/chat?{urlencode([('model', name) for name in asked.models])}")
        if not asked.models or not asked.prompt.strip():
            raise Invalid("There is nothing to ask.", hint="Choose a model and write a message.")
        answers: list[Answer] = []
        with Watch(request.receive) as watch:
            answers = await self._ask_all(asked, caller, request.scope["request_id"])
        if watch.left:
            request.scope["left"] = True
        turns = recent((*asked.turns, Turn(prompt=asked.prompt, answers=answers)))
        talking = [entry for entry in await self._listing.all(caller) if entry.chats]
        said = Asked(asked.models, "", asked.system, asked.temperature, asked.max_tokens, turns)
        return _page(request, caller, talking, said)

    async def _ask_all(self, asked: Asked, caller: Caller, request_id: str) -> list[Answer]:
        bodies = [asked.body(model) for model in asked.models]
        async with asyncio.TaskGroup() as group:  # the gateway wants a task for each call
            tasks = [group.create_task(self._ask(body, caller, request_id)) for body in bodies]
        return [task.result() for task in tasks]

    async def _ask(self, body: dict[str, str], caller: Caller, request_id: str) -> Answer:
        model, began = body["model"], time.monotonic()
        try:
            call = call_of(Kind.CHAT, body, max_choices=self._limits.choices, request_id=request_id)
            reply = await self._gateway.call(call, caller)
            try:
                whole = await reply.read()
                return _answer(model, reply, whole, time.monotonic() - began)
            finally:
                await reply.close()
        except IntermodelError as error:
            return Answer(model=model, state="failed", error=str(error), meta=error.code)


def _answer(model: str, reply: Reply | Replay, whole: bytes, seconds: float) -> Answer:
    try:
        parsed = orjson.loads(whole)
        choice = parsed["choices"][0]
        message = choice["message"]
        tokens = (parsed.get("usage") or {}).get("completion_tokens")
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        raise Upstream(f"'{reply.address}' sent an answer that is not a chat completion.") from None
    took = f"{tokens} tokens in {seconds:.1f} s" if isinstance(tokens, int) else f"{seconds:.1f} s"
    return Answer(
        model=model,
        text=str(message.get("content") or ""),
        thinking=str(message.get("reasoning_content") or ""),
        error=_CUT if choice.get("finish_reason") == "length" else "",
        meta=took if reply.address == model else f"{took} · by {reply.address}",
    )


def _page(request: Request, caller: Caller, talking: list[Entry], asked: Asked) -> Response:
    groups = [(kind, [entry for entry in talking if entry.kind == kind]) for kind in KINDS]
    return page(
        request.scope,
        "chat.html",
        caller,
        groups=[(kind, entries) for kind, entries in groups if entries],
        count=min(len(talking), MOST_MODELS),
        asked=asked,
        history=write_turns(asked.turns),
    )
