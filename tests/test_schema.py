"""JSON Schema: what is accepted, what is refused, and that nothing invalid can be written."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walking import accepts, close, write

from radixgen.errors import LimitError, SchemaError
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler
from radixgen.schema.machine import MAX_OPEN, JsonMachine
from radixgen.schema.search import Search

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "schema_cases.json").read_text("utf-8"))
REFUSED = json.loads((DATA / "schema_refused.json").read_text("utf-8"))


def compile_schema(schema: Any, **options: Any) -> JsonMachine:
    return SchemaCompiler().compile(JsonSchema(json.dumps(schema), **options))


def find_machine(schema: Any, **options: Any) -> JsonMachine | None:
    """None for a schema that nothing satisfies."""
    try:
        return compile_schema(schema, **options)
    except SchemaError as error:
        if "no JSON value" not in str(error):
            raise
        return None


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_schema_accepts_what_it_should_and_nothing_else(case: dict) -> None:
    machine = compile_schema(case["schema"], **case.get("options", {}))
    for text in case["accepted"]:
        assert accepts(machine, text.encode()), text
        jsonschema.validate(json.loads(text), case["schema"])
    for text in case["rejected"]:
        assert not accepts(machine, text.encode()), text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_whatever_is_written_is_valid(case: dict) -> None:
    machine = compile_schema(case["schema"], **case.get("options", {}))
    validator = jsonschema.validators.validator_for(case["schema"], jsonschema.Draft202012Validator)(case["schema"])
    for seed in range(6):
        validator.validate(json.loads(write(machine, random.Random(seed), 9 * seed)))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.get("text") or json.dumps(case["schema"])[:60])
def test_what_cannot_be_enforced_is_refused_with_keyword_and_pointer(case: dict) -> None:
    text = case.get("text") or json.dumps(case["schema"])
    with pytest.raises(SchemaError, match=case["message"]) as caught:
        SchemaCompiler().compile(JsonSchema(text))
    assert (caught.value.pointer, caught.value.keyword) == (case["pointer"], case["keyword"])
    assert str(caught.value).startswith(f"{case['pointer'] or '/'}: ")


def test_a_schema_nested_too_deeply_is_refused() -> None:
    text = '{"items":' * 400 + "true" + "}" * 400
    with pytest.raises(LimitError, match="nested more than 150 deep"):
        SchemaCompiler().compile(JsonSchema(text))
    with pytest.raises(LimitError):
        SchemaCompiler().compile(JsonSchema("[" * 100_000))


def test_an_answer_nested_too_deeply_is_refused() -> None:
    links = {f"n{at}": {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/n{at + 1}"}} for at in range(400)}
    with pytest.raises(SchemaError, match="shortest value is nested more than 80 deep"):
        compile_schema({"$defs": {**links, "n400": {"type": "null"}}, "$ref": "#/$defs/n0"})


RECURSIVE = (
    ({"type": "array", "items": {"$ref": "#"}}, {}, b"[", b"]"),
    ({"type": ["array", "object"], "items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}}, {}, b'{"a":', b""),
    ({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"const": 1}}, "required": ["b"]}, {}, b'{"a":', b""),
    ({"type": "array", "items": {"$ref": "#"}}, {"white_space": "free"}, b"[ ", b"]"),
    ({"anyOf": [{"const": 1}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}]}, {}, b"[", b""),
)


@pytest.mark.parametrize(("schema", "options", "unit", "end"), RECURSIVE, ids=str)
def test_an_answer_is_never_nested_deeper_than_python_reads(
    schema: dict, options: dict, unit: bytes, end: bytes
) -> None:
    machine = compile_schema(schema, **options)
    state, text, stuck = machine.start(), b"", b""
    for byte in unit * 3_000:
        after = machine.step(state, byte)
        if after is None:
            stuck = bytes([byte])
            break
        state, text = after, text + bytes([byte])
    assert stuck
    assert MAX_OPEN - 1 <= text.count(unit.strip()) <= MAX_OPEN
    value = text + machine.completion(state)
    json.loads(value)
    assert accepts(machine, value)
    assert value.endswith(end)


def test_near_the_bound_of_nesting_only_what_can_be_finished_is_offered() -> None:
    pair = {"type": "array", "prefixItems": [{"$ref": "#/$defs/pair"}, {"type": "array", "minItems": 1, "items": {}}]}
    deep = {"type": "object", "properties": {"x": {"$ref": "#/$defs/pair"}}, "required": ["x"]}
    schema = {"$defs": {"pair": {"anyOf": [{"const": 0}, pair | {"minItems": 2}, deep]}}, "$ref": "#/$defs/pair"}
    machine = compile_schema(schema)
    for opener in (b"[", b'{"x":', b'{"x":['):
        state = machine.start()
        for byte in opener * 300:
            after = machine.step(state, byte)
            if after is None:
                break
            state = after
        close(machine, state)
        for byte in range(256):
            after = machine.step(state, byte)
            if after is not None:
                close(machine, after)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(SchemaError, match="surrogate"):
        SchemaCompiler().compile(JsonSchema('{"const": "\\ud800"}'))


def test_a_huge_schema_is_refused_and_a_huge_enum_is_not() -> None:
    with pytest.raises(LimitError, match="the most is"):
        SchemaCompiler().compile(JsonSchema(json.dumps({"title": "x" * (5 << 20)})))
    machine = compile_schema({"enum": [f"word {number}" for number in range(20_000)]})
    assert accepts(machine, b'"word 19999"')
    assert not accepts(machine, b'"word 20000"')


def test_branches_that_multiply_are_never_multiplied() -> None:
    branch = {"anyOf": [{"minLength": 1}, {"maxLength": 5}, {"pattern": "a"}]}
    machine = compile_schema({"allOf": [branch for _ in range(80)]})
    assert accepts(machine, b'"x"')
    choice = [{"required": [name]} for name in "abc"]
    machine = compile_schema({"type": "object", "allOf": [{"anyOf": choice} for _ in range(40)]})
    assert accepts(machine, b'{"c":1}')
    assert not accepts(machine, b"{}")


def test_each_place_of_a_cross_linked_schema_is_priced_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    order = random.Random(1).sample(range(60), 60)
    defs: dict[str, dict] = {f"n{at}": record({"a": {"$ref": f"#/$defs/n{to}"}}, {"a"}) for at, to in pairwise(order)}
    defs[f"n{order[-1]}"] = {"const": 1}
    links = {f"p{at}": {"$ref": f"#/$defs/n{at}"} for at in range(60)}
    priced: list[object] = []
    evaluate = Search._evaluate
    monkeypatch.setattr(Search, "_evaluate", lambda self, vertex: priced.append(vertex) or evaluate(self, vertex))
    compile_schema({"$defs": defs, **record(links, set(links))})
    assert max(Counter(priced).values()) <= 4


SMALL = st.integers(0, 2)
NAMES = ["a", "b", "ab", "é"]


def integer(low: int, size: int) -> dict:
    return {"type": "integer", "minimum": low, "maximum": low + size}


def string(low: int, more: int) -> dict:
    return {"type": "string", "minLength": low, "maxLength": low + more}


def record(properties: dict, required: set[str]) -> dict:
    return {"type": "object", "properties": properties, "required": [one for one in properties if one in required]}


def array(items: Any, low: int, more: int) -> dict:
    return {"type": "array", "items": items, "minItems": low, "maxItems": low + more}


LEAVES = st.one_of(
    st.builds(integer, st.integers(-30, 30), st.integers(0, 40)),
    st.builds(string, SMALL, st.integers(0, 3)),
    st.just({"type": "number", "exclusiveMinimum": -2.5, "maximum": 7}),
    st.just({"type": "string", "pattern": "^[ab]+$"}),
    st.sampled_from(
        [{"enum": ["a", "b", 1]}, {"const": None}, {"type": "boolean"}, {"type": ["null", "integer"]}, True]
    ),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(record, st.dictionaries(st.sampled_from(NAMES), inner, max_size=3), st.sets(st.sampled_from(NAMES))),
        st.builds(array, inner, SMALL, SMALL),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        st.tuples(inner, inner).map(lambda both: {"allOf": list(both)}),
    )


SCHEMAS = st.recursive(LEAVES, containers, max_leaves=7)
OPTIONS = st.fixed_dictionaries({
    "extra_keys": st.sampled_from(["never", "schema"]),
    "key_order": st.sampled_from(["schema", "any"]),
    "white_space": st.sampled_from(["compact", "spaced", "free"]),
})  # fmt: skip


@given(SCHEMAS, OPTIONS, st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_random_walks_never_dead_end_and_validate(schema: Any, options: dict, seed: int) -> None:
    machine = find_machine(schema, **options)
    rng = random.Random(seed)
    for _ in range(3 if machine else 0):
        jsonschema.Draft202012Validator(schema).validate(json.loads(write(machine, rng, rng.randrange(16))))


ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 40), st.sampled_from(["", "a", "ab", "b", "é", "x"]), st.just(2.5)
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from([*NAMES, "z"])
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3))


VALUES = st.recursive(ATOMS, nested, max_leaves=5)


@given(SCHEMAS, st.lists(VALUES, max_size=8))
@settings(max_examples=120, deadline=None)
def test_in_the_standards_reading_validity_and_acceptance_agree(schema: Any, values: list[Any]) -> None:
    machine = find_machine(schema, extra_keys="schema", key_order="any")
    validator = jsonschema.Draft202012Validator(schema)
    for value in values:
        is_accepted = machine is not None and accepts(machine, compact(value))
        assert is_accepted == validator.is_valid(value), value
