"""Keys and values of every token that the cache holds, by slot.

A layer's keys are [slots, KV heads, head size]: what one token wrote lies together, so that decode attention reads a
slot's heads as one run of memory, and neighbouring slots as a longer one.
"""

from __future__ import annotations

import numpy as np
import torch

from radixgen.errors import ConfigError
from radixgen.models.config import ModelConfig


def slot_bytes(config: ModelConfig, dtype: torch.dtype) -> int:
    """Bytes that one token takes in all layers."""
    return 2 * config.num_layers * config.kv_size * dtype.itemsize


class KvPool:
    """keys, values: [layers, slots, KV heads, head size]. What an unwritten slot holds is undefined but finite.

    Raises:
        ConfigError: when the device has no room for so many slots.
    """

    def __init__(self, config: ModelConfig, num_slots: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.num_layers, num_slots, config.num_kv_heads, config.head_dim)
        self.num_slots = num_slots
        try:
            self.keys = _zeros(shape, dtype, device)
            self.values = _zeros(shape, dtype, device)
        except (MemoryError, RuntimeError):
            size = num_slots * slot_bytes(config, dtype) / 2**30
            raise ConfigError(
                f"num_slots {num_slots} takes {size:,.1f} GiB, more than there is; ask for fewer"
            ) from None

    def copy_slots(self, copies: list[tuple[int, int]]) -> None:
        """Copy keys and values of slots (from, to), all at once: a slot may be read and written."""
        if copies:
            source, target = torch.tensor(copies, device=self.keys.device).unbind(1)
            self.keys[:, target] = self.keys[:, source]
            self.values[:, target] = self.values[:, source]


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    # numpy's zeros are pages that the system gives when they are first touched; torch's are written at once
    return torch.from_numpy(np.zeros((*shape[:-1], shape[-1] * dtype.itemsize), np.uint8)).view(dtype)
