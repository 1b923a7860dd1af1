"""Random schemas over all keywords: the machine agrees with the jsonschema library, and no walk ends dead."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from naive_schema import is_valid
from schema_strategies import SCHEMAS, VALUES, changed
from walking import accepts

from bench.schema_suite import spell, validator_mode
from bench.schema_walks import names_of, walk
from radixgen.automata.machine import ByteMachine
from radixgen.errors import SchemaError
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler
from radixgen.schema.reader import SchemaReader

slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
OPTIONS = st.fixed_dictionaries({
    "extra_keys": st.sampled_from(["never", "schema"]),
    "key_order": st.sampled_from(["schema", "any"]),
    "white_space": st.sampled_from(["compact", "spaced", "free"]),
    "exponents": st.booleans(),
    "non_ascii": st.sampled_from(["any", "raw", "escaped"]),
})  # fmt: skip


def find_machine(schema: JsonSchema, compiler: SchemaCompiler | None = None) -> ByteMachine | None:
    """None for a schema that nothing satisfies. Schemas that refer to themselves in place are left out."""
    try:
        return (compiler or SchemaCompiler()).compile(schema)
    except SchemaError as error:
        assume("refers to itself" not in str(error))
        if "no JSON value" not in str(error):
            raise
        return None


@given(SCHEMAS, st.lists(VALUES, max_size=8))
@settings(slow, max_examples=150)
def test_what_the_library_accepts_is_accepted_and_what_it_rejects_rejected(schema: Any, values: list[Any]) -> None:
    machine = find_machine(validator_mode(json.dumps(schema)))
    validator = jsonschema.Draft202012Validator(schema)
    for value in values:
        is_accepted = machine is not None and accepts(machine, spell(value))
        assert is_accepted == validator.is_valid(value), value


@given(SCHEMAS, st.integers(0, 2**32))
@settings(slow, max_examples=60)
def test_small_changes_of_what_was_written_get_the_right_verdict(schema: Any, seed: int) -> None:
    machine = find_machine(validator_mode(json.dumps(schema)))
    assume(machine is not None)
    assert machine is not None
    rng, reader = random.Random(seed), SchemaReader(json.dumps(schema))
    for _ in range(4):
        found = walk(machine, rng, rng.randrange(24), names_of(schema))
        assert found.outcome == "finished", found
        assert is_valid(reader, exact(found.text)), found
        for _ in range(3):
            text = spell(changed(json.loads(found.text), rng))
            assert accepts(machine, text) == is_valid(reader, exact(text)), text


@given(SCHEMAS, OPTIONS, st.integers(0, 2**32))
@settings(slow, max_examples=50)
def test_no_walk_ends_dead_and_all_that_is_written_is_valid(schema: Any, options: dict, seed: int) -> None:
    machine = find_machine(JsonSchema(json.dumps(schema), **options))
    rng, reader = random.Random(seed), SchemaReader(json.dumps(schema))
    for num_bytes in (rng.randrange(6), rng.randrange(20)) if machine is not None else ():
        found = walk(machine, rng, num_bytes, names_of(schema))
        assert found.outcome == "finished", found
        assert is_valid(reader, exact(found.text)), found


def live_bytes(machine: ByteMachine | None, text: bytes) -> list[bytes]:
    """The bytes that may come, after each beginning of the text that the machine allows."""
    found: list[bytes] = []
    state = None if machine is None else machine.start()
    for at in range(len(text) + 1):
        if machine is None or state is None:
            break
        found.append(bytes(byte for byte in range(256) if machine.step(state, byte) is not None))
        state = machine.step(state, text[at]) if at < len(text) else None
    return found


@given(st.lists(st.tuples(SCHEMAS, VALUES), min_size=2, max_size=3), OPTIONS)
@settings(slow, max_examples=40)
def test_what_was_compiled_before_changes_nothing(pairs: list[tuple[Any, Any]], options: dict) -> None:
    schemas = [JsonSchema(json.dumps(schema), **options) for schema, _ in pairs]
    texts = [spell(value) for _, value in pairs]
    forth, back = SchemaCompiler(), SchemaCompiler()
    first = [live_bytes(find_machine(schema, forth), text) for schema, text in zip(schemas, texts, strict=True)]
    turned = zip(reversed(schemas), reversed(texts), strict=True)
    assert first == [live_bytes(find_machine(schema, back), text) for schema, text in turned][::-1]


def shortest(machine: ByteMachine, most: int, max_states: int = 4_000) -> int | None:
    """The length of the shortest text, if it is below `most`; None where there is none, or too many states to tell."""
    level, seen = {machine.start()}, set()
    for num_bytes in range(most):
        if any(machine.is_accepting(state) for state in level):
            return num_bytes
        seen |= level
        if len(seen) > max_states:
            return None
        after = {machine.step(state, byte) for state in level for byte in range(256)}
        level = {state for state in after if state is not None} - seen
    return None


@given(SCHEMAS)
@settings(slow, max_examples=60)
def test_plans_are_hardly_longer_than_they_need_be(schema: Any) -> None:
    machine = find_machine(JsonSchema(json.dumps(schema), white_space="compact"))
    assume(machine is not None)
    assert machine is not None
    plan = machine.completion(machine.start())
    assume(plan is not None and len(plan) < 40)
    assert plan is not None
    least = shortest(machine, len(plan))
    assert least is None or len(plan) <= 1.25 * least + 2, plan


@pytest.mark.parametrize("seed", range(4))
def test_a_compiler_that_forgets_gives_the_same_verdicts(seed: int) -> None:
    rng = random.Random(seed)
    compiler = SchemaCompiler(max_schemas=2)
    for _ in range(12):
        low = rng.randrange(3)
        schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": low}}, "required": ["a"]}
        machine = compiler.compile(validator_mode(json.dumps(schema)))
        assert [accepts(machine, spell({"a": "x" * size})) for size in range(4)] == [size >= low for size in range(4)]


def exact(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)
