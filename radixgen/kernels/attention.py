"""Attention of a mixed batch over keys and values that lie in slots of a pool.

    queries   [ row 0: T0 tokens | row 1: T1 | ... ]      row_starts
    slots     [ row 0: its sequence's slots | row 1: ... ] slot_starts     a query at position p sees its row's slots
                                                                           max(0, p + 1 - window) .. p
A row's queries need not be neighbours in its sequence: each says its own position. The reference below is the meaning;
attention_cpu.py and attention_gpu.py are the fast ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

Int32 = npt.NDArray[np.int32]
NO_WINDOW = 0


@dataclass
class AttentionBatch:
    """Which queries see which slots; the same for all layers of a step. B rows, T queries, N slots."""

    positions: Int32
    """[T], ascending within a row."""
    row_starts: Int32
    """[B+1] offsets into the queries."""
    slots: Int32
    """[N]"""
    slot_starts: Int32
    """[B+1] offsets into the slots."""

    def keep(self, index: Int32) -> AttentionBatch:
        """The batch of some queries only: `index` [L] ascending, into the queries. Rows that lose all stay, empty."""
        starts = np.searchsorted(index, self.row_starts).astype(np.int32)
        return AttentionBatch(self.positions[index], starts, self.slots, self.slot_starts)

    @cached_property
    def query_rows(self) -> Int32:
        """[T] row of each query."""
        return np.repeat(np.arange(len(self.row_starts) - 1, dtype=np.int32), np.diff(self.row_starts))


class AttentionKernel(Protocol):
    """One way to compute attention; made anew for each batch, called once a layer."""

    def __call__(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int) -> torch.Tensor:
        """queries [T, at least H·D], their heads first; keys, values [S, KV, D]. Returns [T, H·D]."""
        ...


def seen_keys(positions: Int32, num_keys: int, window: int) -> npt.NDArray[np.bool_]:
    """[T, num_keys]: whether the query at positions[t] of a sequence sees its k-th key."""
    key = np.arange(num_keys, dtype=np.int32)
    seen = key <= positions[:, None]
    return seen & (key > positions[:, None] - window) if window != NO_WINDOW else seen


class ReferenceAttention:
    """The definition, row by row, in float32."""

    def __init__(self, batch: AttentionBatch, num_heads: int, device: torch.device) -> None:
        self.batch, self.num_heads, self.device = batch, num_heads, device

    def __call__(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int) -> torch.Tensor:
        num_kv, size = keys.shape[1:]
        grouped = queries[:, : self.num_heads * size].float().view(len(queries), num_kv, -1, size)
        out = torch.empty_like(grouped)
        batch = self.batch
        for row in range(len(batch.row_starts) - 1):
            span = slice(batch.row_starts[row], batch.row_starts[row + 1])
            slots = torch.from_numpy(batch.slots[batch.slot_starts[row] : batch.slot_starts[row + 1]]).to(self.device)
            seen = torch.from_numpy(seen_keys(batch.positions[span], len(slots), window)).to(self.device)
            scores = torch.einsum("tkgd,skd->kgts", grouped[span], keys[slots].float()) / size**0.5
            weights = torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1)
            out[span] = torch.einsum("kgts,skd->tkgd", weights, values[slots].float())
        return out.reshape(len(queries), -1).to(queries.dtype)
