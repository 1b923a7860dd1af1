"""A validator over the reader's locations: slow, obvious, by the letter of draft 2020-12. What the reader makes of any
draft must mean what the draft means; this is how tests find out."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from radixgen.schema.reader import Location, SchemaReader
from radixgen.schema.values import is_equal, kind_of


class Verdict(NamedTuple):
    is_valid: bool
    evaluated: frozenset[Any] = frozenset()
    """Names or indices that a schema of this value has looked at."""


def is_valid(reader: SchemaReader, value: Any) -> bool:
    """value: as `json.loads(text, parse_float=Decimal)` makes it."""
    return judge(reader, reader.root, value).is_valid


def judge(reader: SchemaReader, location: Location, value: Any) -> Verdict:
    if isinstance(location.schema, bool):
        return Verdict(location.schema)
    here = _Here(reader, location, value)
    return here.run()


class _Here:
    def __init__(self, reader: SchemaReader, location: Location, value: Any) -> None:
        self.reader, self.location, self.value = reader, location, value
        self.schema: dict[str, Any] = location.schema  # type: ignore[assignment]
        self.evaluated: set[Any] = set()

    def run(self) -> Verdict:
        is_right = self._scalars() & self._applicators()
        if isinstance(self.value, dict):
            is_right &= self._object()
        elif isinstance(self.value, list):
            is_right &= self._array()
        return Verdict(True, frozenset(self.evaluated)) if is_right else Verdict(False)

    def _child(self, *path: str | int) -> Location:
        return self.reader.child(self.location, *path)

    def _holds(self, location: Location) -> bool:
        """Whether a schema about the same value holds; then what it looked at counts."""
        verdict = judge(self.reader, location, self.value)
        self.evaluated |= verdict.evaluated
        return verdict.is_valid

    def _list(self, keyword: str) -> list[bool]:
        return [self._holds(self._child(keyword, at)) for at in range(len(self.schema.get(keyword) or ()))]

    def _applicators(self) -> bool:
        right = [self._holds(one) for one in self.reader.references(self.location)]
        right += self._list("allOf")
        for keyword, wanted in (("anyOf", None), ("oneOf", 1)):
            if keyword in self.schema:
                count = sum(self._list(keyword))
                right.append(count > 0 if wanted is None else count == wanted)
        if "not" in self.schema:
            right.append(not judge(self.reader, self._child("not"), self.value).is_valid)
        if "if" in self.schema:
            keyword = "then" if self._holds(self._child("if")) else "else"
            right.append(keyword not in self.schema or self._holds(self._child(keyword)))
        return all(right)

    def _scalars(self) -> bool:
        schema, value = self.schema, self.value
        right = [_has_type(self.location, value)]
        if "enum" in schema:
            right.append(any(is_equal(value, one) for one in schema["enum"]))
        if "const" in schema:
            right.append(is_equal(value, schema["const"]))
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            right += self._number(Decimal(value))
        if isinstance(value, str):
            right.append(_between(schema, "Length", len(value)))
            right.append("pattern" not in schema or re.search(schema["pattern"], value) is not None)
        return all(right)

    def _number(self, value: Decimal) -> list[bool]:
        checks = {
            "minimum": lambda bound: value >= bound,
            "maximum": lambda bound: value <= bound,
            "exclusiveMinimum": lambda bound: value > bound,
            "exclusiveMaximum": lambda bound: value < bound,
            "multipleOf": lambda unit: Fraction(value) % Fraction(unit) == 0,
        }
        return [check(self.schema[keyword]) for keyword, check in checks.items() if keyword in self.schema]

    def _object(self) -> bool:
        schema, value = self.schema, self.value
        right = [_between(schema, "Properties", len(value))]
        right += [name in value for name in schema.get("required", ())]
        for name, names in schema.get("dependentRequired", {}).items():
            right.append(name not in value or all(one in value for one in names))
        right += [
            self._holds(self._child("dependentSchemas", name))
            for name in schema.get("dependentSchemas", {})
            if name in value
        ]
        if "propertyNames" in schema:
            right += [judge(self.reader, self._child("propertyNames"), name).is_valid for name in value]
        looked_at = {name for name in value if self._members(name, right)}
        if "additionalProperties" in schema:
            right += [self._inside("additionalProperties", name) for name in value if name not in looked_at]
            looked_at = set(value)
        self.evaluated |= looked_at
        if "unevaluatedProperties" in schema:
            right += [self._inside("unevaluatedProperties", name) for name in value if name not in self.evaluated]
            self.evaluated |= set(value)
        return all(right)

    def _members(self, name: str, right: list[bool]) -> bool:
        """Judge what `properties` and `patternProperties` say of a name; True if they say anything."""
        found = []
        if name in self.schema.get("properties", {}):
            found.append(self._child("properties", name))
        for pattern in self.schema.get("patternProperties", {}):
            if re.search(pattern, name):
                found.append(self._child("patternProperties", pattern))
        right += [judge(self.reader, one, self.value[name]).is_valid for one in found]
        return bool(found)

    def _inside(self, keyword: str, at: Any) -> bool:
        return judge(self.reader, self._child(keyword), self.value[at]).is_valid

    def _array(self) -> bool:
        schema, value = self.schema, self.value
        right = [_between(schema, "Items", len(value))]
        num_prefix = min(len(schema.get("prefixItems", ())), len(value))
        right += [judge(self.reader, self._child("prefixItems", at), value[at]).is_valid for at in range(num_prefix)]
        self.evaluated |= set(range(num_prefix))
        if "items" in schema:
            right += [self._inside("items", at) for at in range(num_prefix, len(value))]
            self.evaluated |= set(range(len(value)))
        if "contains" in schema:
            found = [at for at in range(len(value)) if self._inside("contains", at)]
            right.append(schema.get("minContains", 1) <= len(found) <= schema.get("maxContains", len(found)))
            if self.location.contains_evaluates:
                self.evaluated |= set(found)
        if schema.get("uniqueItems"):
            right.append(not any(is_equal(value[a], value[b]) for a in range(len(value)) for b in range(a)))
        if "unevaluatedItems" in schema:
            right += [self._inside("unevaluatedItems", at) for at in range(len(value)) if at not in self.evaluated]
            self.evaluated |= set(range(len(value)))
        return all(right)


def _has_type(location: Location, value: Any) -> bool:
    types = location.get("type")
    if types is None:
        return True
    names = types if isinstance(types, list) else [types]
    kind = kind_of(value)
    if location.is_integer_lexical and isinstance(value, Decimal):
        kind = "number"
    return kind in names or (kind == "integer" and "number" in names)


def _between(schema: dict[str, Any], what: str, size: int) -> bool:
    return schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size)
