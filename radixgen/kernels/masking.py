"""The best id that a mask allows, and the share of probability that the mask leaves, of many rows at once.

A mask row is uint32 [W], W = ceil(V/32), little-endian bits: id i is allowed where word i // 32 has bit i % 32. The
bits beyond V are ignored.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from radixgen.kernels.exponential import LOWEST, ZERO, exponentials
from radixgen.kernels.jit import compiled

WORD_BITS = 32
NO_MASK = -1


class Choices(NamedTuple):
    """Of B rows."""

    ids: torch.Tensor
    """[B] int64: the allowed id of the highest logit (the lowest such id), -1 where none is allowed."""
    masses: torch.Tensor
    """[B] float32: sum of the probabilities of the allowed ids; 1 without a mask."""


def words_of(vocab_size: int) -> int:
    """W of a vocabulary."""
    return -(-vocab_size // WORD_BITS)


def unpack_masks(masks: npt.NDArray[np.uint32], vocab_size: int) -> torch.Tensor:
    """[R, W] words -> [R, V] bool."""
    little = np.ascontiguousarray(masks.astype("<u4", copy=False))
    bits = np.unpackbits(little.view(np.uint8), axis=1, bitorder="little", count=vocab_size)
    return torch.from_numpy(bits.view(np.bool_))


def best_allowed_reference(
    logits: torch.Tensor, log_totals: torch.Tensor, rows: torch.Tensor, allowed: torch.Tensor
) -> Choices:
    """logits [L, V]; log_totals [L], their logsumexp; rows [B] into both; allowed [B, V] bool."""
    masked = logits[rows].masked_fill(~allowed, -torch.inf)
    ids = torch.where(allowed.any(-1), masked.argmax(-1), -1)
    return Choices(ids, torch.exp(torch.logsumexp(masked, -1) - log_totals[rows]))


@compiled
def best_allowed_kernel(logits, log_totals, rows, mask_rows, masks, ids, masses, low, high):  # type: ignore[no-untyped-def]
    """The same on numpy arrays, from packed masks: mask_rows [B] into masks, NO_MASK for none; rows low..high of B."""
    size = logits.shape[1]
    buffer = np.empty(WORD_BITS, np.float32)
    bits = buffer.view(np.int32)
    for b in range(low, high):
        x, log_total, mask = logits[rows[b]], log_totals[rows[b]], mask_rows[b]
        best, best_id, mass = LOWEST, -1, ZERO
        for w in range((size + WORD_BITS - 1) // WORD_BITS):
            word = np.uint32(0xFFFFFFFF) if mask < 0 else masks[mask, w]
            if word == 0:
                continue
            start = w * WORD_BITS
            width = min(WORD_BITS, size - start)
            peak = LOWEST
            for j in range(width):
                is_allowed = (word >> np.uint32(j)) & np.uint32(1)
                buffer[j] = x[start + j] if is_allowed else LOWEST
                peak = max(peak, buffer[j])
            if peak > best:
                best = peak
                for j in range(width):
                    if buffer[j] == peak:
                        best_id = start + j
                        break
            if mask >= 0:
                mass += exponentials(buffer, bits, width, log_total)
        ids[b], masses[b] = best_id, mass if mask >= 0 else 1.0
