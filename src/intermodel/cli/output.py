"""What verbs share: options, exit codes, and printing for people (rich) or machines (JSON)."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.text import Text

from intermodel.cli.running import noted
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
from intermodel.settings.load import CONFIG, default_config
from intermodel.storage import DataFolder

T = TypeVar("T")

WIDE = 200
"""Columns of tables that go to a file or a pipe, where nothing is cut off to fit a screen."""

out = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

Data = Annotated[Path | None, typer.Option("--data", help="Data folder.", show_default=False)]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar=CONFIG,
        help="Settings file. Default: that of the node that runs there, else intermodel.toml.",
        show_default=False,
    ),
]
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
_NO_FILE = Path(os.devnull)


def plain(text: Any, keep: str = "") -> str:
    """What others wrote (callers, upstreams), without commands to a terminal: those are shown as escapes."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in said)


def cell(text: Any, style: str = "") -> Text:
    """The same where rich would look for markup: in tables and in lines that are put together."""
    return Text(plain(text), style)


def on(at: float) -> str:
    """The day of a time, in words that follow others; nothing where it is not known."""
    return f" on {datetime.fromtimestamp(at, UTC):%Y-%m-%d}" if at else ""


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


SaveTo = Annotated[
    Path | None, typer.Option("--output", "-o", "--out", help="File to write.", show_default="standard output")
]


def save(document: Any, to: Path | None) -> None:
    """Write a document as JSON into a file, or to standard output. Raises `Invalid` where that cannot be written."""
    save_bytes(orjson.dumps(document), to)


def save_bytes(written: bytes, to: Path | None) -> None:
    """The same for bytes. All of a file or nothing of it: beside it first, then in its place. Says so on standard
    error, so that what is piped stays what was asked for."""
    if to is None:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
        return
    try:
        if to.exists() and not to.is_file():  # a device or a pipe cannot be replaced
            to.write_bytes(written)
        else:
            _replace(to.resolve(), written)
    except OSError as error:
        hint = "Is there room, and may you? Else choose another place with --output."
        raise Invalid(f"{to} cannot be written: {error.strerror}.", hint=hint) from None
    err.print(cell(f"Wrote {to}: {len(written):,} bytes."), soft_wrap=True)


def _replace(file: Path, content: bytes) -> None:
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(beside).replace(file)
    finally:
        Path(beside).unlink(missing_ok=True)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def read_settings(data: Path | None, config: Path | None) -> Settings:
    """The settings of the node that is meant: those that were named, else those of the node that runs there."""
    return settings_and_source(data, config)[0]


def settings_and_source(data: Path | None, config: Path | None) -> tuple[Settings, Path]:
    """The same, and the file they stand in, if it is there."""
    if config is None:
        folder = DataFolder(data or load(None).data)
        if running := noted(folder):
            # started without a file, it is not to be met with one that lies about here
            config, source = _NO_FILE, Path(running.cwd) / "intermodel.toml"
            if running.config:
                config = source = Path(running.config)
            return load(config, data=folder.path), source
    return load(config, data=data), config or default_config()
