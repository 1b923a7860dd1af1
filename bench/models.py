"""Random-weight checkpoints with tokenizers, made on the spot in folders that `Engine` loads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from bench.workload import ROOT


class Made(NamedTuple):
    """A family of `tests/checkpoint_factory.py` with a style of `tests/tokenizer_factory.py`."""

    family: str
    style: str


FOUR = (Made("llama", "split"), Made("mistral", "llama"), Made("qwen2", "gpt2"), Made("qwen3", "sentencepiece"))
VOCAB_SIZE = 640


def make_folder(path: Path, made: Made, *, context: int = 4096, seed: int = 0) -> Path:
    """Weights and tokenizer; the vocabulary's own size is at most the model's."""
    tests = str(ROOT / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    from checkpoint_factory import make_checkpoint
    from tokenizer_factory import make_bpe_folder, make_sentencepiece_folder
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    make_checkpoint(path, made.family, seed=seed, vocab_size=VOCAB_SIZE + 13, max_position_embeddings=context)
    if made.style == "sentencepiece":
        make_sentencepiece_folder(path, vocab_size=VOCAB_SIZE - 256)
    else:
        make_bpe_folder(path, vocab_size=VOCAB_SIZE, style=made.style)
    return path
