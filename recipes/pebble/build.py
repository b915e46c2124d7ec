"""The whole build: corpus, tokenizer, training, export. Resumes where it was stopped."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from recipes.pebble import corpus, profile, record, tokenizer
from recipes.pebble.export import write_folder
from recipes.pebble.state import State, initial, load
from recipes.pebble.training import Plan, train_segment


def checkpoint(run: Path, number: int) -> Path:
    """The file of the state before this segment."""
    return run / f"state-{number:03}.safetensors"


def _entries(run: Path) -> list[dict[str, Any]]:
    log = run / "segments.jsonl"
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    entries: list[dict[str, Any]] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            break  # the line that was being written when the build was stopped
        if entry["number"] != len(entries) or not checkpoint(run, len(entries) + 1).is_file():
            break
        entries.append(entry)
    return entries


def _start(run: Path, plan: Plan) -> tuple[State, list[dict[str, Any]]]:
    entries = _entries(run)
    (run / "segments.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    if not entries:
        state = initial(plan.shape, plan.seed)
        state.save(checkpoint(run, 0))
        return state, entries
    state = load(checkpoint(run, len(entries)), plan.shape)
    if state.sha256() != entries[-1]["end"]:
        raise SystemExit(f"{checkpoint(run, len(entries))} is not the state that the log promises; delete the run")
    print(f"Resuming after segment {len(entries) - 1}.", flush=True)
    return state, entries


def train(run: Path, plan: Plan, words: Tokenizer) -> tuple[State, list[dict[str, Any]]]:
    """Trains what is left of the run and returns the last state with the entries of all segments."""
    state, entries = _start(run, plan)
    for number in range(len(entries), plan.segments):
        wall, cpu = time.monotonic(), time.process_time()
        steps = list(train_segment(state, words, plan, number))
        entry = asdict(record.segment_of(number, steps, state.sha256()))
        state.save(checkpoint(run, number + 1))
        spent = {
            "wall_s": round(time.monotonic() - wall, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
        }
        entries.append(entry)
        with (run / "segments.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({**entry, **spent}) + "\n")
        print(
            f"segment {number + 1}/{plan.segments}: {len(steps)} steps, {entry['tokens']} tokens, "
            f"loss {entry['loss']:.4f}, {spent['wall_s']:.0f} s",
            flush=True,
        )
    return state, entries


def build(run: Path, folder: Path) -> None:
    """Builds everything into `run` and the finished model into `folder`."""
    plan = Plan()
    run.mkdir(parents=True, exist_ok=True)
    words = tokenizer.train()
    (run / "tokenizer.json").write_text(tokenizer.serialise(words), "utf-8")
    print(f"Tokenizer: {words.get_vocab_size()} tokens, sha256 {tokenizer.sha256(words)}", flush=True)
    train(run, plan, words)
    export(run, folder)


def export(run: Path, folder: Path) -> None:
    """Writes the model folder and its manifest from a finished run."""
    plan = Plan()
    entries = _entries(run)
    if len(entries) < plan.segments:
        raise SystemExit(f"{run} holds {len(entries)} of {plan.segments} segments; run build first")
    words = Tokenizer.from_file(str(run / "tokenizer.json"))
    state = load(checkpoint(run, plan.segments), plan.shape)
    write_folder(folder, plan.shape, words, state.model.state_dict())
    record.write(folder, manifest_of(plan, words, entries, folder))


def manifest_of(plan: Plan, words: Tokenizer, entries: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Everything that a second build has to meet."""
    count = plan.segments * plan.documents
    kept = ("number", "loss", "tokens", "answers", "end", "steps")
    return {
        "format": 1,
        "name": "pebble",
        "plan": plan.record(),
        "profile": profile.PROFILE,
        "maker": profile.maker(),
        "versions": profile.versions(),
        "corpus": {"documents": count, "sha256": corpus.sha256(corpus.documents(0, count))},
        "tokenizer": {"tokens": words.get_vocab_size(), "sha256": tokenizer.sha256(words)},
        "start": initial(plan.shape, plan.seed).sha256(),
        "segments": [{key: entry[key] for key in kept} for entry in entries],
        "files": record.files_of(folder),
    }
