from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from intermodel.engines import Engines, Library
from intermodel.settings import Engines as Settings
from intermodel.storage import Blobs, Database
from tests.engines import tiny


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model; tests copy it before they change it."""
    return tiny.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    database = Database("", default=tmp_path / "intermodel.db")
    await database.open()
    yield Library(database, Blobs(tmp_path / "blobs"))
    await database.close()


@pytest.fixture
async def make_engines(tmp_path: Path) -> AsyncIterator[Callable[..., Engines]]:
    """Makes supervisors, and closes them at the end of the test."""
    made: list[Engines] = []

    def make(*, pulse_s: float = 5.0, **settings: Any) -> Engines:
        made.append(Engines(Settings(**settings), tmp_path / "logs", pulse_s=pulse_s))
        return made[-1]

    yield make
    for engines in made:
        await engines.close()
