"""Attention on a CPU in float32: two ways, by how many queries a row has.

Few (decodes, forced runs): a kernel that walks the slots where they lie, all query heads of a KV head together, with a
running softmax over chunks of slots (Milakov & Gimelshein 2018), so that no row costs Python and nothing is gathered.
Many (prefill chunks): torch's attention on the row's keys and values, gathered unless their slots are neighbours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from radixgen.kernels.attention import NO_WINDOW, AttentionBatch, Int32, seen_keys
from radixgen.kernels.exponential import LOWEST, ONE, ZERO, exponentials
from radixgen.kernels.jit import Threads, compiled

FEW_QUERIES = 6
"""A walk of 900 slots and torch's attention cost the same at 3 queries where slots are neighbours, at 8 where not."""
BLOCK = 128
"""Queries that torch's attention takes at once when it needs a mask: what a block cannot see is not computed at all, a
quarter less work for a chunk of 750 behind 600 shared tokens."""
CHUNK = 64
LEAST_WORK = 2048
"""Slots times KV heads below which a second thread costs more than it saves."""


@compiled
def score_slots(query, keys, slots, first, width, head, scale, scores, peak):  # type: ignore[no-untyped-def]
    """scores[j] = query · keys[slots[first + j], head] * scale for j < width; returns the highest, or `peak`."""
    for j in range(width):
        key = keys[slots[first + j], head]
        total = ZERO
        for i in range(len(query)):
            total += query[i] * key[i]
        scores[j] = total * scale
        peak = max(peak, scores[j])
    return peak


@compiled
def add_weighted(out, weights, values, slots, first, width, head):  # type: ignore[no-untyped-def]
    """out[d] += sum of weights[j] * values[slots[first + j], head, d], four slots at a time."""
    size = len(out)
    j = 0
    while j + 4 <= width:
        a, b = values[slots[first + j], head], values[slots[first + j + 1], head]
        c, d = values[slots[first + j + 2], head], values[slots[first + j + 3], head]
        wa, wb, wc, wd = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
        for i in range(size):
            out[i] += wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i]
        j += 4
    while j < width:
        a, wa = values[slots[first + j], head], weights[j]
        for i in range(size):
            out[i] += wa * a[i]
        j += 1


@compiled
def walk_slots(queries, keys, values, slots, rows, seen, group, window, out, low, high):  # type: ignore[no-untyped-def]
    """Attention of rows of few queries. An item is a row and a KV head: number row_index * KV + head, low..high.

    queries [T, >= H·D]; keys, values [S, KV, D]; out [T, H·D]; rows [R, 3]: first query, queries, first index in slots;
    seen [T]: slots that a query sees the end of; group = H / KV. A chunk of slots is read once for all queries.
    """
    num_kv, size = keys.shape[1], keys.shape[2]
    scale = ONE / np.sqrt(np.float32(size))
    scores = np.empty(CHUNK, np.float32)
    bits = scores.view(np.int32)
    totals, peaks = np.empty((FEW_QUERIES, group), np.float32), np.empty((FEW_QUERIES, group), np.float32)
    for item in range(low, high):
        head = item % num_kv
        begin, count, first = rows[item // num_kv]
        columns = head * group * size
        out[begin : begin + count, columns : columns + group * size] = ZERO
        totals[:] = ZERO
        peaks[:] = LOWEST
        # chunks begin at the same slots whatever the row, so a query's sums do not depend on the queries beside it
        start = max(0, seen[begin] - window) // CHUNK * CHUNK if window > 0 else 0
        for chunk in range(start, seen[begin + count - 1], CHUNK):
            for place in range(count):
                t = begin + place
                at = max(chunk, seen[t] - window) if window > 0 else chunk
                width = min(chunk + CHUNK, seen[t]) - at
                if width <= 0:
                    continue
                for g in range(group):
                    column = columns + g * size
                    sums = out[t, column : column + size]
                    query = queries[t, column : column + size]
                    peak = score_slots(query, keys, slots, first + at, width, head, scale, scores, peaks[place, g])
                    if peak != peaks[place, g]:
                        shrink = np.float32(np.exp(peaks[place, g] - peak))
                        totals[place, g] *= shrink
                        for i in range(size):
                            sums[i] *= shrink
                        peaks[place, g] = peak
                    totals[place, g] += exponentials(scores, bits, width, peak)
                    add_weighted(sums, scores, values, slots, first + at, width, head)
        for place in range(count):
            for g in range(group):
                inverse = ONE / totals[place, g]
                for i in range(size):
                    out[begin + place, columns + g * size + i] *= inverse


class LongRow(NamedTuple):
    """A row with many queries."""

    start: int
    end: int
    slots: slice | torch.Tensor
    positions: Int32
    num_keys: int

    @property
    def is_causal_square(self) -> bool:
        return self.num_keys == self.end - self.start == int(self.positions[-1]) + 1


class QueryBlock(NamedTuple):
    """Some queries of a long row, of its number `start` up to `end`, and the keys that any of them sees."""

    start: int
    end: int
    first_key: int
    last_key: int
    mask: torch.Tensor
    """[queries, keys] float32 to add to scores."""


class CpuAttention:
    """The `AttentionKernel` of a CPU in float32."""

    def __init__(
        self, batch: AttentionBatch, num_heads: int, threads: Threads, *, is_deterministic: bool = False
    ) -> None:
        """is_deterministic: walk all rows, long ones in pieces: torch's attention depends on a row's length."""
        if is_deterministic:
            batch = in_pieces(batch)
        self.num_heads, self.threads = num_heads, threads
        self.slots = batch.slots
        counts = np.diff(batch.row_starts)
        is_short = (counts > 0) & (counts <= FEW_QUERIES)
        rows = np.stack((batch.row_starts[:-1], counts, batch.slot_starts[:-1]), axis=1)
        self.rows = np.ascontiguousarray(rows[is_short], dtype=np.int64)
        self.seen = batch.positions.astype(np.int64) + 1
        self.long_rows = [_long_row(batch, row) for row in np.flatnonzero(counts > FEW_QUERIES).tolist()]
        self._row_blocks: dict[tuple[int, int], list[QueryBlock]] = {}

    def __call__(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int) -> torch.Tensor:
        num_kv, size = keys.shape[1:]
        out = torch.empty(len(queries), self.num_heads * size)
        if len(self.rows):
            seen = self.seen[self.rows[:, 0]]
            weights = np.repeat(self.rows[:, 1] * np.minimum(seen, window or seen), num_kv)
            group = self.num_heads // num_kv
            args = (queries.numpy(), keys.numpy(), values.numpy(), self.slots, self.rows, self.seen, group, window)
            self.threads.run(walk_slots, (*args, out.numpy()), self.threads.weighted_bounds(weights, LEAST_WORK))
        for index, row in enumerate(self.long_rows):
            heads = queries[row.start : row.end, : self.num_heads * size].view(1, -1, self.num_heads, size)
            out[row.start : row.end] = self._attend_long(index, heads, keys[row.slots], values[row.slots], window)
        return out

    def _attend_long(
        self, index: int, heads: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int
    ) -> torch.Tensor:
        """heads [1, T, H, D] of one row; keys, values [slots of the row, KV, D]."""
        row = self.long_rows[index]
        queries, keys, values = heads.transpose(1, 2), keys.transpose(0, 1)[None], values.transpose(0, 1)[None]
        is_grouped = queries.shape[1] != keys.shape[1]
        if row.is_causal_square and (window == NO_WINDOW or window >= row.num_keys):
            attended = scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=is_grouped)
            return attended.transpose(1, 2).reshape(row.end - row.start, -1)
        out = torch.empty(heads.shape[1:])
        for block in self._blocks(index, window):
            seen = slice(block.first_key, block.last_key)
            attended = scaled_dot_product_attention(
                queries[:, :, block.start : block.end],
                keys[:, :, seen],
                values[:, :, seen],
                attn_mask=block.mask,
                enable_gqa=is_grouped,
            )
            out[block.start : block.end] = attended[0].transpose(0, 1)
        return out.view(len(out), -1)

    def _blocks(self, index: int, window: int) -> list[QueryBlock]:
        """A long row's queries, block by block; made once a step for each window."""
        if (index, window) not in self._row_blocks:
            positions = self.long_rows[index].positions
            starts = range(0, len(positions), BLOCK)
            self._row_blocks[index, window] = [_block(positions, start, window) for start in starts]
        return self._row_blocks[index, window]


def in_pieces(batch: AttentionBatch) -> AttentionBatch:
    """The same queries in rows of at most FEW_QUERIES, which share slots."""
    counts = -(-np.diff(batch.row_starts) // FEW_QUERIES)
    rows = np.repeat(np.arange(len(counts)), counts)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.append(batch.row_starts[rows] + FEW_QUERIES * places, batch.row_starts[-1]).astype(np.int32)
    slot_starts = np.append(batch.slot_starts[rows], batch.slot_starts[-1]).astype(np.int32)
    return AttentionBatch(batch.positions, starts, batch.slots, slot_starts)


def _block(positions: Int32, start: int, window: int) -> QueryBlock:
    own = positions[start : start + BLOCK]
    first = 0 if window == NO_WINDOW else max(0, int(own[0]) + 1 - window)
    last = int(own[-1]) + 1
    seen = torch.from_numpy(seen_keys(own - first, last - first, window))
    return QueryBlock(start, start + len(own), first, last, torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf))


def _long_row(batch: AttentionBatch, row: int) -> LongRow:
    start, end = int(batch.row_starts[row]), int(batch.row_starts[row + 1])
    positions = batch.positions[start:end]
    num_keys = int(positions[-1]) + 1
    first = int(batch.slot_starts[row])
    slots = batch.slots[first : first + num_keys]
    is_run = bool((np.diff(slots) == 1).all())
    index = slice(int(slots[0]), int(slots[0]) + num_keys) if is_run else torch.from_numpy(slots)
    return LongRow(start, end, index, positions, num_keys)
