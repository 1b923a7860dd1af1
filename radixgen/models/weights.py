"""Where a checkpoint's tensors go: parameters with the fused shapes that the decoder multiplies by.

    q_proj ┐                      gate_proj ┐
    k_proj ├─► qkv [q+2·kv, d]    up_proj   ┴─► gate_up [2·mlp, d]
    v_proj ┘

`destinations` gives every tensor name that the checkpoint must hold the view that it is copied into, so that reading
needs no second copy of the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from radixgen.models.config import ModelConfig


@dataclass(slots=True)
class LayerWeights:
    """One decoder layer; a bias or norm that the model does not have is None. Linear weights are [out, in]."""

    attention_norm: torch.Tensor
    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    out: torch.Tensor
    out_bias: torch.Tensor | None
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    mlp_norm: torch.Tensor
    gate_up: torch.Tensor
    gate_up_bias: torch.Tensor | None
    down: torch.Tensor
    down_bias: torch.Tensor | None


@dataclass(slots=True)
class Weights:
    """A whole model. `head` is `embedding` itself when the two are tied."""

    embedding: torch.Tensor
    layers: list[LayerWeights]
    final_norm: torch.Tensor
    head: torch.Tensor


class Place(NamedTuple):
    """A tensor's name in the checkpoint and the view of a parameter that it fills."""

    name: str
    view: torch.Tensor


def allocate(config: ModelConfig, dtype: torch.dtype, device: torch.device) -> Weights:
    """Uninitialised parameters of a model of this configuration."""
    factory = _Factory(dtype, device)
    embedding = factory.matrix(config.vocab_size, config.hidden_size)
    return Weights(
        embedding=embedding,
        layers=[_allocate_layer(config, factory) for _ in range(config.num_layers)],
        final_norm=factory.vector(config.hidden_size),
        head=embedding if config.is_tied else factory.matrix(config.vocab_size, config.hidden_size),
    )


class _Factory(NamedTuple):
    dtype: torch.dtype
    device: torch.device

    def matrix(self, rows: int, columns: int) -> torch.Tensor:
        return torch.empty(rows, columns, dtype=self.dtype, device=self.device)

    def vector(self, size: int) -> torch.Tensor:
        return torch.empty(size, dtype=self.dtype, device=self.device)

    def optional(self, size: int, *, is_present: bool) -> torch.Tensor | None:
        return self.vector(size) if is_present else None


def _allocate_layer(config: ModelConfig, factory: _Factory) -> LayerWeights:
    d, qkv_size = config.hidden_size, config.query_size + 2 * config.kv_size
    return LayerWeights(
        attention_norm=factory.vector(d),
        qkv=factory.matrix(qkv_size, d),
        qkv_bias=factory.optional(qkv_size, is_present=config.has_qkv_bias),
        out=factory.matrix(d, config.query_size),
        out_bias=factory.optional(d, is_present=config.has_out_bias),
        query_norm=factory.optional(config.head_dim, is_present=config.has_qk_norm),
        key_norm=factory.optional(config.head_dim, is_present=config.has_qk_norm),
        mlp_norm=factory.vector(d),
        gate_up=factory.matrix(2 * config.mlp_size, d),
        gate_up_bias=factory.optional(2 * config.mlp_size, is_present=config.has_mlp_bias),
        down=factory.matrix(d, config.mlp_size),
        down_bias=factory.optional(d, is_present=config.has_mlp_bias),
    )


def destinations(config: ModelConfig, weights: Weights) -> Iterator[Place]:
    """Every tensor that the checkpoint must hold, with the view that it fills."""
    yield Place("model.embed_tokens.weight", weights.embedding)
    yield Place("model.norm.weight", weights.final_norm)
    if not config.is_tied:
        yield Place("lm_head.weight", weights.head)
    for index, layer in enumerate(weights.layers):
        for place in _layer_places(config, layer):
            yield Place(f"model.layers.{index}.{place.name}", place.view)


def _layer_places(config: ModelConfig, layer: LayerWeights) -> Iterator[Place]:
    qkv_sizes, mlp_sizes = [config.query_size, config.kv_size, config.kv_size], [config.mlp_size, config.mlp_size]
    qkv_names = [f"self_attn.{one}_proj" for one in "qkv"]
    mlp_names = ["mlp.gate_proj", "mlp.up_proj"]
    yield Place("input_layernorm.weight", layer.attention_norm)
    yield Place("post_attention_layernorm.weight", layer.mlp_norm)
    yield from _split_places(layer.qkv, qkv_names, qkv_sizes, "weight")
    yield from _split_places(layer.qkv_bias, qkv_names, qkv_sizes, "bias")
    yield from _split_places(layer.gate_up, mlp_names, mlp_sizes, "weight")
    yield from _split_places(layer.gate_up_bias, mlp_names, mlp_sizes, "bias")
    for name, tensor in (
        ("self_attn.o_proj.weight", layer.out),
        ("self_attn.o_proj.bias", layer.out_bias),
        ("self_attn.q_norm.weight", layer.query_norm),
        ("self_attn.k_norm.weight", layer.key_norm),
        ("mlp.down_proj.weight", layer.down),
        ("mlp.down_proj.bias", layer.down_bias),
    ):
        if tensor is not None:
            yield Place(name, tensor)


def _split_places(fused: torch.Tensor | None, names: list[str], sizes: list[int], kind: str) -> Iterator[Place]:
    if fused is not None:
        for name, view in zip(names, fused.split(sizes), strict=True):
            yield Place(f"{name}.{kind}", view)
