"""A bound on the time of a piece of work, which costs a call next to nothing while it holds."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """`with Deadline(2.0):` raises `TimeoutError` where its block takes longer; `asyncio.timeout`, pared down."""

    __slots__ = ("_cancelling", "_late", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        # a cancellation from elsewhere, besides ours, goes on
        if self._late and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def _expire(self) -> None:
        self._late = True
        self._task.cancel()
