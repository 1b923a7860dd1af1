"""Items that must be unlike: masks look beyond an item without knowing its text, and must be exact all the same."""

from __future__ import annotations

import json
import random

import masking
import pytest

from radixgen.mask import MaskEngine, Matcher
from radixgen.mask.index import unpack_ids
from radixgen.params import JsonSchema
from radixgen.tokens.vocabulary import Vocabulary

ACROSS = [
    *(
        '","',
        '", "',
        '"a","a"',
        '"a","b"',
        '"a","a',
        'a","a"',
        '"a","a"]',
        'b","a","b"',
        '"],["',
        "1,1",
        "1,1]",
        "2,",
        "2,2",
    ),
    *(
        "12,1",
        "1, 1",
        "null,null",
        "true,1",
        "},{",
        '},{"a":1}',
        '"},{"a":"a"}',
        '"a":1},{"a":1}',
        "[1],[1]",
        "],[1",
        "ab",
    ),
    *('{"a":1}', "{},{", "{},{}", '"b":1,"b":', 'x":1},{"x', 'aa","aa', '","aa"', 'b","b'),
]
WORDS = [*"abcdefghijklmnopqrstuvwxyz", "aa", "ab", "ba", "bb", "red", "green", "name", "tag", "value", "cat", "dog"]
ITEMS: dict[str, object] = {
    "any": True,
    "strings": {"type": "string"},
    "short strings": {"type": "string", "maxLength": 1},
    "strings of two": {"type": "string", "minLength": 1, "maxLength": 2},
    "few strings": {"pattern": "^[ab]$", "type": "string"},
    "patterns": {"pattern": "^a", "type": "string"},
    "strings or null": {"type": ["string", "null"]},
    "words": {"enum": WORDS},
    "integers": {"type": "integer"},
    "digits": {"type": "integer", "minimum": 0, "maximum": 40},
    "objects": {"type": "object"},
    "closed objects": {"properties": {"a": {"type": "string"}}, "additionalProperties": False, "type": "object"},
    "few objects": {"properties": {"a": {"enum": [1, "a"]}}, "additionalProperties": False, "type": "object"},
    "nested": {"type": "array", "uniqueItems": True, "items": {"type": "integer"}},
    "booleans in arrays": {"type": "array", "items": {"type": "boolean"}, "maxItems": 1},
    "maps": {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"pattern": "^[ab]"}},
}


def matcher_of(engine: MaskEngine, schema: object, white_space: str) -> Matcher:
    constraint = JsonSchema(json.dumps(schema), white_space=white_space, extra_keys="schema")
    return engine.matcher(engine.compile(constraint), max_tokens=400)


@pytest.fixture(scope="module")
def engine() -> MaskEngine:
    plain = masking.small_vocabulary()
    return masking.engine(Vocabulary([*plain.token_bytes, *map(str.encode, ACROSS)], plain.special_ids, plain.eos_ids))


@pytest.mark.parametrize("bounds", [{}, {"minItems": 2}, {"maxItems": 2}, {"minItems": 2, "maxItems": 4}])
@pytest.mark.parametrize("name", ITEMS)
def test_masks_of_unlike_items_equal_stepping_every_token(
    engine: MaskEngine, name: str, bounds: dict[str, int]
) -> None:
    items = {"type": "array", "uniqueItems": True, "items": ITEMS[name], **bounds}
    schemas: list[object] = [items, {"type": "object", "properties": {"a": items, "b": items}}]
    for seed, schema in enumerate(schemas):
        rng = random.Random(seed)
        matcher = matcher_of(engine, schema, ("compact", "spaced")[seed])
        for _ in range(20):
            allowed = masking.brute_allowed(matcher)
            assert unpack_ids(matcher.grammar.mask_bits(matcher.state)).tolist() == allowed, matcher.text
            goes_on = [one for one in allowed if one not in engine.index.eos_ids]
            if not goes_on:
                break
            matcher.advance(_choose(rng, engine, goes_on))


def _choose(rng: random.Random, engine: MaskEngine, ids: list[int]) -> int:
    """Mostly plain bytes of few letters, so that items become equal."""
    plain = [
        one for one in ids if engine.index.token_bytes[one] in {b'"', b",", b"a", b"b", b"1", b"{", b"[", b":", b"}"}
    ]
    return rng.choice(plain if plain and rng.random() < 0.6 else ids)


@pytest.mark.parametrize("name", ITEMS)
def test_answers_of_unlike_items_end_in_time(engine: MaskEngine, name: str) -> None:
    schema = {"type": "array", "uniqueItems": True, "items": ITEMS[name], "minItems": 2}
    for seed in range(3):
        constraint = JsonSchema(json.dumps(schema), white_space="compact", extra_keys="schema")
        matcher = engine.matcher(engine.compile(constraint), max_tokens=30)
        items = [json.dumps(one) for one in json.loads(masking.write(matcher, random.Random(seed)))]
        assert len(set(items)) == len(items) >= 2
