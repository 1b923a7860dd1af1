"""The frequencies of rotary embeddings: default, linear (Chen et al. 2023) and llama3 (as transformers computes it)."""

from __future__ import annotations

import math

import torch

from radixgen.models.config import RopeConfig


def frequencies(rope: RopeConfig, head_dim: int) -> torch.Tensor:
    """[D/2] float32: radians by which each pair of a head turns per position."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
    plain = 1.0 / (rope.theta**exponents)
    if rope.kind == "linear":
        return plain / rope.factor
    return _llama3(plain, rope) if rope.kind == "llama3" else plain


def _llama3(plain: torch.Tensor, rope: RopeConfig) -> torch.Tensor:
    """Long wavelengths are divided by `factor`, short ones kept, those between blended."""
    wavelengths = 2 * math.pi / plain
    longest = rope.original_context / rope.low_freq_factor
    shortest = rope.original_context / rope.high_freq_factor
    blend = rope.original_context / wavelengths - rope.low_freq_factor
    blend = blend / (rope.high_freq_factor - rope.low_freq_factor)
    blended = (1 - blend) * plain / rope.factor + blend * plain
    scaled = torch.where(wavelengths > longest, plain / rope.factor, plain)
    is_between = (wavelengths <= longest) & (wavelengths >= shortest)
    return torch.where(is_between, blended, scaled)
