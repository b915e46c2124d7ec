"""Routes that ask records: a licence that forbids keeps a model out, and the receipt says why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import httpx2

from intermodel.core import Unavailable
from intermodel.gateway.known import KnownOfRecords, known_of
from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.record import Record, identity
from tests.faults.server import steps
from tests.gateway.calling import ask, calling, receipt


def record(licence: str | None, parent: str | None = None) -> Record:
    nodes = {"a/child": Node("a/child", licence=licence)}
    edges: tuple[Edge, ...] = ()
    if parent is not None:
        nodes["a/parent"] = Node("a/parent", licence=parent)
        edges = (Edge("a/parent", "a/child", How.FINE_TUNE),)
    return Record("a/child", identity("a/child"), graph=Graph(nodes, edges))


def test_what_a_record_says_is_put_into_the_words_of_routes() -> None:
    asked = [("commercial", ""), ("research", "DE")]
    assert known_of(record("apache-2.0"), asked).verdicts["commercial", ""].allows is True
    forbidden = known_of(record("apache-2.0", "llama1"), asked)
    assert forbidden.verdicts["commercial", ""].allows is False
    assert "a/parent" in forbidden.verdicts["commercial", ""].reason
    unknown = known_of(record(None), asked)
    assert unknown.verdicts["research", "DE"].allows is None
    assert unknown.verdicts["research", "DE"].reason
    assert unknown.openness == "unknown"
    assert unknown.tier is None


def put_record(node: Any, address: str, document: dict[str, Any]) -> None:
    answer = httpx2.put(f"{node.url}/api/v1/records/{address}", headers=node.headers, json=document)
    assert answer.status_code < 300, answer.text


def test_a_route_leaves_out_what_its_record_forbids_and_the_receipt_tells_the_reason(tmp_path: Path) -> None:
    routes = {"r": {"candidates": ("m", "n"), "require": {"verdict": "commercial"}}}
    with calling(tmp_path, routes, {"m": {"record": "a/vicuna"}, "n": {"record": "a/pythia"}}) as (node, server):
        server.script = lambda _: steps("ok", stream=False)
        assert ask(node, "r").status_code == 403  # nothing is known of either
        made = {"edges": [{"parent": "a/llama", "how": "fine-tune"}]}
        put_record(node, "a/vicuna", {"licence": "apache-2.0", "lineage": made})
        put_record(node, "a/llama", {"licence": "llama1"})
        put_record(node, "a/pythia", {"licence": "apache-2.0"})
        deadline = time.monotonic() + 20
        while (answer := ask(node, "r")).status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert answer.headers["x-intermodel-model"] == "n"
        candidates = {one["address"]: one for one in receipt(node, answer)["candidates"]}
        assert not candidates["m"]["fit"]
        assert "commercial use is not allowed" in candidates["m"]["reason"]
        assert "LLaMA" in candidates["m"]["reason"] or "llama" in candidates["m"]["reason"]


async def test_a_record_that_cannot_be_read_stops_no_other() -> None:
    class Records:
        broken: Exception | None = None

        async def of(self, address: str) -> Record:
            if address == "bad":
                raise IndexError("of a bug")
            if self.broken:
                raise self.broken
            return record("apache-2.0")

    at = [0.0]
    records = Records()
    known = KnownOfRecords(cast("Any", records), lambda: at[0])
    asked = [("commercial", "")]
    found = await known.known(["bad", "good"], asked)
    assert set(found) == {"good"}
    at[0], records.broken = 100.0, Unavailable("the database is gone")
    assert await known.known(["bad", "good"], asked) == found, "what was known holds on"
