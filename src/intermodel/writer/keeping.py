"""What people have in a run's folder: a run overwrites nothing of theirs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection
from pathlib import Path

from intermodel.core import Conflict, Invalid
from intermodel.writer.export import BUNDLE, HTML, MARKDOWN, SCORES, digest_of
from intermodel.writer.journal import FILE, Journal
from intermodel.writer.state import ARTICLE


def check_free(folder: Path) -> None:
    """Raises `Conflict` where a new run would overwrite files that no run in this folder has made."""
    if (folder / FILE).is_file():
        return
    names = (MARKDOWN, HTML, ARTICLE, BUNDLE, SCORES)
    if found := next((name for name in names if (folder / name).exists()), None):
        raise Conflict(
            f"{folder / found} is there already, and no run of this folder has made it: it has no {FILE}.",
            hint="Give another folder with --out, or move that file away.",
            code="file_exists",
        )


def put(folder: Path, journal: Journal, name: str, data: bytes) -> None:
    """Write one of the run's files; what somebody changed in it by hand is put aside. Raises `Invalid`."""
    _spare(folder, journal, name, data)
    digest = digest_of(data)
    if digest not in (_own(journal, name) or ()):
        journal.tell("wrote", file=name, digest=digest)  # before it is: no crash makes it anybody's work by hand
    write(folder / name, data)


def drop(folder: Path, journal: Journal, name: str) -> None:
    """Take away one of the run's files that no longer holds; but what somebody changed in it stays beside."""
    _spare(folder, journal, name, None)
    try:
        (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Invalid(f"{folder / name} cannot be taken away: {error.strerror}.", hint="May you write there?") from None


def put_aside(file: Path, data: bytes | None, own: Collection[str]) -> str:
    """Give a file another name, if `data` would take the place of what is nobody's `own` by its digest; that name, or
    "". Raises `Invalid`."""
    try:
        if not file.is_file() or (there := file.read_bytes()) == data or digest_of(there) in own:
            return ""
        names = itertools.chain(
            [f"{file.stem}.edited{file.suffix}"], (f"{file.stem}.edited-{i}{file.suffix}" for i in itertools.count(2))
        )
        name = next(name for name in names if not (file.parent / name).exists())
        file.rename(file.parent / name)
    except OSError as error:
        raise Invalid(f"{file} cannot be kept: {error.strerror}.", hint="May you write there? Then resume.") from None
    return name


def write(file: Path, data: bytes) -> None:
    """The whole file or what was there before, whatever happens meanwhile."""
    new = file.with_name(f".{file.name}.new")
    try:
        with new.open("wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        new.replace(file)
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}.", hint="Make room, and resume the run.") from None


def _spare(folder: Path, journal: Journal, name: str, data: bytes | None) -> None:
    own = _own(journal, name)
    if own is not None and (kept := put_aside(folder / name, data, own)):
        journal.tell("edited", file=kept, of=name)


def _own(journal: Journal, name: str) -> set[str] | None:
    """Digests of what the run wrote there; None where it once wrote files and noted the digest of the post alone."""
    told = journal.told()
    noted = [one.data for one in told if one.kind in ("wrote", "signed")]
    own = {str(data["digest"]) for data in noted if data.get("file", MARKDOWN) == name}
    return None if not own and any(one.kind == "wrote" and "file" not in one.data for one in told) else own
