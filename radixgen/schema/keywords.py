"""Every keyword that is known, and what its value must look like.

A keyword that is not here is an annotation, as the standard has it: `title`, `default`, `contentEncoding` and the like.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KINDS = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))

Schema = dict[str, Any] | bool


SUBSCHEMA = words(
    "not if then else items contains additionalProperties propertyNames unevaluatedItems unevaluatedProperties"
)
SUBSCHEMA_LISTS = words("allOf anyOf oneOf prefixItems")
SUBSCHEMA_MAPS = words("dependentSchemas properties patternProperties")
IN_PLACE = words("allOf anyOf oneOf not if then else dependentSchemas")
"""Keywords whose schemas speak of the same value; the others speak of a key, or of a value inside it."""


class Check(NamedTuple):
    """What a keyword's value must look like, in words and as a test."""

    expected: str
    fits: Callable[[Any], bool]


class Misfit(Exception):
    """A keyword's value is not what it must be. The reader, who knows the place, makes a `SchemaError` of it."""

    def __init__(self, keyword: str, message: str) -> None:
        super().__init__(message)
        self.keyword = keyword


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _is_schema_or_list(value: Any) -> bool:
    return isinstance(value, dict | bool | list)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0 and value == int(value)


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)


def _are_names_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_names, value.values()))


def _are_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(_are_names(one) or _is_schema(one) for one in value.values())


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in KINDS for name in names)


_SCHEMA = Check("a schema", _is_schema)
_SCHEMAS = Check("a list of schemas, not empty", _is_filled_list)
_MAP = Check("an object of schemas", _is_object)
COUNT = Check("an integer from 0", _is_count)
NUMBER = Check("a number", is_number)
STRING = Check("a string", _is_string)
BOOL = Check("true or false", _is_bool)
ITEMS = Check("a schema or a list of schemas", _is_schema_or_list)

CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("items", "additionalItems", "additionalProperties", "contains", "propertyNames"), _SCHEMA),
    **dict.fromkeys(("not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), _SCHEMA),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _SCHEMAS),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"), _MAP),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNT),
    **dict.fromkeys(("minContains", "maxContains"), COUNT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBER),
    **dict.fromkeys(("$ref", "$anchor", "$id", "$schema", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"), STRING),
    **dict.fromkeys(("pattern", "format", "x-lark"), STRING),
    **dict.fromkeys(("uniqueItems", "$recursiveAnchor", "x-verbatim"), BOOL),
    "$vocabulary": Check("an object", _is_object),
    "required": Check("a list of different strings", _are_names),
    "dependentRequired": Check("an object of lists of different strings", _are_names_by_name),
    "dependencies": Check("an object of schemas and lists of different strings", _are_dependencies),
    "type": Check("a type or a list of types", _is_type),
    "enum": Check("a list", _is_list),
    "multipleOf": Check("a number above 0", _is_positive),
}
"""Every keyword of every draft that says anything about a value, or where to find what does."""

NAMING = words("$schema $vocabulary $id $anchor $dynamicAnchor $recursiveAnchor $defs definitions")
"""Keywords that say where schemas are, and nothing of a value."""

COMMENTS = words(
    "title description default deprecated readOnly writeOnly examples $comment id contentEncoding contentMediaType "
    "contentSchema"
)
"""Keywords that the standard has for readers and not for values."""


def shown(value: Any) -> str:
    """A JSON value as an error shows it: short scalars as they are, others by their kind."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return str(value) if is_number(value) else name_of(value)


def name_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | list | dict):
        return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
    return "a number"
