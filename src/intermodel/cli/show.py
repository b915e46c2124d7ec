"""`intermodel show`: what is known of a model, what follows from it, who says so, and what is unknown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, out, print_json, read_settings

PURPOSES = {
    "commercial": "use it commercially",
    "research": "use it for research",
    "redistribute": "hand it on",
    "modify": "change it",
    "train_on_outputs": "train other models on its output",
    "serve": "serve it to others",
}
_COLOURS = {"allow": "green", "allow-with-duties": "green", "refuse": "red", "unknown": "yellow"}
_ANSWERS = {"allow": "yes", "allow-with-duties": "yes, with duties", "refuse": "no", "unknown": "not known"}


def show(
    address: Annotated[str, typer.Argument(help="Address of a model, data set or service.")],
    place: Annotated[str, typer.Option(help="Where it is to be used: DE, EU, US ...", show_default=False)] = "",
    full: Annotated[bool, typer.Option("--full", help="Every reason, duty and ground.")] = False,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say what a thing is, from what it was made, how open it is, what it may be used for, and who says so.

    Examples:

        intermodel show intermodel/pebble

        intermodel show vicuna-13b --place DE --full
    """
    with reached(read_settings(data, config), url) as node:
        passport = node.get(f"{named('records', address)}/passport", place=place or None)
    if as_json:
        print_json(passport)
        return
    out.print(Text.assemble(cell(passport["address"], "bold"), "  ", cell(passport["digest"], "dim")), soft_wrap=True)
    _what(passport)
    _made_from(passport)
    _open(passport, full=full)
    _may(passport, full=full)
    _must(passport)
    _who(passport)
    _unknown(passport)


def _title(words: str) -> None:
    out.print(f"\n[bold]{words}[/]")


def _source(sources: list[Mapping[str, Any]]) -> str:
    return "; ".join(
        one["words"]
        + (f" {one['url']}" if one["url"] else "")
        + (f" [statement {one['entry']}]" if one["entry"] is not None else "")
        for one in sources
    )


def _what(passport: Mapping[str, Any]) -> None:
    _title("What is it?")
    table = Table(box=None, show_header=False, pad_edge=False)
    for line in (*passport["what"], *passport["disclosed"]):
        if line["value"] is not None:
            value = "not disclosed" if line["value"] is False else _value(line["value"])
            table.add_row("", cell(line["label"]), cell(_short(value)), cell(_source(line["sources"]), "dim"))
            for other in line["others"]:
                said = cell(f"but: {_short(_value(other['value']))}", "yellow")
                table.add_row("", "", said, cell(_source(other["sources"]), "dim"))
    out.print(table if table.row_count else "  Nobody says what it is.")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _short(words: str) -> str:
    return textwrap.shorten(words, 70, placeholder=" …")


def _made_from(passport: Mapping[str, Any]) -> None:
    _title("From what was it made?")
    table = Table(box=None, show_header=False, pad_edge=False)
    for edge in passport["made_from"]:
        step = Text.assemble(cell(edge["child"]), cell(f"  {edge['how']}  ", "cyan"), cell(edge["parent"]))
        table.add_row("", step, cell(_source(edge["sources"]), "dim"))
    out.print(table if table.row_count else "  Nobody says.")


def _open(passport: Mapping[str, Any], *, full: bool) -> None:
    _title("How open is it?")
    table = Table(box=None, show_header=False, pad_edge=False)
    for grade in passport["grades"]:
        counted = grade["score"] is not None and grade["most"] and " of " not in grade["outcome"]
        score = f"{grade['score']:.3g} of {grade['most']:g}" if counted else ""
        raised = grade["raised_by"] if full else grade["raised_by"][:2]
        more = len(grade["raised_by"]) - len(raised)
        raise_ = "; ".join(raised) + (f"; and {more} more" if more else "")
        table.add_row(
            "", cell(grade["framework"]), cell(grade["outcome"], "bold"), cell(score),
            cell(f"raised by: {raise_}" if raise_ else "", "dim"),
        )  # fmt: skip
    out.print(table)


def _may(passport: Mapping[str, Any], *, full: bool) -> None:
    _title("May I")
    table = Table(box=None, show_header=False, pad_edge=False)
    for verdict in passport["verdicts"]:
        strict, lenient = verdict["strict"]["outcome"], verdict["lenient"]["outcome"]
        answer = Text(_ANSWERS.get(strict, strict), _COLOURS.get(strict, ""))
        if lenient != strict:
            answer.append(f" (leniently read: {_ANSWERS.get(lenient, lenient)})", "yellow")
        reasons = _reasons(verdict)
        told = reasons if full else reasons[:1]
        table.add_row("", cell(f"{PURPOSES.get(verdict['purpose'], verdict['purpose'])}?"), answer)
        for reason in told:
            table.add_row("", "", cell(reason, "dim"))
    out.print(table)
    for flag in dict.fromkeys(flag["words"] for verdict in passport["verdicts"] for flag in verdict["flags"]):
        out.print(cell(f"  {flag}", "yellow"), soft_wrap=True)


def _reasons(verdict: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(one["words"] for one in (*verdict["strict"]["reasons"], *verdict["lenient"]["reasons"])))


def _must(passport: Mapping[str, Any]) -> None:
    duties: dict[str, list[str]] = {}
    for verdict in passport["verdicts"]:
        readings = (verdict["strict"], verdict["lenient"])
        allowed = next((reading for reading in readings if reading["outcome"] != "refuse"), {"duties": ()})
        for duty in allowed["duties"]:
            of = duties.setdefault(f"{duty['kind']}: {duty['words']}", [])
            if duty["node"] not in of:
                of.append(duty["node"])
    if duties:
        _title("What must I then do?")
        for words, of in duties.items():
            out.print(Text.assemble("  ", cell(words), cell(f"  ({', '.join(of)})", "dim")), soft_wrap=True)


def _who(passport: Mapping[str, Any]) -> None:
    _title("Who says so?")
    for check in passport["verified"]:
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[check["holds"]]
        out.print(f"  {mark}", cell(check["what"]), cell(check["how"], "dim"), soft_wrap=True)
    for said in passport["record"]["statements"]:
        told = said["told_by"] or "this node's own word"
        kind = said["predicate_type"].removeprefix("urn:intermodel:")
        state = " superseded" if said["superseded"] else " not read" if said["problem"] else ""
        out.print(
            Text.assemble(
                cell(f"  statement {said['index']}: {kind}, {told}{state}"), cell(f", key {said['signer'][:16]}", "dim")
            ),
            soft_wrap=True,
        )
    if not passport["record"]["statements"]:
        out.print("  Nothing about it is signed yet.")


def _unknown(passport: Mapping[str, Any]) -> None:
    _title("What is unknown?")
    out.print(cell("  " + (", ".join(passport["unknown"]) or "nothing that is asked here"), "yellow"), soft_wrap=True)
