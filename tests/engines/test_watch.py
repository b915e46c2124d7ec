from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from intermodel.engines import Library, watch_folder
from tests.engines import tiny


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - rows are looked at, as pages do
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def watching(library: Library, folder: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(watch_folder(library, folder))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def addresses(library: Library) -> list[str]:
    return [model.address for model in await library.all()]


async def test_files_come_change_and_go(library: Library, tiny_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"

    async def served(*wanted: str) -> None:
        async def equal() -> bool:
            return await addresses(library) == list(wanted)

        await until(equal)

    async with watching(library, folder):
        await asyncio.sleep(0.3)
        (folder / "one.gguf").write_bytes(tiny_file.read_bytes())
        await served("local/one")
        before = (await library.find("local/one")).digest
        tiny.write(folder / "one.gguf", seed=2)

        async def changed() -> bool:
            return (await library.find("local/one")).digest != before

        await until(changed)
        (folder / "one.gguf").rename(folder / "two.gguf")
        await served("local/two")
        (folder / "two.gguf").unlink()
        await served()


async def test_a_file_that_is_being_copied_is_served_once_it_is_whole(
    library: Library, tiny_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    data = tiny_file.read_bytes()
    caplog.set_level(logging.WARNING)

    async def told() -> bool:
        return "is not served" in caplog.text

    async def served() -> bool:
        return await addresses(library) == ["local/slow"]

    async with watching(library, folder):
        await asyncio.sleep(0.3)
        with (folder / "slow.gguf").open("wb") as file:
            file.write(data[:50_000])
            file.flush()
            await until(told)
            assert "is cut" in caplog.text
            assert await addresses(library) == []
            file.write(data[50_000:])
        await until(served)


async def test_a_file_served_in_an_earlier_run_is_dropped_if_it_went_meanwhile(
    library: Library, tiny_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "gone.gguf").write_bytes(tiny_file.read_bytes())
    await library.add(folder / "gone.gguf", keep="link")
    await library.add(tiny_file, keep="link", address="other/place")
    (folder / "gone.gguf").unlink()

    async def dropped() -> bool:
        return await addresses(library) == ["other/place"]

    async with watching(library, folder):
        await until(dropped)


async def test_hidden_files_and_other_suffixes_are_left_alone(
    library: Library, tiny_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in (".partial.gguf", "model.gguf.part", "seen.gguf"):
        (folder / name).write_bytes(tiny_file.read_bytes())

    async def seen() -> bool:
        return bool(await addresses(library))

    async with watching(library, folder):
        await until(seen)
        assert await addresses(library) == ["local/seen"]
