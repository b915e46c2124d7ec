"""One line for each request that was answered. Never a prompt, answer or token."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """What the log says of a request; `caller` and `model` are empty where they are not known."""

    method: str
    path: str
    status: int
    """499 where the client left before the answer's end, as nginx has it."""
    ms: float
    request: str
    caller: str = ""
    model: str = ""

    def said(self) -> dict[str, str | int | float]:
        """What is known of it, by name."""
        return {name: value for name, value in self._asdict().items() if value != ""}


Tell = Callable[[Told], None]


def to_logging(told: Told) -> None:
    """A record of Python's `logging`, wherever that leads."""
    if log.isEnabledFor(logging.INFO):
        log.info("request", extra=told.said())
