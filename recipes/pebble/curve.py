"""How loss and right answers went over the run: a table and a small drawing, from the checkpoints."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from recipes.pebble import items as listing
from recipes.pebble import record
from recipes.pebble.build import checkpoint
from recipes.pebble.export import GGUF, write_folder
from recipes.pebble.scoring import is_right
from recipes.pebble.served import Served
from recipes.pebble.state import load
from recipes.pebble.training import Plan

TABLE = listing.FILE.parent / "curve.json"
DRAWING = listing.FILE.parent / "curve.svg"
EVERY = 4
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 280, 48, 34, 40
COLOURS = {"recall": "#1f6f8b", "unseen": "#c8553d", "by hand": "#6a7b53"}


def _shares(run: Path, plan: Plan, words: Tokenizer, number: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        state = load(checkpoint(run, number), plan.shape)
        write_folder(Path(folder), plan.shape, words, state.model.state_dict())
        served = Served(Path(folder) / GGUF)
        counts: dict[str, list[bool]] = {}
        for item in listing.items():
            counts.setdefault(item.group, []).append(is_right(item, served.write(item)))
    return {group: round(100 * sum(right) / len(right), 1) for group, right in counts.items()}


def curve(run: Path, folder: Path) -> None:
    """Answers all items with every fourth checkpoint and writes `curve.json` and `curve.svg`."""
    plan, words = Plan(), Tokenizer.from_file(str(run / "tokenizer.json"))
    losses = [segment["loss"] for segment in record.read(folder)["segments"]]
    points = []
    for number in range(EVERY, plan.segments + 1, EVERY):
        shares = _shares(run, plan, words, number)
        points.append({"segment": number, "loss": losses[number - 1], **shares})
        print(points[-1], flush=True)
    TABLE.write_text(json.dumps(points, indent=1) + "\n", "utf-8")
    DRAWING.write_text(draw(losses, points), "utf-8")


def _line(values: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in values)
    dash = ' stroke-dasharray="3 3"' if dashed else ""
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.8"{dash} points="{points}"/>'


def _text(x: float, y: float, words: str, colour: str = "#444", anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def draw(losses: Sequence[float], points: Sequence[dict[str, Any]]) -> str:
    """The drawing: right answers in percent, and the loss (cut at 1) as a dashed line."""
    last, bottom, right = len(losses), HEIGHT - BOTTOM, WIDTH - 16

    def place(segment: float, share: float) -> tuple[float, float]:
        return LEFT + (right - LEFT) * segment / last, bottom - (bottom - TOP) * share / 100

    parts = [_line([place(n + 1, min(loss, 1.0) * 100) for n, loss in enumerate(losses)], "#999", dashed=True)]
    for percent in range(0, 101, 25):
        _, y = place(0, percent)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd" stroke-width="0.6"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{percent} %", anchor="end"))
    parts += [_text(place(at, 0)[0], bottom + 16, str(at), anchor="middle") for at in range(0, last + 1, 20)]
    parts.append(_text((LEFT + right) / 2, HEIGHT - 6, "segments of 2,048 documents", anchor="middle"))
    for at, (group, colour) in enumerate(COLOURS.items()):
        parts.append(_line([place(0, 0), *(place(p["segment"], p[group]) for p in points)], colour))
        parts.append(_text(LEFT + 8 + at * 120, 20, f"right: {group}", colour))
    parts.append(_text(LEFT + 8 + 3 * 120, 20, "training loss (100 % = 1 nat)", "#888"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="11">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )
