"""Every keyword, alone and beside others, byte by byte: what the standard calls valid is accepted, all else is not.

Three readings are compared: the verdicts in the data, the jsonschema library, and the naive validator of the tests.
"""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from naive_schema import is_valid
from walking import accepts

from bench.schema_suite import spell, validator_mode
from bench.schema_walks import names_of, walk
from radixgen.automata.machine import ByteMachine
from radixgen.errors import SchemaError
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler
from radixgen.schema.reader import SchemaReader

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "keyword_cases.json").read_text("utf-8"))
SPELLINGS = json.loads((DATA / "spelling_cases.json").read_text("utf-8"))


def named(case: dict) -> str:
    return json.dumps(case["schema"])[:70] + json.dumps(case.get("options", ""))


@pytest.fixture(scope="module")
def compiler() -> SchemaCompiler:
    """One for all cases, so that what they share is tested too."""
    return SchemaCompiler()


def compile_or_none(compiler: SchemaCompiler, schema: JsonSchema) -> ByteMachine | None:
    """None for a schema that nothing satisfies."""
    try:
        return compiler.compile(schema)
    except SchemaError as error:
        if "no JSON value" not in str(error):
            raise
        return None


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_cases_are_labelled_as_the_standard_says(case: dict) -> None:
    validator = jsonschema.Draft202012Validator(case["schema"])
    reader = SchemaReader(json.dumps(case["schema"]))
    for label in ("valid", "invalid"):
        for value in case[label]:
            assert validator.is_valid(value) == (label == "valid"), value
            assert is_valid(reader, json.loads(json.dumps(value), parse_float=Decimal)) == (label == "valid"), value


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_valid_is_accepted_and_nothing_else(case: dict, compiler: SchemaCompiler) -> None:
    machine = compile_or_none(compiler, validator_mode(json.dumps(case["schema"])))
    for label in ("valid", "invalid"):
        for value in case[label]:
            is_accepted = machine is not None and accepts(machine, spell(value))
            assert is_accepted == (label == "valid"), value


@pytest.mark.parametrize("case", SPELLINGS, ids=named)
def test_values_count_and_not_how_they_are_spelled(case: dict, compiler: SchemaCompiler) -> None:
    machine = compiler.compile(validator_mode(json.dumps(case["schema"]), **case.get("options", {})))
    for text in case["valid"]:
        assert accepts(machine, text.encode()), text
    for text in case["invalid"]:
        assert not accepts(machine, text.encode()), text


@pytest.mark.parametrize("case", CASES, ids=named)
def test_generating_is_never_wider_than_validating(case: dict, compiler: SchemaCompiler) -> None:
    machine = compile_or_none(compiler, JsonSchema(json.dumps(case["schema"]), white_space="compact"))
    for value in case["invalid"]:
        assert machine is None or not accepts(machine, spell(value)), value


@pytest.mark.parametrize("mode", ["validator", "generation"])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_random_walks_end_and_what_they_wrote_is_valid(case: dict, mode: str, compiler: SchemaCompiler) -> None:
    text = json.dumps(case["schema"])
    schema = validator_mode(text) if mode == "validator" else JsonSchema(text, white_space="compact")
    machine = compile_or_none(compiler, schema)
    reader, names = SchemaReader(text), names_of(case["schema"])
    rng = random.Random(text)
    for num_bytes in (0, 6, 30) if machine is not None else ():
        found = walk(machine, rng, num_bytes, names)
        assert found.outcome == "finished", found
        assert is_valid(reader, exact(found.text)), found


def test_plans_spell_keys_as_the_answer_must(compiler: SchemaCompiler) -> None:
    schema = {"type": "object", "properties": {"é": {"type": "integer"}}, "required": ["é"]}
    for non_ascii, plan in (("raw", '{"é":0}'), ("escaped", '{"\\u00e9":0}')):
        machine = compiler.compile(validator_mode(json.dumps(schema), non_ascii=non_ascii))
        assert machine.completion(machine.start()) == plan.encode()
        assert accepts(machine, plan.encode())


def exact(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)
