"""The optimiser: Muon for the matrices of the blocks, AdamW for the embedding and the norms. All in fp32."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.95)
EPSILON = 1e-8
CLIP = 1.0


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest half-orthogonal matrices, by five Newton-Schulz steps, for a stack of matrices."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    flip = x.shape[-2] > x.shape[-1]
    x = x.transpose(-2, -1) if flip else x
    for _ in range(5):
        gram = x @ x.transpose(-2, -1)
        x = a * x + (b * gram + c * gram @ gram) @ x
    out: Tensor = x.transpose(-2, -1) if flip else x
    return out


class Optimiser:
    """Updates a model in place; its state is a flat dictionary of tensors."""

    def __init__(self, model: nn.Module) -> None:
        named = dict(model.named_parameters())
        self.matrices = {n: p for n, p in named.items() if p.ndim == 2 and "embed" not in n}
        self.others = {n: p for n, p in named.items() if n not in self.matrices}
        self.steps = 0
        self.state: dict[str, Tensor] = {}
        for name, value in self.matrices.items():
            self.state[f"momentum.{name}"] = torch.zeros_like(value)
        for name, value in self.others.items():
            self.state[f"first.{name}"] = torch.zeros_like(value)
            self.state[f"second.{name}"] = torch.zeros_like(value)

    @torch.no_grad()
    def step(self, matrix_rate: float, other_rate: float, decay: float) -> None:
        """One update from the gradients, which are then dropped."""
        everything = [*self.matrices.values(), *self.others.values()]
        norm = torch.sqrt(sum((p.grad.square().sum() for p in everything if p.grad is not None), torch.zeros(())))
        scale = torch.clamp(CLIP / (norm + 1e-6), max=1.0)
        self.steps += 1
        self._muon(scale, matrix_rate, decay)
        for name, value in self.others.items():
            self._adam(name, value, scale, other_rate)
        for value in everything:
            value.grad = None

    def _muon(self, scale: Tensor, rate: float, decay: float) -> None:
        by_shape: dict[tuple[int, ...], list[str]] = {}
        for name, value in self.matrices.items():
            by_shape.setdefault(tuple(value.shape), []).append(name)
        for shape, names in by_shape.items():
            updates = []
            for name in names:
                gradient = self.matrices[name].grad
                assert gradient is not None
                gradient = gradient * scale
                momentum = self.state[f"momentum.{name}"].lerp_(gradient, 1 - MOMENTUM)
                updates.append(gradient.lerp(momentum, MOMENTUM))
            stretch = max(1.0, shape[0] / shape[1]) ** 0.5
            for name, update in zip(names, orthogonal(torch.stack(updates)), strict=True):
                value = self.matrices[name]
                value.mul_(1 - rate * decay).add_(update, alpha=-rate * stretch)

    def _adam(self, name: str, value: Tensor, scale: Tensor, rate: float) -> None:
        assert value.grad is not None
        gradient = value.grad * scale
        first = self.state[f"first.{name}"].lerp_(gradient, 1 - BETAS[0])
        second = self.state[f"second.{name}"].lerp_(gradient.square(), 1 - BETAS[1])
        bigger = (second / (1 - BETAS[1] ** self.steps)).sqrt_().add_(EPSILON)
        value.addcdiv_(first, bigger, value=-rate / (1 - BETAS[0] ** self.steps))
