"""Fields in shorthand become schemas, and schemas become the lines a model reads."""

from __future__ import annotations

from typing import Any

import pytest

from radixgen.errors import ParamError
from radixgen.jobs.fields import field_lines, schema_of_fields
from radixgen.jobs.prompt import extraction_prompt, system_text
from radixgen.params import Document


def test_fields_become_a_closed_schema_in_their_order() -> None:
    schema = schema_of_fields("vendor, total: number, due?: date, tags: string[], kind: a|b")
    assert list(schema["properties"]) == schema["required"] == ["vendor", "total", "due", "tags", "kind"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["vendor"] == {"type": "string"}
    assert schema["properties"]["due"] == {"type": ["string", "null"], "format": "date"}
    assert schema["properties"]["tags"]["items"] == {"type": "string"}
    assert schema["properties"]["kind"] == {"enum": ["a", "b"]}


def test_a_question_mark_after_name_or_type_makes_a_field_nullable() -> None:
    assert schema_of_fields("a?: a|b")["properties"]["a"] == {"enum": ["a", "b", None]}
    assert schema_of_fields("a: integer?")["properties"]["a"] == {"type": ["integer", "null"]}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("", "no field"),
        (" , ", "no field"),
        ("a, a", "twice"),
        ("a: strng", "unknown type 'strng'"),
        (": number", "name"),
    ],
)
def test_fields_that_cannot_be_read_are_refused_by_name(fields: str, says: str) -> None:
    with pytest.raises(ParamError, match=says):
        schema_of_fields(fields)


LINES: list[tuple[dict[str, Any], str]] = [
    ({"type": "string"}, "x: string"),
    ({"type": ["integer", "null"]}, "x: integer?"),
    ({"type": "string", "format": "date", "description": "when  it\nis due"}, "x: date - when it is due"),
    ({"enum": ["low", "high", None]}, "x: low|high?"),
    ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "x: number?"),
    ({"type": "array", "items": {"type": "string"}}, "x: string[]"),
    ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, "x: {a: string}"),
    ({"$ref": "#/$defs/d"}, "x: {a: integer?}[]"),
    ({"allOf": [{"$ref": "#/$defs/e"}], "description": "how it went"}, "x: good|bad - how it went"),
    ({}, "x: string"),
]


@pytest.mark.parametrize(("child", "line"), LINES, ids=[line for _, line in LINES])
def test_each_property_is_one_line(child: dict[str, Any], line: str) -> None:
    item = {"type": "object", "properties": {"a": {"type": "integer"}}}
    definitions = {"d": {"type": "array", "items": item}, "e": {"enum": ["good", "bad"]}}
    assert field_lines({"properties": {"x": child}, "required": ["x"], "$defs": definitions}) == [line]


def test_a_recursive_schema_is_described_without_end() -> None:
    node: dict[str, Any] = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}
    assert "..." in field_lines({"$ref": "#/$defs/n", "$defs": {"n": node}})[0]


def test_a_property_that_may_be_absent_is_marked_like_one_that_may_be_null() -> None:
    assert field_lines({"properties": {"x": {"type": "string"}}}) == ["x: string?"]


def test_the_prompt_puts_what_documents_share_first() -> None:
    system = system_text({"properties": {"x": {"type": "string"}}, "required": ["x"]}, "Do it.")
    assert system == "Do it.\n\nFields:\nx: string"
    first, second = extraction_prompt(system, "text")
    assert (first.role, second.role) == ("system", "user")
    assert second.parts == (Document("text"),)


def test_fields_and_lines_speak_one_language() -> None:
    fields = "vendor: string, total: number, due: date?, kind: a|b, tags: string[]"
    assert ", ".join(field_lines(schema_of_fields(fields))) == fields
