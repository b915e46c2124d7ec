"""The process that checks JSON schemas: what it is asked, and what it is not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intermodel.engines import Schemas
from intermodel.engines.schemas import LARGEST_SCHEMA


@pytest.fixture
async def schemas() -> AsyncIterator[Schemas]:
    made = Schemas()
    yield made
    await made.close()


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"description": "x" * LARGEST_SCHEMA}, "are the most"),
        (nested(300), "too deeply"),
    ],
    ids=["large", "deep"],
)
async def test_some_schemas_are_refused_unseen(schemas: Schemas, schema: Any, complaint: str) -> None:
    assert complaint in await schemas.complaint(schema)
    assert schemas._large._child is None, "nobody waits for it"


async def test_other_schemas_are_looked_at(schemas: Schemas) -> None:
    assert await schemas.complaint({"description": "x" * (LARGEST_SCHEMA - 100)}) == ""
    assert "mödel" in await schemas.complaint({"const": "mödel"}, '"model"')
    assert await schemas.complaint({"const": "mödel"}, '"mödel"') == ""


async def test_the_checker_holds_no_keys(schemas: Schemas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    await schemas.complaint(True)
    child = schemas._small._child
    assert child
    environ = Path(f"/proc/{child.pid}/environ").read_bytes()
    assert b"PATH=" in environ
    assert b"canary" not in environ


async def test_small_schemas_do_not_wait_for_large_ones(schemas: Schemas) -> None:
    dense: dict[str, Any] = {"allOf": [{"allOf": [{"allOf": [{}] * 30}] * 30}] * 40}
    await schemas.complaint(True)
    large = asyncio.gather(*(schemas.complaint(dense) for _ in range(5)))
    await asyncio.sleep(0.1)
    assert await schemas.complaint({"type": "null"}) == ""
    assert not large.done()
    large.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await large
