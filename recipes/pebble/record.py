"""The record of a run: one entry a segment, and the manifest that ships with the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.pebble.training import STEP_DIGITS, Step

MANIFEST, CARD = "manifest.json", "README.md"


@dataclass(frozen=True)
class Segment:
    """What a segment leaves in the manifest."""

    number: int
    steps: str
    """The first digits of each step's chain hash, parted by spaces."""
    loss: float
    tokens: int
    answers: int
    end: str
    """The digest of the state after the last step."""


def segment_of(number: int, steps: Sequence[Step], end: str) -> Segment:
    """The entry of a finished segment."""
    answers = sum(step.answers for step in steps)
    loss = sum(step.loss * step.answers for step in steps) / answers
    links = " ".join(step.chain[:STEP_DIGITS] for step in steps)
    return Segment(number, links, round(loss, 5), sum(step.tokens for step in steps), answers, end)


def first_difference(expected: str, found: str) -> int | None:
    """The number of the first step whose hash differs, or of the first that is missing."""
    pairs = zip(expected.split(), found.split(), strict=False)
    for number, (one, other) in enumerate(pairs):
        if one != other:
            return number
    shorter = min(expected.count(" "), found.count(" ")) + 1
    return None if expected.count(" ") == found.count(" ") else shorter


def sha256_of(file: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Digest and size of every file of a model folder; the manifest itself and the card, which is prose, left out."""
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name not in (MANIFEST, CARD))
    return {f.name: {"sha256": sha256_of(f), "size": f.stat().st_size} for f in files}


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return manifest


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest, whole or not at all."""
    part = folder / (MANIFEST + ".part")
    part.write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    part.replace(folder / MANIFEST)
