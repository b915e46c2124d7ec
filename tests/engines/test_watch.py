from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from intermodel.engines import Library, Model, watch_folder
from intermodel.storage import Blobs, Database
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


async def test_what_the_watch_did_not_find_itself_stays(library: Library, tiny_file: Path, tmp_path: Path) -> None:
    """The data folder with its copies lies in the watched one, and so do files that were linked by hand."""
    copy = await library.add(tiny_file, address="own/copy")
    lost = await library.add(tiny.write(tmp_path / "lost", seed=3), address="own/lost")
    lost.path.unlink()
    (tmp_path / ".hidden").mkdir()
    for n, name in enumerate((".hidden/one.gguf", "two.bin")):
        await library.add(tiny.write(tmp_path / name, seed=n), address=f"own/link{n}", keep="link")
    tiny.write(tmp_path / "seen.gguf", seed=9)

    async def seen() -> bool:
        return "local/seen" in await addresses(library)

    async with watching(library, tmp_path):
        await until(seen)
    assert await addresses(library) == ["local/seen", "own/copy", "own/link0", "own/link1", "own/lost"]
    assert copy.path.exists()


async def test_a_chosen_address_outlives_a_broken_file(
    library: Library, tiny_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name, address in (("a.gguf", "acme/chosen"), ("b.gguf", None)):
        (folder / name).write_bytes(tiny_file.read_bytes())
        await library.add(folder / name, address=address, keep="link")
        (folder / name).write_text("broken")

    async def dropped() -> bool:
        return caplog.text.count("is not served") == 2 and await addresses(library) == ["acme/chosen"]

    async with watching(library, folder):
        await until(dropped)


@pytest.mark.slow
async def test_a_name_that_is_no_text_does_not_stop_the_watch(
    library: Library, tiny_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()

    async def served(*wanted: str) -> None:
        async def equal() -> bool:
            return await addresses(library) == list(wanted)

        await until(equal)

    async with watching(library, folder):
        await asyncio.sleep(0.3)
        (folder / os.fsdecode(b"bad\xff.gguf")).write_bytes(tiny_file.read_bytes())
        (folder / "one.gguf").write_bytes(tiny_file.read_bytes())
        await served("local/one")
        (folder / "two.gguf").write_bytes(tiny_file.read_bytes())
        await served("local/one", "local/two")
    assert "bad?.gguf is not UTF-8" in caplog.text
    caplog.text.encode()


class Failing(Library):
    """A library with a mistake in it that one file brings out."""

    async def add(self, path: Path, **how: Any) -> Model:
        if path.name == "a.gguf":
            raise RuntimeError("a mistake")
        return await super().add(path, **how)


async def test_a_mistake_over_one_file_does_not_stop_the_watch(
    tiny_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("a.gguf", "b.gguf"):
        (folder / name).write_bytes(tiny_file.read_bytes())
    database = Database("", default=tmp_path / "intermodel.db")
    await database.open()
    library = Failing(database, Blobs(tmp_path / "blobs"))

    async def served() -> bool:
        return await addresses(library) == ["local/b"]

    async with watching(library, folder):
        await until(served)
    await database.close()
    assert "a.gguf is not served" in caplog.text
    assert "RuntimeError: a mistake" in caplog.text
