"""A node as people run it: the command `intermodel up` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests import made

COMMAND = [str(Path(sys.executable).with_name("intermodel"))]


@dataclass
class Up:
    """A running `intermodel up` and what its first line said."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    log: Path
    token: str

    @property
    def api(self) -> str:
        return f"{self.said['url']}/v1"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def children(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(15)


def intermodel(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **more
    )


@contextlib.contextmanager
def up(
    data: Path, *arguments: str, config: str = "", environ: dict[str, str] | None = None, first: bool = False
) -> Iterator[Up]:
    """A node on a free port, killed at the end of the block if it still runs.

    `first`: it makes its database itself, as on a person's machine, which takes a second more.
    """
    data.mkdir(parents=True, exist_ok=True)
    if not first and "database" not in config:
        made.put(data / "intermodel.db")
    settings = data.parent / f"{data.name}.toml"
    settings.write_text(config)
    log = data.parent / f"{data.name}.log"
    token = (environ or {}).get("INTERMODEL_TOKEN", "")
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*COMMAND, "up", "--json", "--port", "0", "--data", str(data), "--config", str(settings), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | (environ or {}),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        said = json.loads(line)
        yield Up(process, said, log, token or said.get("token", ""))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
