"""A training state -> a folder in Hugging Face layout (bfloat16 safetensors, configs, tokenizer)."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from .model import Shape, Weights, config_json
from .tokenizer import save_tokenizer


def export(folder: Path, weights: Weights, shape: Shape, tokenizer: Tokenizer) -> None:
    """Write everything but the model card."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: weight.to("cpu", torch.bfloat16).contiguous() for name, weight in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config_json(shape), indent=2) + "\n")
    generation = {"do_sample": False, "eos_token_id": 3, "pad_token_id": 3}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)
