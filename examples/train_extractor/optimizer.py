"""Muon for the matrices, Adam for embeddings and norms, on float32 master weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


def orthogonalize(stack: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration in bfloat16 on [N, rows, cols], rows <= cols."""
    x = stack.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.float()


@dataclass(slots=True)
class Optimizer:
    """State by parameter name; `step` reads gradients from a dict of the same names."""

    lr: float = 3e-3
    embedding_lr: float = 6e-3
    weight_decay: float = 0.05
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.98)
    num_steps: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def step(self, weights: dict[str, Tensor], grads: dict[str, Tensor], scale: float) -> None:
        """One update of all weights in place; `scale` is the schedule's factor on every learning rate."""
        self.num_steps += 1
        groups: dict[tuple[int, int], list[str]] = {}
        for name, weight in weights.items():
            if weight.dim() == 2 and "embed" not in name:
                groups.setdefault((min(weight.shape), max(weight.shape)), []).append(name)
            else:
                self._adam(name, weight, grads[name], scale * (self.embedding_lr if "embed" in name else self.lr))
        for names in groups.values():
            self._muon(names, weights, grads, scale * self.lr)

    def _slot(self, key: str, like: Tensor) -> Tensor:
        if key not in self.state:
            self.state[key] = torch.zeros_like(like)
        return self.state[key]

    def _muon(self, names: list[str], weights: dict[str, Tensor], grads: dict[str, Tensor], lr: float) -> None:
        updates = []
        for name in names:
            buffer = self._slot(f"{name}.momentum", weights[name])
            buffer.lerp_(grads[name], 1 - self.momentum)
            update = grads[name].lerp(buffer, self.momentum)
            updates.append(update if update.shape[0] <= update.shape[1] else update.T)
        for name, update in zip(names, orthogonalize(torch.stack(updates)), strict=True):
            weight = weights[name]
            update = update if weight.shape[0] <= weight.shape[1] else update.T
            weight.mul_(1 - lr * self.weight_decay)
            weight.add_(update, alpha=-lr * 0.2 * math.sqrt(max(weight.shape)))

    def _adam(self, name: str, weight: Tensor, grad: Tensor, lr: float) -> None:
        first, second = self._slot(f"{name}.first", weight), self._slot(f"{name}.second", weight)
        b1, b2 = self.betas
        first.lerp_(grad, 1 - b1)
        second.lerp_(grad.square(), 1 - b2)
        corrected = (second / (1 - b2**self.num_steps)).sqrt_().add_(1e-8)
        weight.addcdiv_(first / (1 - b1**self.num_steps), corrected, value=-lr)
