"""A real Chromium on a real node. The console of every page must stay empty."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from intermodel.settings import Deployment, Route
from tests.support import Running, running, settings_for

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> <b>bold</b> &amp; </p></article> [link](javascript:alert(3))"
)
LONG = "unbroken" * 200
SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "steady": [{"content": "one two three four five six seven eight", "delay_s": 0.1}],
    "slow": [{"content": " ".join(map(str, range(200))), "delay_s": 0.1}],
    "hostile": [{"content": HOSTILE}],
    "long": [{"content": f"{LONG}\n\n{' '.join(map(str, range(400)))}"}],
    "breaking": [{"content": "this was going well until", "break_after": 3}],
    "failing": [{"fail": 503}],
}

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=15_000)  # a busy machine is slow, not wrong
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("browser")
    deployments = {"echo": Deployment(provider="echo", context_length=2048)}
    for name, entries in SCRIPTS.items():
        script = folder / f"{name}.json"
        script.write_text(json.dumps(entries))
        deployments[f"test/{name}"] = Deployment(provider="echo", script=script)
    deployments["test/a-model-with-a-name-so-long-that-no-telephone-shows-it-in-one-line-2026-instruct"] = Deployment(
        provider="echo"
    )
    routes = {"quick": Route(candidates=("echo",))}
    with running(settings_for(folder / "data", deployments=deployments, routes=routes)) as served:
        yield served


class Console:
    """What pages wrote to the console. `allow` names what a test provokes, as a regular expression."""

    def __init__(self) -> None:
        self._allowed: list[str] = []
        self._said: list[str] = []

    def allow(self, pattern: str) -> None:
        self._allowed.append(pattern)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._said.append(f"{message.type}: {message.text}")

    def crash(self, error: Exception) -> None:
        self._said.append(f"uncaught: {error}")

    @property
    def complaints(self) -> list[str]:
        return [s for s in self._said if not any(re.search(p, s) for p in self._allowed)]


@pytest.fixture
def console() -> Iterator[Console]:
    heard = Console()
    yield heard
    assert heard.complaints == []


@pytest.fixture
def open_page(
    chromium: Browser, node: Running, console: Console, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Open]:
    """Opens a path in a new browser profile, signed in by a link unless told otherwise."""
    contexts = []

    def open_page(path: str = "/", *, signed_in: bool = True, **options: Any) -> Page:
        context = chromium.new_context(base_url=node.url, **({"viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        context.set_default_timeout(15_000)
        context.on("console", console.hear)
        page = context.new_page()
        page.on("pageerror", console.crash)
        page.goto(f"/signin?code={node.node.auth.make_code()}&next={quote(path)}" if signed_in else path)
        return page

    yield open_page
    for context in contexts:
        context.close()
