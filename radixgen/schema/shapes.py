"""A conjunction of schemas -> its alternatives, each one shape: plain constraints that must all hold at once.

    {$ref: A, anyOf: [B, C], minLength: 3}   ──►   [ {self, A, B}, {self, A, C} ]   ──►   one Shape each

`$ref` and `allOf` add locations to a conjunction, `anyOf` and `oneOf` multiply it; what is left at each location are
keywords that merge exactly (types intersect, bounds tighten, patterns all hold). Properties and items are not merged
here: the value of a name is again a conjunction of locations, so recursion stays lazy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from radixgen.automata.numbers import Interval
from radixgen.errors import SchemaError
from radixgen.schema.keywords import KINDS, REFUSED
from radixgen.schema.reader import Location, SchemaReader
from radixgen.schema.values import is_equal

MAX_ALTERNATIVES = 2_000

Locations = tuple[Location, ...]


class TextRule(NamedTuple):
    """What a string must be: its length in characters and patterns that must be found in it."""

    min_len: int = 0
    max_len: int | None = None
    patterns: tuple[str, ...] = ()


class ArrayRule(NamedTuple):
    min_items: int = 0
    max_items: int | None = None


@dataclass(slots=True)
class Shape:
    """One conjunction without choices. `values`: the enum or const, all its members still to be checked."""

    locations: Locations
    kinds: frozenset[str] = KINDS
    values: list[Any] | None = None
    interval: Interval = field(default_factory=Interval)
    text: TextRule = field(default_factory=TextRule)
    array: ArrayRule = field(default_factory=ArrayRule)
    required: dict[str, None] = field(default_factory=dict)
    is_verbatim: bool = False

    @property
    def pointer(self) -> str:
        return self.locations[0].pointer if self.locations else ""


def expand(reader: SchemaReader, locations: Iterable[Location]) -> list[Locations]:
    """The alternatives of a conjunction, each without `$ref`, `allOf`, `anyOf`, `oneOf` left to follow.

    Raises:
        SchemaError: for a schema that refers to itself without a value in between, and for too many alternatives.
    """
    return _Expansion(reader).run(tuple(locations))


class _Pending(NamedTuple):
    location: Location
    ancestors: frozenset[Location]


class _Branch(NamedTuple):
    """A conjunction half expanded."""

    pending: tuple[_Pending, ...]
    done: Locations


class _Expansion:
    def __init__(self, reader: SchemaReader) -> None:
        self._reader = reader

    def run(self, locations: Locations) -> list[Locations]:
        found: list[Locations] = []
        waiting = [_Branch(tuple(_Pending(one, frozenset()) for one in locations), ())]
        while waiting:
            branch = waiting.pop()
            if not branch.pending:
                found.append(branch.done)
                continue
            waiting += reversed(self._step(branch))
            if len(found) + len(waiting) > MAX_ALTERNATIVES:
                raise SchemaError(
                    f"anyOf and oneOf together have over {MAX_ALTERNATIVES} cases", locations[0].pointer, "anyOf"
                )
        return found

    def _step(self, branch: _Branch) -> list[_Branch]:
        first, *rest = branch.pending
        location = first.location
        if location in first.ancestors:
            raise SchemaError("the schema refers to itself without a value in between", location.pointer, "$ref")
        if location.schema is False:
            return []
        if location in branch.done or location.schema is True:
            return [_Branch(tuple(rest), branch.done)]
        ancestors = first.ancestors | {location}
        done = (*branch.done, location)
        is_only_ref = self._reader.is_old and location.get("$ref") is not None
        more = [_Pending(one, ancestors) for one in self._conjuncts(location, is_only_ref=is_only_ref)]
        if is_only_ref:
            return [_Branch((*more, *rest), branch.done)]
        branches = [_Branch((*more, *rest), done)]
        for keyword in ("anyOf", "oneOf"):
            choices = self._choices(location, keyword)
            if choices:
                branches = [
                    one._replace(pending=(_Pending(choice, ancestors), *one.pending))
                    for one in branches
                    for choice in choices
                ]
        return branches

    def _conjuncts(self, location: Location, *, is_only_ref: bool) -> list[Location]:
        found = [self._reader.target(location)] if location.get("$ref") is not None else []
        if not is_only_ref:
            found += self._choices(location, "allOf")
        return found

    def _choices(self, location: Location, keyword: str) -> list[Location]:
        count = len(location.get(keyword) or ())
        return [self._reader.child(location, keyword, index) for index in range(count)]


def merge(locations: Sequence[Location]) -> Shape | None:
    """The shape of one alternative, or None where its keywords contradict each other.

    Raises:
        SchemaError: for a refused keyword that speaks of a kind of value that may occur.
    """
    shape = Shape(tuple(locations))
    for location in locations:
        if isinstance(location.schema, dict):
            _add(shape, location)
    if "number" in shape.kinds:
        shape.kinds -= {"integer"}
    shape.kinds = frozenset(kind for kind in shape.kinds if not _is_impossible(shape, kind))
    for location in locations:
        _refuse(shape, location)
    return shape if shape.kinds else None


def _add(shape: Shape, location: Location) -> None:
    types = location.get("type")
    if types is not None:
        kinds = frozenset(types if isinstance(types, list) else [types])
        shape.kinds &= kinds | {"integer"} if "number" in kinds else kinds
    if location.get("multipleOf") == 1:
        shape.kinds -= {"number"}
    for keyword in ("enum", "const"):
        if isinstance(location.schema, dict) and keyword in location.schema:
            values = location.schema[keyword] if keyword == "enum" else [location.schema[keyword]]
            shape.values = values if shape.values is None else _common(shape.values, values)
    _add_bounds(shape, location)
    _add_lengths(shape, location)
    shape.required.update(dict.fromkeys(location.get("required") or ()))
    shape.is_verbatim |= location.get("x-verbatim") is True


def _common(left: list[Any], right: list[Any]) -> list[Any]:
    return [value for value in left if any(is_equal(value, other) for other in right)]


def _add_bounds(shape: Shape, location: Location) -> None:
    for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
        value = location.get(keyword)
        if value is not None:
            shape.interval = _raise_low(shape.interval, Decimal(value), is_open)
    for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
        value = location.get(keyword)
        if value is not None:
            shape.interval = _lower_high(shape.interval, Decimal(value), is_open)


def _raise_low(interval: Interval, value: Decimal, is_open: bool) -> Interval:
    if interval.low is None or (value, is_open) > (interval.low, interval.is_low_open):
        return interval._replace(low=value, is_low_open=is_open)
    return interval


def _lower_high(interval: Interval, value: Decimal, is_open: bool) -> Interval:
    if interval.high is None or (-value, is_open) > (-interval.high, interval.is_high_open):
        return interval._replace(high=value, is_high_open=is_open)
    return interval


def _add_lengths(shape: Shape, location: Location) -> None:
    patterns = shape.text.patterns
    pattern = location.get("pattern")
    if pattern is not None and pattern not in patterns:
        patterns = (*patterns, pattern)
    shape.text = TextRule(
        max(shape.text.min_len, int(location.get("minLength") or 0)),
        _least(shape.text.max_len, location.get("maxLength")),
        patterns,
    )
    shape.array = ArrayRule(
        max(shape.array.min_items, int(location.get("minItems") or 0)),
        _least(shape.array.max_items, location.get("maxItems")),
    )


def _least(left: int | None, right: Any) -> int | None:
    given = [int(one) for one in (left, right) if one is not None]
    return min(given, default=None)


def _is_impossible(shape: Shape, kind: str) -> bool:
    low, high = (shape.text.min_len, shape.text.max_len) if kind == "string" else shape.array
    return kind in ("string", "array") and high is not None and low > high


def _refuse(shape: Shape, location: Location) -> None:
    for keyword, refusal in REFUSED.items():
        value = location.get(keyword)
        if value is None or not refusal.kinds & shape.kinds or _is_trivial(shape, location, keyword, value):
            continue
        raise SchemaError(f"{keyword!r} is not supported; {refusal.advice}", f"{location.pointer}/{keyword}", keyword)


def _is_trivial(shape: Shape, location: Location, keyword: str, value: Any) -> bool:
    """True where the keyword says nothing here."""
    match keyword:
        case "not" | "uniqueItems":
            return value is False or (keyword == "uniqueItems" and (shape.array.max_items or 2) <= 1)
        case "if":
            return location.get("then") in (None, True, {}) and location.get("else") in (None, True, {})
        case "patternProperties" | "dependentRequired" | "dependentSchemas" | "dependencies":
            return not value
        case "propertyNames" | "unevaluatedProperties" | "unevaluatedItems":
            return value is True or value == {}
        case "contains":
            return location.get("minContains") == 0 and location.get("maxContains") is None
        case "multipleOf":
            return bool(value == 1)
        case "minProperties":
            return value <= len(shape.required)
        case "maxProperties":
            properties = location.get("properties") or {}
            return location.get("additionalProperties") is False and value >= len(properties)
    return False
