"""The models of this machine. llama.cpp speaks OpenAI's protocol, so most streams pass through as bytes.

Where it speaks it in its own way (forced tools, log-probabilities, usage of several choices) or drops what was
asked in silence (parts of a schema), the answer is read as a stream of events and told anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from intermodel.core import Call, IntermodelError, Invalid, Kind, NotFound, Upstream
from intermodel.engines import Endpoint, Engines, Library, Model
from intermodel.protocols.faults import error_object
from intermodel.providers.answer import EVENTS, JSON, Answer, Generated
from intermodel.providers.http import Http, Origin, Response
from intermodel.providers.llamacpp_answer import Fold, Mending, events, in_full
from intermodel.providers.llamacpp_request import Request, request

SILENCE_S = 600
FRESH_S = 2.0
"""How long a row of the library is believed before it is read again."""

_HEADERS = {"Content-Type": JSON, "Connection": "close"}
"""llama.cpp closes a connection after each stream without saying so, and a kept one holds one of its threads."""

_ASKED_IN = {Kind.CHAT: "messages", Kind.MESSAGES: "messages", Kind.COMPLETION: "prompt", Kind.EMBEDDING: "input"}
_FIELD = re.compile(r"Field '([\w.]+)'")
_INPUT = re.compile(r"^\W*(?:prompt|input)\b", re.IGNORECASE)
_CALLERS_FAULT = re.compile(r"not supported|Unknown|Failed to parse")
"""llama.cpp answers 500 to some requests that are wrong in themselves."""
_TOO_LONG = re.compile(r"\((\d+) tokens\).*(?:context size|batch size)\D*(\d+)", re.DOTALL)


class LlamaCpp:
    """All models of this machine; `model` in `call` is an address of the library."""

    kinds = frozenset({Kind.CHAT, Kind.COMPLETION, Kind.EMBEDDING})

    def __init__(self, library: Library, engines: Engines, http: Http) -> None:
        self._library = library
        self._engines = engines
        self._http = http
        self._models: dict[str, tuple[Model, float]] = {}
        self._finding = asyncio.Lock()
        self._sockets: dict[str, Path] = {}

    async def call(self, call: Call, model: str) -> Answer:
        found = await self._find(model)
        wanted = request(call, model, self._engines.slots(found))
        if wanted.schema is not None and (complaint := await self._engines.schemas.complaint(wanted.schema)):
            raise Invalid(
                f"The JSON schema cannot be used: {complaint}.",
                hint="Mend the schema.",
                code="invalid_schema",
                param="tools" if wanted.is_tool_call else "response_format.json_schema.schema",
            )
        leased = await self._ask(found, wanted)
        if not wanted.is_mended:
            is_whole_chat = call.kind is Kind.CHAT and not call.stream
            return Generated(JSON, in_full(leased), leased) if is_whole_chat else leased
        return Generated(EVENTS if call.stream else JSON, self._mended(leased, wanted, model), leased)

    async def count_tokens(self, call: Call, model: str) -> int:
        """How many tokens the model would read for `call`, a request of Messages, as llama.cpp counts them."""
        found = await self._find(model)
        async with self._engines.lease(found) as endpoint:
            await self._forget_old_socket(endpoint)
            response = await self._post(endpoint, "/messages/count_tokens", _encoded(call.body))
            try:
                body = await response.error_body()
            finally:
                await response.close()
        if response.status != 200:
            raise failed(model, call.kind, response.status, body)
        return int(orjson.loads(body)["input_tokens"])

    async def _find(self, address: str) -> Model:
        if model := self._remembered(address):
            return model
        try:
            async with self._finding:  # many may wait here, of whom the first looks it up for all
                return self._remembered(address) or await self._look_up(address)
        except NotFound:
            await self._engines.unload(address)
            raise

    async def _look_up(self, address: str) -> Model:
        self._models.pop(address, None)
        model = await self._library.find(address)
        self._models[address] = (model, time.monotonic())
        return model

    def _remembered(self, address: str) -> Model | None:
        model, read = self._models.get(address, (None, 0.0))
        return model if time.monotonic() - read <= FRESH_S else None

    async def _ask(self, model: Model, wanted: Request) -> Leased:
        """The answer, once its head is there.

        Asked a second time where the engine died before it said anything: it comes back at once, and nobody has
        seen a part of the answer. Not a third time, for the call may be the cause.
        """
        body = _encoded(wanted.body)
        for is_last in (False, True):
            async with contextlib.AsyncExitStack() as stack:
                endpoint = await stack.enter_async_context(self._engines.lease(model))
                await self._forget_old_socket(endpoint)
                try:
                    response = await self._post(endpoint, f"/{wanted.asked.kind.value}", body)
                except Upstream as error:
                    if is_last or error.code == "upstream_timeout":
                        raise _engine_failed(model.address, error) from error
                    await self._engines.settle(endpoint)
                    continue
                stack.push_async_callback(response.close)
                if response.status != 200:
                    raise failed(model.address, wanted.asked.kind, response.status, await response.error_body())
                return Leased(response, stack.pop_all(), model.address)
        raise AssertionError("the loop returns or raises")

    async def _post(self, endpoint: Endpoint, path: str, body: bytes) -> Response:
        origin = Origin("http://engine/v1", socket=endpoint.socket)
        name = f"The engine of '{endpoint.model.address}'"
        return await self._http.post(origin, path, body, headers=_HEADERS, silence_s=SILENCE_S, name=name)

    async def _forget_old_socket(self, endpoint: Endpoint) -> None:
        address = endpoint.model.address
        old, self._sockets[address] = self._sockets.get(address), endpoint.socket
        if old is not None and old != endpoint.socket and not old.exists():
            await self._http.forget(old)

    async def _mended(self, leased: Leased, wanted: Request, model: str) -> AsyncGenerator[bytes, None]:
        mending = Mending(wanted)
        call = wanted.asked
        fold = Fold(call.kind)
        head: dict[str, Any] = {}
        async for event in events(_chunks(leased), model):
            head = {k: v for k, v in event.items() if k not in ("choices", "timings", "usage")}
            for mended in mending.mend(event):
                if call.stream:
                    yield _line(mended)
                else:
                    fold.add(mended)
        await self._check(mending, wanted, model)
        if not call.stream:
            yield fold.body(mending.usage.total())
            return
        if (call.body.get("stream_options") or {}).get("include_usage"):
            yield _line(head | {"choices": [], "usage": mending.usage.total()})
        yield b"data: [DONE]\n\n"

    async def _check(self, mending: Mending, wanted: Request, model: str) -> None:
        """Raise `Upstream` if an answer that ended by itself does not satisfy the schema."""
        if wanted.schema is None:
            return
        for text in mending.texts.values():
            if complaint := await self._engines.schemas.complaint(wanted.schema, text):
                raise Upstream(
                    f"The answer of '{model}' does not satisfy the schema: {complaint}.",
                    code="schema_not_satisfied",
                    hint="Ask again, or simplify the schema: an engine enforces most of it, but not all.",
                )


class Leased:
    """llama.cpp's answer as it comes, and the lease of its engine, which ends with it."""

    def __init__(self, response: Response, stack: contextlib.AsyncExitStack, address: str) -> None:
        self.media_type = response.media_type
        self._response = response
        self._stack = stack
        self._address = address

    async def read(self) -> bytes:
        try:
            chunk = await self._response.read()
        except Upstream as error:
            raise _engine_failed(self._address, error) from error
        if not chunk:
            await self.close()
        return chunk

    async def close(self) -> None:
        await self._stack.aclose()


async def _chunks(answer: Answer) -> AsyncIterator[bytes]:
    while chunk := await answer.read():
        yield chunk


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # orjson goes 254 levels down, and reads deeper
        raise Invalid("The request is nested too deeply.", hint="Flatten it.") from None


def _line(event: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _engine_failed(address: str, error: Upstream) -> Upstream:
    if error.code == "upstream_timeout":
        return error
    return Upstream(
        f"The engine of '{address}' ended while it was answering.",
        code="engine_died",
        hint="It is started again; ask once more.",
    )


def failed(address: str, kind: Kind, status: int, body: bytes) -> IntermodelError:
    """The error for what llama.cpp refused, in OpenAI's words where there are any."""
    said = error_object(body)
    message = str(said.get("message") or body[:200].decode(errors="replace"))
    if numbers := _TOO_LONG.search(message):
        return Invalid(
            f"'{address}' takes at most {numbers[2]} tokens at once; this request has {numbers[1]}.",
            hint="Shorten it, or choose a model with a longer context.",
            code="context_length_exceeded",
            param=_ASKED_IN[kind],
        )
    if status == 400 or _CALLERS_FAULT.search(message):
        field = _FIELD.search(message)
        param = field[1] if field else _ASKED_IN[kind] if _INPUT.search(message) else None
        return Invalid(f"'{address}' cannot do that: {message}.", param=param)
    return Upstream(f"The engine of '{address}' answered {status}: {message}.", code="engine_failed", status=status)
