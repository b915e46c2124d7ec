"""Headers of safetensors files that lie, are cut or were made to do harm: each is refused, and says why."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.records.files import safetensors
from intermodel.records.files.safetensors import BITS, header_of, parsed


def file_of(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"a": entry(), "b": entry("BF16", (3, 1), (8, 14)), "__metadata__": {"format": "pt"}}).encode()
    path.write_bytes(file_of(header + b"   ", b"\0" * 14))
    found = header_of(path)
    assert {name: (one.dtype, one.shape, one.items) for name, one in found.tensors.items()} == {
        "a": ("F32", (2,), 2),
        "b": ("BF16", (3, 1), 3),
    }
    assert found.metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "too few"),
        (b"\x02\0\0", "too few"),
        (file_of(b"{}", length=2**63), "promises a header"),
        (file_of(b"{}", length=3), "promises a header"),
        (file_of(b""), "no JSON object"),
        (file_of(b"[]"), "no JSON object"),
        (file_of(b'{"a": '), "no JSON"),
        (file_of(b'{"a\xff": 1}'), "no UTF-8"),
        (file_of(b'{"a": NaN}'), "NaN"),
        (file_of(b'{"a": {"dtype": "F32", "shape": [-Infinity], "data_offsets": [0, 8]}}'), "Infinity"),
        (file_of(b'{"a": ' + b"[" * 100_000), "nested too deep"),
        (file_of(b'{"a": ' + b"9" * 10_000 + b"}"), "cannot be read"),
        (file_of(b'{"a": {"dtype": "F32", "dtype": "F16", "shape": [2], "data_offsets": [0, 8]}}'), "twice"),
        (file_of(b'{"a": 1, "a": 2}'), "key 'a' twice"),
        (file_of(b'{"__metadata__": {"a": 1}}'), "__metadata__"),
        (file_of(b'{"a": [' + b"[]," * 1_000_000), "more values than"),
        (file_of(b'{"a": [' + b'"ab",' * 3_000_000), "more values than"),
        (file_of(b'{"__metadata__": null}'), "__metadata__"),
        (file_of(b'{"a": null}'), "is not a dtype"),
        (file_of(b'{"a": {"dtype": "F32"}}'), "is not a dtype"),
        (file_of(json.dumps({"a": entry("X1")}).encode()), "unknown type"),
        (file_of(json.dumps({"a": entry(shape=[-2])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(shape=[2.0])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(shape=[True, 2])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(shape="2")}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(shape=[1] * 1000 + [2])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(shape=[2**62, 2**62])}).encode(), b"\0" * 8), "does not fill"),
        (file_of(json.dumps({"a": entry(shape=[2**64])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(offsets=[0])}).encode(), b"\0" * 8), "natural numbers"),
        (file_of(json.dumps({"a": entry(offsets=[8, 0])}).encode(), b"\0" * 8), "does not fill"),
        (file_of(json.dumps({"a": entry()}).encode(), b"\0" * 7), "is cut"),
        (file_of(json.dumps({"a": entry()}).encode(), b"\0" * 9), "1 bytes follow"),
        (file_of(json.dumps({"a": entry(offsets=(1, 9))}).encode(), b"\0" * 9), "hole of 1 bytes"),
        (file_of(json.dumps({"a": entry(), "b": entry()}).encode(), b"\0" * 8), "overlaps"),
        (file_of(json.dumps({"a": entry(), "b": entry(offsets=(4, 12))}).encode(), b"\0" * 12), "overlaps"),
        (file_of(json.dumps({"a": entry("F4", [3], [0, 2])}).encode(), b"\0" * 2), "does not fill"),
    ],
)
def test_what_lies_is_refused(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(Invalid, match=said) as caught:
        header_of(path)
    assert caught.value.code == "invalid_model_file"
    assert caught.value.hint


def test_a_sparse_file_with_a_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 10 * 1024**3))
    os.truncate(path, 20 * 1024**3)
    with pytest.raises(Invalid, match="no more than"):
        header_of(path)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, said in (
        (tmp_path / "fifo", "not a file"),
        (tmp_path, "Is a directory|not a file"),
        (tmp_path / "gone", "No such file"),
        (tmp_path / "a\0b", "cannot be a file's"),
    ):
        with pytest.raises(Invalid, match=said):
            header_of(path)


def test_names_that_are_half_a_character_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(b'{"\\ud800": 1}'))
    with pytest.raises(Invalid) as caught:
        header_of(path)
    caught.value.message.encode()


GOOD = json.dumps({"a": entry(), "b": entry("F16", (2, 2), (8, 16)), "__metadata__": {"x": "y"}}).encode()


@given(st.binary(max_size=300), st.integers(0, 40))
def test_any_bytes_give_a_header_or_a_reason(data: bytes, room: int) -> None:
    try:
        parsed(data, room)
    except ValueError:
        return


@given(st.data())
@settings(max_examples=400)
def test_a_changed_header_is_refused_or_still_tiles_its_file(data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parsed(bytes(raw), 16)
    except ValueError:
        return
    assert sum(one.items * BITS[one.dtype] // 8 for one in found.tensors.values()) == 16


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_gives_a_header_or_a_reason(value: Any) -> None:
    for document in ({"a": value}, {"a": entry() | {"shape": value}}, {"a": entry() | {"data_offsets": value}}, value):
        try:
            parsed(json.dumps(document).encode(), 8)
        except ValueError:
            continue


def test_the_reference_reader_agrees(tmp_path: Path) -> None:
    reference = pytest.importorskip("safetensors", reason="the reference reader is not installed")
    cases = [
        ({"a": entry()}, 8), ({"a": entry()}, 7), ({"a": entry()}, 9), ({"a": entry(), "b": entry()}, 8),
        ({"a": entry(offsets=(1, 9))}, 9), ({"a": entry(shape=[])}, 8), ({"a": entry(shape=[], offsets=(0, 4))}, 4),
        ({"a": entry(shape=[0], offsets=(0, 0))}, 0), ({"a": entry("X")}, 8), ({}, 0),
        ({"__metadata__": {"a": "b"}}, 0),
        ({"__metadata__": {"a": 1}}, 0), ({"a": entry(shape=[2**62, 2**62])}, 8), ({"a": entry(shape=[-1])}, 8),
        ({"a": entry(offsets=(8, 0))}, 8), ({"a": entry("I64", [1])}, 8), ({"a": entry("F8_E4M3", [8])}, 8),
        ({"a": entry("F4", [16])}, 8), ({"a": entry("F4", [3], [0, 2])}, 2), ({"a": entry("BOOL", [8])}, 8),
        ({"a": entry("C64", [1])}, 8), ({"a": entry("U16", [4])}, 8), ({"a": entry("F8_E8M0", [8])}, 8),
    ]  # fmt: skip
    for number, (document, room) in enumerate(cases):
        raw = file_of(json.dumps(document).encode(), b"\0" * room)
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(raw)
        try:
            theirs = {name: tuple(one["shape"]) for name, one in reference.deserialize(raw)}
        except reference.SafetensorError:
            theirs = None
        try:
            ours = {name: one.shape for name, one in header_of(path).tensors.items()}
        except Invalid:
            ours = None
        assert ours == theirs, document


def test_limits_have_room_for_what_exists() -> None:
    """The largest models have some 90,000 tensors, though never in one file."""
    names = {
        f"model.layers.{n // 1500}.mlp.experts.{n % 1500}.down_proj.weight": entry("F8_E4M3", [0], [0, 0])
        for n in range(9_000)
    }
    raw = json.dumps(names).encode()
    assert 10 * len(raw) < safetensors.HEADER_LIMIT
    assert 10 * len(parsed(raw, 0).tensors) < safetensors.MOST_TENSORS
