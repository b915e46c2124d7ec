"""Playing a run of the writer in this process, and stopping it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import typer

from intermodel.cli.door import Door
from intermodel.cli.output import EXIT_INTERRUPTED, cell, err
from intermodel.cli.progress import Progress
from intermodel.writer.values import Brief

T = TypeVar("T")


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
