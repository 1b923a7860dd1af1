"""Whatever is asked for, an answer or a named error comes back, and the next request finds the engine as it was."""

from __future__ import annotations

import random
from itertools import islice

from hostile_inputs import LIMITS, endure, hostile_inputs
from masking import engine, write

from radixgen.params import JsonSchema

NUM_INPUTS = 96


def test_hostile_inputs_get_an_answer_or_a_named_error() -> None:
    masks = engine(limits=LIMITS)
    for at, one in enumerate(islice(hostile_inputs(seed=7), NUM_INPUTS)):
        fate = endure(masks, one.constraint, random.Random(at))
        assert fate.outcome == "answered" or fate.message, one
    assert masks.num_bytes < 80 << 20
    matcher = masks.matcher(masks.compile(JsonSchema('{"type": "array", "items": {"type": "null"}}')), max_tokens=50)
    assert write(matcher, random.Random(1)).startswith(b"[")
