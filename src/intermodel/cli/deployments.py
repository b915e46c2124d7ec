"""`intermodel deployments`: where models can be called, in the node that runs."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Node, Url, named, reached
from intermodel.cli.output import Config, Data, Json, cell, err, out, plain, print_json, read_settings
from intermodel.cli.pairs import File, Pairs, document_of
from intermodel.core import NotFound
from intermodel.settings import Deployment

app = typer.Typer(help="List, declare, change, remove and try deployments of the node that runs.")

Name = Annotated[str, typer.Argument(help="Name of the deployment.")]
_PHASE = {"closed": ("well", "green"), "half_open": ("to be tried", "yellow")}


@app.callback(invoke_without_command=True)
def show_all(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the deployments of the node that runs.

    Example: `intermodel deployments`
    """
    if context.invoked_subcommand is None:
        list_(data, config, None, as_json)


@app.command("list")
def list_(data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """List the deployments: how each stands, what it costs, where it is declared.

    Example: `intermodel deployments list --json`
    """
    with reached(read_settings(data, config), url) as node:
        listed = node.get("/deployments")["data"]
    if as_json:
        print_json(listed)
        return
    table = Table("name", "state", "first token", "tokens/s", "errors", "$ in / out (1 M)", "declared in", box=None)
    for one in listed:
        standing = one["standing"]
        table.add_row(
            cell(one["name"]),
            _state(one),
            f"{standing['first_token_s']:.2f} s" if standing["first_token_s"] is not None else "",
            f"{standing['rate']:.0f}" if standing["rate"] else "",
            f"{standing['error_ratio']:.0%}" if standing["samples"] or standing["error_ratio"] else "",
            cell(price_of(one)),
            cell(one["declared_in"]),
        )
    out.print(table if listed else "None yet: `intermodel deployments set NAME base_url=... model=...`.")
    for one in listed:
        if one["problem"]:
            err.print(Text.assemble(cell(f"{one['name']}: ", "bold red"), cell(one["problem"], "red")), soft_wrap=True)


@app.command()
def show(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Show one deployment: what is declared of it, and how it stands.

    Example: `intermodel deployments show gpt`
    """
    with reached(read_settings(data, config), url) as node:
        one = node.get(named("deployments", name))
    if as_json:
        print_json(one)
        return
    out.print(Text("  ").join([cell(name, "bold"), _state(one), cell(f"declared in {one['declared_in']}", "dim")]))
    for key, value in (one["document"] or {}).items():
        out.print(Text(f"  {plain(key)} = {plain(value)}"))
    out.print(Text.assemble(("  price ", "dim"), cell(price_of(one) or "not known")))
    if one["problem"]:
        err.print(cell(one["problem"], "red"))


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
    """Declare a deployment, or change one; a file says all of it anew. Calls in progress go on undisturbed.

    Keys are named, never given: a variable of the node (key_env), a file in the folder `keys` of its data folder
    (key_file), an entry of the system's keyring (key_keyring).

    Examples:

        intermodel deployments set gpt base_url=https://api.openai.com/v1 model=gpt-5 key_env=OPENAI_API_KEY

        intermodel deployments set gpt price.input=1.25 price.output=10 region=us

        intermodel deployments set here --file vllm.toml
    """
    with reached(read_settings(data, config), url) as node:
        before = {} if file else _declared(node, name)
        one = node.put(named("deployments", name), document_of(Deployment, name, pairs, file, before))
    if as_json:
        print_json(one)
    else:
        out.print(Text.assemble("Serving ", cell(name, "bold"), "."), soft_wrap=True)
        out.print(Text.assemble("Try it: ", cell(f"intermodel deployments test {name}", "green")), soft_wrap=True)


@app.command()
def remove(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Remove a deployment that was declared while the node runs.

    Example: `intermodel deployments remove gpt`
    """
    with reached(read_settings(data, config), url) as node:
        node.delete(named("deployments", name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        out.print(cell(f"Removed {name}."))


@app.command("test")
def try_(name: Name, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Ask a deployment one short question and say how it went. The call is real: it costs what it costs.

    Example: `intermodel deployments test gpt`
    """
    with reached(read_settings(data, config), url) as node:
        one = node.get(named("deployments", name))
        began = time.monotonic()
        answer = node.ask("POST", *_question(name, one["capabilities"]))
        seconds = time.monotonic() - began
        receipt = node.get(named("receipts", answer.headers["x-intermodel-receipt"]))
    result = {
        "name": name,
        "ok": True,
        "seconds": round(seconds, 3),
        "dollars": receipt["dollars"]["spent"],
        "receipt": receipt["id"],
    }
    if as_json:
        print_json(result)
    else:
        cost = "at a cost that is not known" if result["dollars"] is None else f"for ${result['dollars']}"
        said = f" answered in {seconds:.2f} s {cost}."
        out.print(Text.assemble(("✓ ", "green"), cell(name, "bold"), cell(said)), soft_wrap=True)
        out.print(cell(f"  intermodel receipts show {receipt['id']}", "dim"))


def _declared(node: Node, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = node.get(named("deployments", name))["document"] or {}
    except NotFound:
        return {}
    return found


def _question(name: str, capabilities: list[str]) -> tuple[str, dict[str, Any]]:
    if capabilities and "chat" not in capabilities and "embedding" in capabilities:
        return "/v1/embeddings", {"model": name, "input": "yes"}
    question = {"role": "user", "content": "Answer with the one word yes."}
    return "/v1/chat/completions", {"model": name, "messages": [question]}


def _state(one: dict[str, Any]) -> Text:
    standing = one["standing"]
    if one["problem"]:
        return Text("cannot be used", "red")
    if standing["phase"] in _PHASE:
        return Text(*_PHASE[standing["phase"]])
    return Text.assemble((f"rests {standing['rests_s']:.0f} s", "red"), cell(f" ({standing['reason']})", "dim"))


def price_of(one: dict[str, Any]) -> str:
    return f"{one['price']['input']} / {one['price']['output']}" if one["price"] else ""
