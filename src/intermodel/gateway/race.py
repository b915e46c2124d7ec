"""Several places asked the same at once: the first to answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from intermodel.gateway.account import Attempt
from intermodel.gateway.asking import Asked
from intermodel.gateway.attempts import Failed

Asking = asyncio.Task[tuple[Asked, Attempt]]


async def first_to_succeed(tasks: set[Asking], failed: Callable[[Failed], bool]) -> Asking:
    """The task that ends first without an error. Raises the last error, or one after which `failed` gives up."""
    waiting = set(tasks)
    while True:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        errors = [error for task in done if (error := task.exception()) is not None]
        if len(errors) < len(done):
            return next(task for task in done if task.exception() is None)
        for error in errors if waiting else errors[:-1]:
            if not isinstance(error, Failed) or not failed(error):
                raise error
        if not waiting:
            raise errors[-1]
