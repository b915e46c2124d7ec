"""Finds the text in a page, and reads robots.txt, in a process of its own that can be killed.

Extraction takes a second for most pages and minutes for one that is made for it (`<p>x<br>x<br>...`, 1.5 MB: 48 s), and
a thread cannot be stopped. So each page has a process that holds none of this node's keys and is bounded in time and
memory by the system as well. It is not a sandbox: it may read files and reach the network, as this process may.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from intermodel.core import Unavailable, Upstream
from intermodel.engines.environment import cleaned

MEMORY = 1024**3
"""Bytes of address space that it may take."""
ROBOTS_S = 5.0
_CHILD = Path(__file__).with_name("apart_child.py")
_NEEDS = ("protego", "trafilatura")


@dataclass(frozen=True, slots=True)
class Text:
    """What a page says, in something like Markdown. `title` and `published` (`2025-03-04`) are "" where unknown."""

    title: str
    text: str
    published: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """What a robots.txt says about one address. `delay_s` is the pause between requests that it asks for."""

    allowed: bool
    delay_s: float


async def text_of(data: bytes, *, kind: str, charset: str, url: str, name: str, seconds: float) -> Text:
    """The text of a page. `kind` is `html` or `plain`; `name` is how errors call the page.

    Raises `Upstream` where it takes too long, too much memory, or cannot be read.
    """
    order = {"what": kind, "charset": charset, "url": url}
    told = await _done(order, data, name, seconds, hint="It is too much, or made so. The bound is [writer] extract_s.")
    return Text(told["title"], told["text"], told["published"])


async def word_of(robots: bytes, *, url: str, agent: str, name: str) -> Word:
    """Whether `agent` may read `url`. Raises `Upstream` where the rules cannot be read in time."""
    told = await _done({"what": "robots", "url": url, "agent": agent}, robots, name, ROBOTS_S)
    return Word(told["allowed"], told["delay"] or 0.0)


def needs() -> None:
    """Raises `Unavailable` where what it works with is not installed."""
    missing = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"Reading pages needs the package {missing[0]}.",
            hint="pip install 'intermodel[writer]'",
            code="extra_missing",
        )


async def _done(order: dict[str, Any], data: bytes, name: str, seconds: float, *, hint: str = "") -> dict[str, Any]:
    needs()
    order |= {"cpu_s": math.ceil(seconds) + 1, "memory": MEMORY}
    child = await _started()
    try:
        async with asyncio.timeout(seconds):
            out, err = await child.communicate(orjson.dumps(order) + b"\n" + data)
    except TimeoutError:
        raise Upstream(
            f"{name} was not taken apart within {seconds:g} s.",
            hint=hint,
            code="page_unreadable",
        ) from None
    finally:
        await _ended(child)
    if child.returncode != 0:
        last = err.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
        raise Upstream(f"{name} cannot be taken apart: {last[0][:200]}.", code="page_unreadable")
    told: dict[str, Any] = orjson.loads(out)
    return told


async def _started() -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(_CHILD), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=cleaned()
        )
    except OSError as error:
        raise Unavailable(f"No process can be started for reading a page: {error.strerror}.") from None


async def _ended(child: Process) -> None:
    """No child is left, however it went."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await asyncio.shield(asyncio.ensure_future(child.communicate()))
