"""A node in front of a server that does what a test says, and the calls to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from intermodel.settings import Deployment, Limits, Price, Route, Settings
from tests.faults.server import Asked, Server, Step, faulty
from tests.faults.table import find_receipt
from tests.support import Running, running, settings_for

PRICE = Price(input=Decimal(1), output=Decimal(2))


@contextlib.contextmanager
def calling(
    folder: Path, routes: dict[str, dict[str, Any]], more: dict[str, dict[str, Any]] | None = None, **settings: Any
) -> Iterator[tuple[Running, Server]]:
    """A node with these routes. Each candidate is a deployment; its name is the model's, and so says what it does.

    `more` adds to the deployments' settings, by name.
    """
    with faulty() as server:
        names = {name for route in routes.values() for name in route["candidates"]} | set(more or ())
        deployments = {
            name: Deployment(**({"base_url": server.base, "price": PRICE} | (more or {}).get(name, {})))
            for name in names
        }
        values = {"limits": Limits(stop_grace_s=0.2)} | settings
        made = {name: Route(**route) for name, route in routes.items()}
        with running(settings_for(folder / "data", deployments=deployments, routes=made, **values)) as node:
            yield node, server


def body(model: str, *, stream: bool = False, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "count"}], "stream": stream} | more


def ask(
    node: Running, model: str, *, stream: bool = False, path: str = "chat/completions", **more: Any
) -> httpx2.Response:
    headers = more.pop("headers", node.headers)
    given = body(model, stream=stream, **more)
    return httpx2.post(f"{node.api}/{path}", json=given, headers=headers, timeout=20)


def receipt(node: Running, answer: httpx2.Response) -> dict[str, Any]:
    return find_receipt(node, answer.headers["x-intermodel-receipt"])


def attempts(node: Running, answer: httpx2.Response) -> list[tuple[str, int, str]]:
    """Address, key and how it ended, of each attempt."""
    return [(a["address"], a["key"], a["code"] or a["outcome"]) for a in receipt(node, answer)["attempts"]]


def until(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition."""
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, "this was waited for in vain"
        time.sleep(0.005)


def by_turns(*scripts: list[Step]) -> Callable[[Asked], list[Step]]:
    """The first script for the first request, and so on; the last one for all others."""
    left = list(scripts)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


__all__ = ["Settings", "ask", "attempts", "body", "by_turns", "calling", "receipt", "until"]
