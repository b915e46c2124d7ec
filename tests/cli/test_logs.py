"""Lines of requests are written together, and look like the records that they stand for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from intermodel.cli.logs import JsonLines, Lines, TextLines
from intermodel.web.told import Told, to_logging

TOLD = Told("POST", "/v1/chat/completions", 200, 0.25, "0123456789abcdef", "a1", "owner/name")
TOLDS = [TOLD, Told("GET", "/", 499, 12.0, "r"), Told("GET", "/\n08:00 INFO forged \x1b[31m", 404, 1.5, "r")]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[str]]:
    with (tmp_path / "log").open("w+") as opened:
        yield opened


def told_in(log: IO[str]) -> list[str]:
    log.seek(0)
    return log.read().splitlines()


@pytest.mark.parametrize("style", ["text", "json"])
async def test_a_line_is_as_that_of_the_record(style: str, log: IO[str], caplog: pytest.LogCaptureFixture) -> None:
    lines = Lines(style, log.fileno())
    with caplog.at_level(logging.INFO):
        for told in TOLDS:
            to_logging(told)
            lines.tell(told)
    lines.flush()
    formatter = JsonLines() if style == "json" else TextLines()
    expected = [formatter.format(record) for record in caplog.records if record.message == "request"]
    got = told_in(log)
    assert [_timeless(line) for line in got] == [_timeless(line) for line in expected]
    assert len(got) == len(TOLDS)


async def test_lines_wait_a_little_and_stay_in_order(log: IO[str]) -> None:
    lines = Lines("json", log.fileno())
    lines.tell(TOLD)
    assert told_in(log) == []
    lines.handle(logging.makeLogRecord({"msg": "later", "levelname": "WARNING"}))
    assert [json.loads(line)["message"] for line in told_in(log)] == ["request", "later"]
    lines.tell(TOLD)
    await asyncio.sleep(0.3)
    assert len(told_in(log)) == 3
    for _ in range(1000):
        lines.tell(TOLD)
    assert len(told_in(log)) > 500
    lines.flush()
    assert len(told_in(log)) == 1003


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - a device
async def test_a_full_disk_fails_nothing() -> None:
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123, ASYNC230 - a device
        lines = Lines("text", full.fileno())
        for _ in range(1000):
            lines.tell(TOLD)
        lines.handle(logging.makeLogRecord({"msg": "x", "levelname": "INFO"}))
        lines.flush()


def _timeless(line: str) -> str:
    return re.sub(r'^\d\d:\d\d:\d\d|"time":"[^"]*"', "", line)
