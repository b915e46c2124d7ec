"""Playing a run of the writer in this process, and stopping it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typer

from intermodel.cli.door import Door
from intermodel.cli.output import EXIT_INTERRUPTED, cell, err
from intermodel.cli.progress import Progress, show_estimate
from intermodel.core import Invalid
from intermodel.settings import Writer
from intermodel.writer.estimate import Estimate
from intermodel.writer.values import Brief

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Way:
    """How this command was called, so that the next one meets the same node: what it prints can be pasted."""

    data: Path | None
    config: Path | None
    url: str | None

    def again(self, folder: Path, *words: str) -> str:
        """The command that goes on with the run in a folder."""
        given = (("--data", self.data), ("--config", self.config), ("--url", self.url))
        options = [word for name, value in given if value is not None for word in (name, str(value))]
        return shlex.join([program(), "write", "--resume", str(folder), *words, *options])


def program() -> str:
    """This program as a shell finds it: by its name, or where it lies."""
    called = Path(sys.argv[0])
    found = shutil.which("intermodel")
    if called.name != "intermodel" or not called.is_file() or (found and called.samefile(found)):
        return "intermodel"
    return str(called.absolute())


def searchable(settings: Writer, names: Sequence[str]) -> None:
    """Raises `Invalid` for what cannot be searched with: no back end has that name, or it lacks its address or key."""
    from intermodel.writer.search import connect

    async def close() -> None:
        for one in connect(settings, names):
            await one.close()

    asyncio.run(close())


def agree(told: Estimate, budget: str, *, yes: bool) -> None:
    """Show what it may take, and ask whether to begin. What is free needs no question.

    Raises `Invalid` where there is nobody to ask and nobody has said yes."""
    show_estimate(told, budget)
    if yes or (told.dollars is not None and told.dollars[1] == 0):
        return
    if not sys.stdin.isatty():
        raise Invalid(
            "This costs money, or may, and there is no terminal to ask at.", hint="Say --yes to begin without asking."
        )
    if not typer.confirm("Begin?", err=True):
        err.print("Nothing was begun.")
        raise typer.Exit(1)


async def played(door: Door, brief: Brief, folder: Path, *, quiet: bool) -> None:
    """Start a run or go on with it, with its progress on standard error unless `quiet`. Raises what `go_on` does."""
    import pydantic_ai

    from intermodel.writer.fetch import Pages  # the extra's packages, slow to import
    from intermodel.writer.run import go_on
    from intermodel.writer.search import connect

    pydantic_ai.BANNER_ENABLED = False  # else it advertises on the terminal
    settings = door.settings.writer
    searches = connect(settings, brief.search)
    fetch = Pages(settings)
    try:
        async with Progress(folder, quiet=quiet).shown():
            await go_on(folder, brief, door, searches, fetch)
    finally:
        await fetch.close()
        for one in searches:
            await one.close()


def interruptible(work: Coroutine[Any, Any, T], again: str) -> T:
    """Run it; Ctrl-C and SIGTERM end it where it is, and say how to go on: with the command `again`."""

    async def bounded() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await work
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    try:
        return asyncio.run(bounded())
    except (KeyboardInterrupt, asyncio.CancelledError):
        err.print(cell(f"Stopped. Go on with: {again}"), soft_wrap=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
