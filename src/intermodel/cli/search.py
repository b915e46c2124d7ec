"""`intermodel search`: find what this node has a record of."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Url, reached
from intermodel.cli.output import Config, Data, Json, cell, out, plain, print_json, read_settings
from intermodel.records.facts import Kind

Facet = Annotated[list[str] | None, typer.Option(show_default=False)]
_SHOWN = 5
"""Values of a facet below the hits."""


def search(
    words: Annotated[list[str] | None, typer.Argument(help="All of them must be in it, in any order.")] = None,
    task: Facet = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            help="Commercial use: allow (yes), duties (yes, with duties), refuse (no), unknown (not known).",
            show_default=False,
        ),
    ] = None,
    grade: Annotated[
        list[str] | None, typer.Option(help="open source, open access, closed or unknown.", show_default=False)
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(help="By parameters: 'under 1B', '1B to 3B', '3B to 10B' ... or unknown.", show_default=False),
    ] = None,
    language: Facet = None,
    tier: Facet = None,
    kind: Annotated[list[str] | None, typer.Option(help=f"{', '.join(Kind)} or unknown.", show_default=False)] = None,
    owner: Facet = None,
    limit: Annotated[int, typer.Option(help="How many, up to 200.")] = 20,
    after: Annotated[
        str | None, typer.Option(help="`next` of the page before, as --json has it.", show_default=False)
    ] = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Find models and other things by words and by what is known of them, the most used first.

    An option that is given twice means either. Example: `intermodel search llama --licence allow --size '3B to 10B'`
    """
    facets = {
        "task": task, "licence": licence, "grade": grade, "size": size, "language": language, "tier": tier,
        "kind": kind, "owner": owner,
    }  # fmt: skip
    asked = [("q", " ".join(words or ())), ("limit", str(limit)), *([("after", after)] if after else [])]
    asked += [(name, value) for name, values in facets.items() for value in values or ()]
    with reached(read_settings(data, config), url) as node:
        found = node.ask("GET", f"/api/v1/records?{urlencode(asked)}").body
    if as_json:
        print_json(found)
        return
    show(found, frozenset(name for name, values in facets.items() if values))


def show(found: dict[str, Any], chosen: frozenset[str] = frozenset()) -> None:
    """Print an answer of the catalogue; the facets that were `chosen` are not offered again."""
    if not found["data"]:
        out.print("Nothing was found. Fewer words or options find more.")
        for missing in found["missing"]:
            out.print(Text(_unheard(missing)))
        return
    table = Table("address", "task", "size", "commercial use", "openness", "tier", box=None)
    for one in found["data"]:
        table.add_row(
            cell(one["address"]),
            cell(", ".join(one.get("tasks", ()))),
            cell(_billions(one.get("parameters"))),
            cell(one.get("licence") or "unknown"),
            cell(one.get("grade") or "unknown"),
            cell(str(one.get("tier", "unknown"))),
        )
    out.print(table)
    out.print(Text(f"\n{len(found['data'])} of {found['total']:,}", "dim"))
    for name, counts in found["counts"].items():
        if name not in chosen and len(counts) > 1:
            told = ", ".join(f"{plain(c['value'])} {_number(c)}" for c in counts[:_SHOWN])
            out.print(Text(f"{name:<10}{told}{', ...' if len(counts) > _SHOWN else ''}", "dim"))


def _unheard(missing: dict[str, Any]) -> str:
    """That nothing has a word, and which words like it things have."""
    told = [f"{plain(c['value'])} ({c['count']:,} record{'' if c['count'] == 1 else 's'})" for c in missing["instead"]]
    asked = f" Did you mean {' or '.join(filter(None, (', '.join(told[:-1]), told[-1])))}?" if told else ""
    return f"No record has the word '{plain(missing['word'])}'.{asked}"


def _billions(parameters: int | None) -> str:
    if parameters is None:
        return "unknown"
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def _number(count: dict[str, Any]) -> str:
    return f"{count['count']:,}" if count["exact"] else f"about {count['count']:,}"
