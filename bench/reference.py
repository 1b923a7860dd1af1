"""What transformers says of the same checkpoint: logits of given ids, float32, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

Float32 = npt.NDArray[np.float32]


class Reference:
    """Remembers the last positions' logits of what it was asked, since most settings write the same ids."""

    def __init__(self, folder: Path) -> None:
        disable_progress_bar()
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._known: dict[tuple[int, ...], Float32] = {}

    def logits(self, ids: Sequence[int]) -> Float32:
        """[T, V]: row t is what follows ids[:t+1]."""
        with torch.inference_mode():
            return self._model(torch.tensor([list(ids)])).logits[0].float().numpy()

    def next_logits(self, prompt: Sequence[int], answer: Sequence[int]) -> Float32:
        """[len(answer), V]: row i is what follows the prompt and answer[:i]."""
        key = (*prompt, *answer)
        if key not in self._known:
            self._known[key] = self.logits(key[:-1])[len(prompt) - 1 :].copy()
        return self._known[key]
