"""OpenAI's protocol, in: chat completions, completions, embeddings, models."""

from __future__ import annotations

import orjson

from intermodel.core import IntermodelError, Kind, NotFound
from intermodel.gateway import Directory, Gateway, Reply, Target
from intermodel.settings import Limits
from intermodel.web.auth import Auth
from intermodel.web.errors import openai_event
from intermodel.web.http import Receive, Scope, Send, Watch, parse_object, read_body, respond
from intermodel.web.openai_requests import call_of

_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # asks nginx in front of a node not to hold events back
]


class Calls:
    """One path that calls a model."""

    def __init__(self, kind: Kind, gateway: Gateway, auth: Auth, limits: Limits) -> None:
        self._kind = kind
        self._gateway = gateway
        self._auth = auth
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = await self._auth.caller(scope)
        scope["caller"] = caller.token_id
        body = await read_body(scope, receive, self._limits.body_bytes)
        call = call_of(self._kind, parse_object(body), max_choices=self._limits.choices, request_id=scope["request_id"])
        async with Watch(receive) as watch:
            reply = await self._gateway.call(call)
            try:
                scope["model"] = reply.address
                await (_stream(reply, send) if reply.streamed else _whole(reply, send))
            finally:
                await reply.close()
        if watch.left:
            scope["left"] = True


async def _whole(reply: Reply, send: Send) -> None:
    body = await reply.read()
    await reply.read()  # the end: settles the account as complete
    await respond(send, 200, body, b"application/json", [(b"x-intermodel-model", reply.address.encode())])


async def _stream(reply: Reply, send: Send) -> None:
    headers = [*_STREAM_HEADERS, (b"x-intermodel-model", reply.address.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        while chunk := await reply.read():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except IntermodelError as error:
        # a truncated answer must not end like a whole one: no [DONE] after this
        await send({"type": "http.response.body", "body": openai_event(error), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Models:
    """`GET /v1/models` and `GET /v1/models/{address}`."""

    def __init__(self, gateway: Gateway, auth: Auth) -> None:
        self._gateway = gateway
        self._auth = auth

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await self._auth.caller(scope)
        wanted = scope["path_params"].get("address")
        directory = await self._gateway.catalog.directory(wanted)
        found = {m["id"]: m for m in models_of(directory)}
        if wanted is not None and wanted not in found:
            raise NotFound(
                f"There is no model '{wanted[:200]}' on this node.", hint="GET /v1/models lists them.",
                code="model_not_found", param="model",
            )  # fmt: skip
        body = found[wanted] if wanted is not None else {"object": "list", "data": list(found.values())}
        await respond(send, 200, orjson.dumps(body), b"application/json")


def models_of(directory: Directory) -> list[dict[str, object]]:
    """Every model and alias in OpenAI's form, with what this node adds under `intermodel`."""
    listed: list[dict[str, object]] = [_model(target) for target in directory.targets.values()]
    for name, candidates in directory.aliases.items():
        about = {"kind": "alias", "candidates": list(candidates)}
        listed.append({"id": name, "object": "model", "created": 0, "owned_by": "intermodel", "intermodel": about})
    return listed


def _model(target: Target) -> dict[str, object]:
    about = {
        "kind": "local" if target.local else "deployment",
        "capabilities": sorted(target.capabilities) or None,
        "context_length": target.context_length,
    }
    owner = target.address.partition("/")[0] if "/" in target.address else "intermodel"
    return {"id": target.address, "object": "model", "created": 0, "owned_by": owner, "intermodel": about}
