"""What each fault comes to: asked of a real node in front of a real server, and written down as a page.

`python -m tests.faults.table` (`make faults`) asks again and writes docs/faults.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from intermodel.settings import Budget, Deployment, Limits, Price, Route
from tests.faults.cases import CASES, Case, Form
from tests.faults.server import TEXT, Server, faulty, self_signed
from tests.support import Running, running, settings_for

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
DEADLINE_S = 1.0
"""First token and silence, for cases in which the upstream is silent; for the others no clock decides."""
PATH = {"whole": "chat/completions", "stream": "chat/completions", "messages": "messages"}


Result = TypeVar("Result")


@dataclass(frozen=True)
class Row:
    """One case in one form."""

    case: Case
    form: Form
    name: str
    """The deployment's address: all are of one length, for a request's length is what estimates go by."""

    @property
    def with_second(self) -> str:
        return f"{self.name}s"


ROWS = [Row(*found, f"f{at:03}") for at, found in enumerate((case, form) for case in CASES for form in case.forms)]


@dataclass(frozen=True)
class Seen:
    """What one call came to, in the words of the page."""

    client: str
    receipt: str
    charged: str
    document: dict[str, Any]

    @property
    def answered_by(self) -> str:
        return str(self.document["answered"])


@dataclass(frozen=True)
class Observed:
    alone: Seen
    second: Seen


@contextlib.contextmanager
def in_trouble(folder: Path) -> Iterator[tuple[Running, Server]]:
    """A node whose deployments fail as `ROWS` say, and the server behind them."""
    with faulty() as server, faulty(tls=self_signed(folder)) as secure:
        deployments = {"good": _deployment(server.base, "ok")}
        routes = {}
        for row in ROWS:
            base = {"refused": "http://127.0.0.1:9/v1", "no-name": "http://no-such-host.invalid/v1",
                    "self-signed": secure.base}.get(row.case.how, server.base)  # fmt: skip
            for name, candidates in ((row.name, ()), (row.with_second, ("good",))):
                deployments[name] = _deployment(base, row.case.how)
                silent = {"first_token_s": DEADLINE_S, "silence_s": DEADLINE_S} if row.case.silent else {}
                routes[f"to.{name}"] = Route(candidates=(name, *candidates), **silent)
        settings = settings_for(
            folder / "data",
            deployments=deployments,
            routes=routes,
            budgets={"all": Budget(dollars=Decimal(1000))},
            limits=Limits(stop_grace_s=0.1),
        )
        with running(settings) as node:
            yield node, server


def _deployment(base: str, model: str) -> Deployment:
    return Deployment(base_url=base, model=model, price=Price(input=Decimal(1), output=Decimal(2)))


def observed(node: Running, rows: Sequence[Row]) -> dict[str, Observed]:
    """Each row, asked twice; many at once, for most of the time is waiting."""

    def ask(row: Row) -> Observed:
        alone, second = (call(node, row.form, f"to.{name}", client) for name in (row.name, row.with_second))
        return Observed(alone, second)

    with httpx2.Client(timeout=30) as client, ThreadPoolExecutor(24) as pool:
        return {row.name: seen for row, seen in zip(rows, pool.map(ask, rows), strict=True)}


def call(node: Running, form: Form, model: str, client: httpx2.Client) -> Seen:
    """One call and its receipt."""
    body = {"model": model, "messages": [{"role": "user", "content": "count"}], "stream": form != "whole"}
    answer = client.post(f"{node.api}/{PATH[form]}", json=body | {"max_tokens": 100}, headers=node.headers)
    receipt = find_receipt(node, answer.headers["x-intermodel-receipt"])
    told = [attempt["code"] or attempt["outcome"] for attempt in receipt["attempts"]]
    return Seen(_client(answer), f"{receipt['outcome']}: {_counted(told)}", _charged(receipt), receipt)


def on(node: Running, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of work in the node's own thread."""
    return asyncio.run_coroutine_threadsafe(work, node.loop).result(10)


def find_receipt(node: Running, receipt_id: str) -> dict[str, Any]:
    return on(node, node.node.gateway.accounts.receipts.find(receipt_id))


def _client(answer: httpx2.Response) -> str:
    """Status and error code; of a stream, what it said and how it ended."""
    again = f", Retry-After {answer.headers['retry-after']}" if "retry-after" in answer.headers else ""
    if answer.headers["content-type"].startswith("application/json"):
        body = answer.json()
        if "error" in body:
            return f"{answer.status_code} `{body['error']['code']}`{again}"
        return f"{answer.status_code}, {_text('whole', body) == TEXT and 'the answer'}"
    text, code, ended = read_stream(answer.text)
    words = "the answer" if text == TEXT else f"{len(text.split())} words" if text else "nothing"
    how = f"error event `{code}`" if code else "its end mark" if ended else "no end"
    return f"{answer.status_code}, {words}, then {how}"


def read_stream(text: str) -> tuple[str, str, bool]:
    """The words of a stream of chat or Messages, the code of its error, and whether it ended as whole ones do."""
    said, code, ended = "", "", False
    for line in text.splitlines():
        if line == "data: [DONE]":
            ended = True
        elif line.startswith("data:"):
            found = _parsed(line[5:])
            if "error" in found:
                code = found["error"].get("code") or found["error"]["type"]
            ended = ended or found.get("type") == "message_stop"
            said += _text("stream", found)
    return said, code, ended


def _parsed(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return {"error": {"code": "unreadable"}}
    return found


def _text(form: str, body: dict[str, Any]) -> str:
    if body.get("type") == "content_block_delta":
        return str(body["delta"].get("text", ""))
    key = "message" if form == "whole" else "delta"
    deltas = [c[key] for c in body.get("choices") or () if isinstance(c, dict) and isinstance(c.get(key), dict)]
    return "".join(delta.get("content") or "" for delta in deltas)


def _counted(words: list[str]) -> str:
    """`a, a, b` as `2 x a, b`."""
    once = [word for at, word in enumerate(words) if not at or words[at - 1] != word]
    parts: list[str] = []
    for word in once:
        times = words.count(word)
        parts.append(f"{times} x `{word}`" if times > 1 else f"`{word}`")
    return ", ".join(parts)


def _charged(receipt: dict[str, Any]) -> str:
    """In millionths of a dollar."""
    if not receipt["spent"]:
        return "0"
    about = "about " if (receipt["usage"] or {"estimated": True}).get("estimated") else ""
    return f"{about}{Decimal(receipt['spent']) / 1000:f} µ$"


_HEAD = """# Faults

What becomes of a call when its upstream fails: written by the tests that make every one of these faults happen on
loopback, against a running node (`make faults`; `tests/faults`). *Alone* the deployment is a route's only candidate;
*with a second* one that is well follows it. A whole answer and a stream are asked for in OpenAI's chat; *Messages* is a
stream in Anthropic's protocol from the same server. Charged is what the receipt says was spent when alone: the
deployments cost $1 and $2 for a million tokens read and made, and *about* marks an estimate, where no usage came. What
was not reached, or refused by itself, costs nothing; what took a call and broke off, fell silent or sent what is no
answer may bill it, so each such attempt is charged what was asked and what came of it.
What the receipt says are its outcome and how each attempt ended.

A stream that breaks in plain text is gone on with where a further candidate states the capability `continues`: the
client sees one answer and one end. Its usage is then told as that of one answer: the words before are counted as made
(a token in four bytes), not as read, though the second candidate read them; the receipt has what each was paid.

| fault | asked for | client sees, alone | with a second | receipt, alone | with a second | charged |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page(found: dict[str, Observed]) -> str:
    """docs/faults.md."""
    return _HEAD + "".join(line(row, found[row.name]) for row in ROWS)


def line(row: Row, seen: Observed) -> str:
    form = {"whole": "whole", "stream": "stream", "messages": "Messages"}[row.form]
    cells = [row.case.fault, form, seen.alone.client, seen.second.client, seen.alone.receipt, seen.second.receipt]
    return f"| {' | '.join([*cells, seen.alone.charged])} |\n"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, in_trouble(Path(folder)) as (node, _):
        PAGE.write_text(page(observed(node, ROWS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
