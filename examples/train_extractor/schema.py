"""Field types as the prompt writes them -> JSON Schema, so that the engine can be asked for a generated example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .prompt import Example

_PLAIN = ("string", "number", "integer", "boolean")
MAX_ITEMS = 12


def _split_top(text: str) -> Iterator[str]:
    """Split at commas outside braces."""
    depth, start = 0, 0
    for i, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if char == "," and not depth:
            yield text[start:i]
            start = i + 1
    yield text[start:]


def type_schema(text: str, *, is_nullable: bool = False) -> dict[str, Any]:
    """`string`, `date`, `a|b`, `number[]`, `{a: string, b: integer}`, `{...}[]`"""
    if text.endswith("[]"):
        schema: dict[str, Any] = {"type": "array", "items": type_schema(text[:-2]), "maxItems": MAX_ITEMS}
    elif text.startswith("{"):
        pairs = (part.partition(":") for part in _split_top(text[1:-1]))
        schema = object_schema({name.strip(): type_schema(kind.strip()) for name, _, kind in pairs})
    elif "|" in text:
        return {"enum": text.split("|") + [None] * is_nullable}
    else:
        schema = {"type": text} if text in _PLAIN else {"type": "string", "format": text}
    return {**schema, "type": [schema["type"], "null"]} if is_nullable else schema


def object_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """A closed object with every property required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def example_schema(example: Example) -> dict[str, Any]:
    """The schema whose field lines are the example's."""
    properties = {}
    for field in example.fields:
        schema = type_schema(field.type, is_nullable=field.is_nullable)
        properties[field.name] = schema | ({"description": field.description} if field.description else {})
    return object_schema(properties)
