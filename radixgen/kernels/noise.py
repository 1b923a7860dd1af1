"""Gumbel noise that depends on nothing but (seed, output, position, token id).

argmax(logits + Gumbel noise) draws from softmax(logits) (Gumbel 1954, "Gumbel-max"). Because the noise of an id is a
function of its key, not of a generator's state, a draw is the same alone and in a batch, chunked or not, before and
after a retraction, and under two masks that both allow the id.

    (seed, output, position) ─ splitmix64 (Steele et al. 2014) ─► two 32-bit keys k0, k1
    id ─► mix(mix(id · 0x9E3779B1 + k0) ^ k1) ─► u in (0, 1) ─► -log(-log(1 - u))

mix is a 32-bit integer hash from Wellons' hash-prospector, its constants below 2^31, so that a product fits int64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from radixgen.kernels.jit import compiled

GOLDEN = 0x9E3779B1
MIX_A, MIX_B = 0x21F0AAAD, 0x735A2D97
LOW = 0xFFFFFFFF


class NoiseKey(NamedTuple):
    """What a draw is, besides the token id."""

    seed: int
    output: int
    position: int

    def halves(self) -> tuple[int, int]:
        """The two 32-bit keys."""
        state = 0
        for part in self:
            state = _splitmix64(state ^ (part & 0xFFFFFFFFFFFFFFFF))
        return state >> 32, state & LOW


def _splitmix64(state: int) -> int:
    wide = 0xFFFFFFFFFFFFFFFF
    state = (state + 0x9E3779B97F4A7C15) & wide
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & wide
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & wide
    return state ^ (state >> 31)


def hash_reference(keys: torch.Tensor, vocab_size: int) -> torch.Tensor:
    """keys [B, 2] int64 below 2^32 -> [B, V] int64 below 2^32."""
    ids = torch.arange(vocab_size, dtype=torch.int64, device=keys.device)
    return _mix(_mix((ids * GOLDEN + keys[:, :1]) & LOW) ^ keys[:, 1:])


def _mix(x: torch.Tensor) -> torch.Tensor:
    x = ((x ^ (x >> 16)) * MIX_A) & LOW
    x = ((x ^ (x >> 15)) * MIX_B) & LOW
    return x ^ (x >> 15)


@compiled
def hash_kernel(keys, out):  # type: ignore[no-untyped-def]
    """The same: keys uint32 [B, 2], out uint32 [B, V]."""
    for b in range(out.shape[0]):
        first, second = keys[b, 0], keys[b, 1]
        for i in range(out.shape[1]):
            x = np.uint32(np.uint32(i) * np.uint32(GOLDEN) + first)
            for turn in range(2):
                x ^= x >> np.uint32(16)
                x = np.uint32(x * np.uint32(MIX_A))
                x ^= x >> np.uint32(15)
                x = np.uint32(x * np.uint32(MIX_B))
                x ^= x >> np.uint32(15)
                if turn == 0:
                    x ^= second
            out[b, i] = x


def gumbel_noise(keys: Sequence[NoiseKey], vocab_size: int, device: torch.device, *, is_compiled: bool) -> torch.Tensor:
    """[B, V] float32."""
    halves = np.array([key.halves() for key in keys], dtype=np.int64).reshape(-1, 2)
    if is_compiled:
        hashed = np.empty((len(halves), vocab_size), np.uint32)
        hash_kernel(halves.astype(np.uint32), hashed)
        uniform = torch.from_numpy(hashed.astype(np.float32))
    else:
        uniform = hash_reference(torch.from_numpy(halves).to(device), vocab_size).float()
    # from below 2^-32 to the last float32 below 1: the fine end is where the large noise comes from
    uniform = ((uniform + 0.5) * 2.0**-32).clamp_(max=1 - 2.0**-24)
    return torch.log1p(-uniform).neg_().log_().neg_()
