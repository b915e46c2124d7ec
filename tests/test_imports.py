"""What is slow to import, or large, and is not to be in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("numpy", "gguf", "alembic")

A_PUT = """
import asyncio, sys
from pathlib import Path
from intermodel.records.catalogue import Catalogue, Entry, Query
from intermodel.storage import Database

async def main():
    database = Database("", default=Path(sys.argv[1]))
    await database.open()
    catalogue = Catalogue(database)
    await catalogue.put([Entry("a/llama"), Entry("a/b")])
    await catalogue.put([Entry("a/llama", popularity=3)])
    await catalogue.remove(["a/b"])
    print("numpy" in sys.modules)
    print((await catalogue.search(Query("llama"))).total, "numpy" in sys.modules)
    await database.close()

asyncio.run(main())
"""


def said(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("module", ["intermodel.node", "intermodel.cli"])
def test_what_starts_loads_nothing_slow(module: str) -> None:
    assert said(f"import sys, {module}; print([name for name in {SLOW} if name in sys.modules])") == "[]\n"


def test_a_catalogue_without_a_search_needs_no_numpy(tmp_path: Path) -> None:
    assert said(A_PUT, str(tmp_path / "node.db")) == "False\n1 True\n"
