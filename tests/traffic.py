"""A node with something to show: priced deployments of which some fail, routes, budgets, and receipts of past days."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from intermodel.accounts import Receipt
from intermodel.accounts.receipts import first_id
from intermodel.core import Usage
from intermodel.settings import Budget, Deployment, Price, Route, Settings
from tests.support import Running, settings_for

SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "acme/large": [{"delay_s": 0.02}],
    "acme/small": [{}],
    "other/medium": [{"delay_s": 0.01}],
    "other/broken": [{"fail": 503}],
    "other/breaking": [{"content": "this was going well until it was not", "delay_s": 0.02, "break_after": 3}],
    "acme/slow": [{"content": " ".join(map(str, range(400))), "delay_s": 0.1}],
}
PRICES = {"acme/large": ("3", "15"), "acme/small": ("0.25", "1.25"), "other/medium": ("0.8", "4"),
          "other/broken": ("1", "5"), "other/breaking": ("1", "5"), "acme/slow": ("0.25", "1.25")}  # fmt: skip
ROUTES = {
    "reliable": Route(candidates=("other/broken", "acme/large", "acme/small")),
    "frugal": Route(candidates=("acme/large", "acme/small", "other/medium"), order="cheapest"),
    "again": Route(candidates=("acme/small",), cache_s=600),
}
BUDGETS = {
    "node": Budget(dollars=Decimal(500), per="month"),
    "tests": Budget(dollars=Decimal(1), per="day", token="INTERMODEL_TOKEN"),
}
PEOPLE = (("app", "ada", "lovelace"), ("batch jobs", "grace", "navy"), ("notebook", "edsger", ""))


def settings_with_traffic(folder: Path, **given: Any) -> Settings:
    """Settings of such a node; its data lies in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    deployments = {}
    for name, entries in SCRIPTS.items():
        script = folder / f"{name.replace('/', '-')}.json"
        script.write_text(json.dumps(entries))
        read, made = PRICES[name]
        price = Price(input=Decimal(read), output=Decimal(made))
        deployments[name] = Deployment(provider="echo", script=script, price=price)
    return settings_for(folder / "data", **({"deployments": deployments, "routes": ROUTES, "budgets": BUDGETS} | given))


def call(node: Running, model: str, text: str = "hello there", **more: Any) -> httpx2.Response:
    """One real call."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=30)


@contextmanager
def calling(node: Running, model: str, text: str = "hello there") -> Iterator[None]:
    """A call whose answer has begun and goes on for as long as the body runs; its caller then leaves."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
    with httpx2.stream("POST", f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=60) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        yield


def make_calls(node: Running) -> None:
    """Real calls of every kind of outcome."""
    call(node, "acme/large", "what is a gateway? " * 40)
    call(node, "acme/small", stream=True)
    call(node, "reliable", "who answers if the first does not? " * 20, stream=True)
    call(node, "frugal", "who is cheapest?")
    call(node, "again", "the same question")
    call(node, "again", "the same question")
    call(node, "other/broken")
    call(node, "other/breaking", stream=True)
    call(node, "acme/small", n=99)


def make_past(node: Running, days: int = 20, calls: int = 1500, seed: int = 7) -> None:
    """Receipts of past days, written as the gateway writes them."""
    asyncio.run_coroutine_threadsafe(_past(node, days, calls, random.Random(seed)), node.loop).result(120)


async def _past(node: Running, days: int, calls: int, lots: random.Random) -> None:
    receipts = node.node.gateway.accounts.receipts
    callers = [await _caller(node, *person) for person in PEOPLE]
    now = time.time()
    for number in range(calls):
        # most of it on the last day, and by day more than by night
        back = lots.random() ** 2.2 * days * 86_400
        at = now - 60 - back
        if math.sin((at % 86_400) / 86_400 * 2 * math.pi - 2) < lots.uniform(-1.6, 0.9):
            at += lots.uniform(0, min(back, 7200))
        await receipts.record(_receipt(at, number, lots.choices(callers, (5, 3, 1))[0], lots))
    await receipts.list(limit=1)


async def _caller(node: Running, name: str, user: str, organisation: str) -> dict[str, str]:
    token, _ = await node.node.tokens.create(name, user=user, organisation=organisation)
    return {"token": token.id, "name": name, "user": user, "organisation": organisation}


def _receipt(at: float, number: int, caller: dict[str, str], lots: random.Random) -> Receipt:
    model = lots.choices(list(PRICES), (4, 9, 5, 2, 0, 0))[0]
    slow = {"acme/large": 0.42, "acme/small": 0.13, "other/medium": 0.24}.get(model, 0.3)
    hour = 1 + 0.5 * math.sin(at / 9000)
    first = slow * hour * lots.lognormvariate(0, 0.25)
    fails = lots.random() < (0.4 if model == "other/broken" else 0.012)
    usage = Usage(lots.randrange(40, 4000), lots.randrange(10, 900))
    seconds = first + usage.output / 90
    read, made = PRICES[model]
    cost = int(usage.input * float(read) * 1000 + usage.output * float(made) * 1000)
    attempt: dict[str, Any] = {
        "address": model, "key": 0, "started_ms": 0.4, "seconds": 0.2 if fails else seconds,
        "first_token_s": None if fails else first, "outcome": "failed" if fails else "ok",
        "code": "upstream_error" if fails else None, "status": 503 if fails else None, "cost": 0 if fails else cost,
    }  # fmt: skip
    told: Any = {
        "id": f"{first_id(at)[:10]}{number:016d}", "at": at, "seconds": attempt["seconds"], "caller": caller,
        "kind": "chat/completions", "model": model, "route": "", "stream": True,
        "candidates": [{"address": model, "fit": True, "reason": "named by the caller"}], "attempts": [attempt],
        "answered": "" if fails else model, "outcome": "failed" if fails else "ok", "usage": None if fails else usage,
        "reserved": 0, "spent": 0 if fails else cost, "wasted": 0,
        "price": {"input": read, "output": made, "source": "settings"},
    }  # fmt: skip
    return told  # type: ignore[no-any-return]
