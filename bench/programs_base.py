"""The base that `programs.py` compares with: a program's calls one at a time through transformers and llguidance.

What someone would write without an engine: every call tokenizes its whole prompt, calls `generate` with a logits
processor for its constraint, and starts from nothing the next time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from bench.base import GrammarMask
from radixgen.dsl.backend import Answer, Cost, Prompt, Scores, Written
from radixgen.dsl.choices import Scored
from radixgen.engine.options import read_options
from radixgen.params import Choices, Constraint, JsonSchema, Regex, Text
from radixgen.tokens.tokenizer import Tokenizer


class TransformersBackend:
    """A `Backend` over one checkpoint folder, float32, on the CPU. Prompts are those of radixgen, id for id."""

    def __init__(self, folder: Path, num_threads: int) -> None:
        torch.set_num_threads(num_threads)
        disable_progress_bar()
        self._tokenizer = Tokenizer.load(folder)
        self._hf_tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._model.generation_config.max_length = None
        self._eos_id = self._tokenizer.vocabulary.eos_ids[0]
        self._vocab_size = self._model.config.vocab_size
        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        self._grammars = LLTokenizer(text, n_vocab=self._vocab_size, eos_token=self._eos_id)
        self.num_forwards = 0

    async def generate(self, prompt: Prompt, options: Mapping[str, Any]) -> Answer:
        asked = read_options(options)
        ids = torch.tensor([self._ids(prompt)])
        how: dict[str, Any] = {"do_sample": False}
        if asked.params.temperature > 0:
            how = {"do_sample": True, "temperature": asked.params.temperature, "top_k": 0}
            torch.manual_seed(asked.params.seed or 0)
        if asked.constraint is not None:
            how["logits_processor"] = [
                GrammarMask([self._matcher(asked.constraint)], self._vocab_size, self._eos_id, 1)
            ]
        if asked.params.stop:
            how |= {"stop_strings": list(asked.params.stop), "tokenizer": self._hf_tokenizer}
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=asked.params.max_tokens,
                pad_token_id=self._eos_id,
                eos_token_id=self._eos_id,
                **how,
            )
        written = [one for one in out[0, ids.shape[1] :].tolist() if one != self._eos_id]
        self.num_forwards += out.shape[1] - ids.shape[1]
        text = self._tokenizer.decode(written)
        for stop in asked.params.stop:
            text = text.split(stop, 1)[0]
        return Answer(
            (Written(text, _value(asked.parse, text), (Text(text),), "stop"),), Cost(1, ids.shape[1], 0, len(written))
        )

    async def stream(self, prompt: Prompt, options: Mapping[str, Any]) -> AsyncIterator[str | Answer]:
        yield await self.generate(prompt, options)

    async def score(self, prompt: Prompt, choices: Sequence[str], *, unconditional: bool) -> Scores:
        rows = []
        for choice in choices:
            given, rest = self._ids(prompt), self._tokenizer.encode_continuation(choice).tolist()
            own = self._logprobs(rest[:1], rest[1:]) if unconditional and len(rest) > 1 else ()
            rows.append(Scored(self._logprobs(given, rest), (0.0, *own) if unconditional else ()))
        return Scores(tuple(rows), Cost(1))

    async def publish(self, prompt: Prompt) -> Cost:
        return Cost()

    def _logprobs(self, given: list[int], rest: list[int]) -> tuple[float, ...]:
        with torch.inference_mode():
            logits = self._model(torch.tensor([given + rest])).logits[0, len(given) - 1 : -1]
        self.num_forwards += 1
        return tuple(torch.log_softmax(logits, -1)[range(len(rest)), rest].tolist())

    def _ids(self, prompt: Prompt) -> list[int]:
        return self._tokenizer.render(prompt, 1 << 20, truncate=False).ids.tolist()

    def _matcher(self, constraint: Constraint) -> LLMatcher:
        match constraint:
            case JsonSchema(text=text):
                compact = {"whitespace_flexible": False}
                grammar = LLMatcher.grammar_from_json_schema(_without_annotations(text), overrides=compact)
            case Regex(pattern):
                grammar = LLMatcher.grammar_from_regex(pattern)
            case Choices(choices):
                grammar = LLMatcher.grammar_from_json_schema(json.dumps({"enum": list(choices)}))
            case _:
                raise ValueError(f"the base cannot follow a {type(constraint).__name__}")
        matcher = LLMatcher(self._grammars, grammar)
        if matcher.is_error():
            raise ValueError(f"llguidance cannot take the constraint: {matcher.get_error()}")
        return matcher


def _without_annotations(text: str) -> str:
    """Quoting has no counterpart there: the strings are free."""
    return text.replace('"x-verbatim": true, ', "").replace(', "x-verbatim": true', "")


def _value(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except Exception as error:
        return error
