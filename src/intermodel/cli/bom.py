"""`intermodel bom`: bills of material for AI: made from a record, checked, and read."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, SaveTo, cell, out, print_json, read_settings, save_bytes
from intermodel.core import Invalid
from intermodel.core.errors import TooLarge
from intermodel.records.bom import Imported, checked, cyclonedx, described, from_cyclonedx, parsed, spdx3, written
from intermodel.records.bom.text import MOST_BYTES


class Format(StrEnum):
    """In which a bill of material is written."""

    CYCLONEDX = "cyclonedx"
    CYCLONEDX_1_7 = "cyclonedx-1.7"
    SPDX = "spdx"
    SPDX3 = "spdx3"


class _Group(TyperGroup):
    """`intermodel bom ADDRESS` is `intermodel bom export ADDRESS`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["export", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Group, no_args_is_help=True, help="Write, check and read bills of material (CycloneDX, SPDX 3).")

File = Annotated[Path, typer.Argument(help="A document in JSON.", show_default=False)]


@app.command()
def export(
    address: Annotated[str, typer.Argument(help="Of the model, as `intermodel models` has it.", show_default=False)],
    form: Annotated[
        Format, typer.Option("--format", help="CycloneDX 1.6, CycloneDX 1.7, or SPDX 3.0.1 by either name.")
    ] = (Format.CYCLONEDX),
    to: SaveTo = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Write a model's record as a bill of material. What is unknown stays unknown.

    Example: `intermodel bom acme/tiny --format spdx -o tiny.spdx.json`
    """
    with reached(read_settings(data, config), url) as node:
        record = described(node.get(named("records", address)))
    now = datetime.now(UTC)
    if form in (Format.SPDX, Format.SPDX3):
        document = spdx3(record, now)
    else:
        document = cyclonedx(record, now, "1.7" if form is Format.CYCLONEDX_1_7 else "1.6")
    save_bytes(written(document), to)


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Hold a file against the official schema of its format, CycloneDX 1.5 to 1.7 or SPDX 3.0.1.

    Exit code 1 if it is not valid.

    Example: `intermodel bom check tiny.cdx.json`
    """
    found = checked(parsed(_read(file)))
    if as_json:
        print_json(
            {"format": found.format, "version": found.version, "schema": found.schema, "valid": found.valid,
             "problems": list(found.problems)}
        )  # fmt: skip
    else:
        for problem in found.problems:
            out.print(cell(problem))
        word = "valid" if found.valid else "not valid"
        out.print(f"{found.format} {found.version}: {word} by the official schema ({found.schema}).")
    if not found.valid:
        raise typer.Exit(1)


@app.command("import")
def import_(
    file: File,
    subject: Annotated[str, typer.Option(help="Name or bom-ref of what is meant, if it holds several things.")] = "",
    as_json: Json = False,
) -> None:
    """Read a CycloneDX file (1.5 to 1.7) as a record's facts, each with its place in the file. Stores nothing.

    Example: `intermodel bom import vendor.cdx.json --json`
    """
    found = from_cyclonedx(parsed(_read(file)), subject)
    if as_json:
        print_json(found.document())
        return
    out.print(cell(found.name, "bold"))
    out.print(_facts(found))
    for note in found.notes:
        out.print(cell(note, "dim"), soft_wrap=True)


def _facts(found: Imported) -> Table:
    """A line for each fact that is known."""
    table = Table("what", "value", "where", box=None, pad_edge=False)
    document = found.document()
    facts: dict[str, Any] = {
        **document["what"], "licence": document["licence"], "licence it claims": document["declared"]
    }  # fmt: skip
    for name, fact in facts.items():
        if fact is not None:
            value = fact["value"]
            table.add_row(name, cell(", ".join(value) if isinstance(value, list) else value), cell(fact["source"]))
    for alg, value in found.hashes.items():
        table.add_row(cell(alg), cell(value), "")
    for name, told in found.disclosure.told.items():
        table.add_row(name, cell(told.text[:200] or told.presence.value), cell(told.source))
    for edge in found.graph.edges:
        table.add_row(cell(edge.how.value), cell(f"{edge.parent} → {edge.child}"), cell(edge.source))
    return table


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise TooLarge(f"{file} has {file.stat().st_size:,} bytes; {MOST_BYTES:,} are read.")
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.", hint="Is the path right?") from None
