"""Which version of each operation runs: one object that a model holds.

    ops_for(device, dtype) ──►  CpuOps        CPU, float32, numba there
                                GpuOps        CUDA, Triton there
                                ReferenceOps  everything else

The reference is what tests compare the other two with.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import torch

from radixgen.errors import ConfigError
from radixgen.kernels.attention import AttentionBatch, AttentionKernel, ReferenceAttention
from radixgen.kernels.attention_cpu import CpuAttention
from radixgen.kernels.jit import HAS_NUMBA, Threads
from radixgen.kernels.norm import rms_norm_kernel, rms_norm_reference
from radixgen.kernels.rope import HeadNorms, Turn, rotate_and_store_kernel, rotate_and_store_reference

LEAST_ROWS = 256
"""Tokens below which splitting a cheap loop over threads costs more than it saves."""


class ReferenceOps:
    """Plain torch, any device and dtype."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        return rms_norm_reference(x, weight, eps)

    def rotate_and_store(
        self, qkv: torch.Tensor, turn: Turn, norms: HeadNorms | None, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        rotate_and_store_reference(qkv, turn, norms, keys, values)

    def attention(self, batch: AttentionBatch, num_heads: int) -> AttentionKernel:
        return ReferenceAttention(batch, num_heads, self.device)


class CpuOps(ReferenceOps):
    """numba kernels on float32 arrays, split over threads."""

    def __init__(self, num_threads: int, *, is_deterministic: bool = False) -> None:
        super().__init__(torch.device("cpu"))
        self.is_deterministic = is_deterministic
        self.threads = Threads(num_threads)
        self._no_norms = np.empty((0, 1), np.float32)

    def rms_norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        out = torch.empty_like(x)
        args = (x.numpy(), weight.numpy(), np.float32(eps), out.numpy())
        self.threads.run(rms_norm_kernel, args, self.threads.even_bounds(len(x), LEAST_ROWS))
        return out

    def rotate_and_store(
        self, qkv: torch.Tensor, turn: Turn, norms: HeadNorms | None, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        weights = self._no_norms if norms is None else torch.stack((norms.query, norms.key)).numpy()
        eps = np.float32(0.0 if norms is None else norms.eps)
        args = (qkv.numpy(), turn.cos.numpy(), turn.sin.numpy(), turn.slots.numpy(), weights, eps)
        bounds = self.threads.even_bounds(len(qkv), LEAST_ROWS)
        self.threads.run(rotate_and_store_kernel, (*args, keys.numpy(), values.numpy()), bounds)

    def attention(self, batch: AttentionBatch, num_heads: int) -> AttentionKernel:
        return CpuAttention(batch, num_heads, self.threads, is_deterministic=self.is_deterministic)


class GpuOps(ReferenceOps):
    """Triton where it pays: attention."""

    def attention(self, batch: AttentionBatch, num_heads: int) -> AttentionKernel:
        from radixgen.kernels.attention_gpu import GpuAttention

        return GpuAttention(batch, num_heads, self.device)


def ops_for(
    device: torch.device, dtype: torch.dtype, num_threads: int, *, is_deterministic: bool = False
) -> ReferenceOps:
    """The fastest operations that run there; `is_deterministic`: of those whose result for a token depends on nothing
    but the tokens before it.

    Raises:
        ConfigError: deterministic operations that are not there for this device and dtype.
    """
    if device.type == "cpu" and dtype == torch.float32 and HAS_NUMBA:
        return CpuOps(num_threads, is_deterministic=is_deterministic)
    if is_deterministic:
        raise ConfigError("deterministic needs the CPU, float32 and numba; leave it out, or choose these")
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        return GpuOps(device)
    return ReferenceOps(device)
