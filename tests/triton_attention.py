"""Run by test_kernels.py with TRITON_INTERPRET=1, in a process of its own: Triton reads the variable at its import."""

from __future__ import annotations

import numpy as np
import torch

from radixgen.kernels.attention import AttentionBatch, ReferenceAttention
from radixgen.kernels.attention_gpu import GpuAttention

CPU = torch.device("cpu")
NUM_SLOTS = 100
SPANS = ((0, 5), (69, 70), (63, 66))
CASES = ((4, 4, 16, 0), (6, 2, 20, 0), (4, 2, 16, 30))


def scattered_batch() -> AttentionBatch:
    """Rows of positions start..end, in slots in no order."""
    order = np.random.default_rng(0)
    slots = [order.permutation(NUM_SLOTS)[:end].astype(np.int32) for _, end in SPANS]
    return AttentionBatch(
        positions=np.concatenate([np.arange(start, end, dtype=np.int32) for start, end in SPANS]),
        row_starts=np.cumsum([0, *(end - start for start, end in SPANS)]).astype(np.int32),
        slots=np.concatenate(slots),
        slot_starts=np.cumsum([0, *(end for _, end in SPANS)]).astype(np.int32),
    )


if __name__ == "__main__":
    batch = scattered_batch()
    for heads, kv, size, window in CASES:
        queries = torch.randn(len(batch.positions), (heads + 2 * kv) * size)
        keys, values = torch.randn(2, NUM_SLOTS, kv, size)
        got = GpuAttention(batch, heads, CPU)(queries, keys, values, window)
        wanted = ReferenceAttention(batch, heads, CPU)(queries, keys, values, window)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
