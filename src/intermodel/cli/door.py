"""The node as a run of the writer needs it, over the node's own API (`writer.run.NodeDoor`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import orjson

from intermodel.cli.node import Node, address_of, named, reached
from intermodel.core import IntermodelError, Invalid, NotFound, OverBudget, Refused
from intermodel.settings import Settings
from intermodel.writer.door import Billed, budget_name, token_name
from intermodel.writer.estimate import FREE, Price, price_of
from intermodel.writer.values import Brief, Role

DAY_S = 24 * 3600
"""Longest life of a run's token."""
T = TypeVar("T")


@dataclass
class Door:
    """The node at `url`, or the one of this machine. For what needs an admin, a token is made each time and ended."""

    settings: Settings
    url: str | None = None
    base: str = field(init=False)
    _token: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        self.base = address_of(self.settings, self.url)

    @property
    def api(self) -> str:
        return f"{self.base}/v1"

    async def contexts(self) -> Mapping[str, int]:
        """Of a route that of its smallest candidate."""
        listed = (await self._asked(lambda node: node.ask("GET", "/v1/models"))).body["data"]
        about = {one["id"]: one.get("intermodel") or {} for one in listed}
        known = {name: told["context_length"] for name, told in about.items() if told.get("context_length")}
        routes = {name: [known[c] for c in told.get("candidates", ()) if c in known] for name, told in about.items()}
        return {name: min(found) for name, found in routes.items() if found} | known

    async def enter(self, name: str, dollars: Decimal | None, spent: Decimal) -> str:
        """Cancelled, it ends when the node has answered: what it makes until then, `leave` must find."""
        asked = asyncio.ensure_future(self._asked(lambda node: self._enter(node, name, dollars, spent)))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait({asked})
            raise

    def _enter(self, node: Node, name: str, dollars: Decimal | None, spent: Decimal) -> str:
        try:
            _end_tokens(node, token_name(name))  # of a process that was killed
            budget = named("budgets", budget_name(name))
            if dollars is None:
                with contextlib.suppress(NotFound):
                    node.delete(budget)
            else:
                _limit(node, budget, token_name(name), dollars, spent)
            made = node.post("/tokens", {"name": token_name(name), "expires_in": DAY_S})
        except Refused as error:
            raise Refused(
                f"The writer makes a token and a budget of its own, and yours may not: {error.message}",
                hint="Use a token that was made with --admin.",
            ) from None
        self._token = str(made["token"])
        return self._token

    async def leave(self, name: str, *, finished: bool) -> None:
        def work(node: Node) -> None:
            _end_tokens(node, token_name(name), forget=finished)
            if finished:
                with contextlib.suppress(NotFound):
                    node.delete(named("budgets", budget_name(name)))

        await self._asked(work)

    async def receipts(self, name: str) -> list[Billed]:
        return await self._asked(lambda node: _billed(node, token_name(name)))

    async def cost(self, receipt: str) -> int | None:
        def own() -> Any:
            return Node(self.base, self._token).get(named("receipts", receipt))

        found: Any = None
        if self._token:
            with contextlib.suppress(NotFound):
                found = await asyncio.to_thread(own)
        if found is None:  # made with an earlier token of this run
            found = await self._asked(lambda node: node.get(named("receipts", receipt)))
        return int(found["spent"]) if found["cost_known"] else None

    async def digest(self, model: str) -> str:
        try:
            known = await self._asked(lambda node: node.get(named("records", model)))
        except IntermodelError:
            return ""
        return str(known["digest"]) if known.get("digest_of") == "file" else ""

    async def sign(self, name: str, digest: str, said: Mapping[str, Any]) -> bytes:
        def work(node: Node) -> bytes:
            statement = {"subject": {"name": name, "digest": digest}, "predicate": "article", "said": dict(said)}
            made = node.post("/ledger/statements", statement)
            return orjson.dumps(node.get(f"/ledger/{made['index']}/bundle"))

        return await self._asked(work)

    async def prices(self, brief: Brief) -> dict[str, Price | None]:
        """Of the models of a brief. Raises `NotFound` for a model that the node does not have."""
        models = dict.fromkeys(brief.model_of(role) for role in Role)
        return await self._asked(lambda node: _prices(node, list(models)))

    async def first_model(self) -> str:
        """What is written with where nothing is said: the first route, or the only model that there is.

        Raises `NotFound` where there is none, and `Invalid` among several: which of them to pay, a person must say.
        """
        listed = (await self._asked(lambda node: node.ask("GET", "/v1/models"))).body["data"]
        if not listed:
            raise NotFound(
                "The node has no model.", hint="intermodel deployments set NAME base_url=... model=... declares one."
            )
        routes = [one["id"] for one in listed if (one.get("intermodel") or {}).get("kind") == "route"]
        if routes or len(listed) == 1:
            return str(routes[0] if routes else listed[0]["id"])
        names = ", ".join(str(one["id"]) for one in listed[:8])
        raise Invalid("Which model is to write?", hint=f"--model is one of {names}{' ...' if listed[8:] else ''}.")

    async def _asked(self, work: Callable[[Node], T]) -> T:
        def ask() -> T:
            with reached(self.settings, self.url) as node:
                return work(node)

        return await asyncio.to_thread(ask)


def _end_tokens(node: Node, name: str, *, forget: bool = False) -> None:
    """`forget`: those of earlier starts too. Until a run is over they stay listed: they lead to its receipts."""
    for one in node.get("/tokens", limit=10_000)["data"]:
        if one["name"] == name and (forget or one["state"] == "valid"):
            node.delete(f"/tokens/{one['id']}{'?forget=true' if forget else ''}")


def _billed(node: Node, name: str) -> list[Billed]:
    found: list[Billed] = []
    for token in node.get("/tokens", limit=10_000)["data"]:
        before = None
        while token["name"] == name:
            page = node.get("/receipts", token=token["id"], limit=200, before=before)
            found += [_one(told) for told in page["data"] if told["spent"] or not told["cost_known"]]
            if (before := page["next"]) is None:
                break
    return found


def _one(told: Mapping[str, Any]) -> Billed:
    usage = told.get("usage") or {}
    return Billed(told["id"], told.get("answered") or told["model"], usage.get("input", 0), usage.get("output", 0))


def _limit(node: Node, path: str, token: str, dollars: Decimal, spent: Decimal) -> None:
    """Have the node keep the ceiling; what was spent on another node, or in another database, counts too."""
    form = {"dollars": f"{dollars:f}", "per": "all", "token": token}
    state = node.put(path, form)
    elsewhere = spent - Decimal(state["spent"]["dollars"])
    if elsewhere <= 0:
        return
    if elsewhere >= dollars:
        node.delete(path)
        raise OverBudget(
            f"The ${dollars} of this run are spent.", hint="Give it more: --budget 2. What was reached is kept."
        )
    node.put(path, form | {"dollars": f"{dollars - elsewhere:f}"})


def _prices(node: Node, models: list[str]) -> dict[str, Price | None]:
    declared = {one["name"]: one["price"] for one in node.get("/deployments")["data"]}
    found: dict[str, Price | None] = {}
    for model in models:
        told = node.post("/explain", {"model": model})["candidates"]
        names = [one["address"] for one in told if one["fit"]] or [one["address"] for one in told]
        found[model] = price_of([_price(declared[name]) if name in declared else FREE for name in names])
    return found


def _price(told: Mapping[str, str] | None) -> Price | None:
    if told is None:
        return None
    read, made = Decimal(told["input"]), Decimal(told["output"])
    return Price((read, read), (made, made))
