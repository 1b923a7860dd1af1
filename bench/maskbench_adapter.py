"""radixgen as an engine of MaskBench-like harnesses: compile a schema, then mask, accept, mask, accept, ...

    --engine bench.maskbench_adapter:RadixGen          JSON as `json.dumps` writes it, keys in the schema's order
    --engine bench.maskbench_adapter:RadixGenSuite     a validator: compact, keys in any order, formats annotated

The harness hands over its tokenizer (`size`, `bytes` of each id, `special` ids, `eos`) and calls what it finds here.
`mask` does all the work of a mask; `accept` only steps, and nothing is prepared in it. As in a worker, garbage is
collected between answers, and not between a schema and its first mask.
"""

from __future__ import annotations

import gc
from typing import Any, ClassVar

import numpy as np

from radixgen.errors import RequestFailed
from radixgen.mask import MaskEngine, Matcher
from radixgen.mask.states import Grammar
from radixgen.params import JsonSchema
from radixgen.tokens.vocabulary import Vocabulary

MAX_BYTES = 100 << 20
MAX_TOKENS = 100_000
MOST_GARBAGE = 100_000
"""New objects between two collections."""


class RadixGen:
    """Schema text in, matchers out. Raises on refusal."""

    package = "radixgen"
    options: ClassVar[dict[str, Any]] = {"extra_keys": "schema", "white_space": "spaced"}

    def __init__(self, tok: Any) -> None:
        vocabulary = Vocabulary(list(tok.bytes), frozenset(tok.special), (tok.eos,))
        self.masks = MaskEngine(vocabulary, encode_forced=no_forced, max_bytes=MAX_BYTES)
        gc.collect()
        gc.freeze()
        gc.disable()

    def compile(self, schema: str) -> MaskBenchMatcher:
        return MaskBenchMatcher(self, self.masks.compile(JsonSchema(schema, **self.options)))


class RadixGenSuite(RadixGen):
    options: ClassVar[dict[str, Any]] = {
        "extra_keys": "schema",
        "white_space": "compact",
        "key_order": "any",
        "formats": "annotate",
        "exponents": True,
    }


class MaskBenchMatcher:
    """One generation in progress; bit t % 32 of word t // 32 of `bits` is token t."""

    def __init__(self, engine: RadixGen, grammar: Grammar) -> None:
        self._engine, self._grammar, self._has_answered = engine, grammar, False
        self._matcher: Matcher = engine.masks.matcher(grammar, max_tokens=MAX_TOKENS, forced_tokens=False)
        self.bits = np.zeros(engine.masks.num_words, np.uint32)

    def fresh(self) -> MaskBenchMatcher:
        if self._has_answered and gc.get_count()[0] > MOST_GARBAGE:
            gc.collect()
        self._has_answered = True
        return MaskBenchMatcher(self._engine, self._grammar)

    def mask(self) -> None:
        self._matcher.fill_mask(self.bits)

    def allowed(self, token: int) -> bool:
        return bool(self.bits[token >> 5] >> (token & 31) & 1)

    def accept(self, token: int) -> bool:
        try:
            self._matcher.advance(token)
        except RequestFailed:
            return False
        return True

    def accepting(self, eos: int) -> bool:
        self.mask()
        return self.allowed(eos)


def no_forced(data: bytes, before: bytes = b"") -> list[int]:
    """No ids are written without the model: the harness asks for every mask."""
    return []
