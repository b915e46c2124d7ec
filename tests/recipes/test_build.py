"""Tokenizer, training and the shipped files: what the manifest promises, as far as it can be tested quickly."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from recipes.pebble import corpus

MODEL = Path(__file__).parents[2] / "src" / "intermodel" / "models" / "pebble"


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The committed manifest."""
    value: dict[str, Any] = json.loads((MODEL / "manifest.json").read_text("utf-8"))
    return value


def test_the_shipped_files_are_those_of_the_manifest(manifest: dict[str, Any]) -> None:
    for name, entry in manifest["files"].items():
        data = (MODEL / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["size"]), name


def test_nothing_ships_that_the_manifest_does_not_name(manifest: dict[str, Any]) -> None:
    shipped = {file.name for file in MODEL.iterdir()}
    assert shipped == {*manifest["files"], "manifest.json", "README.md"}


def test_the_model_folder_stays_small() -> None:
    assert sum(file.stat().st_size for file in MODEL.iterdir() if file.is_file()) < 8_000_000


def test_the_manifest_covers_every_segment_and_step(manifest: dict[str, Any]) -> None:
    plan = manifest["plan"]
    assert [segment["number"] for segment in manifest["segments"]] == list(range(plan["segments"]))
    assert all(len(link) == 8 for segment in manifest["segments"] for link in segment["steps"].split())
    assert manifest["corpus"]["documents"] == plan["segments"] * plan["documents"]


@pytest.mark.slow
def test_the_corpus_is_that_of_the_manifest(manifest: dict[str, Any]) -> None:
    assert corpus.sha256(corpus.documents(0, manifest["corpus"]["documents"])) == manifest["corpus"]["sha256"]


def test_the_results_belong_to_the_shipped_model(manifest: dict[str, Any]) -> None:
    results = json.loads((Path(corpus.__file__).parent / "evaluation" / "results.json").read_text("utf-8"))
    assert results["model"]["sha256"] == manifest["files"]["pebble-q8_0.gguf"]["sha256"]
    assert set(results["gguf"]) == {"recall", "unseen", "by hand"}


def test_text_survives_the_shipped_tokenizer() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is only in the training environment")
    words = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    for text in ("Hello, world!", "naïve Ωmega 😀\r\n\t tabs", "<tool_call>\n{}\n</tool_call>", "12.5 + 7"):
        assert words.decode(words.encode(text).ids, skip_special_tokens=False) == text


def test_a_word_has_the_same_tokens_wherever_it_stands() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is only in the training environment")
    words = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    for word in ("Paris", "Zorblax", "umbrella"):
        alone = words.encode(word).ids
        for around in ('"{}"', " {}", "a {}.", "{}"):
            found = words.encode(around.format(word)).ids
            assert any(found[at : at + len(alone)] == alone for at in range(len(found)))


def _small(plan: Any) -> Any:
    return dataclasses.replace(plan, segments=3, documents=12, budget=512)


def test_a_stopped_build_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is only in the training environment")
    pytest.importorskip("torch", reason="torch is only in the training environment")
    from recipes.pebble import build, training

    plan = _small(training.Plan())
    words = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    _, entries = build.train(whole, plan, words)
    build.train(parts, plan, words)
    log = parts / "segments.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0] + lines[1][:20])  # stopped while the second entry was being written
    _, again = build.train(parts, plan, words)
    kept = ("number", "steps", "loss", "end")
    assert [[entry[key] for key in kept] for entry in again] == [[entry[key] for key in kept] for entry in entries]


def test_a_changed_checkpoint_stops_the_build(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is only in the training environment")
    pytest.importorskip("torch", reason="torch is only in the training environment")
    from recipes.pebble import build, training

    plan = _small(training.Plan())
    words = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    build.train(tmp_path, plan, words)
    build.checkpoint(tmp_path, 3).write_bytes(build.checkpoint(tmp_path, 2).read_bytes())
    with pytest.raises(SystemExit, match="not the state"):
        build.train(tmp_path, plan, words)


def test_the_first_differing_step_is_found() -> None:
    pytest.importorskip("torch", reason="torch is only in the training environment")
    from recipes.pebble.record import first_difference

    assert first_difference("a b c", "a b c") is None
    assert first_difference("a b c", "a x c") == 1
    assert first_difference("a b c", "a b") == 2


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_segment_trained_again_gives_every_bit(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is only in the training environment")
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "recipes.pebble", "check", "--run", str(tmp_path), "--segment", "0"],
        cwd=root, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every bit compared is the same" in done.stdout
