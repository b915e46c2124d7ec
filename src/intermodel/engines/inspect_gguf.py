"""Reads the header of a GGUF file that nobody has vouched for, and prints what it states as JSON.

Run by path in a process of its own, under limits of time and memory. Prints `{"facts": {...}}`, or
`{"problem": ..., "hint": ...}` for a file that cannot be served. gguf.GGUFReader is not used: for an ordinary
vocabulary of 150,000 it takes 7 s and 500 MB, and it does not notice a file that was cut.
"""

from __future__ import annotations

import collections
import json
import math
import resource
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MEMORY_BYTES = 2 * 1024**3
CPU_S = 30
LONGEST_STRING = 16 * 1024**2
LONGEST_LIST_KEPT = 1024
MOST_ENTRIES = 100_000
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
OTHER_KINDS = {"adapter": "a LoRA adapter", "mmproj": "a vision projector", "imatrix": "an importance matrix"}
POOLING = {0: "none", 1: "mean", 2: "cls", 3: "last", 4: "rank"}
DOWNLOAD_AGAIN = "Copy or download the file again."


class Problem(Exception):
    """Why the file cannot be served, and what to do."""

    def __init__(self, message: str, hint: str = DOWNLOAD_AGAIN) -> None:
        super().__init__(message)
        self.hint = hint


class Header:
    """Key-value pairs and tensor sizes, read front to back; never reads past the end, never trusts a count.

    Of a long list only its length is kept.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.values: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}
        self.parameters = 0
        self.bytes_by_type: collections.Counter[str] = collections.Counter()
        self._read()

    def _read(self) -> None:
        if self._take(4) != MAGIC:
            raise Problem(
                "This is not a GGUF file.", "Give a file ending in .gguf, or a folder of a Hugging Face model."
            )
        version = self._number("I")
        if version not in VERSIONS:
            raise Problem(
                f"GGUF version {version} is not supported.", "Convert the model anew with a current llama.cpp."
            )
        tensors, entries = self._number("Q"), self._number("Q")
        if tensors > MOST_ENTRIES or entries > MOST_ENTRIES:
            raise Problem(f"The header claims {tensors} tensors and {entries} entries, which cannot be.")
        for _ in range(entries):
            key = self._text()
            self.values[key] = self._value(self._number("I"), key)
        ends = [self._tensor() for _ in range(tensors)]
        alignment = self.values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
            raise Problem("The header's alignment is not a power of two.")
        start = -(-self._file.tell() // alignment) * alignment
        needed = start + max(ends, default=0)
        if needed > self._size:
            raise Problem(f"The file is cut: its header promises {needed} bytes and it has {self._size}.")

    def _tensor(self) -> int:
        """Count one tensor; returns where its bytes end, from the start of the data."""
        self._text()
        dimensions = [self._number("Q") for _ in range(self._small(4, "dimensions"))]
        kind, offset = self._number("I"), self._number("Q")
        try:
            name = GGMLQuantizationType(kind)
        except ValueError:
            raise Problem(
                f"It holds tensors of the unknown type {kind}.", "Is the file newer than this version of Intermodel?"
            ) from None
        block, block_bytes = GGML_QUANT_SIZES[name]
        count = math.prod(dimensions)
        self.parameters += count
        self.bytes_by_type[name.name] += count
        return int(offset + count * block_bytes // block)

    def _small(self, most: int, what: str) -> int:
        number = self._number("I")
        if number > most:
            raise Problem(f"The header claims {number} {what}, which cannot be.")
        return int(number)

    def _value(self, kind: int, key: str, depth: int = 0) -> Any:
        if kind in SCALARS:
            return self._number(SCALARS[kind])
        if kind == STRING:
            return self._text()
        if kind == ARRAY and depth < 2:
            return self._list(key, depth)
        raise Problem(f"The header holds a value of the unknown type {kind}.")

    def _list(self, key: str, depth: int) -> list[Any] | None:
        kind, count = self._number("I"), self._number("Q")
        self._check_room(count * (struct.calcsize(SCALARS[kind]) if kind in SCALARS else 8))
        if depth == 0:
            self.lengths[key] = count
        if count <= LONGEST_LIST_KEPT:
            return [self._value(kind, key, depth + 1) for _ in range(count)]
        self._skip(kind, count, key, depth)
        return None

    def _skip(self, kind: int, count: int, key: str, depth: int) -> None:
        if kind in SCALARS:
            self._file.seek(count * struct.calcsize(SCALARS[kind]), 1)
        elif kind == STRING:
            for _ in range(count):
                length = self._number("Q")
                self._check_room(length)
                self._file.seek(length, 1)
        else:
            for _ in range(count):
                self._value(kind, key, depth + 1)

    def _text(self) -> str:
        length = self._number("Q")
        if length > LONGEST_STRING:
            self._check_room(length)
            raise Problem(f"The header holds a text of {length} bytes, which cannot be.")
        return self._take(length).decode(errors="replace")

    def _number(self, form: str) -> Any:
        return struct.unpack("<" + form, self._take(struct.calcsize(form)))[0]

    def _take(self, count: int) -> bytes:
        self._check_room(count)
        return self._file.read(count)

    def _check_room(self, count: int) -> None:
        left = self._size - self._file.tell()
        if count > left:
            raise Problem(f"The file is cut, or its header damaged: {count} bytes should follow where {left} are left.")


def facts(header: Header) -> dict[str, Any]:
    """What the node keeps of a header. Raises `Problem` for a file that is no whole language model."""
    values = header.values
    _check_whole_model(values)
    arch = values["general.architecture"]

    def number(key: str, default: int = 0) -> int:
        return max(_numbers(values.get(f"{arch}.{key}")), default=default)

    heads = number("attention.head_count")
    width = number("embedding_length")
    if not (width and number("block_count") and header.parameters):
        raise Problem(f"The header of this '{arch}' model does not say how large it is.")
    head_width = width // heads if heads else 0
    return {
        "architecture": arch,
        "name": _text_of(values.get("general.name")),
        "licence": _text_of(values.get("general.license")),
        "parameters": header.parameters,
        "quantisation": _quantisation(values.get("general.file_type"), header.bytes_by_type),
        "context_length": number("context_length"),
        "embedding_length": width,
        "block_count": number("block_count"),
        "head_count": heads,
        "head_count_kv": number("attention.head_count_kv", heads),
        "key_length": number("attention.key_length", head_width),
        "value_length": number("attention.value_length", head_width),
        "vocabulary": header.lengths.get("tokenizer.ggml.tokens", 0) or number("vocab_size"),
        "tokenizer": _text_of(values.get("tokenizer.ggml.model")),
        "chat_template": _text_of(values.get("tokenizer.chat_template")),
        "pooling": POOLING.get(number("pooling_type"), "") if f"{arch}.pooling_type" in values else "",
    }


def _check_whole_model(values: dict[str, Any]) -> None:
    kind = values.get("general.type", "model")
    arch = values.get("general.architecture")
    if kind != "model" or arch == "clip":
        what = OTHER_KINDS.get(kind if arch != "clip" else "mmproj", "no model")
        raise Problem(f"This GGUF file is {what}, not a language model.", "Add the model that it belongs to.")
    if not isinstance(arch, str) or not arch:
        raise Problem("The header does not name an architecture.")
    parts = values.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise Problem(
            f"This is one of {parts} parts of a model.", "Join them with `llama-gguf-split --merge` and add the result."
        )


def _numbers(value: Any) -> Iterator[int]:
    """The non-negative integers in a value: some models give one for each layer."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, int) and 0 <= item < 2**40:
            yield item


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _quantisation(file_type: Any, by_type: collections.Counter[str]) -> str:
    try:
        return LlamaFileType(file_type).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return by_type.most_common(1)[0][0] if by_type else "unknown"


def main() -> None:
    path = Path(sys.argv[1])
    for limit, amount in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S)):
        resource.setrlimit(limit, (amount, amount))
    try:
        with path.open("rb") as file:
            said: dict[str, Any] = {"facts": facts(Header(file, path.stat().st_size))}
    except Problem as problem:
        said = {"problem": str(problem), "hint": problem.hint}
    except OSError as error:
        said = {"problem": f"The file cannot be read: {error.strerror}.", "hint": "Check its name and permissions."}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main()
