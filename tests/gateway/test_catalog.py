"""What can be called: how old it may be, how often it is looked up, and what names mean."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from intermodel.core import Unavailable
from intermodel.settings import Constraints, Engines, Route
from intermodel.storage import tables
from tests.faults.server import steps
from tests.faults.table import on
from tests.gateway.calling import ask, attempts, calling
from tests.support import Running, running, settings_for


async def another_node_changes(node: Running, name: str, document: dict[str, Any]) -> None:
    async with node.node.database.begin() as db:
        await db.execute(update(tables.routes).where(tables.routes.c.name == name).values(document=document))


def test_after_a_pause_what_others_changed_is_known_at_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with calling(tmp_path, {}, {"m": {}, "n": {}}) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        catalog, registry = node.node.gateway.catalog, node.node.gateway.registry
        document = {"candidates": ["m"]}
        assert httpx2.put(f"{node.url}/api/v1/routes/x", headers=node.headers, json=document).status_code < 300
        assert attempts(node, ask(node, "x"))[0][0] == "m"
        monkeypatch.setattr(registry, "FRESH_S", 0.1)
        monkeypatch.setattr(catalog, "FRESH_S", 1.0)  # which is also the longest wait for a database that hangs
        monkeypatch.setattr(catalog, "STALE_S", 1.1)
        on(node, another_node_changes(node, "x", {"candidates": ["n"]}))
        time.sleep(1.3)
        assert attempts(node, ask(node, "x"))[0][0] == "n"

        async def gone() -> None:
            raise Unavailable("The database is gone.")

        monkeypatch.setattr(registry, "renew", gone)
        time.sleep(1.3)
        assert attempts(node, ask(node, "x"))[0][0] == "n", "calls go on with what is known"


def test_calls_do_not_wait_long_for_a_database_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with calling(tmp_path, {"r": {"candidates": ("m",)}}) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        catalog, registry = node.node.gateway.catalog, node.node.gateway.registry
        assert ask(node, "r").status_code == 200

        async def hangs() -> None:
            await asyncio.sleep(60)

        monkeypatch.setattr(registry, "renew", hangs)
        monkeypatch.setattr(catalog, "FRESH_S", 0.2)
        monkeypatch.setattr(catalog, "STALE_S", 0.3)
        time.sleep(0.4)
        began = time.monotonic()
        assert ask(node, "r").status_code == 200
        assert ask(node, "r").status_code == 200
        assert time.monotonic() - began < 10


def test_unknown_names_are_looked_up_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with calling(tmp_path, {"r": {"candidates": ("m",)}}) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        ask(node, "r")
        library = node.node.library
        looked = []
        rightly = library.all

        async def counted() -> Any:
            looked.append(1)
            return await rightly()

        monkeypatch.setattr(library, "all", counted)
        assert {ask(node, f"no-{i}").status_code for i in range(10)} == {404}
        assert len(looked) == 1


def test_a_deployment_may_be_called_as_the_engine_is(tmp_path: Path) -> None:
    with calling(tmp_path, {}, {"llamacpp": {}}) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        assert ask(node, "llamacpp").status_code == 200


def test_functions_need_a_model_with_tools(tmp_path: Path) -> None:
    able = {"a": {"capabilities": ["chat"]}, "b": {"capabilities": ["chat", "tools"]}}
    with calling(tmp_path, {"r": {"candidates": ("a", "b")}}, able) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        answer = ask(node, "r", functions=[{"name": "f", "parameters": {}}])
        assert attempts(node, answer) == [("b", 0, "ok")]


@pytest.mark.parametrize(("region", "fit"), [("eu", True), ("us", False), ("", False)])
def test_the_models_of_this_machine_are_where_the_node_is(tmp_path: Path, region: str, fit: bool) -> None:
    routes = {"r": Route(candidates=("intermodel/pebble", "echo"), require=Constraints(regions=("eu",)))}
    with running(settings_for(tmp_path, engines=Engines(), region=region, routes=routes)) as node:
        told = httpx2.post(f"{node.url}/api/v1/explain", headers=node.headers, json={"model": "r"}).json()
        found = {one["address"]: one for one in told["candidates"]}
        assert found["intermodel/pebble"]["fit"] is fit
        assert f"its region is {region or 'unknown'}" in found["intermodel/pebble"]["reason"] or fit
        assert not found["echo"]["fit"], "a deployment says itself where it runs"
