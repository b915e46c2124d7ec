"""Reads tensors from safetensors files of unknown origin.

Promises that no size or offset written in a file is believed before it fits the file. Knows no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Entry", "entries"]

_HEADER_LIMIT = 64 * 1024 * 1024
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies; its values are read when asked for."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: Path
    offset: int

    def values(self) -> NDArray[np.float32]:
        """The tensor as float32."""
        kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[self.dtype]
        raw = np.memmap(self.file, dtype=kind, mode="r", offset=self.offset, shape=self.shape)
        if self.dtype == "BF16":
            return (raw.astype(np.uint32) << 16).view(np.float32)
        return raw.astype(np.float32)


def entries(folder: Path) -> dict[str, Entry]:
    """Every tensor of a folder, from one file or from the shards that the index names.

    Raises `ValueError` that names the file and what is wrong with it.
    """
    found: dict[str, Entry] = {}
    for file in _files(folder):
        for entry in _entries_of(file):
            if entry.name in found:
                raise ValueError(f"{file.name}: tensor {entry.name!r} is also in {found[entry.name].file.name}")
            found[entry.name] = entry
    return found


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        if single.is_file():
            return [single]
        raise ValueError(
            "no model.safetensors and no model.safetensors.index.json in the folder: "
            "only weights in the safetensors format can be converted"
        )
    try:
        named = {str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index.name} has no usable weight_map") from error
    for name in sorted(named):
        if Path(name).name != name or not (folder / name).is_file():
            raise ValueError(f"{index.name} names {name!r}, which is not a file of the folder")
    return [folder / name for name in sorted(named)]


def _entries_of(file: Path) -> Iterator[Entry]:
    size = file.stat().st_size
    with file.open("rb") as source:
        length = int.from_bytes(source.read(8), "little")
        if size < 8 or length > min(size - 8, _HEADER_LIMIT):
            raise ValueError(f"{file.name} is truncated or no safetensors file: its header does not fit into it")
        try:
            header = json.loads(source.read(length))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file.name} is damaged: its header is no JSON") from error
    if not isinstance(header, dict):
        raise ValueError(f"{file.name} is damaged: its header is no JSON object")
    for name, entry in header.items():
        if name != "__metadata__":
            yield _entry(file, name, entry, 8 + length, size)


def _entry(file: Path, name: str, entry: Any, start: int, size: int) -> Entry:
    try:
        dtype = str(entry["dtype"])
        shape = tuple(entry["shape"])
        begin, end = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file.name}: the entry of tensor {name!r} is damaged") from error
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{file.name}: tensor {name!r} has a shape or offset that is no natural number")
    if dtype not in _ITEM_BYTES:
        raise ValueError(f"{file.name}: tensor {name!r} is {dtype}; only F32, F16 and BF16 can be converted")
    if end - begin != math.prod(shape) * _ITEM_BYTES[dtype] or start + end > size or not shape:
        raise ValueError(f"{file.name}: tensor {name!r} does not fit its place in the file; it is truncated or damaged")
    return Entry(name, shape, dtype, file, start + begin)
