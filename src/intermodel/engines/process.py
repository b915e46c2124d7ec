"""Starting, asking and ending the child process that runs one llama.cpp server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from intermodel.engines import environment, sockets
from intermodel.engines.facts import Model
from intermodel.engines.plan import Parameters

CHILD = Path(__file__).with_name("child.py")
LOG_BYTES = 1024**2
LOG_KEPT = LOG_BYTES // 4
LAST_LINES = 6
STOP_S = 2.0
SPARE_CONNECTIONS = 4
PAGE = os.sysconf("SC_PAGE_SIZE")


_ROUTINE = re.compile(r"[\d.]+ [WID] ")
"""llama.cpp's lines below the level of errors."""
_STAMP = re.compile(r"^[\d.]+ E ")


class Ended(Exception):
    """The child ended, or did not get ready; the text says how, with its last words."""


class Process:
    """A running llama.cpp server that has said it is ready."""

    def __init__(self, child: asyncio.subprocess.Process, socket: Path, log: Path) -> None:
        self._child = child
        self.socket = socket
        self.log = log

    @classmethod
    async def start(cls, model: Model, wanted: Parameters, *, log: Path, timeout_s: float) -> Process:
        """Start a child and wait until its model is loaded. Raises `Ended`; no child is left then."""
        try:
            socket = sockets.new()
            try:
                child = await _spawn(model, wanted, log)
            except BaseException:
                sockets.discard(socket)
                raise
        except OSError as error:
            raise Ended(f"no process could be made: {error.strerror}") from error
        process = cls(child, socket, log)
        try:
            await process._until_ready(model, wanted, timeout_s)
        except BaseException:
            await process.stop()
            raise
        return process

    async def _until_ready(self, model: Model, wanted: Parameters, timeout_s: float) -> None:
        assert self._child.stdin
        assert self._child.stdout
        orders: dict[str, Any] = asdict(wanted) | {
            "path": str(model.path),
            "address": model.address,
            "socket": str(self.socket),
            "connections": connections(wanted.slots) + SPARE_CONNECTIONS,
            "parent": os.getpid(),
        }
        try:
            async with asyncio.timeout(timeout_s):
                self._child.stdin.write(json.dumps(orders).encode() + b"\n")
                ready = await self._child.stdout.readline() == b"ready\n"
        except TimeoutError:
            raise Ended(f"it was not ready after {timeout_s:.0f} s") from None
        except ConnectionError:
            ready = False
        if not ready:
            raise Ended(await self.ended())
        if not await is_healthy(self.socket, timeout_s):
            raise Ended("it said it was ready and does not answer")

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        return self._child.returncode is None

    @property
    def rss_bytes(self) -> int:
        """Memory in use now; 0 where the system does not say."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError, ValueError):
            return 0

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time used so far, by all threads; None where the system does not say (it does on Linux)."""
        if sys.platform != "linux" or not self.is_alive:
            return None
        try:
            return time.clock_gettime(~self.pid << 3 | 2)  # clock_getcpuclockid(3); /proc counts in ticks of 10 ms
        except OSError:
            return None

    async def ended(self) -> str:
        """Wait for the end; says how it came and what the log says last."""
        code = await self._child.wait()
        sockets.discard(self.socket)
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        last = last_lines(self.log)
        return f"{how}: {last}" if last else how

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    async def stop(self) -> None:
        """End the child: by request, then by force. Returns when it is gone, also if the caller is cancelled."""
        ending = asyncio.ensure_future(self._stop())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            self.kill()
            await ending
            raise

    async def _stop(self) -> None:
        if self._child.stdin:
            self._child.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._child.wait()
        except TimeoutError:
            self.kill()
            await self._child.wait()
        sockets.discard(self.socket)


async def is_healthy(socket: Path, timeout_s: float) -> bool:
    """Whether the server on `socket` answers /health with 200 in time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _answers(socket)
    except (OSError, TimeoutError):
        return False


def connections(slots: int) -> int:
    """Calls let through to one engine at once: enough that a free slot always finds the next one waiting there."""
    return 2 * slots


def begin_log(log: Path, model: Model) -> None:
    """Open a chapter in the log, within its bounds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(f"--- {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} start of {model.address} {model.digest}\n")
    trim(log)


def trim(log: Path) -> None:
    """Cut a log that has grown over its bound down to its end; its writer appends, and is not disturbed."""
    try:
        if log.stat().st_size <= LOG_BYTES:
            return
        with log.open("r+b") as file:
            file.seek(-LOG_KEPT, os.SEEK_END)
            kept = file.read().partition(b"\n")[2]
            file.seek(0)
            file.write(kept)
            file.truncate()
    except OSError:
        return  # a log that cannot be cut is no reason to fail a call


def last_lines(log: Path) -> str:
    """What the log says last, since the last start, as one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    chapter = text.rpartition("\n--- ")[2] if "\n--- " in text else text.removeprefix("--- ")
    lines = [_STAMP.sub("", line).strip() for line in chapter.splitlines()[1:] if not _ROUTINE.match(line)]
    lines = [line for line in lines if line]
    return " | ".join(lines[-LAST_LINES:]).rstrip(".")


async def _spawn(model: Model, wanted: Parameters, log: Path) -> asyncio.subprocess.Process:
    begin_log(log, model)
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            env=_environment(wanted.threads),
            start_new_session=True,  # Ctrl-C in a terminal is for the node, which then ends its engines
        )


async def _answers(socket: Path) -> bool:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


def _environment(threads: int) -> dict[str, str]:
    # idle OpenMP threads that spin cost a factor of thirty when cores are shared
    return environment.cleaned() | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(threads)}
