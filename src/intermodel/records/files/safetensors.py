"""Reads the headers of safetensors files that nobody has vouched for. Weights are never read.

Source of the rules: the format's README and its own reader (github.com/huggingface/safetensors, `tensor.rs`): eight
bytes of length, a JSON object, no duplicate keys, tensors that tile the rest of the file without holes or overlaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from intermodel.core import Invalid
from intermodel.records.files.documents import called, check_values, opened, sound

HEADER_LIMIT = 32 * 1024**2
"""Bytes of one header. The format's own reader allows 100 MB, which as Python objects would take over a gigabyte; the
90,000 tensors of a model of 671 billion parameters, all in one header, need 12 MB."""
MOST_TENSORS = 200_000
"""In one file."""
MOST_DIMENSIONS = 32
LARGEST = 2**63 - 1
"""Of a dimension, an offset or a product: what the reference reader can hold."""

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
    "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
"""Of one item, by the name of its type."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]
    items: int


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header that was checked against its file's size."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def header_of(path: Path) -> Header:
    """The header of a file. Raises `Invalid` with the reason where it lies or is damaged."""
    with opened(path) as (file, size):
        start = file.read(8)
        if len(start) < 8:
            _refuse(path, f"it has {size} bytes, too few for a header's length")
        length = int.from_bytes(start, "little")
        if length > size - 8:
            _refuse(path, f"it promises a header of {length} bytes and {size - 8} follow")
        if length > HEADER_LIMIT:
            _refuse(path, f"its header has {length} bytes; no more than {HEADER_LIMIT} are read")
        raw = file.read(length)
    try:
        return parsed(raw, size - 8 - length)
    except ValueError as error:
        _refuse(path, str(error))


def parsed(raw: bytes, room: int) -> Header:
    """The header in `raw`, after which `room` bytes of data follow. Raises `ValueError` that says what is wrong."""
    document = _document(raw)
    metadata = _metadata(document.pop("__metadata__", {}))
    if len(document) > MOST_TENSORS:
        raise ValueError(f"its header names {len(document)} tensors, which cannot be")
    tensors: dict[str, Tensor] = {}
    places: list[tuple[int, int, str]] = []
    for name, entry in document.items():
        tensors[name], begin, end = _tensor(name, entry)
        places.append((begin, end, name))
    _check_tiles(places, room)
    return Header(tensors, metadata)


def _document(raw: bytes) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        raise ValueError("its header is no JSON object, or it is no safetensors file")
    check_values(raw, 3 * MOST_TENSORS, 10 * MOST_TENSORS)
    try:
        document = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("its header is nested too deep") from None
    except UnicodeDecodeError:
        raise ValueError("its header is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its header is no JSON ({error.msg} at character {error.pos})") from None
    assert isinstance(document, dict)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"its header has the key '{twice[:100]}' twice")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"its header holds {word}, which is no number")


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("its __metadata__ is not texts by name")
    return value


def _tensor(name: str, entry: Any) -> tuple[Tensor, int, int]:
    """One tensor and where its bytes begin and end."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of tensor '{name[:100]}' is not a dtype, a shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"tensor '{name[:100]}' has the unknown type {str(dtype)[:50]!r}")
    if not _naturals(shape, MOST_DIMENSIONS) or not _naturals(offsets, 2) or len(offsets) != 2:
        raise ValueError(f"tensor '{name[:100]}' has a shape or offsets that are no natural numbers")
    begin, end = offsets
    items = math.prod(shape)
    bits = items * BITS[dtype]
    if items > LARGEST or bits % 8 or bits // 8 != end - begin:
        raise ValueError(f"tensor '{name[:100]}' does not fill its place: its shape and its offsets differ")
    return Tensor(dtype, tuple(shape), items), begin, end


def _naturals(value: Any, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(number) is int and 0 <= number <= LARGEST for number in value)
    )


def _check_tiles(places: Iterable[tuple[int, int, str]], room: int) -> None:
    """Each byte belongs to one tensor: a hole could hide something, an overlap is one tensor under two names."""
    at = 0
    for begin, end, name in sorted(places):
        if begin != at:
            what = "overlaps the one before it" if begin < at else f"leaves a hole of {begin - at} bytes before it"
            raise ValueError(f"tensor '{name[:100]}' {what}")
        at = end
    if at > room:
        raise ValueError(f"it is cut: its header promises {at} bytes of weights and {room} follow")
    if at < room:
        raise ValueError(f"{room - at} bytes follow its last tensor, and no header says what they are")


def _refuse(path: Path, reason: str) -> NoReturn:
    raise Invalid(
        f"{called(path)} cannot be read: {sound(reason)}.",
        hint="Copy or download the file again.",
        code="invalid_model_file",
    ) from None
