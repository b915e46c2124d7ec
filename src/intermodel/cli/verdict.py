"""`intermodel verdict`: may this be used for that, there, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.tree import Tree

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, out, print_json, read_settings
from intermodel.cli.records import read_text
from intermodel.core import Invalid, NotFound
from intermodel.records.licences import LICENCES
from intermodel.records.lineage import Graph
from intermodel.records.lineage_file import parse
from intermodel.records.verdict import Purpose, place_of, purpose_of
from intermodel.records.verdict import verdict as decide
from intermodel.records.verdict.words import ANSWERS, PURPOSES, Group, owed, rests_on, sentence

Address = Annotated[str | None, typer.Argument(help="Address of a model; needs a node that runs.", show_default=False)]
For = Annotated[str, typer.Option("--purpose", help=f"One of: {', '.join(Purpose)}.")]
Place = Annotated[str, typer.Option(help="Where: ISO 3166-1 alpha-2 (DE), or EU.")]
On = Annotated[str | None, typer.Option(help="On which day: 2026-01-31. Default: today.", show_default=False)]
Lineage = Annotated[
    Path | None,
    typer.Option(help="A lineage of your own, YAML or JSON, instead of a node. - reads it.", show_default=False),
]
Of = Annotated[str | None, typer.Option(help="Which thing in the lineage. Default: all of them.", show_default=False)]

ByAnswer = Annotated[bool, typer.Option("--exit-code", help="0: yes, 4: no, 1: not known; for scripts.")]
Licences = Annotated[
    bool, typer.Option("--licences", help="List the licences and terms that are known, and no verdict.")
]

_EXITS = {"allow": 0, "allow-with-duties": 0, "unknown": 1, "refuse": 4}
_STYLES = {"allow": "green", "allow-with-duties": "green", "refuse": "bold red", "unknown": "yellow"}


def verdict(
    address: Address = None,
    purpose: For = Purpose.COMMERCIAL.value,
    place: Place = "",
    on: On = None,
    lineage: Lineage = None,
    of: Of = None,
    exit_code: ByAnswer = False,
    licences: Licences = False,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say what the licences along a lineage allow, with reasons, duties and conflicts. Not legal advice.

    The exit code is 0 whatever the answer is. With `--exit-code` it is 0 for yes (`allow`, `allow-with-duties`), 4 for
    no (`refuse`) and 1 for not known (`unknown`), strictly read; of several things the highest.

    Examples:

        intermodel verdict meta-llama/Llama-3.1-8B --purpose commercial --place DE

        intermodel verdict --lineage lineage.yaml --of vicuna-13b --json
    """
    if licences:
        _licences(as_json=as_json)
        return
    asked, where, day = purpose_of(purpose), place_of(place), _day(on)
    if (address is None) == (lineage is None):
        raise Invalid(
            "Name either an address or a lineage.", hint="intermodel verdict ADDRESS, or --lineage FILE --of ID."
        )
    if lineage is not None:
        graph = parse(read_text(lineage))
        told = [decide(graph, name, asked, where, day).document() for name in _named(graph, of)]
    else:
        with reached(read_settings(data, config), url) as node:
            path = f"{named('records', address or '')}/verdict"
            told = [node.get(path, purpose=asked.value, place=where or None, on=day.isoformat() if day else None)]
    if as_json:
        print_json(told if lineage is not None and of is None else told[0])
    else:
        for one in told:
            show(one)
    if exit_code and (code := max((_EXITS[one["strict"]["outcome"]] for one in told), default=1)):
        raise typer.Exit(code)


def _licences(*, as_json: bool) -> None:
    """The licences of which facts are known, by the names under which they are found."""
    known = [one for one in LICENCES.values() if one.known]
    if as_json:
        print_json([{"id": one.id, "name": one.name, "kind": one.kind, "spdx": one.spdx} for one in known])
        return
    table = Table("id", "name", "kind", "SPDX", box=None)
    for one in known:
        table.add_row(cell(one.id), cell(one.name), cell(one.kind), cell(one.spdx or ""))
    out.print(table)


def _day(said: str | None) -> date | None:
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise Invalid(f"'{said}' is no date.", hint="Write it as 2026-01-31.", param="on") from None


def _named(graph: Graph, of: str | None) -> list[str]:
    if of is None:
        return list(graph.nodes)
    if of not in graph.nodes and not any(of in (edge.parent, edge.child) for edge in graph.edges):
        raise NotFound(f"'{of}' is not in this lineage.", hint=f"It has: {', '.join([*graph.nodes][:20])}.")
    return [of]


def show(told: Mapping[str, Any]) -> None:
    """A verdict as a tree: both readings, what decided them, and what follows."""
    where = f" in {told['place']}" if told["place"] else ""
    when = f" on {told['on']}" if told["on"] else ""
    tree = Tree(cell(f"{told['name']}: may I {PURPOSES[told['purpose']]}{where}{when}?", "bold"))
    for reading, title in (("strict", "Strictly read"), ("lenient", "Leniently read")):
        finding = told[reading]
        grounds = rests_on(finding["certainty"])
        answer = f"{title}: {ANSWERS[finding['outcome']]}{f'. This rests on {grounds}.' if grounds else ''}"
        branch = tree.add(cell(answer, _STYLES[finding["outcome"]]))
        for reason in finding["reasons"]:
            leaf = branch.add(cell(f"{sentence(reason['words'])}{_also(reason)}"))
            if reason["way"]:
                leaf.add(cell(_way(reason), "dim"))
    duties(tree, owed(told["duties"]))
    _branch(tree, "Licences that cannot both be kept", (sentence(one["words"]) for one in told["conflicts"]))
    _branch(tree, "It promises more than it may", (sentence(one["words"]) for one in told["flags"]))
    _branch(tree, "To mind besides", map(sentence, told["warnings"]))
    _branch(tree, "What is not known", told["unknown"])
    out.print(tree, soft_wrap=False)  # long reasons are wrapped, never cut
    out.print(cell("Not legal advice.", "dim"))


def duties(tree: Tree, groups: Iterable[Group]) -> None:
    """What must be done, by who must do it, each with the licence it comes from."""
    given = [*groups]
    if given:
        branch = tree.add("What must I then do?")
        for group in given:
            who = branch.add(cell(group.title))
            for due in group.dues:
                who.add(cell(due.words)).add(cell("; ".join(due.sources), "dim"))


def _branch(tree: Tree, title: str, lines: Iterable[str]) -> None:
    given = [*lines]
    if given:
        branch = tree.add(title)
        for line in given:
            branch.add(cell(line))


def _also(reason: Mapping[str, Any]) -> str:
    return f" And {reason['also']} more like it." if reason["also"] else ""


def _way(reason: Mapping[str, Any]) -> str:
    """The way up: `vicuna-13b ← fine-tune ← llama-7b-65b`."""
    steps = reason["way"]
    said = steps[0]["child"] + "".join(f" ← {step['how']} ← {step['parent']}" for step in steps)
    left = reason["way_length"] - len(steps)
    return f"{said} ← ... {left} more" if left else said
