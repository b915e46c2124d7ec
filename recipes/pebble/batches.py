"""From documents to batches: one dialogue a row, rows of like length together, order from a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from recipes.pebble.corpus import documents
from recipes.pebble.dialogue import Dialogue
from recipes.pebble.stream import digest
from recipes.pebble.template import render
from recipes.pebble.tokenizer import PAD

Ints = NDArray[np.int64]
ROUND = 8


@dataclass(frozen=True)
class Batch:
    """Token rows, and the positions whose next token is part of an answer."""

    tokens: Ints
    rows: Ints
    positions: Ints
    targets: Ints

    def sha256(self) -> str:
        """The digest of everything the model sees and is asked for."""
        state = hashlib.sha256()
        for part in (self.tokens, self.rows, self.positions, self.targets):
            state.update(repr(part.shape).encode() + part.tobytes())
        return state.hexdigest()


def encode(tokenizer: Tokenizer, dialogue: Dialogue) -> tuple[list[int], list[bool]]:
    """The tokens of a dialogue, and which of them are answers."""
    tokens: list[int] = []
    answers: list[bool] = []
    for piece in render(dialogue.messages, dialogue.tools):
        ids = tokenizer.encode(piece.text).ids
        tokens += ids
        answers += [piece.is_answer] * len(ids)
    return tokens, answers


def _batch(rows: Sequence[tuple[list[int], list[bool]]], pad: int) -> Batch:
    length = -(-max(len(tokens) for tokens, _ in rows) // ROUND) * ROUND
    tokens = np.full((len(rows), length), pad, dtype=np.int64)
    where = []
    for row, (ids, answers) in enumerate(rows):
        tokens[row, : len(ids)] = ids
        where += [(row, at - 1, ids[at]) for at in range(1, len(ids)) if answers[at]]
    marks = np.array(where, dtype=np.int64)
    return Batch(tokens, marks[:, 0].copy(), marks[:, 1].copy(), marks[:, 2].copy())


def segment(tokenizer: Tokenizer, number: int, documents_each: int, budget: int) -> list[Batch]:
    """The batches of one segment, in training order; every document of it occurs once."""
    pad = tokenizer.token_to_id(PAD)
    assert pad is not None
    encoded = [encode(tokenizer, d) for d in documents(number * documents_each, documents_each)]
    encoded.sort(key=lambda pair: len(pair[0]))
    batches: list[Batch] = []
    rows: list[tuple[list[int], list[bool]]] = []
    for pair in encoded:
        length = -(-len(pair[0]) // ROUND) * ROUND
        if rows and (len(rows) + 1) * length > budget:
            batches.append(_batch(rows, pad))
            rows = []
        rows.append(pair)
    batches.append(_batch(rows, pad))
    order = sorted(range(len(batches)), key=lambda i: digest("order", number, i))
    return [batches[i] for i in order]
