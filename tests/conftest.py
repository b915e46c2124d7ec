"""Guards around every test: the network is loopback, and the environment holds none of the user's settings."""

from __future__ import annotations

import functools
import gc
import ipaddress
import itertools
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from hypothesis import HealthCheck, settings

from tests import made
from tests.support import Running, running, settings_for
from tests.upstream import Upstream, upstream

SHARE = 4
"""The everyday suite tries one in so many of a property's examples, the same ones in every run; `make slow` tries all
of them, and others each time (--hypothesis-profile full). How long one takes is the machine's business."""
_ANY_MACHINE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("full", **_ANY_MACHINE)
settings.register_profile("everyday", max_examples=100 // SHARE, derandomize=True, **_ANY_MACHINE)
settings.load_profile("everyday")


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore Ctrl-C, and so would every process of the tests."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that name a number of examples their share of it too."""
    if not settings().derandomize:
        return
    for item in items:
        test = getattr(item, "obj", None)
        asked = getattr(test, "_hypothesis_internal_use_settings", None)
        if asked is not None and asked.max_examples > settings().max_examples:
            few = max(asked.max_examples // SHARE, settings().max_examples)
            test._hypothesis_internal_use_settings = settings(asked, max_examples=few)  # type: ignore[union-attr]


def pytest_collection_finish() -> None:
    """What was imported stays until the end: without this, each full garbage collection looks through all of it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """New SQLite databases are copies of one; tests/storage makes them as a node does.

    Clients share one list of certificate authorities: reading it takes 20 ms for each, more than most calls, and the
    tests' own certificates are not in it.
    """
    with pytest.MonkeyPatch.context() as patch, made.once():
        patch.setattr(httpcore2, "default_ssl_context", functools.cache(httpcore2.default_ssl_context))
        yield


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that nobody has made; making one for each test costs more than most of them do."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch, _homes: Iterator[Path]) -> None:
    for name in list(os.environ):
        if name.startswith("INTERMODEL_"):
            monkeypatch.delenv(name)
    home = next(_homes)
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A node that listens, with the model `echo`; one for all tests of a file, so leave it as it is."""
    with running(settings_for(tmp_path_factory.mktemp("node"))) as node:
        yield node


@pytest.fixture
def upstream_server() -> Iterator[Upstream]:
    """A misbehaving server in OpenAI's form."""
    with upstream() as served:
        yield served
