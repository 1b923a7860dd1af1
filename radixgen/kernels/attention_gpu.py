"""Attention on a GPU: a Triton kernel over slots, one program for each query and KV head.

All query heads of a KV head read its keys together, blocks of slots at a time, with a running softmax as in
attention_cpu.py. Decodes, extends and prefill chunks take the same way; a tiled prefill, for speed, is to come.
Triton is imported only with this file, and this file only where there is a GPU (or Triton's interpreter, in tests).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from radixgen.kernels.attention import AttentionBatch

MOST_SLOTS = 64
MOST_PRODUCTS = 8192
"""Elements of a block's products that a program holds at once; more would spill from registers."""


@triton.jit
def attend(  # type: ignore[no-untyped-def]
    queries,
    keys,
    values,
    slots,
    firsts,
    num_seen,
    out,
    query_stride,
    scale,
    window,
    NUM_KV: tl.constexpr,
    GROUP: tl.constexpr,
    PADDED_GROUP: tl.constexpr,
    SIZE: tl.constexpr,
    PADDED_SIZE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """queries [T, >= H·D] with row stride query_stride; keys, values [S, KV, D]; firsts, num_seen [T]: where a query's
    slots start, and how many it sees; out [T, H·D]. Grid [T, KV]."""
    t = tl.program_id(0)
    head = tl.program_id(1)
    g = tl.arange(0, PADDED_GROUP)
    d = tl.arange(0, PADDED_SIZE)
    is_real = (g[:, None] < GROUP) & (d[None, :] < SIZE)
    columns = (head * GROUP + g[:, None]) * SIZE + d[None, :]
    query = tl.load(queries + t.to(tl.int64) * query_stride + columns, mask=is_real, other=0.0).to(tl.float32) * scale
    first = tl.load(firsts + t)
    end = tl.load(num_seen + t)
    start = tl.maximum(end - window, 0)
    peak = tl.full([PADDED_GROUP], -1.0e30, tl.float32)
    total = tl.zeros([PADDED_GROUP], tl.float32)
    sums = tl.zeros([PADDED_GROUP, PADDED_SIZE], tl.float32)
    for block in range(start, end, BLOCK):
        j = block + tl.arange(0, BLOCK)
        slot = tl.load(slots + first + j, mask=j < end, other=0).to(tl.int64)
        place = (slot[:, None] * NUM_KV + head) * SIZE + d[None, :]
        is_seen = (j[:, None] < end) & (d[None, :] < SIZE)
        key = tl.load(keys + place, mask=is_seen, other=0.0).to(tl.float32)
        value = tl.load(values + place, mask=is_seen, other=0.0).to(tl.float32)
        scores = tl.sum(query[:, None, :] * key[None, :, :], axis=2)
        scores = tl.where(j[None, :] < end, scores, -1.0e30)
        higher = tl.maximum(peak, tl.max(scores, axis=1))
        shrink = tl.exp(peak - higher)
        weights = tl.exp(scores - higher[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        sums = sums * shrink[:, None] + tl.sum(weights[:, :, None] * value[None, :, :], axis=1)
        peak = higher
    place = t.to(tl.int64) * (NUM_KV * GROUP * SIZE) + columns
    tl.store(out + place, (sums / total[:, None]).to(out.dtype.element_ty), mask=is_real)


class GpuAttention:
    """The `AttentionKernel` of a GPU; any float dtype, sums in float32."""

    def __init__(self, batch: AttentionBatch, num_heads: int, device: torch.device) -> None:
        self.num_heads = num_heads
        firsts = batch.slot_starts[:-1][batch.query_rows]
        self.slots, self.firsts, self.num_seen = (
            torch.from_numpy(one).to(device, non_blocking=True) for one in (batch.slots, firsts, batch.positions + 1)
        )
        self.longest = int(batch.positions.max(initial=0)) + 1

    def __call__(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int) -> torch.Tensor:
        num_kv, size = keys.shape[1:]
        group = self.num_heads // num_kv
        padded_group, padded_size = triton.next_power_of_2(group), triton.next_power_of_2(size)
        out = torch.empty(len(queries), self.num_heads * size, dtype=queries.dtype, device=queries.device)
        if len(queries):
            attend[(len(queries), num_kv)](
                queries,
                keys,
                values,
                self.slots,
                self.firsts,
                self.num_seen,
                out,
                queries.stride(0),
                size**-0.5,
                window or self.longest,
                NUM_KV=num_kv,
                GROUP=group,
                PADDED_GROUP=padded_group,
                SIZE=size,
                PADDED_SIZE=padded_size,
                BLOCK=max(8, min(MOST_SLOTS, MOST_PRODUCTS // (padded_group * padded_size))),
            )
        return out
