"""The forward of a Llama-shaped decoder.

    ids ─► embedding ─┬─► norm ─► qkv ─► turn, store in slots ─► attention ─► out ─┐
                      └────────────────────────────────────────────────────────────+─┬─► norm ─► gate·up ─► down ─┐
                        (this and the right-hand part once a layer)                  └────────────────────────────+─►

The last layer stores the keys and values of all tokens, then goes on with the kept positions alone: nothing reads the
others' outputs, so a prefill chunk pays for three of its four layers' attention and MLP in a model of four.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from radixgen.kernels.attention import AttentionBatch
from radixgen.kernels.gate import silu_and_multiply
from radixgen.kernels.linear import Linear, padded_rows
from radixgen.kernels.ops import ReferenceOps, ops_for
from radixgen.kernels.rope import HeadNorms, Turn
from radixgen.models.config import ModelConfig
from radixgen.models.kv_pool import KvPool
from radixgen.models.rope import frequencies
from radixgen.models.weights import LayerWeights, Weights

TIED_PACK_BYTES = 64 << 20
"""A tied head is multiplied from a packed copy of the embedding only when that copy is smaller than this."""


@dataclass(slots=True)
class Tokens:
    """What one forward computes. T tokens."""

    ids: torch.Tensor
    """[T] int64, on the model's device."""
    write_slots: npt.NDArray[np.int32]
    """[T]"""
    batch: AttentionBatch
    kept: npt.NDArray[np.int32]
    """[L] which tokens' logits are wanted, ascending."""


@dataclass(slots=True)
class _Layer:
    attention_norm: torch.Tensor
    qkv: Linear
    head_norms: HeadNorms | None
    out: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear
    window: int


class Decoder:
    """Weights and the forward over a pool. Holds no state of a sequence. Takes over `weights`: plain copies of packed
    matrices are released."""

    def __init__(
        self, config: ModelConfig, weights: Weights, num_threads: int = 1, *, is_deterministic: bool = False
    ) -> None:
        """is_deterministic: no token's result depends on what is computed beside it, bit for bit; slower.

        Raises:
            ConfigError: deterministic operations that are not there for the weights' device and dtype.
        """
        self.config = config
        self._is_tiled = is_deterministic
        self.dtype, self.device = weights.embedding.dtype, weights.embedding.device
        self.ops: ReferenceOps = ops_for(self.device, self.dtype, num_threads, is_deterministic=is_deterministic)
        self._embedding, self._final_norm = weights.embedding, weights.final_norm
        layers = enumerate(weights.layers)
        self._layers = [_layer(config, index, layer, is_tiled=is_deterministic) for index, layer in layers]
        may_pack = not config.is_tied or weights.head.nbytes <= TIED_PACK_BYTES
        self._head = Linear(weights.head, may_pack=may_pack, is_tiled=is_deterministic)
        if not config.is_tied:
            weights.head = weights.head.new_empty(0)
            self._head.release_plain()
        self._frequencies = frequencies(config.rope, config.head_dim).to(self.device)

    @torch.inference_mode()
    def forward(self, tokens: Tokens, pool: KvPool) -> torch.Tensor:
        """Writes the tokens' keys and values to their slots; returns logits [L, V] float32 of the kept tokens."""
        eps, num_rows = self.config.norm_eps, len(tokens.ids)
        turn = self._turn(tokens)
        x = self._embedding[self._padded(tokens.ids)]
        attention = self.ops.attention(tokens.batch, self.config.num_heads)
        for index, layer in enumerate(self._layers):
            keys, values = pool.keys[index], pool.values[index]
            qkv = layer.qkv(self.ops.rms_norm(x, layer.attention_norm, eps))[:num_rows]
            self.ops.rotate_and_store(qkv, turn, layer.head_norms, keys, values)
            if index == len(self._layers) - 1:
                if not len(tokens.kept):
                    return torch.empty(0, self.config.vocab_size, device=self.device)
                kept = torch.from_numpy(tokens.kept).to(self.device)
                qkv, x = qkv[kept], x[self._padded(kept)]
                attention = self.ops.attention(tokens.batch.keep(tokens.kept), self.config.num_heads)
            x = self._finish(layer, x, attention(qkv, keys, values, layer.window))
        return self._head(self.ops.rms_norm(x, self._final_norm, eps))[: len(tokens.kept)].float()

    def _finish(self, layer: _Layer, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        x = x + layer.out(self._padded(attended))
        gated = silu_and_multiply(layer.gate_up(self.ops.rms_norm(x, layer.mlp_norm, self.config.norm_eps)))
        return x.add_(layer.down(gated))

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        """x [T, ...] with rows of zeros after it, as many as `padded_rows` says; what comes of them is cut off."""
        num_more = padded_rows(len(x), x.device, is_tiled=self._is_tiled) - len(x)
        return torch.cat((x, x.new_zeros(num_more, *x.shape[1:]))) if num_more else x

    def _turn(self, tokens: Tokens) -> Turn:
        positions = torch.from_numpy(tokens.batch.positions).to(self.device)
        angles = positions.float().unsqueeze(1) * self._frequencies
        slots = torch.from_numpy(tokens.write_slots).to(self.device, torch.int64)
        return Turn(angles.cos(), angles.sin(), slots)


def _layer(config: ModelConfig, index: int, weights: LayerWeights, *, is_tiled: bool) -> _Layer:
    norms = None
    if weights.query_norm is not None and weights.key_norm is not None:
        norms = HeadNorms(weights.query_norm, weights.key_norm, config.norm_eps)
    layer = _Layer(
        attention_norm=weights.attention_norm,
        qkv=Linear(weights.qkv, weights.qkv_bias, is_tiled=is_tiled),
        head_norms=norms,
        out=Linear(weights.out, weights.out_bias, is_tiled=is_tiled),
        mlp_norm=weights.mlp_norm,
        gate_up=Linear(weights.gate_up, weights.gate_up_bias, is_tiled=is_tiled),
        down=Linear(weights.down, weights.down_bias, is_tiled=is_tiled),
        window=config.windows[index],
    )
    _release(layer, weights)
    return layer


def _release(layer: _Layer, weights: LayerWeights) -> None:
    """Let go of plain matrices that have a packed copy, so that a model is in memory once."""
    for name in ("qkv", "out", "gate_up", "down"):
        linear: Linear = getattr(layer, name)
        linear.release_plain()
        setattr(weights, name, linear.weight)
