"""Training in segments: each starts from a whole state, and every step leaves a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from recipes.pebble.batches import Batch, segment
from recipes.pebble.model import Shape
from recipes.pebble.state import State

STEP_DIGITS = 8


@dataclass(frozen=True)
class Plan:
    """All numbers of the recipe that are no part of the corpus."""

    shape: Shape = field(default_factory=Shape)
    seed: int = 20261120
    segments: int = 84
    turn: int = 46
    """The segment with which the later documents begin, and from which on the rate falls more slowly."""
    horizon: int = 76
    """The segment at which the rate of the first part would reach nothing."""
    documents: int = 2048
    budget: int = 2048
    matrix_rate: float = 0.008
    other_rate: float = 0.003
    decay: float = 0.0
    warm_up: float = 0.01
    cool_down: float = 0.7

    def pace(self, at: float) -> float:
        """The share of the full learning rate at this segment: up, level, then down to nothing in two lines."""
        if at >= self.turn:
            return self._first_part(self.turn) * (self.segments - at) / (self.segments - self.turn)
        return self._first_part(at)

    def _first_part(self, at: float) -> float:
        progress = at / self.horizon
        return max(0.0, min(1.0, (progress + 1e-4) / self.warm_up, (1.0 - progress) / self.cool_down))

    def record(self) -> dict[str, Any]:
        """The plan as the manifest shows it."""
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """What one step leaves behind."""

    number: int
    loss: float
    tokens: int
    answers: int
    chain: str
    """SHA-256 over the previous link, the batch and the bits of the loss."""


def _update(state: State, batch: Batch, plan: Plan, pace: float) -> torch.Tensor:
    states = state.model.states(torch.from_numpy(batch.tokens))
    asked = states[torch.from_numpy(batch.rows), torch.from_numpy(batch.positions)]
    loss = functional.cross_entropy(state.model.scores(asked), torch.from_numpy(batch.targets))
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step(plan.matrix_rate * pace, plan.other_rate * pace, plan.decay * pace)
    return loss.detach()


def train_segment(state: State, tokenizer: Tokenizer, plan: Plan, number: int) -> Iterator[Step]:
    """Trains one segment in place and yields its steps; the chain starts from the digest of the state."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    chain = state.sha256()
    batches = segment(tokenizer, number, plan.documents, plan.budget)
    for at, batch in enumerate(batches):
        pace = plan.pace(number + at / len(batches))
        loss = _update(state, batch, plan, pace)
        chain = hashlib.sha256(f"{chain} {batch.sha256()} ".encode() + loss.numpy().tobytes()).hexdigest()
        yield Step(at, loss.item(), batch.tokens.size, batch.targets.size, chain)
