"""What shows of a schema at a glance, without working out what it means: most schemas say little.

Whatever is not plain to see is left to `schema.meanings` and `schema.search`; nothing here is ever wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from radixgen.schema.formula import Formula, Kind
from radixgen.schema.keywords import CHECKS, NAMING, words
from radixgen.schema.kinds import has_kind, kind_of
from radixgen.schema.reader import Location, SchemaReader

MOST_BYTES = 6
"""A character takes no more in a JSON string."""
MAX_LOOKS = 64
"""Schemas that a glance takes in: no value that it finds is nested deeper."""
MAX_VALUES = 32
"""Of an enum, that a glance takes in."""

_SPEAKING = (frozenset(CHECKS) | {"const"}) - NAMING
"""Keywords that say anything of a value."""


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
    if any(keyword in _SPEAKING and keyword != "type" and keyword not in easy.harmless for keyword in schema):
        return None
    return easy


_COUNTS = (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))
_NUMBERS = words("minimum maximum exclusiveMinimum exclusiveMaximum")
_STRINGS = words("minLength maxLength pattern format")
_OBJECTS = words("properties additionalProperties patternProperties required minProperties maxProperties")
_ARRAYS = words("items minItems maxItems prefixItems uniqueItems")
_MODEST: dict[str, frozenset[str]] = {
    "string": _STRINGS,
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": _ARRAYS,
    "object": _OBJECTS,
}
"""Keywords of a type that a glance understands."""
_OTHERS = {
    "string": words("x-lark"),
    "number": words("multipleOf"),
    "integer": words("multipleOf"),
    "object": words("propertyNames dependentRequired dependentSchemas unevaluatedProperties"),
    "array": words("contains minContains maxContains unevaluatedItems"),
}
"""Keywords of a type that it does not."""
_TYPED = frozenset().union(*_MODEST.values(), *_OTHERS.values())
_ANY_TYPE = ("null",)


class Glance:
    """Tells schemas that some value satisfies for sure, and how long the shortest is at most."""

    def __init__(self, reader: SchemaReader, shortest: Callable[[Location], int | None]) -> None:
        """shortest: characters of some string that satisfies the `pattern`, `format` and lengths of a place."""
        self._reader, self._shortest = reader, shortest
        self._found: dict[Location, int | None] = {}
        self._looks = 0
        """Schemas that this glance may still take in."""
        self._inside: set[Location] = set()

    def find_bound(self, formula: Formula) -> int | None:
        """Bytes that are enough for some value that satisfies a formula over jobs; None where none is in sight."""
        if formula.kind == Kind.TRUE:
            return 1
        atom = formula.atom
        if not isinstance(atom, Location) or not formula.is_positive:
            return None
        if atom not in self._found:
            self._looks, self._inside = MAX_LOOKS, set()
            self._found[atom] = self._bound(atom)
        return self._found[atom]

    def _bound(self, location: Location) -> int | None:
        found = self._found.get(location)
        if found is not None or location in self._inside or not self._looks:
            return found
        self._looks -= 1
        self._inside.add(location)
        found = self._look(location)
        self._inside.discard(location)
        if found is not None:
            self._found[location] = found
        return found

    def _look(self, location: Location) -> int | None:
        schema = location.schema
        if isinstance(schema, bool):
            return 1 if schema else None
        said = schema.keys() & _SPEAKING
        if not said:
            return 1
        if len(said) == 1 and "type" in said and isinstance(schema["type"], str):
            return _LITERAL
        if said == {"$ref"}:
            return self._bound(self._reader.references(location)[0])
        if said == {"anyOf"}:
            children = (self._reader.child(location, "anyOf", at) for at in range(len(schema["anyOf"])))
            return _least(self._bound(child) for child in children)
        types = schema.get("type", _ANY_TYPE)
        listed = said - {"type"}
        if listed in ({"enum"}, {"const"}):
            values = schema.get("enum", (schema.get("const"),))
            fitting = (one for one in values if types is _ANY_TYPE or _has_type(one, types))
            return _least(spelled_len(one) for one in islice(fitting, MAX_VALUES))
        if not listed <= _TYPED:
            return None
        return _least(
            self._bound_of_type(location, listed, kind) for kind in ((types,) if isinstance(types, str) else types)
        )

    def _bound_of_type(self, location: Location, said: set[str], kind: str) -> int | None:
        """Where there are only keywords of the kind that cannot contradict each other, or visibly do not."""
        schema: Any = location.schema
        if not said.isdisjoint(_OTHERS.get(kind, ())):
            return None
        if any(schema.get(high) is not None and schema[high] < schema.get(low, 0) for low, high in _COUNTS):
            return None
        match kind:
            case "number" | "integer":
                return _longest_number(schema)
            case "string":
                return self._bound_of_string(location)
            case "array":
                return self._bound_of_array(location)
            case "object":
                return self._bound_of_object(location)
        return _LITERAL

    def _bound_of_string(self, location: Location) -> int | None:
        shortest = location.get("minLength") or 0
        if "pattern" in location or "format" in location:
            shortest = self._shortest(location)
        return None if shortest is None else 2 + MOST_BYTES * int(shortest)

    def _bound_of_array(self, location: Location) -> int | None:
        count = location.get("minItems") or 0
        if not count:
            return 2
        if "prefixItems" in location or (location.get("uniqueItems") is True and count > 1):
            return None
        item = self._bound(self._reader.child(location, "items")) if "items" in location else 1
        return None if item is None else 2 + count * (item + _SPACED)

    def _bound_of_object(self, location: Location) -> int | None:
        size, required = 2, location.get("required") or ()
        if not (location.get("minProperties") or 0) <= len(required) <= location.get("maxProperties", len(required)):
            return None
        for name in required:
            value = self._bound_of_member(location, name)
            if value is None:
                return None
            size += spelled_len(name) + value + 2 * _SPACED
        return size

    def _bound_of_member(self, location: Location, name: str) -> int | None:
        if "patternProperties" in location:
            return None
        if name in (location.get("properties") or {}):
            return self._bound(self._reader.child(location, "properties", name))
        if "additionalProperties" in location:
            return self._bound(self._reader.child(location, "additionalProperties"))
        return 1


def _least(bounds: Iterable[int | None]) -> int | None:
    return min((one for one in bounds if one is not None), default=None)


def _longest_number(schema: dict[str, Any]) -> int | None:
    """Ends that are at least two apart have an integer between them."""
    low = [schema[keyword] for keyword in ("minimum", "exclusiveMinimum") if keyword in schema]
    high = [schema[keyword] for keyword in ("maximum", "exclusiveMaximum") if keyword in schema]
    if low and high and max(low) + 2 > min(high):
        return None
    return max((abs(int(end)) for end in (*low, *high)), default=0).bit_length() // 3 + 4


_LITERAL = 5
"""Bytes of `false`: every type has a value that is no longer."""
_SPACED = 2
"""`, ` and `: ` take so many bytes at most."""


def _has_type(value: Any, types: Any) -> bool:
    """Whether a value is surely of one of some types."""
    return has_kind(types, kind_of(value)) and (not isinstance(value, Decimal) or "number" in types)


def spelled_len(value: Any) -> int:
    """Bytes of a value's text, at most."""
    match value:
        case str():
            return 2 + MOST_BYTES * len(value)
        case Decimal():
            return len(format(value, "f"))
        case list():
            return 2 + sum(spelled_len(one) + _SPACED for one in value)
        case dict():
            return 2 + sum(spelled_len(name) + spelled_len(one) + 2 * _SPACED for name, one in value.items())
    return len(str(value)) + 1
