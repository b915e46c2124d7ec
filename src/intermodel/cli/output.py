"""What verbs share: options, exit codes, and printing for people (rich) or machines (JSON)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.text import Text

from intermodel.core import (
    Conflict,
    IntermodelError,
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    Upstream,
)
from intermodel.settings import Settings, load

T = TypeVar("T")

WIDE = 200
"""Columns of tables that go to a file or a pipe, where nothing is cut off to fit a screen."""

out = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

Data = Annotated[Path | None, typer.Option("--data", help="Data folder.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file (intermodel.toml).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document, for scripts.")]

EXIT: dict[type[IntermodelError], int] = {
    Invalid: 2,
    NotFound: 3,
    Unauthenticated: 4,
    Refused: 4,
    Conflict: 5,
    Unavailable: 5,
    Upstream: 6,
    IntermodelError: 1,
}
EXIT_INTERRUPTED = 130


def plain(text: Any, keep: str = "") -> str:
    """What others wrote (callers, upstreams), without commands to a terminal: those are shown as escapes."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in said)


def cell(text: Any, style: str = "") -> Text:
    """The same where rich would look for markup: in tables and in lines that are put together."""
    return Text(plain(text), style)


def exit_code(error: IntermodelError) -> int:
    return next(EXIT[kind] for kind in type(error).__mro__ if kind in EXIT)


def fail(error: IntermodelError, *, as_json: bool) -> int:
    """Say what happened and what to do; returns the exit code."""
    if as_json:
        print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
    else:
        err.print("[bold red]Error:[/]", end=" ")
        err.print(plain(error.message, "\n"), markup=False, emoji=False)
        if error.hint:
            err.print(plain(error.hint, "\n"), markup=False, emoji=False, style="dim")
    return exit_code(error)


def print_json(data: Any) -> None:
    """One line of JSON on standard output."""
    typer.echo(orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z).decode())


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def read_settings(data: Path | None, config: Path | None, **overrides: Any) -> Settings:
    return load(config, data=data, **overrides)
