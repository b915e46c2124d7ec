"""`intermodel doctor`: look the node over and say how to mend what is wrong."""

from __future__ import annotations

import asyncio

import typer

from intermodel.cli.output import Config, Data, Json, out, print_json, settings_and_source
from intermodel.doctor import Level, examine

_MARK = {Level.GOOD: "[green]✓[/]", Level.DOUBT: "[yellow]![/]", Level.BAD: "[red]✗[/]"}


def doctor(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Check settings, data folder, disk, port, database, model files, llama.cpp and deployments.

    Says how to mend what is wrong. Changes nothing. Exit code 1 if something is.

    Example: `intermodel doctor --json`
    """
    findings = asyncio.run(examine(*settings_and_source(data, config)))
    if as_json:
        print_json([{"check": f.check, "level": f.level.value, "found": f.found, "mend": f.mend} for f in findings])
    else:
        for f in findings:
            out.print(f"{_MARK[f.level]} [bold]{f.check}[/]:", end=" ")
            out.print(f.found, markup=False, soft_wrap=True)
            if f.mend:
                out.print(f"  → {f.mend}", markup=False, style="dim", soft_wrap=True)
    if any(f.level is Level.BAD for f in findings):
        raise typer.Exit(1)
