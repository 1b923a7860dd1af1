"""The schema reader: every draft in its own words, references of every form, and errors that name the place."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_schema import is_valid

from radixgen.automata.work import Limits, Work
from radixgen.errors import LimitError, SchemaError
from radixgen.params import JsonSchema
from radixgen.schema.reader import SchemaReader
from radixgen.schema.survey import survey

DATA = Path(__file__).parent / "data"
CASES = json.loads((DATA / "reader_cases.json").read_text("utf-8"))
REFUSED = json.loads((DATA / "reader_refused.json").read_text("utf-8"))
DRAFTS = {
    "http://json-schema.org/draft-04/schema#": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema#": jsonschema.Draft6Validator,
    "http://json-schema.org/draft-07/schema#": jsonschema.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema.Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema.Draft202012Validator,
}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def read(schema: Any, **options: Any) -> SchemaReader:
    return SchemaReader(schema if isinstance(schema, str) else json.dumps(schema), **options)


def exact(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=Decimal)


def documents_of(case: dict) -> list[tuple[str, str]]:
    return [(uri, json.dumps(one)) for uri, one in case.get("documents", {}).items()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_schema_means_what_its_draft_and_its_references_say(case: dict) -> None:
    reader = read(case["schema"], documents=documents_of(case))
    reader.check()
    for value in case["valid"]:
        assert is_valid(reader, exact(value)), value
    for value in case["invalid"]:
        assert not is_valid(reader, exact(value)), value


@pytest.mark.parametrize("case", [one for one in CASES if one.get("is_known", True)], ids=lambda case: case["name"])
def test_the_jsonschema_library_reads_the_same(case: dict) -> None:
    schema = case["schema"]
    make = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    registry: referencing.Registry = referencing.Registry().with_contents(
        case.get("documents", {}).items(), default_specification=referencing.jsonschema.DRAFT202012
    )
    validator = make(schema, registry=registry)
    assert [validator.is_valid(value) for value in case["valid"]] == [True] * len(case["valid"])
    assert [validator.is_valid(value) for value in case["invalid"]] == [False] * len(case["invalid"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_what_cannot_be_read_is_refused_with_keyword_and_pointer(case: dict) -> None:
    with pytest.raises(SchemaError, match=case["message"]) as caught:
        read(case.get("text") or case["schema"], documents=documents_of(case)).check()
    assert (caught.value.pointer, caught.value.keyword) == (case["pointer"], case["keyword"])


WORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["integer", "number", "string", "object", "array", ["integer", "null"]]),
    "minimum": st.sampled_from([1, 2.5]),
    "exclusiveMinimum": st.sampled_from([1, 3]),
    "multipleOf": st.sampled_from([2, 0.5]),
    "const": st.sampled_from([1, "a", [1]]),
    "minItems": st.sampled_from([1, 2.0]),
    "maxContains": st.just(1),
    "minContains": st.sampled_from([0, 2]),
    "uniqueItems": st.booleans(),
    "required": st.just(["a"]),
    "dependentRequired": st.just({"a": ["b"]}),
    "minProperties": st.just(1),
    "$ref": st.just("#/definitions/d"),
}
BRANCHES = ("if", "then", "else", "contains", "not", "propertyNames", "additionalProperties", "unevaluatedProperties",
            "additionalItems", "unevaluatedItems")  # fmt: skip


def schemas(draft: str) -> st.SearchStrategy[Any]:
    """Schemas that every draft can read, most of them with words that this one does not know."""
    words = dict(WORDS)
    if "draft-04" in draft:
        words |= {"exclusiveMinimum": st.booleans()}
    is_old = "2020" not in draft

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        lists = st.lists(inner, min_size=1, max_size=2)
        # the library has items that contains found as evaluated in 2019-09 too
        branches = [one for one in BRANCHES if not ("2019" in draft and one == "unevaluatedItems")]
        more: dict[str, st.SearchStrategy[Any]] = dict.fromkeys(branches, inner)
        more |= dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), lists)
        more |= {"items": st.one_of(inner, lists) if is_old else inner}
        names = st.sampled_from(["a", "b", "ab"])
        more |= dict.fromkeys(("properties", "dependentSchemas"), st.dictionaries(names, inner, max_size=2))
        more |= {"patternProperties": st.dictionaries(st.just("^a"), inner, max_size=1)}
        if is_old and "2019" not in draft:
            more["dependencies"] = st.dictionaries(names, st.one_of(inner, st.just(["b"])), max_size=2)
        return st.fixed_dictionaries({}, optional=words | more)

    return st.recursive(st.fixed_dictionaries({}, optional=words), nested, max_leaves=6)


VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1, 1.0, 2, 2.5, 3, "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "ab", "c"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.split("/")[-2])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_random_schemas_mean_what_their_draft_says(draft: str, data: st.DataObject) -> None:
    schema = data.draw(schemas(draft)) | {"$schema": draft, "definitions": {"d": {"type": ["integer", "array"]}}}
    reader, validator = read(schema), DRAFTS[draft](schema)
    reader.check()
    for value in data.draw(st.lists(VALUES, max_size=5)):
        assert is_valid(reader, exact(value)) == validator.is_valid(value), value


def test_each_place_is_one_location_however_it_is_reached() -> None:
    schema = {"properties": {"a": {"$ref": "#/$defs/n"}, "b": {"$ref": "#n"}}, "$defs": {"n": {"$anchor": "n"}}}
    reader = read(schema)
    a, b = (reader.references(reader.child(reader.root, "properties", name)) for name in "ab")
    assert a == b
    assert a[0].pointer == "/$defs/n"
    assert reader.child(reader.root, "properties", "a") is reader.child(reader.root, "properties", "a")
    assert [one.pointer for one in reader.check()] == ["", "/properties/a", "/$defs/n", "/properties/b"]


def test_one_place_in_two_dynamic_scopes_is_two_locations() -> None:
    case = next(case for case in CASES if case["name"] == "a dynamic reference goes to the outermost anchor")
    reader = read(case["schema"])
    places = [location for location in reader.check() if location.pointer.endswith("/properties/children/items")]
    assert len(places) == 2
    assert places[0].base != places[1].base


def test_pointers_are_spelled_as_the_user_wrote() -> None:
    schema = {"$schema": DRAFT_7, "items": [{"dependencies": {"x~/y": {"type": "null"}}}], "additionalItems": {}}
    reader = read(schema)
    first = reader.child(reader.root, "prefixItems", 0)
    assert first.pointer == "/items/0"
    assert first.keyword_pointer("dependentSchemas") == "/items/0/dependencies"
    assert reader.child(first, "dependentSchemas", "x~/y").pointer == "/items/0/dependencies/x~0~1y"
    assert reader.child(reader.root, "items").pointer == "/additionalItems"


def test_numbers_are_exact() -> None:
    reader = read('{"minimum": 0.1, "maximum": 12345678901234567890123, "minItems": 2.0, "const": 1.0}')
    assert reader.root.schema == {
        "minimum": Decimal("0.1"),
        "maximum": 12345678901234567890123,
        "minItems": 2,
        "const": 1,
    }
    assert isinstance(reader.root.get("minItems"), int)


def test_a_place_in_another_document_is_named_with_its_uri() -> None:
    documents = [("https://x.org/n.json", '{"$defs": {"n": {"type": 3}}}')]
    with pytest.raises(SchemaError) as caught:
        read({"$ref": "https://x.org/n.json#/$defs/n"}, documents=documents).check()
    assert caught.value.pointer == "https://x.org/n.json#/$defs/n/type"


def test_documents_are_read_when_something_refers_to_them() -> None:
    documents = [("https://x.org/a", '{"type": "null"}'), ("https://x.org/broken", "{")]
    read({"$ref": "https://x.org/a"}, documents=documents).check()
    with pytest.raises(SchemaError, match="not JSON"):
        read({"$ref": "https://x.org/broken"}, documents=documents).check()


def test_texts_beyond_the_limits_are_refused_by_their_names() -> None:
    with pytest.raises(LimitError, match="the most is 10") as caught:
        read({"title": "é" * 10}, limits=Limits(constraint_bytes=10))
    assert caught.value.limit == "constraint_bytes"
    deep = '{"title": "[[[[[", "not": {"not": {"not": {}}}}'
    read(deep, limits=Limits(constraint_depth=4))
    with pytest.raises(LimitError, match="more than 3 deep") as caught:
        read(deep, limits=Limits(constraint_depth=3))
    assert caught.value.limit == "constraint_depth"


def test_a_large_schema_is_checked_in_turns() -> None:
    work = Work()
    locations = read({"properties": {f"p{at}": {"type": "null"} for at in range(500)}}).check(work)
    assert len(locations) == 501
    assert work.spent == 501


def test_a_long_chain_of_references_is_followed() -> None:
    defs: dict[str, Any] = {f"n{at}": {"$ref": f"#/$defs/n{at + 1}"} for at in range(3_000)}
    assert len(read({"$defs": {**defs, "n3000": {}}, "$ref": "#/$defs/n0"}).check()) == 3_002


def test_the_standards_own_schemas_are_at_hand() -> None:
    for uri, validator in DRAFTS.items():
        reader = read({"$schema": uri, "$ref": uri})
        reader.check()
        for schema in (
            {"minimum": "a"},
            {"items": {"type": "strin"}},
            {"required": "a"},
            {"items": [{}], "title": "t"},
        ):
            assert is_valid(reader, schema) == validator(validator.META_SCHEMA).is_valid(schema), (uri, schema)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def findings(schema: Any, **options: Any) -> set[tuple[str, str]]:
    return {(one.kind, one.pointer) for one in survey(JsonSchema(json.dumps(schema), **options)) if one.pointer}


def test_a_survey_says_what_becomes_of_each_keyword() -> None:
    schema = {
        "$schema": DRAFT_7,
        "title": "all kinds",
        "properties": {
            "a": {"$ref": "#/definitions/d", "description": "hidden"},
            "b": {"pattern": "(a"},
            "c": {"minLength": -1},
            "d": {"$ref": "#/nowhere"},
            "e": {"type": "string", "x-more": 1, "dependentRequired": {}},
        },
        "definitions": {"d": {"type": "integer"}, "unused": {"type": 5}},
    }
    assert findings(schema) == {
        ("annotation", "/title"),
        ("enforced", "/properties"),
        ("narrowed", "/properties"),
        ("enforced", "/properties/a/$ref"),
        ("annotation", "/properties/a/description"),
        ("refused", "/properties/b/pattern"),
        ("refused", "/properties/c/minLength"),
        ("refused", "/properties/d/$ref"),
        ("enforced", "/properties/e/type"),
        ("annotation", "/properties/e/x-more"),
        ("annotation", "/properties/e/dependentRequired"),
        ("enforced", "/definitions/d/type"),
    }


def test_a_survey_says_what_only_compiling_shows() -> None:
    found = survey(JsonSchema('{"enum": []}'))
    assert [one.note for one in found if one.kind == "refused"] == ["no JSON value satisfies this schema"]
    assert [one.kind for one in survey(JsonSchema('{"enum": ['))] == ["refused"]
    assert ("enforced", "/format") in findings({"format": "date"})
    assert ("annotation", "/format") in findings({"format": "date"}, formats="annotate")
    assert ("annotation", "/format") in findings({"format": "int32"})
    assert ("narrowed", "/properties") not in findings({"properties": {"a": {}}}, extra_keys="schema")
