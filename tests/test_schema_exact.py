"""Every applicator with every other, against the jsonschema library: what it accepts is accepted, and nothing else."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_schema import is_valid
from test_schema import compact, find_machine
from walking import accepts, write

from radixgen.automata.regex import Regexes
from radixgen.schema.reader import SchemaReader
from radixgen.schema.texts import EXAMPLES, Texts

KEYS = ["a", "b", "ab", "c"]
COUNTS = st.integers(0, 3)
SCALARS = [None, True, False, 0, 1, 2, 3, 1.5, "", "a", "ab", "b"]
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*KEYS, "z"]), inner, max_size=3)
    ),
    max_leaves=4,
)
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
LEAVES = st.one_of(
    st.booleans(),
    st.sampled_from(TYPES).map(lambda kind: {"type": kind}),
    st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True).map(lambda kinds: {"type": kinds}),
    VALUES.map(lambda value: {"const": value}),
    st.lists(VALUES, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.sampled_from([
        {"minimum": 1}, {"exclusiveMaximum": 2}, {"multipleOf": 2}, {"multipleOf": 0.5}, {"minLength": 1},
        {"maxLength": 1}, {"pattern": "a"}, {"pattern": "^b"}, {"uniqueItems": True}, {"required": ["a"]},
        {"minProperties": 2}, {"maxProperties": 1}, {"maxItems": 1}, {"minItems": 2},
        {"propertyNames": {"maxLength": 1}},
        {"dependentRequired": {"a": ["b"]}},
    ]),
)  # fmt: skip


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=2)
    listed = st.lists(inner, min_size=1, max_size=3)
    keyword = st.one_of(
        *(st.tuples(st.just(name), listed) for name in ("allOf", "anyOf", "oneOf", "prefixItems")),
        *(
            st.tuples(st.just(name), inner)
            for name in (
                "not",
                "items",
                "contains",
                "additionalProperties",
                "unevaluatedProperties",
                "unevaluatedItems",
            )
        ),
        *(st.tuples(st.just(name), named) for name in ("properties", "properties", "dependentSchemas")),
        st.tuples(st.just("patternProperties"), st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2)),
        st.tuples(st.sampled_from(["if", "then", "else"]), inner),
        st.tuples(st.sampled_from(["minContains", "maxContains"]), COUNTS),
        LEAVES.filter(lambda leaf: isinstance(leaf, dict)).map(lambda leaf: next(iter(leaf.items()))),
    )
    return st.lists(keyword, min_size=1, max_size=4).map(dict)


SCHEMAS = st.recursive(LEAVES, schemas, max_leaves=6)


@given(SCHEMAS, st.lists(VALUES, min_size=4, max_size=12))
@settings(max_examples=250, deadline=None)
def test_a_validator_and_the_machine_agree(schema: Any, values: list[Any]) -> None:
    machine = find_machine(schema, extra_keys="schema", key_order="any", formats="annotate")
    validator = jsonschema.Draft202012Validator(schema)
    for value in values:
        is_accepted = machine is not None and accepts(machine, compact(value))
        assert is_accepted == validator.is_valid(value), value


@given(SCHEMAS, st.sampled_from(["any", "schema"]), st.sampled_from(["never", "schema"]), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_valid_and_can_be_ended(schema: Any, order: str, extra: str, seed: int) -> None:
    """By exact numbers: the library's floats take -47653648271310839999.5 for an integer."""
    machine = find_machine(schema, extra_keys=extra, key_order=order)
    rng = random.Random(seed)
    for num_bytes in (0, 6, 25) if machine else ():
        text = write(machine, rng, num_bytes)
        assert is_valid(SchemaReader(json.dumps(schema)), json.loads(text, parse_float=Decimal)), text


def test_examples_of_formats_have_these_formats() -> None:
    texts = Texts(Regexes())
    for name, example in EXAMPLES.items():
        found = texts.format(name)
        assert found is not None
        assert texts.contains(found, example), name
