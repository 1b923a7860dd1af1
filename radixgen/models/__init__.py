"""Decoder-only transformers over a slot-addressed KV pool.

    config.json ──► ModelConfig ──► Decoder(weights, KvPool) ──► logits at the positions a plan names
    *.safetensors ──► read_weights, one tensor at a time, straight into the fused parameters

Job: what a checkpoint means, as numbers. Architectures differ by fields of `ModelConfig`, not by classes.
Invariant: a forward writes the keys and values of all its tokens into the pool before that layer's attention reads any.
Knows nothing of requests, masks or sampling; imports kernels only.
"""

from __future__ import annotations

import radixgen.kernels  # noqa: F401 - sets what must be set before torch is loaded
from radixgen.models.checkpoint import resolve
from radixgen.models.config import ModelConfig

__all__ = ["ModelConfig", "resolve"]
