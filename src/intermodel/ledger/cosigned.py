"""The checkpoints of this ledger that witnesses cosigned, as files in its folder.

Two are kept: the newest, and of those that most of the witnesses signed the newest. One witness that is gone must not
keep the others from going on, nor take away what all of them signed before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from intermodel.core import Invalid
from intermodel.ledger import files
from intermodel.ledger.note import Line, Note, Verifier

COSIGNED = "cosigned"
COSIGNED_MOST = "cosigned-most"


def read(folder: Path) -> list[Note]:
    """What is kept, with the most signatures first, then the newest. What cannot be read is left out."""
    found = []
    for name in (COSIGNED, COSIGNED_MOST):
        with contextlib.suppress(OSError, Invalid):
            found.append(Note.parse((folder / name).read_bytes()))
    return sorted(found, key=lambda note: -len(note.lines))


def newest(folder: Path) -> Note | None:
    with contextlib.suppress(OSError, Invalid):
        return Note.parse((folder / COSIGNED).read_bytes())
    return None


def merged(folder: Path, text: str, counting: Iterable[Verifier]) -> list[Line]:
    """Cosignatures of those witnesses on that checkpoint that are kept already."""
    by = list(counting)
    return [line for note in read(folder) if note.text == text for line in note.lines if _is_by(text, line, by)]


def keep(folder: Path, note: Note, counting: Iterable[Verifier]) -> None:
    """Keep a checkpoint with its cosignatures; durable when it returns."""
    by = list(counting)
    try:
        before = Note.parse((folder / COSIGNED_MOST).read_bytes())
        most = sum(_is_by(before.text, line, by) for line in before.lines)
    except (OSError, Invalid):
        most = 0
    files.write(folder / COSIGNED, bytes(note))
    if sum(_is_by(note.text, line, by) for line in note.lines) >= most:
        files.write(folder / COSIGNED_MOST, bytes(note))
    files.sync([folder])


def _is_by(text: str, line: Line, verifiers: Iterable[Verifier]) -> bool:
    try:
        return bool(Note(text, (line,)).signed_by(verifiers))
    except Invalid:
        return False
