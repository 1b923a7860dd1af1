"""The hand-written documents are what `bench/hand_written.py` says they are."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench.hand_written import Task, load, type_schema
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler

HALVES = {half: load(half) for half in ("dev", "test")}
CASES = [pytest.param(one, id=f"{half}-{one.id}") for half, all_of_it in HALVES.items() for one in all_of_it]


def strings(schema: Any, value: Any) -> Iterator[str]:
    """The strings of a record that quote: no choices, no dates."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from strings(schema["properties"][name], one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(schema["items"], one)
    elif isinstance(value, str) and "enum" not in schema and schema.get("format") != "date":
        yield value


def test_each_half_has_at_least_75_documents_and_none_is_in_both() -> None:
    ids = [one.id for half in HALVES.values() for one in half]
    assert min(map(len, HALVES.values())) >= 75
    assert [name for name, count in Counter(ids).items() if count > 1] == []


def test_documents_are_short_and_long_and_thirty_are_above_1200_characters() -> None:
    lengths = [len(one.text) for half in HALVES.values() for one in half]
    assert min(lengths) >= 100
    assert max(lengths) <= 3000
    assert sum(length > 1200 for length in lengths) >= 30


def test_every_kind_of_field_stands_in_both_halves() -> None:
    for half in HALVES.values():
        parts = [part for one in half for part in one.schema["properties"].values()]
        formats = {part.get("format") for part in parts}
        assert {"date", "email", "phone"} <= formats
        assert any("enum" in part for part in parts)
        assert {"string", "number", "integer", "boolean", "array"} <= {str(part.get("type")) for part in parts}
        assert sum(value is None for one in half for value in one.expected.values()) >= 40


@pytest.mark.parametrize("document", CASES)
def test_a_record_is_valid_and_its_strings_quote_the_document(document: Task) -> None:
    Draft202012Validator(document.schema).validate(document.expected)
    text = " ".join(document.text.split())
    quotes = strings(document.schema, document.expected)
    assert [one for one in quotes if not re.search(rf"(?<!\w)(?=\S){re.escape(one)}(?!\w)", text)] == []


@pytest.mark.parametrize("document", CASES)
def test_a_verbatim_schema_lets_the_right_record_be_written(document: Task) -> None:
    constraint = JsonSchema(json.dumps(document.schema), verbatim=True)
    machine = SchemaCompiler().compile(constraint, document=document.text, default_white_space="compact")
    state = machine.start()
    for byte in document.answer.encode():
        following = machine.step(state, byte)
        assert following is not None, document.answer
        state = following
    assert machine.is_accepting(state)


def test_types_are_read_as_the_command_line_reads_them() -> None:
    item = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}
    item |= {"required": ["a", "b"], "additionalProperties": False}
    assert type_schema("{a: string, b: integer}[]") == {"type": "array", "items": item, "maxItems": 12}
    assert type_schema("date", is_nullable=True) == {"type": ["string", "null"], "format": "date"}
    assert type_schema("yes|no", is_nullable=True) == {"enum": ["yes", "no", None]}
