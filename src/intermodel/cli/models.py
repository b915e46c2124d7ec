"""`intermodel models`: what this node can call, and the model files of this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from intermodel.cli.local import library_of
from intermodel.cli.output import Config, Data, Json, err, out, print_json, read_settings, run
from intermodel.core import Conflict
from intermodel.engines import Model
from intermodel.settings import Settings
from intermodel.storage import DataFolder

app = typer.Typer(help="List, add and remove models. A running node notices within two seconds.")


@app.callback(invoke_without_command=True)
def show(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the models of this machine, and the deployments and routes of the settings file that is read here.

    Example: `intermodel models`
    """
    if context.invoked_subcommand is None:
        _show(read_settings(data, config), as_json=as_json)


@app.command("list")
def list_(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the models of this machine, and the deployments and routes of the settings file that is read here.

    Example: `intermodel models list --json`
    """
    _show(read_settings(data, config), as_json=as_json)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A GGUF file, or the folder of a Hugging Face model (Llama type).")],
    address: Annotated[
        str | None, typer.Option("--as", help="Address, such as acme/tiny.", show_default="local/<file>")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Leave the file where it is instead of copying it.")] = False,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Serve a model file. It is copied into the data folder, and its digest is checked before every load.

    Examples:

        intermodel models add ~/Downloads/qwen2.5-0.5b-instruct-q8_0.gguf

        intermodel models add ./my-llama-finetune --as acme/helper
    """
    settings = read_settings(data, config)

    async def work() -> Model:
        async with library_of(settings) as library:
            with Progress(
                TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                console=err, transient=True, disable=as_json,
            ) as bar:  # fmt: skip
                task = bar.add_task(path.name, total=path.stat().st_size if path.is_file() else None)
                return await library.add(
                    path,
                    address=address,
                    keep="link" if link else "copy",
                    progress=lambda done: bar.update(task, completed=done),
                )

    model = run(work())
    if as_json:
        print_json(_as_dict(model))
    else:
        out.print(f"Serving [bold]{model.address}[/]  [dim]{model.digest}[/]", soft_wrap=True)
        out.print(f"Try it: [green]intermodel chat -m {model.address}[/]")


@app.command()
def remove(
    address: Annotated[str, typer.Argument(help="Address of a model of this machine.")],
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Stop serving a model file and delete the node's copy. A linked file stays where it is.

    Example: `intermodel models remove local/tiny`
    """
    settings = read_settings(data, config)

    async def work() -> None:
        async with library_of(settings) as library:
            model = await library.find(address)
            watched = settings.engines.watch or DataFolder(settings.data).models
            if model.path.is_relative_to(watched.expanduser().absolute()) and model.path.exists():
                raise Conflict(
                    f"'{address}' is served because its file lies in the watched folder.",
                    hint=f"Move or delete {model.path}; it would be back otherwise.",
                    code="model_is_watched",
                )
            await library.remove(address)

    run(work())
    if as_json:
        print_json({"address": address, "removed": True})
    else:
        out.print(f"Removed {address}.", markup=False)


def _show(settings: Settings, *, as_json: bool) -> None:
    async def work() -> list[Model]:
        async with library_of(settings) as library:
            return await library.all()

    listed = run(work())
    if as_json:
        local = [_as_dict(model) for model in listed]
        remote = [{"address": n, "kind": "deployment", "base_url": d.base_url} for n, d in settings.deployments.items()]
        routes = [{"address": n, "kind": "route", "candidates": a.candidates} for n, a in settings.routes.items()]
        print_json(local + remote + routes)
        return
    table = Table("address", "where", "size", "about", box=None)
    for m in listed:
        facts = m.facts
        table.add_row(
            m.address,
            "this machine",
            f"{m.size / 1e6:,.1f} MB",
            f"{facts.architecture}, {facts.parameters:,} parameters",
        )
    for name, deployment in settings.deployments.items():
        table.add_row(name, deployment.base_url or deployment.provider, "", deployment.model)
    for name, route in settings.routes.items():
        table.add_row(name, "route", "", " → ".join(route.candidates))
    out.print(table if table.row_count else "Nothing yet. Add a model with `intermodel models add FILE.gguf`.")


def _as_dict(model: Model) -> dict[str, object]:
    return {**asdict(model), "kind": "local", "path": str(model.path)}
