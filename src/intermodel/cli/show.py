"""`intermodel show`: what is known of a model, what follows from it, who says so, and what is unknown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, on, out, print_json, read_settings
from intermodel.records.picture import WORDS
from intermodel.records.verdict.words import ANSWERS, PURPOSES, of_allowed, once, owed, sentence

_WAYS = {how.value: words for how, words in WORDS.items()}
_COLOURS = {"allow": "green", "allow-with-duties": "green", "refuse": "red", "unknown": "yellow"}


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
        step = Text.assemble(
            cell(edge["child"]), cell(f"  {_WAYS.get(edge['how'], edge['how'])}  ", "cyan"), cell(edge["parent"])
        )
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
        answer = Text(ANSWERS.get(strict, strict), _COLOURS.get(strict, ""))
        if lenient != strict:
            answer.append(f" (leniently read: {ANSWERS.get(lenient, lenient)})", "yellow")
        reasons = _reasons(verdict)
        told = reasons if full else reasons[:1]
        table.add_row("", cell(f"{PURPOSES.get(verdict['purpose'], verdict['purpose'])}?"), answer)
        for reason in told:
            table.add_row("", "", cell(reason, "dim"))
    out.print(table)
    for said in (*once(passport["verdicts"], "flags"), *once(passport["verdicts"], "conflicts")):
        out.print(cell(f"  {said}", "yellow"), soft_wrap=True)
    for caution in passport["cautions"]:
        out.print(cell(f"  {caution}", "yellow"), soft_wrap=True)


def _reasons(verdict: Mapping[str, Any]) -> list[str]:
    reasons = (*verdict["strict"]["reasons"], *verdict["lenient"]["reasons"])
    return list(dict.fromkeys(sentence(one["words"]) for one in reasons))


def _must(passport: Mapping[str, Any]) -> None:
    groups = owed(of_allowed(passport["verdicts"]))
    if groups:
        _title("What must I then do?")
    for group in groups:
        out.print(f"  {group.title}:")
        for due in group.dues:
            of = cell(f"  ({'; '.join(due.sources)})", "dim")
            out.print(Text.assemble("  - ", cell(due.words), of), soft_wrap=True)


def _who(passport: Mapping[str, Any]) -> None:
    _title("Who says so?")
    for check in passport["verified"]:
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[check["holds"]]
        out.print(f"  {mark}", cell(check["what"]), cell(check["how"], "dim"), soft_wrap=True)
    for said in passport["record"]["statements"]:
        kind = said["predicate_type"].removeprefix("urn:intermodel:").removesuffix(":v1")
        state = f", {said['state']}" if said["state"] else ""
        out.print(
            Text.assemble(
                cell(f"  statement {said['index']}: {kind}, {said['whose']}{state}"),
                cell(f", key {said['signer'][:16]}", "dim"),
                cell(", to which its ledger went over" if said["key_learned"] else "", "dim"),
            ),
            soft_wrap=True,
        )
        for by in said["withdrawals"]:
            what = "set aside here" if by["set_aside"] else "withdrawn"
            out.print(
                cell(f"    {what} by {by['by']}{on(by['at'])}: {by['reason']} (entry {by['entry']})", "yellow"),
                soft_wrap=True,
            )
    if not passport["record"]["statements"]:
        out.print("  Nothing about it is signed yet.")


def _unknown(passport: Mapping[str, Any]) -> None:
    _title("What is unknown?")
    out.print(cell("  " + (", ".join(passport["unknown"]) or "nothing that is asked here"), "yellow"), soft_wrap=True)
