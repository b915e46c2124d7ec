"""The models of this machine: rows that name files and say what is in them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import difflib
import json
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.core import Conflict, Digest, Invalid, NotFound, Unavailable
from intermodel.engines import environment
from intermodel.engines.facts import Facts, Model, inspect
from intermodel.settings import NAME
from intermodel.storage import Blobs, Database, digest_of
from intermodel.storage.tables import models as table

log = logging.getLogger(__name__)

OWNER = "local"
SHIPPED = "intermodel/pebble"
SHIPPED_FILE = Path(__file__).parents[1] / "models" / "pebble" / "pebble-q8_0.gguf"
CONVERTER = Path(__file__).with_name("convert_folder.py")
CONVERT_S = 3600
"""Seconds for one conversion, so generous that only a folder made to waste them needs more."""
CONVERT_BYTES = 16 * 1024**3
"""Memory for one: a few copies of its largest tensor, which in a model of 70 billion parameters has 4 GB."""

Progress = Callable[[int], None]


class Library:
    """Rows of the table `models`, and the blobs that some of them name."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def add(
        self,
        path: Path,
        *,
        address: str | None = None,
        keep: Literal["copy", "link"] = "copy",
        progress: Progress | None = None,
    ) -> Model:
        """Serve a GGUF file, or a folder of a Hugging Face model (converted first), and return its row.

        `copy` keeps the node's own copy; `link` leaves the file where it is. `address` defaults to
        `local/<file name>`. `progress` is called with the bytes read so far, from another thread. An address
        that is named and taken is given to the new file; adding the same file again changes nothing but mends
        its copy. Raises `Invalid` for a file or address that cannot be served, `Conflict` where the default
        address is taken by another file or the named one is the shipped model's, `Unavailable` where the disk
        is full.
        """
        path = path.expanduser().absolute()
        _check_name(path)
        named, address = address is not None, _checked(default_address(path) if address is None else address)
        if path.is_dir():
            return await self._add_folder(path, address, named, progress)
        facts = await inspect(path)
        if keep == "link":
            digest = await asyncio.to_thread(digest_of, path, progress)
            size, place = path.stat().st_size, str(path)
        else:
            digest, size = await asyncio.to_thread(self._copy, path, progress)
            place = None
        model = self._model(address, digest, size, place, facts, datetime.now(UTC))
        return await self._write(model, place, may_replace=named)

    async def remove(self, address: str) -> None:
        """Stop serving a model. Its copy goes, if no other address names it; a linked file stays.

        Raises `NotFound`, and `Conflict` for the model that ships, which the next start would bring back.
        """
        if address == SHIPPED:
            raise Conflict(
                f"'{SHIPPED}' ships with the node.",
                hint="To do without it, set 'shipped = false' in [engines] of intermodel.toml.",
                code="model_ships",
            )
        await self._remove(address)

    async def _remove(self, address: str) -> None:
        model = await self.find(address)
        async with self._database.begin() as connection:
            await connection.execute(delete(table).where(table.c.address == address))
            shared = await _has_copy(connection, model.digest)
        if not shared:
            await asyncio.to_thread(self._blobs.remove, model.digest)

    async def find(self, address: str) -> Model:
        """The model at an address. Raises `NotFound`, with the nearest addresses in the hint."""
        async with self._database.begin() as connection:
            row = (await connection.execute(select(table).where(table.c.address == address))).first()
            if row is not None:
                return self._from_row(row)
            known = list((await connection.execute(select(table.c.address))).scalars())
        near = difflib.get_close_matches(address, known, n=3)
        raise NotFound(
            f"There is no model '{address}' on this machine.",
            hint=f"Did you mean {' or '.join(near)}?" if near else "`intermodel models` lists those there are.",
            code="model_not_found",
        )

    async def all(self) -> list[Model]:
        """Every model of this machine, by address."""
        async with self._database.begin() as connection:
            rows = (await connection.execute(select(table).order_by(table.c.address))).all()
        return [self._from_row(row) for row in rows]

    async def linked(self) -> list[Model]:
        """Those whose file stays where its owner put it, by address."""
        async with self._database.begin() as connection:
            linked = select(table).where(table.c.path.is_not(None)).order_by(table.c.address)
            rows = (await connection.execute(linked)).all()
        return [self._from_row(row) for row in rows]

    async def ship(self, wanted: bool, file: Path = SHIPPED_FILE) -> Model | None:
        """Serve the model that ships, or stop serving it; None where it is not served.

        Its digest is the manifest's, so a file that was tampered with is refused when it is loaded. Another file that
        someone put at its address is left alone, and a warning says so.
        """
        found: Model | None = None
        with contextlib.suppress(NotFound):
            found = await self.find(SHIPPED)
        if found and found.path.name != file.name:  # its folder may differ: the node may have been installed anew
            if wanted:
                log.warning("the model that ships is not served: '%s' is another file, %s", SHIPPED, found.path)
            return None
        if not wanted or not file.is_file():
            if found:
                await self._remove(SHIPPED)
            return None
        stated = _manifest_digest(file)
        digest = await asyncio.to_thread(digest_of, file) if stated is None else stated
        if found and (found.digest, found.path) == (digest, file):
            return found
        facts = dataclasses.replace(await inspect(file), licence=_card_licence(file))
        model = self._model(SHIPPED, digest, file.stat().st_size, str(file), facts, datetime.now(UTC))
        return await self._write(model, str(file), may_replace=True)

    async def _add_folder(self, folder: Path, address: str, named: bool, progress: Progress | None) -> Model:
        work = Path(tempfile.mkdtemp(prefix=".converting-", dir=self._folder_for_work()))
        try:
            converted = work / "model.gguf"
            await _convert(folder, converted)
            facts = await inspect(converted)
            digest, size = await asyncio.to_thread(self._copy, converted, progress)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        model = self._model(address, digest, size, None, facts, datetime.now(UTC))
        return await self._write(model, None, may_replace=named)

    def _folder_for_work(self) -> Path:
        try:
            self._blobs.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The data folder cannot be written: {error.strerror}.", code="disk_full") from None
        return self._blobs.folder

    def _copy(self, path: Path, progress: Progress | None) -> tuple[Digest, int]:
        with path.open("rb") as file:
            return self._blobs.add(file, progress)

    async def _write(self, model: Model, place: str | None, *, may_replace: bool) -> Model:
        """Insert or replace the row, unless it says the same already; returns the row that is there then."""
        replaced: Model | None = None
        async with self._database.begin() as connection:
            found = (await connection.execute(select(table).where(table.c.address == model.address))).first()
            if found is not None:
                replaced = self._from_row(found)
                same_file = replaced.path == model.path
                if replaced.digest == model.digest and same_file:
                    return replaced
                if not (may_replace or same_file or replaced.digest == model.digest):
                    raise _taken(replaced)
                await connection.execute(delete(table).where(table.c.address == model.address))
            await connection.execute(insert(table).values(**_row(model, place)))
            orphan = replaced is not None and not await _has_copy(connection, replaced.digest)
        if replaced is not None and orphan:
            await asyncio.to_thread(self._blobs.remove, replaced.digest)
        return model

    def _model(
        self, address: str, digest: Digest, size: int, place: str | None, facts: Facts, added: datetime
    ) -> Model:
        return Model(address, digest, size, Path(place) if place else self._blobs.path(digest), facts, added)

    def _from_row(self, row: Any) -> Model:
        added = row.added if row.added.tzinfo else row.added.replace(tzinfo=UTC)  # SQLite keeps no time zone
        return self._model(row.address, Digest(row.digest), row.size, row.path, Facts.from_json(row.facts), added)


def default_address(path: Path) -> str:
    """`local/` and the file's name, with every run of other characters as one dash."""
    stem = path.name.removesuffix(".gguf") if path.suffix == ".gguf" else path.name
    return f"{OWNER}/{re.sub(r'[^A-Za-z0-9._-]+', '-', stem).strip('._-')[:150] or 'model'}"


def shown(path: Path) -> str:
    """A path as text that can be printed, whatever bytes it holds."""
    return str(path).encode(errors="replace").decode()


def _check_name(path: Path) -> None:
    """Refuse a path that is no text: neither a row nor a log can hold it."""
    if shown(path) != str(path):
        raise Invalid(f"The name {shown(path)} is not UTF-8.", hint="Rename it.", code="invalid_model_file")


def _checked(address: str) -> str:
    if not re.fullmatch(NAME, address) or len(address) > 200:
        raise Invalid(
            f"'{address[:200]}' is not an address.",
            hint="An address is owner/name: letters, digits, dot, dash and underscore.",
            code="invalid_address",
        )
    if address == SHIPPED:
        raise Conflict(
            f"'{SHIPPED}' is the model that ships with the node.",
            hint="Choose another address with --as.",
            code="address_taken",
        )
    return address


def _taken(by: Model) -> Conflict:
    return Conflict(
        f"'{by.address}' is another file already: {by.path}.",
        hint=f"Choose another address with --as, or `intermodel models remove {by.address}` first.",
        code="address_taken",
    )


def _row(model: Model, place: str | None) -> dict[str, Any]:
    return {
        "address": model.address,
        "digest": str(model.digest),
        "size": model.size,
        "path": place,
        "facts": dataclasses.asdict(model.facts),
        "added": model.added,
    }


async def _has_copy(connection: AsyncConnection, digest: Digest) -> bool:
    """Whether some row names the blob."""
    rows = select(table.c.address).where(table.c.digest == str(digest), table.c.path.is_(None)).limit(1)
    return (await connection.execute(rows)).first() is not None


async def _convert(folder: Path, out: Path) -> None:
    """Convert in a child process: the work takes memory and time, and reads files nobody has vouched for."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(CONVERTER),
        str(folder),
        str(out),
        str(CONVERT_S),
        str(CONVERT_BYTES),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment.cleaned(),
    )
    try:
        async with asyncio.timeout(CONVERT_S):
            _, said = await child.communicate()
        reason = said.decode(errors="replace").strip().rpartition("\n")[2] or "it ended without a word"
    except TimeoutError:
        reason = f"it took longer than {CONVERT_S / 60:.0f} minutes"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise Invalid(
            f"{folder.name} could not be converted: {reason}.",
            hint="Give a folder with config.json, tokenizer.json and .safetensors files, or a GGUF file.",
            code="invalid_model_folder",
        )


def _card_licence(file: Path) -> str:
    """The licence that the card beside the file states in its head; empty if it states none."""
    try:
        found = re.search(r"^license:\s*(\S+)\s*$", file.with_name("README.md").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _manifest_digest(file: Path) -> Digest | None:
    """The digest that the manifest beside the file states for it, if it does."""
    try:
        manifest = json.loads(file.with_name("manifest.json").read_text())
        stated = str(manifest["files"][file.name]["sha256"])
        return Digest.of_hex(stated.removeprefix("sha256:"))
    except (OSError, ValueError, KeyError, TypeError, Invalid):
        return None
