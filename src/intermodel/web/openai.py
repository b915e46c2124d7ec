"""What can be called, in OpenAI's form."""

from __future__ import annotations

import orjson

from intermodel.core import NotFound
from intermodel.gateway import Directory, Gateway, Target
from intermodel.web.auth import Auth
from intermodel.web.http import Receive, Scope, Send, respond


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
    """Every model and route in OpenAI's form, with what this node adds under `intermodel`."""
    listed: list[dict[str, object]] = [_model(target) for target in directory.targets.values()]
    for name, route in directory.routes.items():
        about = {"kind": "route", "candidates": list(route.candidates), "order": route.order}
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
