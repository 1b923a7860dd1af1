"""A Llama of 4.1M or 7.6M parameters, written out for fast training, and the initialisation that copies at once.

Parameters carry Hugging Face names, so a state dict of this file is a checkpoint. On a CPU attention is two matrix
products and a softmax: at these lengths that is two to three times as fast backward as torch's fused one.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shape:
    """The model's sizes, named as in config.json."""

    vocab_size: int = 4096
    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    head_dim: int = 64
    intermediate_size: int = 640
    rope_theta: float = 1e6
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 4096


SHAPES = {
    "small": Shape(),  # 4.1M parameters, for two cores
    "large": Shape(hidden_size=320, num_hidden_layers=6, num_attention_heads=5, intermediate_size=672),  # for a GPU
    "tiny": Shape(hidden_size=128, num_hidden_layers=2, head_dim=32, intermediate_size=64),  # for tests
}

Weights: TypeAlias = dict[str, Tensor]


def config_json(shape: Shape) -> dict:
    """config.json of the checkpoint."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **asdict(shape),
        "num_key_value_heads": shape.num_attention_heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": 3,
        "pad_token_id": 3,
        "torch_dtype": "bfloat16",
    }


def rope_frequencies(shape: Shape) -> Tensor:
    """[head_dim / 2] radians per position."""
    return shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)


def rope_tables(shape: Shape, length: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin, each [T, head_dim], of `like`'s type and place."""
    angles = torch.outer(torch.arange(length).float(), rope_frequencies(shape))
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(like), angles.sin().to(like)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _attention(w: Weights, at: str, x: Tensor, rope: tuple[Tensor, Tensor], shape: Shape) -> Tensor:
    b, t, _ = x.shape

    def heads(name: str) -> Tensor:
        return F.linear(x, w[f"{at}.{name}_proj.weight"]).view(b, t, -1, shape.head_dim).transpose(1, 2)

    q, k, v = _rotate(heads("q"), *rope), _rotate(heads("k"), *rope), heads("v")
    if x.is_cuda:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    else:
        bias = torch.full((t, t), float("-inf"), dtype=x.dtype).triu(1)
        out = torch.softmax((q * shape.head_dim**-0.5) @ k.transpose(2, 3) + bias, dim=-1) @ v
    return F.linear(out.transpose(1, 2).reshape(b, t, -1), w[f"{at}.o_proj.weight"])


def hidden_states(w: Weights, ids: Tensor, shape: Shape) -> Tensor:
    """ids [B, T] to final normalised states [B, T, d]. Rows are padded on the right; the causal mask is enough."""
    x = F.embedding(ids, w["model.embed_tokens.weight"])
    rope = rope_tables(shape, ids.shape[1], x)

    def norm(y: Tensor, name: str) -> Tensor:
        return F.rms_norm(y, (shape.hidden_size,), w[name], shape.rms_norm_eps)

    for i in range(shape.num_hidden_layers):
        at = f"model.layers.{i}"
        x = x + _attention(w, f"{at}.self_attn", norm(x, f"{at}.input_layernorm.weight"), rope, shape)
        y = norm(x, f"{at}.post_attention_layernorm.weight")
        gate = F.silu(F.linear(y, w[f"{at}.mlp.gate_proj.weight"])) * F.linear(y, w[f"{at}.mlp.up_proj.weight"])
        x = x + F.linear(gate, w[f"{at}.mlp.down_proj.weight"])
    return norm(x, "model.norm.weight")


def logits(w: Weights, states: Tensor) -> Tensor:
    """Final states to logits, through the tied embedding."""
    return F.linear(states, w["model.embed_tokens.weight"])


def init_weights(shape: Shape, seed: int) -> Weights:
    """Random matrices with quiet outputs, then the engineered copy circuit in layers 0 and 1."""
    g = torch.Generator().manual_seed(seed)
    d, inner = shape.hidden_size, shape.num_attention_heads * shape.head_dim

    def matrix(rows: int, cols: int, scale: float = 0.7) -> Tensor:
        return torch.randn(rows, cols, generator=g) * scale / math.sqrt(cols)

    w = {"model.embed_tokens.weight": torch.randn(shape.vocab_size, d, generator=g) * 0.3}
    for i in range(shape.num_hidden_layers):
        at = f"model.layers.{i}"
        for name in "qkv":
            w[f"{at}.self_attn.{name}_proj.weight"] = matrix(inner, d)
        w[f"{at}.self_attn.o_proj.weight"] = matrix(d, inner, 0.02)
        w[f"{at}.mlp.gate_proj.weight"] = matrix(shape.intermediate_size, d)
        w[f"{at}.mlp.up_proj.weight"] = matrix(shape.intermediate_size, d)
        w[f"{at}.mlp.down_proj.weight"] = matrix(d, shape.intermediate_size, 0.02)
        w[f"{at}.input_layernorm.weight"] = torch.ones(d)
        w[f"{at}.post_attention_layernorm.weight"] = torch.ones(d)
    w["model.norm.weight"] = torch.full((d,), 0.25)
    _plant_induction(w, shape, g)
    return w


def _plant_induction(w: Weights, shape: Shape, g: torch.Generator) -> None:
    """Layer 0 writes the three tokens before into private subspaces; layer 1 looks up what followed this token.

    Embedding column 0 is a constant, so a query or key that reads only it depends on position alone; rotary
    embedding then peaks where distance is D. `content` and `before` are disjoint orthonormal subspaces of the
    other columns, so that a token's own content is read undisturbed by what layer 0 wrote.
    """
    d, head, half = shape.hidden_size, shape.head_dim, shape.head_dim // 2
    w["model.embed_tokens.weight"][:, 0] = 0.15 * math.sqrt(d)
    basis = torch.zeros(d, d)
    basis[: d - 1, 1:] = torch.linalg.qr(torch.randn(d - 1, d - 1, generator=g))[0]
    content, before = basis[:head], [basis[head * (i + 1) : head * (i + 2)] for i in range(3)]
    _plant_previous_token_heads(w, shape, content, before)

    slow = torch.cat([torch.arange(half // 2, half), torch.arange(half // 2, half) + half])
    values = torch.linalg.qr(torch.randn(d, d, generator=g))[0]
    attn = {name: w[f"model.layers.1.self_attn.{name}_proj.weight"] for name in "qkvo"}
    for h in range(shape.num_attention_heads):
        rows = slice(h * head, (h + 1) * head)
        pick = torch.randperm(head, generator=g)[: len(slow)]
        query, key = content[pick].clone(), before[0][pick].clone()
        if h % 2:  # half of the dimensions compare the token before with the token before that
            query[::2], key[::2] = before[0][pick][::2], before[1][pick][::2]
        for name, source in (("q", query), ("k", key)):
            block = torch.zeros(head, d)
            block[slow] = 3.0 * source
            attn[name][rows] = block
        attn["v"][rows] = values[rows]
        attn["o"][:, rows] = 0.6 * values[rows].T


def _plant_previous_token_heads(w: Weights, shape: Shape, content: Tensor, before: list[Tensor]) -> None:
    """Heads 0 to 2 of layer 0 attend 1, 2 and 3 tokens back (about 5 logits over the neighbours)."""
    head, half = shape.head_dim, shape.head_dim // 2
    constant = 0.5 * math.sqrt(shape.hidden_size) / math.sqrt(1.25)  # column 0 after the norm
    fast = torch.arange(half // 2)
    angles = rope_frequencies(shape)[fast]
    attn = {name: w[f"model.layers.0.self_attn.{name}_proj.weight"] for name in "qkvo"}
    for h, target in enumerate(before):
        rows = slice(h * head, (h + 1) * head)
        for name in "qk":
            attn[name][rows] = 0
        attn["k"][h * head + fast, 0] = 7 / constant
        attn["q"][h * head + fast, 0] = 7 / constant * torch.cos(-(h + 1) * angles)
        attn["q"][h * head + half + fast, 0] = 7 / constant * torch.sin(-(h + 1) * angles)
        attn["v"][rows] = content
        attn["o"][:, rows] = 0.5 * target.T
