"""What shows of a schema at a glance, without working out what it means: most schemas say little.

Whatever is not plain to see is left to `schema.meanings` and `schema.search`; nothing here is ever wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from radixgen.schema.formula import Formula, Kind
from radixgen.schema.reader import Location, SchemaReader

MOST_BYTES = 6
"""A character takes no more in a JSON string."""
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
    """Tells schemas that some value satisfies for sure, and how long the shortest is at most."""

    def __init__(self, reader: SchemaReader, is_stated: Callable[[str], bool]) -> None:
        """is_stated: whether a format is asserted."""
        self._reader, self._is_stated = reader, is_stated
        self._found: dict[Location, int | None] = {}

    def find_bound(self, formula: Formula) -> int | None:
        """Bytes that are enough for some value that satisfies a formula over jobs; None where none is in sight."""
        if formula.kind == Kind.TRUE:
            return 1
        atom = formula.atom
        return self._bound(atom, MAX_LOOKS) if isinstance(atom, Location) and formula.is_positive else None

    def _bound(self, location: Location, looks: int) -> int | None:
        if location in self._found:
            return self._found[location]
        found = self._look(location, looks - 1) if looks > 0 else None
        if found is not None or looks == MAX_LOOKS:
            self._found[location] = found
        return found

    def _look(self, location: Location, looks: int) -> int | None:
        schema = location.schema
        if isinstance(schema, bool):
            return 1 if schema else None
        said = schema.keys() - _ANNOTATIONS
        if not said:
            return 1
        if said == {"$ref"}:
            return self._bound(self._reader.references(location)[0], looks)
        if said == {"anyOf"}:
            children = (self._reader.child(location, "anyOf", at) for at in range(len(schema["anyOf"])))
            return min((one for child in children if (one := self._bound(child, looks)) is not None), default=None)
        if said <= {"enum", "type"} and "enum" in said:
            return min(
                (_spelled(value) for value in schema["enum"] if _has_type(value, schema.get("type"))), default=None
            )
        types = schema.get("type")
        return self._bound_of_type(location, said - {"type"}, types, looks) if isinstance(types, str) else None

    def _bound_of_type(self, location: Location, said: set[str], kind: str, looks: int) -> int | None:
        """Where there are only keywords of the kind that cannot contradict each other, or visibly do not."""
        schema: Any = location.schema
        if "format" in said and kind == "string" and not self._is_stated(schema["format"]):
            said = said - {"format"}
        if not said <= _MODEST[kind]:
            return None
        if any(schema.get(high) is not None and schema[high] < schema.get(low, 0) for low, high in _COUNTS):
            return None
        match kind:
            case "number" | "integer":
                return _longest_number(schema)
            case "string":
                return 2 + MOST_BYTES * int(schema.get("minLength", 0))
            case "array":
                return self._bound_of_array(location, looks)
            case "object":
                return self._bound_of_object(location, looks)
        return _LITERAL

    def _bound_of_array(self, location: Location, looks: int) -> int | None:
        count = location.get("minItems") or 0
        if not count:
            return 2
        if "prefixItems" in location:
            return None
        item = self._bound(self._reader.child(location, "items"), looks) if "items" in location else 1
        return None if item is None else 2 + count * (item + _SPACED)

    def _bound_of_object(self, location: Location, looks: int) -> int | None:
        size = 2
        for name in location.get("required") or ():
            if "patternProperties" in location or name not in (location.get("properties") or {}):
                return None
            value = self._bound(self._reader.child(location, "properties", name), looks)
            if value is None:
                return None
            size += _spelled(name) + value + 2 * _SPACED
        return size


def _longest_number(schema: dict[str, Any]) -> int | None:
    """Ends that are at least two apart have an integer between them."""
    low = [schema[keyword] for keyword in ("minimum", "exclusiveMinimum") if keyword in schema]
    high = [schema[keyword] for keyword in ("maximum", "exclusiveMaximum") if keyword in schema]
    if low and high and max(low) + 2 > min(high):
        return None
    return max((abs(int(end)) for end in (*low, *high)), default=0).bit_length() // 3 + 4


_LITERAL = 5
_SPACED = 2
"""`, ` and `: ` take so many bytes at most."""
_PYTHON: dict[str, Any] = {"string": str, "object": dict, "array": list}


def _has_type(value: Any, types: Any) -> bool:
    """Whether a value is surely of a type; of none where that takes a closer look."""
    if types is None:
        return True
    return isinstance(types, str) and types in _PYTHON and isinstance(value, _PYTHON[types])


def _spelled(value: Any) -> int:
    """Bytes of a value's text, at most."""
    return 2 + MOST_BYTES * len(value) if isinstance(value, str) else len(str(value)) * MOST_BYTES + 2
