"""How records are written: a line for people, or a JSON object for machines. Never a prompt, answer or token."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from intermodel.web.told import Tell, Told
from intermodel.web.told import log as log_of_requests

_HELD_S = 0.1
"""How long lines of requests may be held back. Killed in that time, a node loses them; receipts are the record."""
_HELD_LINES = 256
"""How many."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _OWN}


def _one_line(value: Any) -> str:
    """What others wrote (a path, an upstream's words) must not look like a line, or a terminal's command, of ours."""
    text = str(value)
    return text if text.isprintable() else repr(text)


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=str).decode()


class TextLines(logging.Formatter):
    """`12:00:01 INFO request method=POST path=/v1/models status=200`."""

    def format(self, record: logging.LogRecord) -> str:
        message, fields = record.getMessage(), _extra(record)
        said = f"{message}{''.join([f' {key}={value}' for key, value in fields.items()])}"
        if not said.isprintable():
            said = f"{_one_line(message)}{''.join(f' {key}={_one_line(value)}' for key, value in fields.items())}"
        line = f"{_clock(int(record.created))} {record.levelname} {said}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


@functools.lru_cache(maxsize=1)
def _clock(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


class Lines(logging.Handler):
    """Records go out at once, each in one write past Python's buffer; the lines of requests together, a little later.

    A line that finds no room is lost, and fails nothing later.
    """

    def __init__(self, style: str, to: int = 2) -> None:
        """`to` is a file descriptor."""
        super().__init__()
        self._to = to
        self.setFormatter(JsonLines() if style == "json" else TextLines())
        self._said = _json if style == "json" else _text
        self._held: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._held.append(f"{self.format(record)}\n")
        self._write()

    def tell(self, told: Told) -> None:
        """A line for a request, in the form of a record."""
        assert self.lock is not None
        with self.lock:  # records come from other threads too
            self._held.append(self._said(told))
            if len(self._held) == 1:
                asyncio.get_running_loop().call_later(_HELD_S, self.flush)
            elif len(self._held) >= _HELD_LINES:
                self._write()

    def flush(self) -> None:
        """Write what is held back. Called by `logging` at exit."""
        assert self.lock is not None
        with self.lock:
            self._write()

    def _write(self) -> None:
        lines, self._held = self._held, []
        with contextlib.suppress(OSError):
            data = memoryview("".join(lines).encode(errors="replace"))
            while data:
                data = data[os.write(self._to, data) :]


def _text(told: Told) -> str:
    said = (
        f"request method={told.method} path={told.path} status={told.status} ms={told.ms} request={told.request}"
        f"{f' caller={told.caller}' if told.caller else ''}{f' model={told.model}' if told.model else ''}"
    )
    if not said.isprintable():
        said = f"request{''.join(f' {key}={_one_line(value)}' for key, value in told.said().items())}"
    return f"{_clock(int(time.time()))} INFO {said}\n"


def _json(told: Told) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = {"time": now, "level": "info", "logger": log_of_requests.name, "message": "request", **told.said()}
    return f"{orjson.dumps(entry).decode()}\n"


def configure(level: str, style: str) -> Tell:
    """Send the records of this process to standard error; and what is told of requests, if `level` lets it through."""
    # what neither form tells need not be found out for each record (Logging HOWTO, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = Lines(style)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("alembic", "watchfiles", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler.tell if log_of_requests.isEnabledFor(logging.INFO) else lambda _: None
