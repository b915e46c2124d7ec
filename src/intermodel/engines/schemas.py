"""JSON schemas of callers, checked in a process of their own under a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import orjson

from intermodel.engines import environment

CHECKER = Path(__file__).with_name("check_schema.py")
TIMEOUT_S = 3.0
START_S = 10.0
LINE_BYTES = 64 * 1024
SMALL_SCHEMA, LARGEST_SCHEMA = 8 * 1024, 128 * 1024
"""Bytes. A dense schema takes about 30 ms a KiB, so small ones never wait for large ones."""


class Schemas:
    """Two checking processes, each started with its first question. `await close()` at the end."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._small, self._large = _Checker(timeout_s), _Checker(timeout_s)

    async def complaint(self, schema: Any, text: str | None = None) -> str:
        """What is wrong with `schema`, or with `text` measured by it; empty if nothing is.

        Schemas that are too large, and checks that take too long or too much memory, are a complaint too.
        """
        try:
            told = orjson.dumps(schema)
        except TypeError:  # orjson goes 254 levels down
            return "it is nested too deeply"
        if len(told) > LARGEST_SCHEMA:
            return f"it has {len(told)} bytes, and {LARGEST_SCHEMA} are the most that is checked"
        checker = self._small if len(told) <= SMALL_SCHEMA else self._large
        return await checker.ask(b"[" + told + b"," + orjson.dumps(text) + b"]\n")

    async def close(self) -> None:
        await self._small.close()
        await self._large.close()


class _Checker:
    """One process, which answers one question at a time."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, line: bytes) -> str:
        async with self._turn:
            try:
                child = await self._running()
                async with asyncio.timeout(self._timeout_s):
                    return await _ask(child, line)
            except (TimeoutError, OSError, ValueError):
                await self._end()
                return f"it could not be checked within {self._timeout_s:g} s"
            except asyncio.CancelledError:
                await self._end()  # its answer to this question must not be taken for the next one's
                raise

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                str(CHECKER),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment.cleaned(),
                start_new_session=True,
                limit=LINE_BYTES,
            )
            async with asyncio.timeout(START_S):
                await _ask(self._child, b"[true, null]\n")
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin
        child.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _ask(child: asyncio.subprocess.Process, line: bytes) -> str:
    assert child.stdin
    assert child.stdout
    child.stdin.write(line)
    await child.stdin.drain()
    return str(json.loads(await child.stdout.readline()))
