"""The demo's documents and expected records are what `examples/README.md` says they are."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

from demo_baseline import baseline_record
from demo_score import Score, is_same, score_record
from demo_set import Example, Kind, load_kinds

KINDS = load_kinds()
CASES = [pytest.param(kind, example, id=example.id) for kind in KINDS for example in kind.examples]
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:[,' ]\d{3})+|\d+)(?:\.\d+)?(?![\w])")
KEYWORDS = {"type", "properties", "required", "additionalProperties", "items", "enum", "maxItems", "description"}
KEYWORDS |= {"anyOf", "title"}


def spans_words(quote: str, text: str) -> bool:
    """Whether the quote stands in the text without cutting a word at either end."""
    return re.search(rf"(?<!\w)(?=\S){re.escape(quote)}(?!\w)", " ".join(text.split())) is not None


def numbers_of(text: str) -> set[float]:
    """The numbers of a text; a run of digits also counts without what stands before a separator."""
    found = {re.sub(r"[,' ]", "", number) for number in NUMBER.findall(text)}
    return {float(number) for number in found | set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])", text))}


def quoted_values(kind: Kind, example: Example) -> Iterator[str]:
    """The strings of the expected record that are not judged from a list of choices."""
    for name, value in example.expected.items():
        if "enum" not in kind.schema["properties"][name]:
            yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))


def sub_schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and the schemas in it."""
    yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from sub_schemas(part)
    if "items" in schema:
        yield from sub_schemas(schema["items"])


def test_there_are_eight_kinds_of_five_documents() -> None:
    assert [len(kind.examples) for kind in KINDS] == [5] * 8


def test_three_kinds_have_a_pydantic_model_and_five_a_schema_file() -> None:
    assert Counter(isinstance(kind.schema_source, Path) for kind in KINDS) == {True: 5, False: 3}


def test_ids_are_unique_over_all_kinds() -> None:
    ids = [example.id for kind in KINDS for example in kind.examples]
    assert len(set(ids)) == len(ids)


def test_documents_are_as_long_as_real_ones() -> None:
    lengths = [len(example.text) for kind in KINDS for example in kind.examples]
    assert min(lengths) >= 500
    assert max(lengths) <= 1800
    assert 900 <= sum(lengths) / len(lengths) <= 1100


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_schema_is_closed_and_small_and_uses_few_keywords(kind: Kind) -> None:
    Draft202012Validator.check_schema(dict(kind.schema))
    assert 5 <= len(kind.schema["properties"]) <= 8
    assert kind.schema["additionalProperties"] is False
    assert list(kind.schema["required"]) == list(kind.schema["properties"])
    for part in sub_schemas(kind.schema):
        assert set(part) <= KEYWORDS
        assert part.get("type") != "array" or "maxItems" in part


def test_between_them_the_schemas_have_every_shape_of_field() -> None:
    parts = [part for kind in KINDS for part in sub_schemas(kind.schema)]
    assert {"string", "number", "integer", "boolean", "array", "null"} <= {str(part.get("type")) for part in parts}
    assert any(isinstance(part.get("type"), list) for part in parts)
    assert any("enum" in part for part in parts)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_an_expected_record_is_valid_and_in_the_schemas_order(kind: Kind, example: Example) -> None:
    Draft202012Validator(dict(kind.schema)).validate(example.expected)
    assert list(example.expected) == list(kind.schema["properties"])


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_every_string_of_an_expected_record_quotes_its_document(kind: Kind, example: Example) -> None:
    assert [quote for quote in quoted_values(kind, example) if not spans_words(quote, example.text)] == []


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_every_number_of_an_expected_record_stands_in_its_document(kind: Kind, example: Example) -> None:
    numbers = [value for value in example.expected.values() if isinstance(value, int | float)]
    assert {value for value in numbers if not isinstance(value, bool)} <= numbers_of(example.text)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_nullable_field_is_null_in_some_documents_and_given_in_others(kind: Kind) -> None:
    for name, spec in kind.schema["properties"].items():
        given = {example.expected[name] is not None for example in kind.examples}
        nullable = "null" in spec["type"] if "type" in spec else "anyOf" in spec
        assert given == ({True, False} if nullable else {True}), name


def test_fields_compare_by_white_space_free_text_and_by_value() -> None:
    assert is_same("Pier Road Galway", " Pier  Road\nGalway")
    assert is_same(86900, 86900.0)
    assert is_same(["a b", "c"], ["a  b", "c"])
    assert not is_same(["a", "b"], ["b", "a"])
    assert not is_same(1, True)
    assert not is_same("1968.00", 1968.0)
    assert not is_same(None, "")


def test_a_missing_record_is_wrong_in_every_field() -> None:
    assert score_record({"a": 1, "b": None}, None) == Score(0, 2, 0, 1)
    assert score_record({"a": 1, "b": None}, {"a": 1}) == Score(1, 2, 0, 1)
    assert score_record({"a": 1, "b": None}, {"a": 1.0, "b": None}) == Score(2, 2, 1, 1)


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_the_regex_baseline_answers_every_field(kind: Kind, example: Example) -> None:
    Draft202012Validator(dict(kind.schema)).validate(baseline_record(example.text, kind.schema))
