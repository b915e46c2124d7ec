"""What a training run is at one moment: weights, optimiser, and their digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recipes.pebble.model import Llama, Shape
from recipes.pebble.optimiser import Optimiser


@dataclass
class State:
    """A model and its optimiser, ready for the next step."""

    model: Llama
    optimiser: Optimiser

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        weights = {f"weight.{name}": value for name, value in self.model.state_dict().items()}
        moments = {f"optimiser.{name}": value for name, value in self.optimiser.state.items()}
        return {
            **weights,
            **moments,
            "steps": torch.tensor([self.optimiser.steps], dtype=torch.int64),
        }

    def sha256(self) -> str:
        """The digest over all tensors, in order of their names."""
        digest = hashlib.sha256()
        for name, value in sorted(self.tensors().items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}\0".encode())
            digest.update(value.detach().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, file: Path) -> None:
        """Writes the state, whole or not at all."""
        part = file.with_suffix(".part")
        save_file({name: value.detach().contiguous() for name, value in self.tensors().items()}, part)
        part.replace(file)


def initial(shape: Shape, seed: int) -> State:
    """The seeded start: normal matrices, but zeros where a block writes back; norms of one."""
    generator = torch.Generator().manual_seed(seed)
    model = Llama(shape)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                value.zero_()
            elif value.ndim == 2:
                spread = 0.08 if "embed" in name else 0.5 * value.shape[1] ** -0.5
                value.copy_(torch.randn(value.shape, generator=generator) * spread)
    return State(model, Optimiser(model))


def load(file: Path, shape: Shape) -> State:
    """The state that `State.save` wrote."""
    saved = load_file(file)
    model = Llama(shape)
    model.load_state_dict({n.removeprefix("weight."): t for n, t in saved.items() if n.startswith("weight.")})
    optimiser = Optimiser(model)
    for name in optimiser.state:
        optimiser.state[name] = saved[f"optimiser.{name}"]
    optimiser.steps = int(saved["steps"][0])
    return State(model, optimiser)
