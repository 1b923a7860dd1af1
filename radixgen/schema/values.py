"""JSON values as the standard compares them, and as we write them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from radixgen.automata.lift import escape_json


def kind_of(value: Any) -> str:
    """The kind of a JSON value; a number without a fraction is an integer, however it is spelled."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "integer" if value == int(value) else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def is_equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1, the order of keys does not count."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    return not isinstance(left, dict | list) and not isinstance(right, dict | list) and bool(left == right)


def read_value(text: bytes) -> Any:
    """The value of JSON text, numbers exact."""
    return json.loads(text, parse_float=Decimal)


def spell_string(text: str) -> str:
    return f'"{escape_json(text)}"'


def spell(value: Any, comma: str, colon: str) -> str:
    """JSON text of a value, numbers in plain notation where that is short."""
    if isinstance(value, dict):
        return (
            "{"
            + comma.join(f"{spell_string(key)}{colon}{spell(one, comma, colon)}" for key, one in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + comma.join(spell(one, comma, colon) for one in value) + "]"
    if isinstance(value, str):
        return spell_string(value)
    if isinstance(value, Decimal):
        return format(value, "f") if -20 < value.adjusted() < 20 else str(value)
    return json.dumps(value)
