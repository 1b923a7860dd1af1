"""Fields in shorthand: `"vendor, total: number, due?: date"` to a JSON Schema, and any schema to lines for a prompt.

The two directions speak one language, so what a user types after `--fields` is what a model reads:

    line  :=  name ["?"] [":" type]            in --fields      name ":" type ["?"] [" - " description]   in prompts
    type  :=  word | a|b|c | {name: type, ...} | type "[]"      word: string, number, integer, boolean or a format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from radixgen.errors import ParamError

_PLAIN = ("string", "number", "integer", "boolean")
_FORMATS = ("date", "time", "date-time", "email", "uri", "uuid", "hostname", "ipv4", "ipv6", "duration")
_SHAPES = ("phone", "money")
"""Formats of quotes, see `automata.formats`."""
_MAX_DEPTH = 6


def schema_of_fields(fields: str) -> dict[str, Any]:
    """A closed object schema with the listed properties; `name?` may be null.

    Raises:
        ParamError: naming the field that cannot be read and what would be accepted.
    """
    properties: dict[str, Any] = {}
    for piece in fields.replace("\n", ",").split(","):
        if not piece.strip():
            continue
        head, _, kind = piece.partition(":")
        name = head.strip()
        is_optional = name.endswith("?") or kind.strip().endswith("?")
        name = name.removesuffix("?").strip()
        if not name:
            raise ParamError(f"--fields: {piece.strip()!r} has no name; write 'name' or 'name: type'")
        if name in properties:
            raise ParamError(f"--fields: {name!r} is listed twice")
        properties[name] = _type_schema(kind.strip().removesuffix("?").strip() or "string", name, is_optional)
    if not properties:
        raise ParamError("--fields: no field is named; write for example 'vendor, total: number, due?: date'")
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _type_schema(kind: str, name: str, is_optional: bool) -> dict[str, Any]:
    if kind.endswith("[]"):
        return {"type": "array", "items": _type_schema(kind[:-2].strip(), name, False), "maxItems": 16}
    nullable = ["null"] if is_optional else []
    if "|" in kind:
        return {"enum": [choice.strip() for choice in kind.split("|") if choice.strip()] + [None] * is_optional}
    if kind in _PLAIN:
        return {"type": [kind, *nullable] if nullable else kind}
    if kind in _FORMATS or kind in _SHAPES:
        return {"type": ["string", *nullable] if nullable else "string", "format": kind}
    known = ", ".join((*_PLAIN, *_FORMATS, *_SHAPES))
    raise ParamError(f"--fields: {name!r} has the unknown type {kind!r}; use one of {known}, a|b|c, or a type with []")


def field_lines(schema: Mapping[str, Any]) -> list[str]:
    """One line per property of an object schema, in its order; a schema that is no object is one line `answer: ...`."""
    root = _resolve(schema, schema)
    properties = root.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return [f"answer: {_type_text(root, schema, _MAX_DEPTH).text}"]
    required = set(root.get("required", ()))
    return [_line(name, child, schema, is_required=name in required) for name, child in properties.items()]


def column_names(schema: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Names of a record's properties, and whether these are all it can hold."""
    root = _resolve(schema, schema)
    names = list(root.get("properties", {}))
    branches = [branch for keyword in ("anyOf", "oneOf") for branch in root.get(keyword, ())]
    for branch in branches:
        names += [name for name in _resolve(branch, schema).get("properties", {}) if name not in names]
    is_closed = bool(names) and not branches and root.get("additionalProperties", False) is False
    return names, is_closed


def nullable_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """The properties of a record that may be null."""
    properties = _resolve(schema, schema).get("properties", {})
    return frozenset(name for name, child in properties.items() if _type_text(child, schema, _MAX_DEPTH).is_nullable)


def formatted_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """The properties of a record that are strings of a format that is known here, or lists of such."""
    properties, known = _resolve(schema, schema).get("properties", {}), {*_FORMATS, *_SHAPES}
    texts = {name: _type_text(child, schema, _MAX_DEPTH).text for name, child in properties.items()}
    return frozenset(name for name, text in texts.items() if text.removesuffix("[]") in known)


class _TypeText(NamedTuple):
    text: str
    is_nullable: bool


def _line(name: str, child: Any, root: Mapping[str, Any], *, is_required: bool) -> str:
    kind = _type_text(child, root, _MAX_DEPTH)
    mark = "?" if kind.is_nullable or not is_required else ""
    said = _resolve(child, root).get("description") if isinstance(child, Mapping) else None
    if isinstance(child, Mapping) and isinstance(child.get("description"), str):
        said = child["description"]
    return f"{name}: {kind.text}{mark}" + (f" - {' '.join(said.split())}" if isinstance(said, str) else "")


def _type_text(schema: Any, root: Mapping[str, Any], depth: int) -> _TypeText:
    node = _resolve(schema, root) if isinstance(schema, Mapping) else {}
    if depth == 0:
        return _TypeText("...", False)
    for keyword in ("anyOf", "oneOf"):
        if isinstance(node.get(keyword), list):
            return _union([_type_text(branch, root, depth - 1) for branch in node[keyword]])
    if "const" in node or isinstance(node.get("enum"), list):
        values = [node["const"]] if "const" in node else node["enum"]
        return _TypeText("|".join(_plain(value) for value in values if value is not None), None in values)
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    texts = [_kind_text(kind, node, root, depth) for kind in kinds if kind != "null"]
    return _TypeText("|".join(texts) or ("" if kinds else "string"), "null" in kinds)


def _kind_text(kind: str, node: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if kind == "string":
        format_name = node.get("format")
        return format_name if isinstance(format_name, str) else "string"
    if kind == "array":
        item = _type_text(node.get("items", {}), root, depth - 1).text
        return f"({item})[]" if "|" in item else f"{item}[]"
    if kind == "object" and isinstance(node.get("properties"), Mapping):
        required = set(node.get("required", ()))
        pairs = ((name, _type_text(child, root, depth - 1)) for name, child in node["properties"].items())
        return "{" + ", ".join(f"{n}: {k.text}" + "?" * (k.is_nullable or n not in required) for n, k in pairs) + "}"
    return kind


def _union(branches: list[_TypeText]) -> _TypeText:
    is_null = any(branch.is_nullable for branch in branches)
    return _TypeText("|".join(dict.fromkeys(branch.text for branch in branches if branch.text)) or "string", is_null)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node a chain of local references ends at, `allOf` of one looked through; {} for what is no object."""
    for _ in range(32):
        if not isinstance(schema, Mapping):
            return {}
        if isinstance(schema.get("$ref"), str):
            schema = _pointed(root, schema["$ref"])
        elif isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            schema = {**schema["allOf"][0], **{key: value for key, value in schema.items() if key != "allOf"}}
        else:
            return schema
    return {}


def _pointed(root: Mapping[str, Any], reference: str) -> Any:
    node: Any = root
    if not reference.startswith("#"):
        return {}
    for step in reference.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        node = node.get(key) if isinstance(node, Mapping) else None
    return node
