"""Masks of patterns, whose states are told by what is known of their parts, against stepping every token."""

from __future__ import annotations

import json
import random

import masking
import pytest

from radixgen.mask import MaskEngine, Matcher
from radixgen.mask.index import unpack_ids
from radixgen.params import JsonSchema

PATTERNS = [
    "wifi",
    "^http",
    "a.*b",
    r"^.*@.*gov\.uk$",
    "[0-9a-f]{4}",
    "Red|Blue|Green",
    r"^(?!.*foo).+$",
    r"\bcat\b",
    r"(?:(?!end).)*$",
    r"é+$",
    r"^[a-z]{2,5}$",
    r"(\d{1,3}\.){3}\d{1,3}",
    "x$",
    "",
]


@pytest.fixture(scope="module")
def engine() -> MaskEngine:
    return masking.engine()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_masks_of_a_pattern_equal_stepping_every_token(pattern: str, engine: MaskEngine) -> None:
    schema = JsonSchema(json.dumps({"type": "string", "pattern": pattern}))
    for seed in range(2):
        rng = random.Random(seed)
        matcher: Matcher = engine.matcher(engine.compile(schema), max_tokens=400)
        for _ in range(10):
            allowed = masking.brute_allowed(matcher)
            assert unpack_ids(matcher.grammar.mask_bits(matcher.state)).tolist() == allowed, matcher.text
            goes_on = [one for one in allowed if one not in engine.index.eos_ids]
            if not goes_on:
                break
            matcher.advance(rng.choice(goes_on))
