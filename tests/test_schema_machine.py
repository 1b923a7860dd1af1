"""The machine behind a schema: its two levels agree, it is shared, documents bind cheaply, types come and go."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schema import OPTIONS, SCHEMAS, compile_schema
from typing_extensions import TypedDict
from walking import accepts, close, write

from radixgen.automata.machine import ASK, DEAD, ByRow, ByteMachine, State
from radixgen.errors import ConstraintError, SchemaError
from radixgen.params import JsonSchema
from radixgen.schema import SchemaCompiler, parse_value, schema_of

DOCUMENT = 'INVOICE GL-2041\n\nFrom:  Acme Inc.\nTotal: $1,234.50, due 12.03.2024, to Zoë "Z" Ray.'


def live_by_scalars(machine: ByteMachine, state: State) -> dict[int, bool]:
    """Byte -> may the text end after it, found from `scalars` alone, as the mask engine does."""
    found: dict[int, bool] = {}

    def note(byte: int, ends: bool) -> None:
        found[byte] = found.get(byte, False) or ends

    for automaton, q, follow in machine.scalars(state):
        here = behind(follow, q) if automaton.accepting[q] else None
        for byte in range(256):
            after = automaton.step(q, byte)
            if after != DEAD:
                end = behind(follow, after)
                note(
                    byte,
                    bool(automaton.accepting[after])
                    and (end is None or (end is not ASK and machine.is_accepting(end))),
                )
            elif here is ASK and (asked := machine.step(state, byte)) is not None:
                note(byte, machine.is_accepting(asked))
        if here is not None and here is not ASK:
            for byte, ends in live_by_scalars(machine, here).items():
                note(byte, ends)
    return found


def behind(follow: object, row: int) -> object:
    return follow.at(row) if isinstance(follow, ByRow) else follow


@given(SCHEMAS, OPTIONS, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_scalars_and_steps_say_the_same(schema: Any, options: dict, seed: int) -> None:
    try:
        machine = compile_schema(schema, **options)
    except SchemaError:
        return
    rng, state = random.Random(seed), machine.start()
    for _ in range(12):
        after = {byte: machine.step(state, byte) for byte in range(256)}
        live = {byte: machine.is_accepting(one) for byte, one in after.items() if one is not None}
        assert live == live_by_scalars(machine, state)
        if not live:
            break
        state = after[rng.choice(list(live))]


def test_a_completion_is_the_shortest_way_out_of_a_record() -> None:
    properties = {"a": {"type": ["object", "null"]}, "b": {"type": "string", "minLength": 2}}
    schema = {"type": "object", "properties": properties, "required": ["b"]}
    machine = compile_schema(schema)
    assert machine.completion(machine.start()) == b'{"b":"aa"}'


def test_equal_schemas_share_one_machine_and_different_ones_their_automata() -> None:
    compiler = SchemaCompiler()
    text = json.dumps({"type": "array", "items": {"type": "string"}})
    assert compiler.compile(JsonSchema(text)) is compiler.compile(JsonSchema(text), document="any text")
    assert compiler.compile(JsonSchema(text)) is not compiler.compile(JsonSchema(text, white_space="spaced"))

    def string_automaton(machine: ByteMachine) -> object:
        return machine.scalars(machine.step(machine.start(), ord('"')))[0].automaton

    first = compiler.compile(JsonSchema('{"type": "string"}'))
    second = compiler.compile(JsonSchema('{"type": ["string", "null"], "title": "other"}'))
    assert string_automaton(first) is string_automaton(second)


def test_compiled_schemas_are_bounded() -> None:
    compiler = SchemaCompiler(max_schemas=4)
    for number in range(12):
        compiler.compile(JsonSchema(json.dumps({"const": number})))
    assert len(compiler._compiled) == 4


def test_white_space_of_the_model_is_its_default() -> None:
    compiler = SchemaCompiler()
    schema = JsonSchema('{"type": "array", "items": {"type": "null"}}')
    assert accepts(compiler.compile(schema, default_white_space="spaced"), b"[null, null]")
    assert not accepts(compiler.compile(schema, default_white_space="compact"), b"[null, null]")
    with pytest.raises(ConstraintError, match="must be one of compact, spaced, free"):
        compiler.compile(schema, default_white_space="tight")


VERBATIM = {
    "type": "object",
    "properties": {
        "vendor": {"type": "string", "x-verbatim": True},
        "total": {"type": ["number", "null"], "x-verbatim": True},
        "kind": {"enum": ["invoice", "order"], "x-verbatim": True},
        "number": {"type": "string", "pattern": "^[A-Z]{2}-\\d+$", "x-verbatim": True},
        "note": {"type": "string"},
    },
    "required": ["vendor", "total"],
}


TOTALS = (
    ("1234.50}", True),
    ("null}", True),
    ("99}", False),
    ('2024,"kind":"order"}', True),
    ('2024,"kind":"Acme"}', False),
    ('null,"number":"GL-2041"}', True),
    ('null,"number":"AB-1"}', False),
    ('null,"note":"not in it"}', True),
)


def bound(schema: Any, document: str | None, **options: Any) -> ByteMachine:
    return SchemaCompiler().compile(JsonSchema(json.dumps(schema), **options), document=document)


def test_marked_properties_quote_the_document_and_others_are_free() -> None:
    machine = bound(VERBATIM, DOCUMENT)
    for vendor, is_quote in (
        ("Acme Inc.", True),
        ('"Z" Ray', True),
        ("Zoë", True),
        ("Acme Corp", False),
        ("cme Inc.", False),
    ):
        text = json.dumps({"vendor": vendor, "total": None}, ensure_ascii=False, separators=(",", ":"))
        assert accepts(machine, text.encode()) == is_quote, vendor
    start = '{"vendor":"Acme Inc.","total":'
    for rest, is_quote in TOTALS:
        assert accepts(machine, (start + rest).encode()) == is_quote, rest


def test_without_a_document_a_marked_property_is_plain() -> None:
    assert accepts(bound(VERBATIM, None), b'{"vendor":"anything","total":99}')


@pytest.mark.parametrize("document", ["", " \n\t", "no digits here"])
def test_a_document_that_holds_nothing_fitting_does_not_make_a_schema_unsatisfiable(document: str) -> None:
    digits = {"type": "string", "pattern": "^\\d+$"}
    schema = {"type": "array", "prefixItems": [{"type": "integer"}, digits], "minItems": 2}
    machine = bound(schema, document, verbatim=True)
    assert accepts(machine, b'[12,"345"]')


NO_DIGITS = (
    ({"type": ["number", "null"]}, ["null"], ["123"]),
    ({"type": ["string", "number"]}, ['"no digits"'], ["123", '"123"']),
    (
        {"anyOf": [{"type": "array", "minItems": 1, "items": {"type": "integer"}}, {"const": "none"}]},
        ['"none"'],
        ["[1"],
    ),
    ({"type": "array", "items": {"type": "integer"}}, ["[]"], ["[1"]),
    ({"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "integer"}]}, ["[true]"], ["[true,"]),
    ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, ["[1,2]"], ["[1]", "[1,2,"]),
    ({"type": ["string", "null"], "pattern": "^\\d*$"}, ["null"], ['"']),
    ({"type": "string", "pattern": "^\\d*$"}, ['""'], ['"1']),
    ({"type": ["string", "number"], "pattern": "^\\d*$"}, ['""'], ['"1', "1"]),
    ({"type": "string", "pattern": "^\\d+$"}, ['"12"'], ['""']),
    ({"type": "object", "additionalProperties": {"type": "number"}}, ["{}"], ['{"']),
)


@pytest.mark.parametrize(("schema", "accepted", "rejected"), NO_DIGITS, ids=lambda one: json.dumps(one)[:50])
def test_what_the_document_does_not_hold_is_made_up_only_where_nothing_else_is_possible(
    schema: dict, accepted: list[str], rejected: list[str]
) -> None:
    record = {"type": "object", "properties": {"n": schema}, "required": ["n"]}
    machine = bound(record, "no digits here", verbatim=True)
    for text in accepted:
        assert accepts(machine, f'{{"n":{text}}}'.encode()), text
    for text in rejected:
        assert not is_prefix(machine, f'{{"n":{text}'.encode()), text
    for seed in range(4):
        jsonschema.validate(json.loads(write(machine, random.Random(seed), 5 * seed)), record)


def is_prefix(machine: ByteMachine, text: bytes) -> bool:
    state: State | None = machine.start()
    for byte in text:
        state = None if state is None else machine.step(state, byte)
    return state is not None


def test_a_property_that_nothing_can_be_quoted_for_is_left_out_unless_it_is_required() -> None:
    record = {"type": "object", "properties": {"n": {"type": "number"}, "s": {"type": "string"}}}
    for order in ("schema", "any"):
        machine = bound(record, "no digits", verbatim=True, key_order=order)
        assert accepts(machine, b'{"s":"no"}')
        assert not is_prefix(machine, b'{"n')
        machine = bound(record, "", verbatim=True, key_order=order)
        assert accepts(machine, b"{}")
        assert not is_prefix(machine, b'{"')
    assert accepts(bound(record | {"required": ["s"]}, "", verbatim=True), b'{"s":""}')
    assert accepts(bound(record | {"required": ["n"]}, "", verbatim=True), b'{"n":1}')


def test_the_option_marks_every_string_and_number() -> None:
    machine = bound(
        {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}, DOCUMENT, verbatim=True
    )
    assert accepts(machine, b'{"any key":"Acme Inc.","n":2041}')
    assert not accepts(machine, b'{"any key":"Acme Corp"}')
    assert not accepts(machine, b'{"any key":77}')


def test_walks_over_a_bound_schema_quote_and_close() -> None:
    machine = bound(VERBATIM, DOCUMENT)
    text = " ".join(DOCUMENT.split())
    for seed in range(40):
        value = json.loads(write(machine, random.Random(seed), seed))
        assert value["vendor"] in text


def test_quotes_know_their_places() -> None:
    machine = bound(VERBATIM, DOCUMENT)
    state = machine.start()
    for byte in b'{"vendor":':
        state = machine.step(state, byte)
    (scalar,) = machine.scalars(state)
    start, end = scalar.automaton.source_span(scalar.q, b'"Acme Inc."')
    assert DOCUMENT[start:end] == "Acme Inc."


def test_a_document_binds_without_working_the_schema_out_again() -> None:
    compiler = SchemaCompiler()
    schema = JsonSchema(json.dumps(VERBATIM))
    first, second = (compiler.compile(schema, document=f"{DOCUMENT} {number}") for number in range(2))
    assert first is not second
    assert first.frames.nodes.meanings is second.frames.nodes.meanings
    assert second.num_states == 1


def test_keys_that_answers_make_up_are_not_all_kept_with_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.schema.rests.MAX_RESTS", 20)
    machine = compile_schema({"type": "object"})
    for number in range(50):
        assert accepts(machine, f'{{"a{number}":1,"b{number}":2}}'.encode())
    (form,) = machine.frames.nodes._object_forms.values()
    assert len(form.rests) <= 22


def test_all_machines_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.schema.compiler.LOOK_EVERY", 1)
    monkeypatch.setattr("radixgen.schema.compiler.MAX_STATES", 100)
    compiler = SchemaCompiler()
    for number in range(20):
        machine = compiler.compile(JsonSchema(json.dumps({"type": "string", "minLength": number})))
        accepts(machine, b'"' + b"a" * 30 + b'"')
    assert sum(one.machine.num_states for one in compiler._compiled.values() if one.machine) <= 100 + 2 * 34


def test_tables_of_all_schemas_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.schema.compiler.LOOK_EVERY", 1)
    monkeypatch.setattr("radixgen.schema.compiler.MAX_ROWS", 400)
    compiler = SchemaCompiler()
    for number in range(20):
        machine = compiler.compile(JsonSchema(json.dumps({"type": "string", "minLength": number + 30})))
        assert accepts(machine, b'"' + b"a" * 50 + b'"')
    assert compiler._scalars.num_rows <= 600


def test_a_machine_that_grew_too_large_is_left_to_its_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radixgen.schema.compiler.LOOK_EVERY", 1)
    monkeypatch.setattr("radixgen.schema.compiler.MAX_STATES", 10)
    compiler, schema = SchemaCompiler(), JsonSchema('{"type": "string"}')
    first = compiler.compile(schema)
    for byte in range(256):
        state = first.step(first.start(), ord('"'))
        first.step(state, byte)
    assert compiler.compile(schema) is not first
    assert close(first, first.start()) == b'""'


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Item(pydantic.BaseModel):
    name: str
    price: float | None = None
    colour: Colour = Colour.RED


class Order(pydantic.BaseModel):
    zone: Literal["eu", "us"]
    items: list[Item]
    about: dict[str, int] = {}


@dataclass
class Point:
    x: int
    y: int | None = None


class Row(TypedDict):
    key: str
    values: list[float]


@pytest.mark.parametrize("model", [Order, Point, Row, list[Item], int | None], ids=str)
def test_python_types_are_written_and_read_back(model: type) -> None:
    machine = SchemaCompiler().compile(JsonSchema(schema_of(model)))
    adapter = pydantic.TypeAdapter(model)
    for seed in range(5):
        text = write(machine, random.Random(seed), 12 * seed).decode()
        assert parse_value(model, text) == adapter.validate_json(text)


def test_fields_keep_their_order() -> None:
    assert list(json.loads(schema_of(Order))["properties"]) == ["zone", "items", "about"]


def test_what_is_no_type_or_no_value_is_said() -> None:
    with pytest.raises(ConstraintError, match="has no JSON Schema"):
        schema_of(SchemaCompiler)
    with pytest.raises(ConstraintError, match="is not a Point"):
        parse_value(Point, '{"x":"no"}')


def test_a_mark_holds_for_all_inside() -> None:
    items = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "x-verbatim": True}
    machine = bound({"type": "object", "properties": {"items": items, "free": {"type": "string"}}}, DOCUMENT)
    assert accepts(machine, b'{"items":["Acme Inc.",null],"free":"x"}')
    assert not accepts(machine, b'{"items":["Acme Corp"]}')


def test_beyond_a_key_that_is_not_known_yet_another_asks_for_the_text() -> None:
    """A mask looks beyond a key without knowing it; whether a further one is the same shows only in the text."""
    machine = compile_schema({"type": "object"})
    state = machine.start()
    for byte in b'{"k':
        state = machine.step(state, byte)
    (scalar,) = machine.scalars(state)
    follow = scalar.follow
    for byte in b':1,"k':
        follow = machine.step(follow, byte)
    assert follow is not None
    assert [one.follow for one in machine.scalars(follow)] == [ASK]
    assert accepts(machine, b'{"k":1,"kk":1}')
    assert not accepts(machine, b'{"k":1,"k":1}')
