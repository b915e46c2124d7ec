"""How records are written: a line for people, or a JSON object for machines. Never a prompt, answer or token."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson

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


class _Lines(logging.Handler):
    """Each record in one write, past Python's buffer: a line that finds no room is lost, and fails nothing later."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), f"{self.format(record)}\n".encode(errors="replace"))


def configure(level: str, style: str) -> None:
    """Send the records of this process to standard error."""
    # what neither form tells need not be found out for each record (Logging HOWTO, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = _Lines()
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("alembic", "watchfiles", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
