"""The hand-written documents: 75 to develop with, 75 to test with. Nobody who trains a model may read either.

A file of `extractor_documents/` holds documents one after another, as they would lie on a desk, and what is in them:

    @@ charity-receipt          an id
    RiverTrust e.V., ...        the document
    @@ fields                   name: type? - description => the right value as JSON
    donor: string - with titles as written => "Mr and Mrs Abara"
    received_on: date => "2024-06-28"

Types are those of `radixgen extract --fields`, `{...}` and `[]` among them; `?` is nullable. Every string stands in its
document, a `date` by its value in ISO, and null means that the document does not say (`tests/test_hand_written.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent / "extractor_documents"
_HEAD = re.compile(r"^@@ ([\w-]+)\n", re.M)
_LINE = re.compile(r"(\w+): (.+?)(\?)?(?: - (.*?))? => (.*)")
MAX_ITEMS = 12


class Task(NamedTuple):
    """A document, the schema asked of it, and the right record."""

    id: str
    text: str
    schema: dict[str, Any]
    expected: dict[str, Any]
    answer: str = ""
    """The record as compact JSON with the document's digits."""


def load(half: str) -> list[Task]:
    """The documents of `dev` or `test`, file by file.

    Raises:
        ValueError: for a field line that cannot be read, naming its document.
    """
    return [one for path in sorted((FOLDER / half).glob("*.txt")) for one in _read(path.read_text(encoding="utf-8"))]


def _read(text: str) -> Iterator[Task]:
    pieces = iter(_HEAD.split(text)[1:])
    for name, document, _, lines in zip(pieces, pieces, pieces, pieces, strict=True):
        yield _document(name, document.rstrip("\n"), lines.strip().split("\n"))


def _document(name: str, text: str, lines: list[str]) -> Task:
    properties, expected, answer = {}, {}, []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{name}: {line!r} is no field line; write 'name: type? - description => value'")
        field, kind, mark, description, value = match.groups()
        schema = type_schema(kind, is_nullable=mark is not None)
        properties[field] = schema | ({"description": description} if description else {})
        expected[field] = json.loads(value)
        answer.append(f"{json.dumps(field)}:{_compact(value)}")
    return Task(name, text, _object(properties), expected, "{" + ",".join(answer) + "}")


def _compact(value: str) -> str:
    return "".join(re.findall(r'"(?:[^"\\]|\\.)*"|[^\s"]', value))


def type_schema(kind: str, *, is_nullable: bool = False) -> dict[str, Any]:
    """`string`, `date`, `a|b`, `number[]`, `{a: string, b: integer}[]` as a JSON Schema."""
    if "|" in kind:
        return {"enum": kind.split("|") + [None] * is_nullable}
    if kind.endswith("[]"):
        schema: dict[str, Any] = {"type": "array", "items": type_schema(kind[:-2]), "maxItems": MAX_ITEMS}
    elif kind.startswith("{"):
        pairs = (pair.partition(": ") for pair in kind[1:-1].split(", "))
        schema = _object({name: type_schema(one) for name, _, one in pairs})
    else:
        is_plain = kind in ("string", "number", "integer", "boolean")
        schema = {"type": kind} if is_plain else {"type": "string", "format": kind}
    return {**schema, "type": [schema["type"], "null"]} if is_nullable else schema


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
