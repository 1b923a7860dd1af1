"""What is done once for a vocabulary, so that no request waits for it: kernels compiled, common masks found."""

from __future__ import annotations

import numpy as np

from radixgen.mask.states import Grammar
from radixgen.params import JsonSchema

SCHEMA = JsonSchema(
    '{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string", "maxLength": 512}, '
    '"c": {"type": "string", "minLength": 1}, "d": {"type": "integer"}, "e": {"type": "number"}, '
    '"f": {"type": "array", "items": {"enum": [true, "x", "y"]}}}, "additionalProperties": {"type": "string"}}',
    extra_keys="schema",
)
TEXTS = (b'{"a": "aa", "b": "b", "c": "cc", "d": 10, "e": 1.5, "f": [true, "x"], "g": ""}', b'{"aa":"","bb":""}')
"""In either style of white space; what a schema does not take of a text is left out."""


def warm_up(grammar: Grammar) -> None:
    """Find the mask of every state along some texts."""
    row = np.zeros(grammar.index.num_words, np.uint32)
    for text in TEXTS:
        state = grammar.machine.start()
        for byte in text:
            grammar.fill(grammar.record(state), row)
            after = grammar.machine.step(state, byte)
            if after is not None:
                state = after
    grammar.pieces.walker.count_tokens(b"[]")
