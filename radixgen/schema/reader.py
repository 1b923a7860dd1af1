"""The text of a schema as locations: one object per place, found by child or by `$ref`. Local references only."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import unquote

from radixgen.errors import SchemaError
from radixgen.schema.keywords import Schema, check_keywords

MAX_SCHEMA_BYTES = 4 << 20
MAX_DEPTH = 150
MAX_EXPONENT = 400

_SURROGATE = re.compile("[\ud800-\udfff]")


class Location:
    """A schema at its place. Compare by identity: a `SchemaReader` makes each once."""

    __slots__ = ("pointer", "schema")

    def __init__(self, pointer: str, schema: Schema) -> None:
        self.pointer, self.schema = pointer, schema

    def get(self, keyword: str) -> Any:
        """The keyword's value, or None where it is absent (or the schema a boolean)."""
        return self.schema.get(keyword) if isinstance(self.schema, dict) else None


class SchemaReader:
    """One schema's text.

    Raises:
        SchemaError: when the text is not JSON, too large or nested too deeply; later, for what is wrong at a place.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_SCHEMA_BYTES:
            raise SchemaError(f"the schema has {len(text)} characters; the most is {MAX_SCHEMA_BYTES}")
        self._document = _parse(text)
        self._locations: dict[str, Location] = {}
        self._anchors: dict[str, str] | None = None
        dialect = self._document.get("$schema") if isinstance(self._document, dict) else None
        self.is_old = isinstance(dialect, str) and any(f"draft-0{number}" in dialect for number in (3, 4, 6, 7))
        self.id = self._document.get("$id", "") if isinstance(self._document, dict) else ""
        self.root = self._location("", self._document)

    def child(self, location: Location, *path: str | int) -> Location:
        """The schema at `path` below a location."""
        schema: Any = location.schema
        for part in path:
            schema = schema[part]
        return self._location(location.pointer + "".join(f"/{_escaped(str(part))}" for part in path), schema)

    def target(self, location: Location) -> Location:
        """What the location's `$ref` points to.

        Raises:
            SchemaError: for a reference that leaves this schema, or points to nothing.
        """
        ref = str(location.get("$ref"))
        base, _, fragment = ref.partition("#")
        if base and base != self.id.partition("#")[0]:
            self._fail(
                location, f"the reference {ref!r} leaves this schema; copy what it names under $defs and refer to that"
            )
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            pointer = self._find_anchors().get(fragment)
            if pointer is None:
                self._fail(location, f"no $anchor is named {fragment!r}")
            fragment = pointer
        return self._location(fragment, self._at(fragment, location))

    def _at(self, pointer: str, location: Location) -> Any:
        found: Any = self._document
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                self._fail(location, f"nothing is at {pointer!r}")
        return found

    def _fail(self, location: Location, message: str) -> NoReturn:
        raise SchemaError(f"'$ref': {message}", f"{location.pointer}/$ref", "$ref")

    def _location(self, pointer: str, schema: Any) -> Location:
        found = self._locations.get(pointer)
        if found is None:
            check_keywords(schema, pointer, is_old=self.is_old)
            if pointer and isinstance(schema, dict) and isinstance(schema.get("$id"), str) and "$ref" not in schema:
                raise SchemaError(
                    "an embedded schema with its own $id is not supported; remove $id", f"{pointer}/$id", "$id"
                )
            found = self._locations[pointer] = Location(pointer, schema)
        return found

    def _find_anchors(self) -> dict[str, str]:
        if self._anchors is None:
            self._anchors = dict(_anchors(self._document, ""))
        return self._anchors


def _anchors(value: Any, pointer: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if isinstance(value, dict):
        if isinstance(value.get("$anchor"), str):
            found.append((value["$anchor"], pointer))
        for key, one in value.items():
            if key not in ("enum", "const"):
                found += _anchors(one, f"{pointer}/{_escaped(key)}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            found += _anchors(one, f"{pointer}/{index}")
    return found


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if abs(value.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"the number {text} is out of reach")
    return value


def _parse(text: str) -> Any:
    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON")

    try:
        found = json.loads(text, parse_float=_decimal, parse_constant=constant)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise SchemaError(f"the schema is not JSON: {error}") from None
    depth, level = 0, [found]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise SchemaError(f"the schema is nested more than {MAX_DEPTH} deep")
        if any(isinstance(one, str) and _SURROGATE.search(one) for one in level):
            raise SchemaError("half of a surrogate pair stands alone in a string; no UTF-8 text can hold it")
        level = [child for one in level for child in _children(one)]
    return found


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
