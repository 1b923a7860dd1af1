"""Random schemas over all keywords, small values that come near them, and small changes of such values."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

KINDS = ["null", "boolean", "integer", "number", "string", "array", "object"]
NAMES = ["a", "b", "ab", "é"]
TEXTS = ["", "a", "b", "ab", "ba", "aab", "é", "😀", "x1"]
NUMBERS = [-3, -1, 0, 1, 2, 3, 4, 6, 10, 0.5, 1.5, -2.5]
PATTERNS = ["^a", "b$", "a|é", "^[ab]*$", "^.{2,}$", "^(?!a)", "\\d"]
NAME = st.sampled_from(NAMES)
COUNT = st.integers(0, 3)
NUMBER = st.sampled_from(NUMBERS)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, False, *NUMBERS, *TEXTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=5,
)


def some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


NUMERIC = some(
    type=st.sampled_from(["integer", "number"]),
    minimum=NUMBER,
    maximum=NUMBER,
    exclusiveMinimum=NUMBER,
    exclusiveMaximum=NUMBER,
    multipleOf=st.sampled_from([1, 2, 3, 0.5]),
)
TEXTUAL = some(type=st.just("string"), minLength=COUNT, maxLength=COUNT, pattern=st.sampled_from(PATTERNS))
ANY_KIND = some(
    type=st.sampled_from(KINDS) | st.lists(st.sampled_from(KINDS), min_size=1, max_size=3, unique=True),
    const=VALUES,
    enum=st.lists(VALUES, min_size=1, max_size=4),
)
LEAVES: st.SearchStrategy[Any] = st.one_of(NUMERIC, TEXTUAL, ANY_KIND, st.booleans())


def _array(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some(
        type=st.just("array"),
        items=inner,
        prefixItems=st.lists(inner, min_size=1, max_size=2),
        contains=inner,
        minContains=COUNT,
        maxContains=COUNT,
        uniqueItems=st.booleans(),
        minItems=COUNT,
        maxItems=COUNT,
        unevaluatedItems=inner,
    )


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some(
        type=st.just("object"),
        properties=st.dictionaries(NAME, inner, max_size=3),
        patternProperties=st.dictionaries(st.sampled_from(["^a", "b", "^.$"]), inner, max_size=2),
        additionalProperties=inner,
        propertyNames=inner,
        required=st.lists(NAME, max_size=2, unique=True),
        dependentRequired=st.dictionaries(NAME, st.lists(NAME, max_size=2, unique=True), max_size=2),
        dependentSchemas=st.dictionaries(NAME, inner, max_size=2),
        minProperties=COUNT,
        maxProperties=COUNT,
        unevaluatedProperties=inner,
    )


def _logic(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    branches = st.lists(inner, min_size=1, max_size=3)
    words = {"allOf": branches, "anyOf": branches, "oneOf": branches, "not": inner, "if": inner, "then": inner}
    return some(**words, **{"else": inner, "$ref": st.sampled_from(["#", "#/$defs/d", "#/$defs/e"])})


def _both(first: Any, second: Any) -> Any:
    return {**first, **second} if isinstance(first, dict) and isinstance(second, dict) else second


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    one = st.one_of(_array(inner), _object(inner), _logic(inner))
    return st.one_of(one, st.builds(_both, one, one), st.builds(_both, LEAVES, one))


_PLAIN = st.recursive(LEAVES, _containers, max_leaves=6)
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda schema, d, e: {
        **(schema if isinstance(schema, dict) else {"not": {"not": schema}}),
        "$defs": {"d": d, "e": e},
    },
    _PLAIN,
    st.recursive(LEAVES, _containers, max_leaves=3),
    LEAVES,
)
"""Some refer to themselves without a value in between; these are refused."""


def changed(value: Any, rng: random.Random) -> Any:
    """The value with one small change somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.7:
        name = rng.choice(list(value))
        return {key: changed(one, rng) if key == name else one for key, one in value.items()}
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [changed(one, rng) if index == at else one for index, one in enumerate(value)]
    return rng.choice(_CHANGES)(value, rng)


def _grown(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {**value, rng.choice(NAMES): _leaf(value, rng)}
    if isinstance(value, list):
        return [*value, rng.choice(value) if value and rng.random() < 0.5 else _leaf(value, rng)]
    return value + rng.choice("ab1é") if isinstance(value, str) else _leaf(value, rng)


def _shrunk(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value:
        name = rng.choice(list(value))
        return {key: one for key, one in value.items() if key != name}
    return value[1:] if isinstance(value, list | str) else _leaf(value, rng)


def _turned(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return dict(reversed(value.items()))
    if isinstance(value, list):
        return value[::-1]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return -value if is_number else _leaf(value, rng)


def _leaf(value: Any, rng: random.Random) -> Any:
    return rng.choice([None, True, rng.choice(NUMBERS), rng.choice(TEXTS), [], {}])


_CHANGES = (_grown, _shrunk, _turned, _leaf)
