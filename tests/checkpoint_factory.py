"""Small random-weight checkpoints, made on the spot by transformers' own classes.

folder = make_checkpoint(tmp_path, "qwen3", vocab_size=300)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SIZES: dict[str, Any] = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
WINDOW = 12
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-biases": {"attention_bias": True, "mlp_bias": True},
    "llama-linear": {"rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}},
    "llama-llama3": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 10_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        }
    },
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1},
    "qwen3": {"head_dim": 32},
}


def make_model(family: str, *, seed: int = 0, **changes: Any) -> Any:
    """transformers' own model of a name in FAMILIES, with some config fields changed; float32, evaluation mode."""
    kind = family.split("-")[0]
    name = kind.capitalize()
    fields = SIZES | FAMILIES[family] | changes
    if kind == "qwen2":
        fields = {key: value for key, value in fields.items() if key != "head_dim"}
    config = getattr(transformers, f"{name}Config")(**fields, attn_implementation="eager")
    torch.manual_seed(seed)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval().float()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            is_norm = "norm" in parameter_name
            parameter.normal_(1.0 if is_norm else 0.0, 0.2 if is_norm else 0.15)
    return model


def make_checkpoint(
    folder: Path,
    family: str = "llama",
    *,
    seed: int = 0,
    shard: str | None = None,
    dtype: str = "float32",
    **changes: Any,
) -> Path:
    """A checkpoint folder (config.json, safetensors; no tokenizer). shard: most bytes of a file, such as "50KB"."""
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(family, seed=seed, **changes).to(getattr(torch, dtype))
    model.config.dtype = dtype
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    return folder
