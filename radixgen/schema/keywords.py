"""Every keyword that is known: what its value must look like, and whether it is enforced or refused.

A keyword that is not here is an annotation, as the standard has it, and so are `format`, `title`, `default` and the
like. A refused keyword speaks of some kinds of values only; where no such value can occur it does no harm.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

from radixgen.errors import SchemaError

KINDS = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))
_NUMERIC = frozenset(("integer", "number"))
_OBJECT, _ARRAY = frozenset(("object",)), frozenset(("array",))

Schema = dict[str, Any] | bool


class Refusal(NamedTuple):
    """Why a keyword is refused, for which kinds of values, and what to write instead."""

    kinds: frozenset[str]
    advice: str


REFUSED: dict[str, Refusal] = {
    "not": Refusal(KINDS, "list what is allowed instead of what is not"),
    "if": Refusal(KINDS, "use anyOf with one branch per case"),
    "contains": Refusal(_ARRAY, "describe all items with items or prefixItems"),
    "uniqueItems": Refusal(_ARRAY, "remove it and check the answer, or set maxItems to 1"),
    "unevaluatedItems": Refusal(_ARRAY, "use items: false after prefixItems"),
    "multipleOf": Refusal(_NUMERIC, "use type integer for multiples of 1, or an enum"),
    "propertyNames": Refusal(_OBJECT, "list the names in properties"),
    "patternProperties": Refusal(_OBJECT, "list the names in properties, or use additionalProperties"),
    "unevaluatedProperties": Refusal(_OBJECT, "use additionalProperties"),
    "dependentRequired": Refusal(_OBJECT, "use anyOf with one branch per case"),
    "dependentSchemas": Refusal(_OBJECT, "use anyOf with one branch per case"),
    "dependencies": Refusal(_OBJECT, "use anyOf with one branch per case"),
    "minProperties": Refusal(_OBJECT, "use required"),
    "maxProperties": Refusal(_OBJECT, "list the properties and use extra_keys='never'"),
    "$dynamicRef": Refusal(KINDS, "use $ref"),
    "$recursiveRef": Refusal(KINDS, "use $ref"),
}


def check_keywords(schema: Any, pointer: str, *, is_old: bool) -> None:
    """Refuse a schema whose keywords do not have the values that the standard gives them.

    is_old: drafts 4 to 7, where `items` may be a list.

    Raises:
        SchemaError: naming keyword and pointer.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise SchemaError(f"a schema is an object, true or false, not {_name(schema)}", pointer)
    for keyword, value in schema.items():
        expected = _EXPECTED.get(keyword)
        if keyword == "items" and isinstance(value, list):
            problem = None if is_old else "is a list, as in draft 7 (say so by $schema); use prefixItems"
        else:
            problem = f"must be {expected}, not {_shown(value)}" if expected and not _fits(expected, value) else None
        if problem:
            raise SchemaError(f"{keyword!r} {problem}", f"{pointer}/{keyword}", keyword)


_SCHEMA, _SCHEMAS, _MAP = "a schema", "a list of schemas, not empty", "an object of schemas"
_COUNT, _NUMBER, _STRING, _BOOL = "an integer from 0", "a number", "a string", "true or false"
_NAMES, _TYPE, _LIST, _POSITIVE = (
    "a list of different strings",
    "a type or a list of types",
    "a list",
    "a number above 0",
)

_EXPECTED: dict[str, str] = {
    **dict.fromkeys(("items", "additionalItems", "additionalProperties", "contains", "propertyNames"), _SCHEMA),
    **dict.fromkeys(("not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), _SCHEMA),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _SCHEMAS),
    **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"), _MAP),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("minContains", "maxContains"), _COUNT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(("$ref", "$anchor", "$id", "$schema", "$dynamicRef", "$dynamicAnchor", "pattern"), _STRING),
    **dict.fromkeys(("uniqueItems", "x-verbatim"), _BOOL),
    "required": _NAMES,
    "type": _TYPE,
    "enum": _LIST,
    "multipleOf": _POSITIVE,
}


def _fits(expected: str, value: Any) -> bool:
    match expected:
        case "a schema":
            return isinstance(value, dict | bool)
        case "a list of schemas, not empty":
            return isinstance(value, list) and bool(value)
        case "an object of schemas":
            return isinstance(value, dict)
        case "an integer from 0":
            return _is_number(value) and value >= 0 and value == int(value)
        case "a number":
            return _is_number(value)
        case "a number above 0":
            return _is_number(value) and value > 0
        case "a string":
            return isinstance(value, str)
        case "true or false":
            return isinstance(value, bool)
        case "a list of different strings":
            return (
                isinstance(value, list) and all(isinstance(one, str) for one in value) and len(set(value)) == len(value)
            )
        case "a type or a list of types":
            names = value if isinstance(value, list) else [value]
            return bool(names) and all(isinstance(name, str) and name in KINDS for name in names)
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _name(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | list | dict):
        return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"
    return "a number"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return str(value) if _is_number(value) else _name(value)
