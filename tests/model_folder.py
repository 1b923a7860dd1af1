"""A whole model folder, made on the spot: random weights, and a tokenizer with its chat template."""

from __future__ import annotations

from pathlib import Path

from checkpoint_factory import make_checkpoint
from tokenizer_factory import make_bpe_folder


def make_model_folder(path: Path, family: str = "llama", *, vocab_size: int = 512, seed: int = 0) -> Path:
    """Context 512. The logits are a little wider than the vocabulary, as they are in many real checkpoints."""
    make_checkpoint(path, family, seed=seed, vocab_size=vocab_size)
    return make_bpe_folder(path, vocab_size - 12)
