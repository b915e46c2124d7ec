"""`intermodel routes`: names for models in some order, in the node that runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Node, Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, out, plain, print_json, read_settings
from intermodel.cli.pairs import File, Pairs, document_of
from intermodel.core import NotFound
from intermodel.settings import Route

app = typer.Typer(help="List, declare, change, remove and explain routes of the node that runs.")

Name = Annotated[str, typer.Argument(help="Name of the route.")]


@app.callback(invoke_without_command=True)
def show_all(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the routes of the node that runs.

    Example: `intermodel routes`
    """
    if context.invoked_subcommand is None:
        list_(data, config, None, as_json)


@app.command("list")
def list_(data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """List the routes, with their candidates.

    Example: `intermodel routes list --json`
    """
    with reached(read_settings(data, config), url) as node:
        listed = node.get("/routes")["data"]
    if as_json:
        print_json(listed)
        return
    table = Table("name", "order", "candidates", "declared in", box=None)
    for one in listed:
        route = one["document"]
        shown = (one["name"], route.get("order", "fixed"), " → ".join(route["candidates"]), one["declared_in"])
        table.add_row(*map(cell, shown))
    out.print(table if listed else "None yet: `intermodel routes set NAME candidates=a,b`.")


@app.command()
def show(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Show what is declared of one route.

    Example: `intermodel routes show fast`
    """
    with reached(read_settings(data, config), url) as node:
        one = node.get(named("routes", name))
    if as_json:
        print_json(one)
        return
    out.print(cell(name, "bold"), cell(f" declared in {one['declared_in']}", "dim"))
    for key, value in one["document"].items():
        out.print(Text(f"  {plain(key)} = {plain(value)}"))


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
    """Declare a route, or change one; a file says all of it anew. Calls in progress go on undisturbed.

    Examples:

        intermodel routes set fast candidates=gpt,intermodel/pebble order=fastest

        intermodel routes set fast require.regions=eu weights.gpt=3
    """
    with reached(read_settings(data, config), url) as node:
        before = {} if file else _declared(node, name)
        one = node.put(named("routes", name), document_of(Route, name, pairs, file, before))
    if as_json:
        print_json(one)
    else:
        candidates = cell(f": {' → '.join(one['document']['candidates'])}")
        out.print(Text.assemble("Serving ", cell(name, "bold"), candidates), soft_wrap=True)


@app.command()
def remove(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Remove a route that was declared while the node runs.

    Example: `intermodel routes remove fast`
    """
    with reached(read_settings(data, config), url) as node:
        node.delete(named("routes", name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        out.print(cell(f"Removed {name}."))


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="A route, or the address of a model.")],
    needs: Annotated[str, typer.Option(help="What the call would need: tools,vision,...", show_default=False)] = "",
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Say who would answer a call, in which order and why. Nobody is called.

    Example: `intermodel routes explain fast --needs tools,vision`
    """
    asked = {"model": model, "needs": [need.strip() for need in needs.split(",") if need.strip()]}
    with reached(read_settings(data, config), url) as node:
        told = node.post("/explain", asked)
    if as_json:
        print_json(told)
        return
    order = f"route, order {told['order']}" if told["route"] else "called by its address"
    out.print(cell(told["model"], "bold"), cell(f" {order}", "dim"))
    out.print(candidates_of(told["candidates"]))


def candidates_of(candidates: list[dict[str, Any]]) -> Table:
    """The candidates in order, each with its reason."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for one in candidates:
        style = "" if one["fit"] else "dim"
        table.add_row(
            "[green]✓[/]" if one["fit"] else "[red]✗[/]", cell(one["address"]), cell(one["reason"]), style=style
        )
    return table


def _declared(node: Node, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = node.get(named("routes", name))["document"]
    except NotFound:
        return {}
    return found
