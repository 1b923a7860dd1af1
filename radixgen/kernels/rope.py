"""Rotary position embedding of queries and keys, and the write of keys and values to their slots.

A head's vector is two halves (a, b); position p turns each pair by the angle p * frequency:
(a·cos - b·sin, b·cos + a·sin), as in transformers' Llama. Qwen3 first normalises each head.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from radixgen.kernels.jit import compiled
from radixgen.kernels.norm import rms_norm_reference


class Turn(NamedTuple):
    """What all layers of a step share. T tokens, D head size."""

    cos: torch.Tensor
    """[T, D/2] float32."""
    sin: torch.Tensor
    slots: torch.Tensor
    """[T] int64: where each token's key and value go."""


class HeadNorms(NamedTuple):
    """Weights [D] of the norms of each query and key head."""

    query: torch.Tensor
    key: torch.Tensor
    eps: float


def rotate_and_store_reference(
    qkv: torch.Tensor, turn: Turn, norms: HeadNorms | None, keys: torch.Tensor, values: torch.Tensor
) -> None:
    """Turn the queries of qkv [T, (H + 2·KV)·D] in place; write turned keys, and values, to their slots [S, KV, D]."""
    num_kv, size = keys.shape[1:]
    heads = qkv.view(len(qkv), -1, size)
    query, key, value = heads.split([heads.shape[1] - 2 * num_kv, num_kv, num_kv], dim=1)
    if norms is not None:
        query.copy_(rms_norm_reference(query, norms.query, norms.eps))
        key.copy_(rms_norm_reference(key, norms.key, norms.eps))
    query.copy_(_turned(query, turn))
    keys.index_copy_(0, turn.slots, _turned(key, turn).to(keys.dtype))
    values.index_copy_(0, turn.slots, value.to(values.dtype))


def _turned(x: torch.Tensor, turn: Turn) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    cos, sin = turn.cos.to(x.dtype).unsqueeze(1), turn.sin.to(x.dtype).unsqueeze(1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


@compiled
def rotate_and_store_kernel(qkv, cos, sin, slots, norms, eps, keys, values, low, high):  # type: ignore[no-untyped-def]
    """The same on numpy arrays, float32; norms is [2, D] or [0, D]; tokens low..high."""
    num_kv, size = keys.shape[1], keys.shape[2]
    half = size // 2
    num_turned = qkv.shape[1] // size - num_kv
    num_queries = num_turned - num_kv
    for t in range(low, high):
        slot = slots[t]
        for h in range(num_turned):
            head = qkv[t, h * size : (h + 1) * size]
            if norms.shape[0] > 0:
                weight = norms[0 if h < num_queries else 1]
                total = np.float32(0)
                for i in range(size):
                    total += head[i] * head[i]
                scale = np.float32(1) / np.sqrt(total / np.float32(size) + eps)
                for i in range(size):
                    head[i] = weight[i] * (head[i] * scale)
            out = head if h < num_queries else keys[slot, h - num_queries]
            for i in range(half):
                first, second = head[i], head[half + i]
                out[i] = first * cos[t, i] - second * sin[t, i]
                out[half + i] = second * cos[t, i] + first * sin[t, i]
        for h in range(num_kv):
            start = (num_turned + h) * size
            for i in range(size):
                values[slot, h, i] = qkv[t, start + i]
