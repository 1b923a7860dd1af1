"""What shows of a schema at a glance, without working out what it means: most schemas say little.

Whatever is not plain to see is left to `schema.meanings` and `schema.search`; nothing here is ever wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from radixgen.schema.formula import Formula, Kind
from radixgen.schema.reader import Location, SchemaReader

MAX_LOOKS = 4
"""Schemas inside each other that a glance takes in."""

_ANNOTATIONS = frozenset(
    ("title", "description", "default", "examples", "$comment", "deprecated", "readOnly", "writeOnly", "$schema", "$id")
) | frozenset(("$defs", "definitions", "$anchor", "$dynamicAnchor"))


class Easy(NamedTuple):
    """The cheapest value of a type that little more is said of."""

    cost: int
    height: int
    harmless: frozenset[str]
    """Keywords that leave it as it is."""


_NUMBER = Easy(1, 0, frozenset())
_EASY = {
    "string": Easy(2, 0, frozenset(("maxLength",))),
    "number": _NUMBER,
    "integer": _NUMBER,
    "boolean": Easy(4, 0, frozenset()),
    "null": Easy(4, 0, frozenset()),
    "array": Easy(2, 1, frozenset(("items", "maxItems", "uniqueItems", "prefixItems"))),
    "object": Easy(2, 1, frozenset(("properties", "additionalProperties", "patternProperties"))),
}


def easy_cost(formula: Formula) -> Easy | None:
    """Of a schema that says little, seen at a glance; None for any other."""
    if formula.kind == Kind.TRUE:
        return _NUMBER
    if formula.kind != Kind.LITERAL or not formula.is_positive:
        return None
    schema = getattr(formula.atom, "schema", None)
    types = schema.get("type") if isinstance(schema, dict) else None
    easy = _EASY.get(types) if isinstance(types, str) else None
    if easy is None or schema is None:
        return None
    for keyword in schema:
        if keyword != "type" and keyword not in _ANNOTATIONS and keyword not in easy.harmless:
            return None
    return easy


_COUNTS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))
_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"))
_STRINGS = frozenset(("minLength", "maxLength"))
_OBJECTS = frozenset(("properties", "additionalProperties", "patternProperties", "required"))
_ARRAYS = frozenset(("items", "minItems", "maxItems", "prefixItems"))
_MODEST: dict[str, frozenset[str]] = {
    "string": _STRINGS,
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": _ARRAYS,
    "object": _OBJECTS,
}


class Glance:
    """Tells schemas that some value satisfies for sure."""

    def __init__(self, reader: SchemaReader, is_stated: Callable[[str], bool]) -> None:
        """is_stated: whether a format is asserted."""
        self._reader, self._is_stated = reader, is_stated
        self._found: dict[Location, bool] = {}

    def is_live(self, formula: Formula) -> bool:
        """True only if some value satisfies a formula over jobs."""
        if formula.kind == Kind.TRUE:
            return True
        atom = formula.atom
        return isinstance(atom, Location) and formula.is_positive and self._is_live(atom, MAX_LOOKS)

    def _is_live(self, location: Location, looks: int) -> bool:
        found = self._found.get(location)
        if found is None:
            found = looks > 0 and self._looks_live(location, looks - 1)
            if found or looks == MAX_LOOKS:
                self._found[location] = found
        return found

    def _looks_live(self, location: Location, looks: int) -> bool:
        schema = location.schema
        if isinstance(schema, bool):
            return schema
        said = schema.keys() - _ANNOTATIONS
        if not said:
            return True
        if said == {"$ref"}:
            return self._is_live(self._reader.references(location)[0], looks)
        if said == {"anyOf"}:
            count = len(schema["anyOf"])
            return any(self._is_live(self._reader.child(location, "anyOf", at), looks) for at in range(count))
        if said <= {"enum", "type"} and "enum" in said:
            return any(_has_type(value, schema.get("type")) for value in schema["enum"])
        types = schema.get("type")
        return isinstance(types, str) and self._is_modest(location, schema, said - {"type"}, types, looks)

    def _is_modest(self, location: Location, schema: dict[str, Any], said: set[str], kind: str, looks: int) -> bool:
        """Only keywords of the kind that cannot contradict each other, or visibly do not."""
        if "format" in said and kind == "string" and not self._is_stated(schema["format"]):
            said = said - {"format"}
        if not said <= _MODEST[kind]:
            return False
        if kind in ("number", "integer"):
            return _has_room(schema)
        if any(schema.get(high) is not None and schema[high] < schema.get(low, 0) for low, high in _COUNTS):
            return False
        if kind == "array":
            return not schema.get("minItems") or (
                "prefixItems" not in said
                and ("items" not in said or self._is_live(self._reader.child(location, "items"), looks))
            )
        return kind != "object" or all(self._is_member_live(location, schema, name, looks) for name in schema.get("required") or ())

    def _is_member_live(self, location: Location, schema: dict[str, Any], name: str, looks: int) -> bool:
        if "patternProperties" in schema or name not in (schema.get("properties") or {}):
            return False
        return self._is_live(self._reader.child(location, "properties", name), looks)


def _has_room(schema: dict[str, Any]) -> bool:
    """At least one apart, so that an integer lies between."""
    low = [schema[keyword] for keyword in ("minimum", "exclusiveMinimum") if keyword in schema]
    high = [schema[keyword] for keyword in ("maximum", "exclusiveMaximum") if keyword in schema]
    return not low or not high or max(low) + 2 <= min(high)


_PYTHON: dict[str, Any] = {"string": str, "object": dict, "array": list}


def _has_type(value: Any, types: Any) -> bool:
    """Whether a value is surely of a type; of none where that takes a closer look."""
    if types is None:
        return True
    return isinstance(types, str) and types in _PYTHON and isinstance(value, _PYTHON[types])
