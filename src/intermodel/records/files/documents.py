"""Opens files of unknown origin: ordinary files only, no more of them than a limit, JSON as objects only."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from intermodel.core import Invalid

MOST_COLLECTIONS = 3_000_000
MOST_VALUES = 6_000_000
"""In one JSON file: a tokenizer with a vocabulary of 260,000 has 600,000 lists and 1,800,000 values."""
JSON_LIMIT = 64 * 1024**2
"""Bytes of one JSON file: the largest tokenizers in use have about 35 MB, indices of shards 10 MB."""


def called(path: Path) -> str:
    """A file's name as text that can be written anywhere: bytes of it that are no UTF-8 become question marks."""
    return os.fsencode(path.name).decode(errors="replace")


def sound(text: str) -> str:
    """The same for what a JSON file says, where half a character may stand as an escape."""
    return text.encode(errors="replace").decode()


def check_values(text: str | bytes, collections: int, values: int) -> None:
    """Raise `ValueError` for JSON that would become more Python objects than that: a byte can become fifty.

    Counts marks also inside texts, so the limits have to leave room for these.
    """
    marks: tuple[Any, ...] = (b"[", b"{", b",") if isinstance(text, bytes) else ("[", "{", ",")
    if text.count(marks[0]) + text.count(marks[1]) > collections or text.count(marks[2]) > values:
        raise ValueError("it holds more values than any model's file does")


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """An ordinary file and its size. Raises `Invalid` for anything else: a FIFO would block, a device never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise Invalid(f"{called(path)} is not a file.", hint="Give a model's file.", code="invalid_model_file")
        with os.fdopen(descriptor, "rb") as file:
            yield file, found.st_size
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name cannot be a file's"
        raise Invalid(
            f"{called(path)} cannot be read: {reason}.",
            hint="Check the name and permissions.",
            code="invalid_model_file",
        ) from None


def bytes_of(path: Path, most: int = JSON_LIMIT) -> bytes:
    """All of a file. Raises `Invalid` where it has more than `most` bytes."""
    with opened(path) as (file, _):
        data = file.read(most + 1)
    if len(data) > most:
        raise Invalid(
            f"{called(path)} has more than {most} bytes.", hint="Is it what its name says?", code="invalid_model_file"
        )
    return data


def text_of(path: Path, most: int) -> str:
    """The same as text, which has to be UTF-8."""
    try:
        return bytes_of(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{called(path)} is no UTF-8 text (byte {error.start}).",
            hint="Save it as UTF-8.",
            code="invalid_model_file",
        ) from None


def json_of(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Of a key given twice the last counts, and NaN and Infinity are taken: so the libraries read that these files are
    written for.
    """
    try:
        text = text_of(path, JSON_LIMIT)
        check_values(text, MOST_COLLECTIONS, MOST_VALUES)
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Invalid(
            f"{called(path)} is no JSON{where}.", hint="Copy or download the file again.", code="invalid_model_file"
        ) from None
    if not isinstance(document, dict):
        raise Invalid(
            f"{called(path)} holds no JSON object.", hint="Copy or download the file again.", code="invalid_model_file"
        )
    return document
