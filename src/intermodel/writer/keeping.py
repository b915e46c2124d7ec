"""What people have in a run's folder: a run overwrites nothing of theirs."""

from __future__ import annotations

import itertools
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


def note_post(journal: Journal, text: bytes) -> None:
    """That this is a post which the run is about to write, and nobody's work by hand."""
    if (digest := digest_of(text)) not in _own(journal):
        journal.tell("wrote", digest=digest)


def keep_edited(folder: Path, journal: Journal, text: bytes) -> str:
    """Put a post that somebody changed by hand aside before `text` takes its place; the name it then has, or ""."""
    post = folder / MARKDOWN
    try:
        if not post.is_file() or (there := post.read_bytes()) == text or digest_of(there) in _own(journal):
            return ""
        stem, _, ending = MARKDOWN.partition(".")
        names = itertools.chain(
            [f"{stem}.edited.{ending}"], (f"{stem}.edited-{i}.{ending}" for i in itertools.count(2))
        )
        name = next(name for name in names if not (folder / name).exists())
        post.rename(folder / name)
    except OSError as error:
        raise Invalid(f"{post} cannot be kept: {error.strerror}.", hint="May you write there? Then resume.") from None
    journal.tell("edited", file=name)
    return name


def _own(journal: Journal) -> set[str]:
    return {str(one.data["digest"]) for one in journal.told() if one.kind in ("wrote", "signed")}
