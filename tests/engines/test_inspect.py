"""Model files that nobody has vouched for: every bad one gives `Invalid`, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from intermodel.core import Capability, Invalid
from intermodel.engines import Facts, inspect
from intermodel.engines import facts as room
from intermodel.engines.inspect_gguf import Header, Problem, facts
from tests.engines import tiny


async def test_facts_are_those_of_the_header(tiny_file: Path) -> None:
    found = await inspect(tiny_file)
    assert (found.architecture, found.name, found.licence) == ("llama", "Tiny", "apache-2.0")
    assert (found.parameters, found.quantisation) == (29056, "F32")
    assert (found.context_length, found.embedding_length, found.block_count) == (2048, 32, 2)
    assert (found.head_count, found.head_count_kv, found.key_length, found.value_length) == (2, 2, 16, 16)
    assert (found.vocabulary, found.tokenizer, found.chat_template) == (263, "gpt2", tiny.CHATML)
    assert Capability.CHAT in found.capabilities
    assert Capability.VISION not in found.capabilities


async def test_the_inspector_holds_no_keys(tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setattr(room, "INSPECTOR", tmp_path / "inspector.py")
    said = "{'facts': {'name': ' '.join(os.environ)}}"
    (tmp_path / "inspector.py").write_text(f"import json, os; print(json.dumps({said}))")
    found = await inspect(tiny_file)
    assert "PATH" in found.name
    assert "OPENAI_API_KEY" not in found.name


def test_facts_survive_other_versions_of_themselves() -> None:
    found = Facts.from_json({"architecture": "llama", "a key of tomorrow": 1})
    assert found.architecture == "llama"
    assert found.parameters == 0


def _fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.touch, "empty"),
        (Path.mkdir, "a folder"),
        (_fifo, "not a file"),
        (lambda path: path.write_text("Once upon a time there was a text."), "not a GGUF file"),
        (lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60)), "cannot be"),
        (lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQ", 1, 0, 0)), "version 1"),
        (lambda path: path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50)), "cut"),
        (lambda path: path.write_bytes(b"GGUF\x03"), "cut"),
        (lambda path: None, "No such file"),
    ],
)
async def test_what_is_no_model_says_so(make: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    make(path)
    with pytest.raises(Invalid, match=said) as caught:
        await inspect(path)
    assert caught.value.hint
    assert caught.value.code == "invalid_model_file"


async def test_a_file_cut_in_its_weights_is_noticed(tiny_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_file.read_bytes()[:-1])
    with pytest.raises(Invalid, match="is cut: its header promises"):
        await inspect(path)


@pytest.mark.parametrize(
    ("kind", "said"), [("adapter", "a LoRA adapter"), ("mmproj", "a vision projector"), ("imatrix", "importance")]
)
async def test_gguf_files_of_other_kinds_are_named(kind: str, said: str, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "llama")
    writer.add_type(kind)
    _finish(writer)
    with pytest.raises(Invalid, match=said):
        await inspect(tmp_path / "other.gguf")


async def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16("split.count", 3)
    _finish(writer)
    with pytest.raises(Invalid, match="one of 3 parts"):
        await inspect(tmp_path / "part.gguf")


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def mutated(data: bytes, seed: int) -> bytes:
    """`data` with its header hurt: bytes flipped, an integer replaced, or the end cut off."""
    rng = random.Random(seed)
    hurt = bytearray(data)
    how = seed % 3
    if how == 0:
        for _ in range(rng.randint(1, 30)):
            hurt[rng.randrange(12000)] = rng.randrange(256)
    elif how == 1:
        at = rng.randrange(4, 12000)
        hurt[at : at + 8] = struct.pack("<Q", rng.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]))
    else:
        del hurt[rng.randrange(1, len(hurt)) :]
    return bytes(hurt)


def test_mutated_headers_give_facts_or_a_problem_and_nothing_else(tiny_file: Path, tmp_path: Path) -> None:
    good = tiny_file.read_bytes()
    outcomes = {True: 0, False: 0}
    for seed in range(300):
        path = tmp_path / "mutated.gguf"
        path.write_bytes(mutated(good, seed))
        try:
            with path.open("rb") as file:
                facts(Header(file, path.stat().st_size))
            outcomes[True] += 1
        except Problem as problem:
            outcomes[False] += bool(str(problem) and problem.hint)
    assert sum(outcomes.values()) == 300
    assert min(outcomes.values()) > 20


async def test_the_same_through_the_child(tiny_file: Path, tmp_path: Path) -> None:
    good = tiny_file.read_bytes()

    async def one(seed: int) -> None:
        path = tmp_path / f"{seed}.gguf"
        path.write_bytes(mutated(good, seed))
        with contextlib.suppress(Invalid):
            assert (await inspect(path)).parameters

    for start in range(0, 4, 2):
        await asyncio.gather(*(one(seed) for seed in range(start, start + 2)))
