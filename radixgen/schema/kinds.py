"""The kinds of JSON values, as the first byte shows them: what a type, a value and a schema leave of them."""

from __future__ import annotations

from typing import Any

from radixgen.schema.atoms import Constant
from radixgen.schema.formula import Formula, Kind
from radixgen.schema.reader import Location, SchemaReader

KINDS = ("null", "true", "false", "number", "string", "array", "object")
_TYPES = {"boolean": ("true", "false"), "integer": ("number",)}


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "number"


def has_kind(types: str | list[str], kind: str) -> bool:
    """Whether a schema's `type` leaves a kind."""
    return any(kind in _TYPES.get(one, (one,)) for one in ((types,) if isinstance(types, str) else types))


def find_kinds(reader: SchemaReader, formula: Formula) -> tuple[str, ...]:
    """Kinds that a formula over jobs may leave; more than it does, where that takes a closer look."""
    if formula.kind == Kind.AND:
        return min((find_kinds(reader, one) for one in formula.items), key=len)
    if formula.kind != Kind.LITERAL or not formula.is_positive:
        return KINDS
    if isinstance(formula.atom, Constant):
        return tuple(dict.fromkeys(kind_of(value) for value in formula.atom.values))
    return _of_schema(reader, formula.atom) if isinstance(formula.atom, Location) else KINDS


def _of_schema(reader: SchemaReader, location: Location) -> tuple[str, ...]:
    schema = location.schema
    if not isinstance(schema, dict):
        return KINDS
    types = schema.get("type")
    if types is None and "$ref" in schema:
        return _of_schema(reader, reader.references(location)[0])
    if types is None and "enum" in schema:
        return tuple(dict.fromkeys(kind_of(value) for value in schema["enum"]))
    if isinstance(types, str):
        return _TYPES.get(types, (types,))
    return KINDS if types is None else tuple(kind for kind in KINDS if has_kind(types, kind))
