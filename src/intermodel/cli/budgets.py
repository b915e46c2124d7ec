"""`intermodel budgets`: what may be spent, and what was."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Node, Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, out, print_json, read_settings
from intermodel.cli.pairs import File, Pairs, document_of
from intermodel.core import NotFound
from intermodel.settings import Budget

app = typer.Typer(help="List, make, change and remove budgets of the node that runs.")

Name = Annotated[str, typer.Argument(help="Name of the budget.")]


@app.callback(invoke_without_command=True)
def show_all(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the budgets of the node that runs.

    Example: `intermodel budgets`
    """
    if context.invoked_subcommand is None:
        list_(data, config, None, as_json)


@app.command("list")
def list_(data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """List the budgets: whom each binds, what was spent, what is left, when it begins anew.

    Example: `intermodel budgets list --json`
    """
    with reached(read_settings(data, config), url) as node:
        listed = node.get("/budgets")["data"]
    if as_json:
        print_json(listed)
        return
    table = Table("name", "binds", "ceiling", "spent", "held", "left", "begins anew", "declared in", box=None)
    for one in listed:
        shown = (
            one["name"],
            f"{one['subject']} {one['who']}" if one["who"] else "the whole node",
            f"${one['ceiling']['dollars']} a {one['per']}" if one["per"] != "all" else f"${one['ceiling']['dollars']}",
            *(f"${one[key]['dollars']}" for key in ("spent", "held", "left")),
            (one["begins_anew"] or "never")[:10],
            one["declared_in"],
        )
        table.add_row(*map(cell, shown))
    out.print(table if listed else "None yet: `intermodel budgets set NAME dollars=20 per=month`.")


@app.command("set")
def set_(
    name: Name,
    pairs: Pairs = None,
    file: File = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Make a budget, or change one. What was spent under its name stays spent.

    Examples:

        intermodel budgets set acme dollars=20 per=month organisation=acme

        intermodel budgets set everything dollars=5 per=day
    """
    with reached(read_settings(data, config), url) as node:
        before = {} if file else _made(node, name)
        one = node.put(named("budgets", name), document_of(Budget, name, pairs, file, before))
    if as_json:
        print_json(one)
    else:
        said = f": ${one['ceiling']['dollars']}, ${one['left']['dollars']} of it left."
        out.print(Text.assemble(cell(name, "bold"), cell(said)))


@app.command()
def remove(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """End a budget that was made while the node runs.

    Example: `intermodel budgets remove acme`
    """
    with reached(read_settings(data, config), url) as node:
        node.delete(named("budgets", name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        out.print(cell(f"Removed {name}."))


def _made(node: Node, name: str) -> dict[str, Any]:
    """What was said when it was made."""
    try:
        one = node.get(named("budgets", name))
    except NotFound:
        return {}
    subject = {one["subject"]: one["who"]} if one["who"] else {}
    return {"dollars": one["ceiling"]["dollars"], "per": one["per"], **subject}
