"""The base that `extract.py` compares with: transformers' `generate` in static batches, masked by llguidance.

What a careful user of these two libraries would write: prompts sorted by length, padded at the left, one matcher a
row, its mask applied to the logits at every step, greedy. A finished row is padded until its batch has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from llguidance import LLExecutor, LLMatcher, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask_par
from transformers import AutoModelForCausalLM, LogitsProcessor
from transformers.utils.logging import disable_progress_bar


class BaseRun(NamedTuple):
    """Answers' ids without their end-of-text id, in the order of the prompts, and the number of forwards."""

    answers: list[list[int]]
    num_forwards: int


class GrammarMask(LogitsProcessor):
    """Follows one matcher per row. A matcher stops by itself when nothing but the end may follow."""

    def __init__(self, matchers: Sequence[LLMatcher], vocab_size: int, eos_id: int, num_threads: int) -> None:
        self._matchers = matchers
        self._eos_id = eos_id
        self._executor = LLExecutor(num_threads=num_threads)
        self._bits = allocate_token_bitmask(len(matchers), vocab_size)
        self._has_begun = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._has_begun:
            self._advance(input_ids[:, -1].tolist())
        self._has_begun = True
        live = [(matcher, row) for row, matcher in enumerate(self._matchers) if not matcher.is_stopped()]
        if live:
            fill_next_token_bitmask_par(self._executor, live, self._bits)
        allowed = np.unpackbits(self._bits.view(np.uint8), axis=1, bitorder="little")[:, : scores.shape[1]]
        stopped = [row for row, matcher in enumerate(self._matchers) if matcher.is_stopped()]
        allowed[stopped] = 0
        allowed[stopped, self._eos_id] = 1
        return scores.masked_fill(torch.from_numpy(allowed) == 0, float("-inf"))

    def _advance(self, last_ids: list[int]) -> None:
        for matcher, token_id in zip(self._matchers, last_ids, strict=True):
            if not matcher.is_stopped() and not matcher.consume_token(token_id):
                raise RuntimeError(f"llguidance refused id {token_id}: {matcher.get_error()}")


class TransformersBase:
    """A checkpoint folder in transformers, float32, on the CPU."""

    def __init__(self, folder: Path, eos_id: int, num_threads: int) -> None:
        torch.set_num_threads(num_threads)
        disable_progress_bar()
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._model.generation_config.max_length = None  # it would warn that max_new_tokens takes precedence
        self._vocab_size = self._model.config.vocab_size
        self._eos_id = eos_id
        self._num_threads = num_threads
        tokenizer_text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._tokenizer = LLTokenizer(tokenizer_text, n_vocab=self._vocab_size, eos_token=eos_id)

    def run(
        self,
        prompts: Sequence[Sequence[int]],
        schemas: Sequence[Mapping[str, Any] | None],
        *,
        max_tokens: int,
        batch: int = 16,
    ) -> BaseRun:
        """Greedy answers; a None in `schemas` leaves that row unconstrained."""
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        answers: list[list[int]] = [[] for _ in prompts]
        num_forwards = 0
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            found = self._batch([prompts[row] for row in rows], [schemas[row] for row in rows], max_tokens)
            num_forwards += max(map(len, found))
            for row, answer in zip(rows, found, strict=True):
                answers[row] = answer[: answer.index(self._eos_id)] if self._eos_id in answer else answer
        return BaseRun(answers, num_forwards)

    def _batch(
        self, prompts: list[Sequence[int]], schemas: list[Mapping[str, Any] | None], max_tokens: int
    ) -> list[list[int]]:
        width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), self._eos_id)
        seen = torch.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            seen[row, width - len(prompt) :] = 1
        is_free = schemas[0] is None
        masks = (
            []
            if is_free
            else [GrammarMask(list(map(self._matcher, schemas)), self._vocab_size, self._eos_id, self._num_threads)]
        )
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=seen,
                do_sample=False,
                max_new_tokens=max_tokens,
                min_new_tokens=max_tokens if is_free else None,
                logits_processor=masks,
                pad_token_id=self._eos_id,
                eos_token_id=self._eos_id,
            )
        return out[:, width:].tolist()

    def _matcher(self, schema: Mapping[str, Any] | None) -> LLMatcher:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})
        matcher = LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            raise ValueError(f"llguidance cannot take the schema: {matcher.get_error()}")
        return matcher
