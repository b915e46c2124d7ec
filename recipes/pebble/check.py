"""The independent check of a build: corpus, tokenizer and one segment made again and compared bit for bit."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from recipes.pebble import corpus, profile, record, tokenizer
from recipes.pebble.build import checkpoint
from recipes.pebble.state import State, initial, load
from recipes.pebble.training import Plan, train_segment


def _compare(what: str, expected: object, found: object) -> bool:
    same = expected == found
    print(f"  {'same     ' if same else 'DIFFERENT'}  {what}", flush=True)
    if not same:
        print(f"             manifest {expected}\n             here     {found}", flush=True)
    return same


def _sources(manifest: dict[str, Any], plan: Plan, folder: Path, words: Tokenizer) -> bool:
    count = manifest["corpus"]["documents"]
    found = corpus.sha256(corpus.documents(0, count))
    return all(
        [
            _compare("plan", manifest["plan"], plan.record()),
            _compare("corpus", manifest["corpus"]["sha256"], found),
            _compare("tokenizer", manifest["tokenizer"]["sha256"], tokenizer.sha256(words)),
            _compare(
                "seeded start of the weights",
                manifest["start"],
                initial(plan.shape, plan.seed).sha256(),
            ),
            _compare("files of the model folder", manifest["files"], record.files_of(folder)),
        ]
    )


def _choose(run: Path, plan: Plan, asked: int | None) -> int:
    there = [n for n in range(plan.segments) if n == 0 or checkpoint(run, n).is_file()]
    if asked is not None:
        if asked not in there:
            raise SystemExit(
                f"segment {asked} needs {checkpoint(run, asked)}; without a run only segment 0 can be made"
            )
        return asked
    seed = secrets.randbelow(2**32)
    number = there[seed % len(there)]
    print(f"Seed {seed} draws segment {number} of the {len(there)} that can be made here.", flush=True)
    return number


def _start(run: Path, plan: Plan, manifest: dict[str, Any], number: int) -> tuple[State, bool]:
    if number == 0:
        return initial(plan.shape, plan.seed), True
    state = load(checkpoint(run, number), plan.shape)
    same = _compare("checkpoint before the segment", manifest["segments"][number - 1]["end"], state.sha256())
    return state, same


def _segment(manifest: dict[str, Any], run: Path, plan: Plan, number: int, words: Tokenizer) -> bool:
    state, same = _start(run, plan, manifest, number)
    expected = manifest["segments"][number]
    print(f"Training segment {number} again ({expected['steps'].count(' ') + 1} steps).", flush=True)
    steps = list(train_segment(state, words, plan, number))
    found = record.segment_of(number, steps, state.sha256())
    step = record.first_difference(expected["steps"], found.steps)
    print(f"             mean loss {found.loss:.5f}, in the manifest {expected['loss']:.5f}", flush=True)
    if step is None:
        print(f"  same       all {len(steps)} step hashes", flush=True)
    else:
        print(f"  DIFFERENT  step {step} is the first whose hash differs", flush=True)
    return all(
        [
            same,
            step is None,
            _compare("weights and optimiser at the end", expected["end"], found.end),
        ]
    )


def check(run: Path, folder: Path, segment: int | None = None) -> bool:
    """Whether corpus, tokenizer, files and one segment of training come out as the manifest says.

    Prints what is compared.
    """
    manifest, plan = record.read(folder), Plan()
    missing = profile.missing_flags()
    if missing:
        print(
            f"This CPU has no {' and no '.join(missing)}: it cannot give the bits of the recipe.",
            flush=True,
        )
        return False
    here = profile.versions()
    for name, wanted in manifest["versions"].items():
        if here[name] != wanted:
            print(
                f"  note       {name} is {here[name]} here, the model was built with {wanted}",
                flush=True,
            )
    if profile.maker() != manifest["maker"]:
        print(
            f"  note       this processor's maker is {profile.maker() or 'unknown'}, the model was built on one of "
            f"{manifest['maker']}: corpus and tokenizer have to be the same, training may differ in last bits",
            flush=True,
        )
    number = _choose(run, plan, segment)
    print(f"Making the corpus ({manifest['corpus']['documents']} documents) and the tokenizer again.", flush=True)
    words = tokenizer.train()
    same = _sources(manifest, plan, folder, words)
    same = _segment(manifest, run, plan, number, words) and same
    print(
        "The check passed: every bit compared is the same." if same else "The check FAILED.",
        flush=True,
    )
    return same
