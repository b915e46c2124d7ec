"""Several sealed thinking blocks in the one text and the one seal that the chat form has, and back.

Anthropic takes thinking back only in the blocks, and with the signatures, in which it was given ("Extended thinking":
preserving thinking blocks). So the seal is a line of words, one for each block:

    SIGNATURE               the first block, at the text's beginning
    57:SIGNATURE            one that begins at character 57 of the text
    57!DATA                 a redacted one, which has no text

The usual seal, of one block, is its signature and nothing else.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any

Block = dict[str, Any]

_SEAL = re.compile(r"(?:0!\S+|\S*)(?: \d+[:!]\S*)*")
_MARK = re.compile(r"(?: (\d+):|(?: (\d+)|^0)!)")


class Sealing:
    """Writes the seal piece by piece, as the blocks come."""

    def __init__(self) -> None:
        self._characters = self._blocks = 0

    def begin(self, kind: str) -> str:
        """The seal's piece at the beginning of a block; its signature or data follows as it is."""
        first = self._blocks == 0
        self._blocks += 1
        if kind == "redacted_thinking":
            return f"{'' if first else ' '}{self._characters}!"
        return "" if first else f" {self._characters}:"

    def think(self, text: str) -> None:
        self._characters += len(text)


def sealed(blocks: Iterable[Block]) -> tuple[str, str]:
    """The text and the seal of `thinking` and `redacted_thinking` blocks."""
    sealing, texts, pieces = Sealing(), [], []
    for block in blocks:
        pieces.append(sealing.begin(block["type"]) + (block.get("signature") or block.get("data") or ""))
        texts.append(text := block.get("thinking") or "")
        sealing.think(text)
    return "".join(texts), "".join(pieces)


def blocks(text: str, seal: str) -> list[Block]:
    """The blocks that were sealed so; a seal of another kind is one block's signature."""
    marks = _marks(seal) if _SEAL.fullmatch(seal) else [(0, "thinking", seal)]
    starts = [at for at, kind, _ in marks if kind == "thinking"] + [len(text)]
    if starts[0] != 0:  # a part of the text would be in no block
        return [{"type": "thinking", "thinking": text, "signature": seal}]
    spans = itertools.pairwise(starts)
    return [
        {"type": kind, "thinking": text[slice(*next(spans))], "signature": value}
        if kind == "thinking"
        else {"type": kind, "data": value}
        for _, kind, value in marks
    ]


def piece(text: str) -> tuple[str, str]:
    """What a piece of a seal begins ("thinking", "redacted_thinking", or "" where it goes on), and the rest of it."""
    mark = _MARK.match(text)
    if mark is None:
        return "", text
    return "thinking" if mark[1] else "redacted_thinking", text[mark.end() :]


def _marks(seal: str) -> list[tuple[int, str, str]]:
    first, *others = seal.split(" ")
    marks = [(0, "redacted_thinking", first[2:]) if first.startswith("0!") else (0, "thinking", first)]
    for word in others:
        at, sign, value = re.split("([:!])", word, maxsplit=1)
        marks.append((int(at), "thinking" if sign == ":" else "redacted_thinking", value))
    return marks
