"""JSON schemas of callers, checked in a process of their own under a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

CHECKER = Path(__file__).with_name("check_schema.py")
TIMEOUT_S = 3.0
START_S = 10.0
LINE_BYTES = 64 * 1024


class Schemas:
    """One checking process, started with the first question. `await close()` at the end."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def complaint(self, schema: Any, text: str | None = None) -> str:
        """What is wrong with `schema`, or with `text` measured by it; empty if nothing is.

        Checks that take too long or too much memory are a complaint too.
        """
        line = json.dumps([schema, text]).encode() + b"\n"
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
