"""RMSNorm, computed in float32 whatever the dtype, as transformers does."""

from __future__ import annotations

import numpy as np
import torch

from radixgen.kernels.jit import compiled


def rms_norm_reference(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x / rms(x) * weight over the last dimension."""
    wide = x.float()
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return weight * wide.to(x.dtype)


@compiled
def rms_norm_kernel(x, weight, eps, out, low, high):  # type: ignore[no-untyped-def]
    """x, out [T, d], weight [d], float32; rows low..high."""
    size = x.shape[1]
    for t in range(low, high):
        total = np.float32(0)
        for i in range(size):
            total += x[t, i] * x[t, i]
        scale = np.float32(1) / np.sqrt(total / np.float32(size) + eps)
        for i in range(size):
            out[t, i] = weight[i] * (x[t, i] * scale)
