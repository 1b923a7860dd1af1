"""Structural tags as clients of SGLang and vLLM send them, in their older and newer spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radixgen.errors import ParamError
from radixgen.params import Constraint, JsonSchema, StructuralTags, Tag, schema_text


def read_tags(given: Mapping[str, Any]) -> StructuralTags:
    """`{"structures": [{begin, schema, end}], "triggers": [...]}`, or `{"format": {"type": "triggered_tags", ...}}`.

    Raises:
        ParamError: for any other form, naming what is missing.
    """
    if "structures" in given:
        tags = [Tag(_text(one, "begin"), _json(one.get("schema")), _text(one, "end")) for one in given["structures"]]
        return StructuralTags(tuple(tags), tuple(given.get("triggers") or ()))
    inner = given.get("format")
    if not isinstance(inner, Mapping) or inner.get("type") != "triggered_tags":
        raise ParamError("give structures and triggers, or a format of type triggered_tags")
    tags = [Tag(_text(one, "begin"), _content(one.get("content")), _text(one, "end")) for one in inner.get("tags", ())]
    return StructuralTags(
        tuple(tags),
        tuple(inner.get("triggers") or ()),
        at_least_one=bool(inner.get("at_least_one")),
        stop_after_first=bool(inner.get("stop_after_first")),
    )


def _text(tag: Mapping[str, Any], name: str) -> str:
    value = tag.get(name)
    if not isinstance(value, str):
        raise ParamError(f"each tag needs {name}, a text")
    return value


def _content(content: Any) -> Constraint | None:
    if not isinstance(content, Mapping) or content.get("type") in (None, "any_text"):
        return None
    if content["type"] == "json_schema":
        return _json(content.get("json_schema"))
    raise ParamError(f"a tag's content of type {content['type']!r} is not known here; use json_schema or any_text")


def _json(schema: Any) -> JsonSchema:
    if schema is None:
        raise ParamError("a tag's schema is missing")
    return JsonSchema(schema_text(schema), extra_keys="schema")
