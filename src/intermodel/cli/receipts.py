"""`intermodel receipts`: what calls were made, what happened in them and what they cost."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Node, Url, named, reached
from intermodel.cli.output import Config, Data, Json, SaveTo, cell, out, print_json, read_settings, save
from intermodel.cli.routes import candidates_of
from intermodel.cli.tokens import lifetime
from intermodel.core import Invalid

app = typer.Typer(help="List and show the accounts of calls.")

WIDTH = 24
"""Of the timeline, in characters."""
UNKNOWN = "\N{EM DASH}"
_COLOUR = {"ok": "green", "left": "yellow"}

_OUTCOMES = ("ok", "failed", "refused", "broken", "left", "lost")
_TOKEN_ID = re.compile("[0-9a-f]{12}|environment")

Filter = Annotated[str | None, typer.Option(show_default=False)]
TokenId = Annotated[str | None, typer.Option(help="Its id, as `intermodel tokens` has it.", show_default=False)]
Outcome = Annotated[str | None, typer.Option(help=f"{', '.join(_OUTCOMES[:-1])} or lost.", show_default=False)]


@app.callback(invoke_without_command=True)
def show_all(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the newest receipts of the node that runs.

    Example: `intermodel receipts`
    """
    if context.invoked_subcommand is None:
        list_(data=data, config=config, as_json=as_json)


@app.command("list")
def list_(
    token: TokenId = None,
    user: Filter = None,
    organisation: Filter = None,
    route: Filter = None,
    model: Filter = None,
    outcome: Outcome = None,
    since: Annotated[
        str | None, typer.Option(help="90m, 12h, 30d, or a moment as 2026-11-20T12:00:00Z.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 50,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List receipts, newest first.

    Example: `intermodel receipts list --route fast --outcome failed --since 12h`
    """
    _check(token, outcome)
    wanted = {"token": token, "user": user, "organisation": organisation, "route": route, "model": model}
    with reached(read_settings(data, config), url) as node:
        found = node.get("/receipts", **wanted, outcome=outcome, since=_since(since), limit=limit)
        if not found["data"]:
            _check_names(node, model, route)
    if as_json:
        print_json(found["data"])
        return
    table = Table("id", "when (UTC)", "who", "asked for", "answered", "outcome", "seconds", "tokens", "$", box=None)
    for one in found["data"]:
        usage = one.get("usage") or {}
        table.add_row(
            cell(one["id"]),
            _when(one["at"]),
            cell((one.get("caller") or {}).get("name", "")),
            cell(one.get("model", "")),
            cell(one.get("answered", "")),
            _coloured(one.get("outcome", "")),
            f"{one.get('seconds', 0):.2f}",
            f"{usage.get('input', 0):,} + {usage.get('output', 0):,}" if usage else "",
            cost_of(one),
        )
    out.print(table if found["data"] else "No receipts yet.")


@app.command()
def show(
    receipt: Annotated[str, typer.Argument(help="Its id, as the header x-intermodel-receipt of the answer has it.")],
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the account of one call: who, when, which candidates and why, each attempt, and what it cost.

    Example: `intermodel receipts show 01KAC8Q5V7T3M2X9R4N6P8S0YZ`
    """
    with reached(read_settings(data, config), url) as node:
        found = node.get(named("receipts", receipt))
    if as_json:
        print_json(found)
    else:
        out.print(account_of(found))


@app.command()
def bundle(
    receipt: Annotated[str, typer.Argument(help="Its id.")],
    to: SaveTo = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Take along one receipt with the proof that it stands in the ledger. `intermodel verify` checks it offline.

    Example: `intermodel receipts bundle 01KAC8Q5V7T3M2X9R4N6P8S0YZ -o receipt.bundle.json`
    """
    with reached(read_settings(data, config), url) as node:
        save(node.get(f"{named('receipts', receipt)}/bundle"), to)


def _check(token: str | None, outcome: str | None) -> None:
    """Raise `Invalid` for what no receipt has."""
    if outcome is not None and outcome not in _OUTCOMES:
        raise Invalid(f"No call ends with '{outcome}'.", hint=f"--outcome takes {', '.join(_OUTCOMES)}.")
    if token is not None and not _TOKEN_ID.fullmatch(token):
        raise Invalid(f"'{token}' is no token's id.", hint="`intermodel tokens` lists them, each with its name.")


def _check_names(node: Node, model: str | None, route: str | None) -> None:
    """Raise `Invalid` where nothing was found by a name that is not there. One that was removed may have receipts."""
    routes = [one["name"] for one in node.get("/routes")["data"]] if model or route else []
    if route and route not in routes:
        raise _no_such("route", route, routes)
    if model:
        known = [one["id"] for one in node.ask("GET", "/v1/models").body["data"]]
        if model in routes:
            raise Invalid(f"'{model}' is a route: --route {model}.", hint="--model is the address of what answered.")
        if model not in known:
            raise _no_such("model", model, [name for name in known if name not in routes])


def _no_such(kind: str, name: str, known: list[str]) -> Invalid:
    near = difflib.get_close_matches(name, known, n=1)
    there = f"There are {', '.join(known[:20])}." if known else "There is none."
    return Invalid(
        f"No receipt is of a {kind} '{name}', and there is none of that name.",
        hint=f"Did you mean '{near[0]}'?" if near else there,
    )


def cost_of(receipt: dict[str, Any]) -> str:
    """In dollars; a dash where nothing of it is known, and at least so much where some of it is."""
    spent: str | None = receipt["dollars"]["spent"]
    if spent is not None:
        return spent
    return f"≥ {receipt['dollars']['spent_at_least']}" if receipt.get("spent_at_least") else UNKNOWN


def account_of(receipt: dict[str, Any]) -> Group:
    """A receipt as a person reads it."""
    outcome = receipt.get("outcome", "")
    head = Text("  ").join(
        [cell(receipt["id"], "bold"), _coloured(outcome), Text(f"{_when(receipt['at'])} UTC", "dim")]
    )
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    for name, said in _facts(receipt):
        facts.add_row(name, cell(said))
    parts: list[Any] = [head, facts]
    if receipt.get("candidates"):
        parts += [Text("\ncandidates", "dim"), Padding(candidates_of(receipt["candidates"]), (0, 0, 0, 2))]
    if receipt.get("attempts"):
        parts += [Text("\nattempts", "dim"), Padding(_timeline(receipt), (0, 0, 0, 2))]
    return Group(*parts)


def _facts(receipt: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One line each; what is not known has none."""
    yield "who", _who(receipt.get("caller") or {})
    through = " through a route" if receipt.get("route") else ""
    streamed = ", streamed" if receipt.get("stream") else ""
    yield "asked for", f"{receipt.get('model', '')}{through}  ({receipt.get('kind', '')}{streamed})"
    if receipt.get("answered"):
        yield "answered", f"{receipt['answered']} within {_time(receipt.get('seconds', 0))}"
    if usage := receipt.get("usage"):
        yield "tokens", _usage(usage)
    if price := receipt.get("price"):
        yield "price", _price(price)
    money = receipt["dollars"]
    wasted = f", ${money['wasted']} of it wasted on attempts that failed" if receipt.get("wasted") else ""
    aside = f" (${money['reserved']} was set aside)"
    if money["spent"] is not None:
        yield "money", f"${money['spent']} spent{wasted}{aside}"
    else:
        known = f"at least ${money['spent_at_least']}{wasted}; the rest is " if receipt.get("spent_at_least") else ""
        yield "money", f"{known}unknown: {receipt.get('cost_unknown')}{aside if receipt.get('reserved') else ''}"
    if receipt.get("budgets"):
        yield "budgets", ", ".join(f"{b['budget']} ({b['window']}) ${b['dollars']}" for b in receipt["budgets"])
    if energy := receipt.get("energy"):
        between = f"{energy['joules_low']:.3g} to {energy['joules_high']:.3g}"
        yield "energy", f"{energy['joules']:.3g} J ({between}), {energy['grams']:.3g} g CO2e, {energy['method']}"
    if receipt.get("guards"):
        yield "guards", ", ".join(f"{g['count']} {g['kind']}" for g in receipt["guards"])
    if receipt.get("cache"):
        yield "cache", f"given again from {receipt['cache']}"


def _who(caller: dict[str, Any]) -> str:
    whose = " of ".join(filter(None, (caller.get("user"), caller.get("organisation"))))
    return f"{caller.get('name', '')} ({caller.get('token', '')}){f', {whose}' if whose else ''}"


def _usage(usage: dict[str, Any]) -> str:
    def parts(names: dict[str, str]) -> str:
        said = ", ".join(f"{usage[name]:,} {word}" for name, word in names.items() if usage.get(name))
        return f" ({said})" if said else ""

    written = {"cache_write": "written to the cache", "cache_write_1h": "of these for an hour"}
    read = parts({"cached_input": "cached", **written, "audio_input": "audio"})
    made = parts({"reasoning": "thought", "audio_output": "audio"})
    estimated = ", estimated" if usage.get("estimated") else ""
    return f"{usage.get('input', 0):,} read{read}, {usage.get('output', 0):,} made{made}{estimated}"


def _price(price: dict[str, Any]) -> str:
    source = f" [{price['source']}]" if price.get("source") else ""
    rates = _words({key: value for key, value in price.items() if key != "source"})
    return f"$ for a million tokens: {rates}{source}" if rates else f"free{source}"


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in values.items() if value is not None)


def _timeline(receipt: dict[str, Any]) -> Table:
    """Attempts over the time of the call: light while it was waited for a first token, full while the answer came."""
    whole = max(receipt.get("seconds") or 0, 1e-6)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for wraps in (True, False, False, False, True, False):
        table.add_column(no_wrap=not wraps)
    for attempt in receipt["attempts"]:
        outcome = attempt.get("outcome", "")
        kind = "hedge" if attempt.get("hedge") else "went on" if attempt.get("resumed") else ""
        kinds = filter(None, (_why(attempt), kind, attempt.get("tier")))
        table.add_row(
            cell(attempt["address"] + (f" key {attempt['key'] + 1}" if attempt.get("key") else "")),
            Text(_bar(attempt, whole), _COLOUR.get(outcome, "red")),
            f"{_time(attempt.get('started_ms', 0) / 1000)} + {_time(attempt.get('seconds', 0))}",
            _coloured(outcome),
            cell(" ".join(kinds)),
            UNKNOWN if attempt["dollars"] is None else f"${attempt['dollars']}",
        )
    return table


def _bar(attempt: dict[str, Any], whole: float) -> str:
    began: float = attempt.get("started_ms", 0) / 1000
    seconds: float = attempt.get("seconds") or 0.0
    first = attempt.get("first_token_s")
    waited: float = seconds if first is None else min(first, seconds)
    start = min(round(began / whole * WIDTH), WIDTH - 1)
    length = min(max(1, round(seconds / whole * WIDTH)), WIDTH - start)
    light = min(length, round(waited / seconds * length)) if seconds else length
    return (" " * start + "░" * light + "█" * (length - light)).ljust(WIDTH)


def _why(attempt: dict[str, Any]) -> str:
    if attempt.get("code"):
        status = f" ({attempt['status']})" if attempt.get("status") else ""
        return f"{attempt['code']}{status}"
    first = attempt.get("first_token_s")
    return f"first token after {_time(first)}" if first is not None else ""


def _coloured(outcome: str) -> Text:
    return cell(outcome, _COLOUR.get(outcome, "red"))


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _since(text: str | None) -> str | None:
    """Lengths of time count back from now; anything else the node reads."""
    if text is None or "-" in text:
        return text
    ago = lifetime(text)
    return (datetime.now(UTC) - ago).isoformat() if ago else None
