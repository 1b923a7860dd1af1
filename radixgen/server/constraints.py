"""Constraints as clients of OpenAI, vLLM and SGLang write them, and what each is here.

All are typed to their leaves: what reaches the engine is of its types, whatever was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, ValidationError

from radixgen.errors import ParamError
from radixgen.params import (
    Choices,
    Constraint,
    GrammarText,
    JsonSchema,
    Regex,
    StructuralTags,
    Tag,
    schema_text,
)
from radixgen.server.base import Ignored, Many, Strict
from radixgen.server.problems import Problem, place_of

JSON_OBJECT = JsonSchema('{"type": "object"}', extra_keys="schema")
Schema = dict[str, Any] | bool


class Named(Strict):
    """OpenAI's `json_schema` of a response format."""

    name: str = Field(max_length=64)
    description: str | None = None
    schema_: Schema | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextFormat(Strict):
    type: Literal["text"]


class ObjectFormat(Strict):
    type: Literal["json_object"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: Named


class SchemaTag(Strict):
    """A tag in the older spelling."""

    begin: str
    schema_: str | Schema = Field(alias="schema")
    end: str = ""


class AnyText(Strict):
    type: Literal["any_text"]


class SchemaContent(Strict):
    type: Literal["json_schema"]
    json_schema: Schema


class RegexContent(Strict):
    type: Literal["regex"]
    pattern: str


class GrammarContent(Strict):
    type: Literal["grammar"]
    grammar: str


class ContentTag(Strict):
    """A tag in the newer spelling."""

    type: Literal["tag"] = "tag"
    begin: str
    content: Annotated[AnyText | SchemaContent | RegexContent | GrammarContent, Field(discriminator="type")]
    end: str = ""


class TriggeredTags(Strict):
    type: Literal["triggered_tags"]
    triggers: Many[str]
    tags: Many[ContentTag]
    at_least_one: bool = False
    stop_after_first: bool = False


class TagFormat(Strict):
    """xgrammar's structural tags: `structures` and `triggers`, or a `format`."""

    type: Literal["structural_tag"] = "structural_tag"
    structures: Many[SchemaTag] | None = None
    triggers: Many[str] | None = None
    format: TriggeredTags | None = None


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat | TagFormat, Field(discriminator="type")]


class StructuredOutputs(Strict):
    """vLLM's newer form: one object, of which one field is given."""

    json_: str | Schema | None = Field(default=None, alias="json")
    json_object: Literal[True] | None = None
    regex: str | None = None
    choice: Many[str] | None = None
    grammar: str | None = None
    structural_tag: str | TagFormat | None = None


class Constraints(Ignored):
    """At most one may be given."""

    response_format: ResponseFormat | None = None
    json_schema: str | Schema | None = None
    regex: str | None = None
    ebnf: str | None = None
    grammar: str | None = None
    choice: Many[str] | None = None
    structural_tag: str | TagFormat | None = None
    guided_json: str | Schema | None = None
    guided_regex: str | None = None
    guided_choice: Many[str] | None = None
    guided_grammar: str | None = None
    structured_outputs: StructuredOutputs | None = None
    verbatim: bool = False
    """Strings and numbers of a schema's answer are quotes of what the user said."""


def constraint_of(asked: Constraints) -> Constraint | None:
    """The one constraint of a request.

    Raises:
        Problem: for several, or one that is no constraint.
    """
    found = {name: value for name in _READERS if (value := getattr(asked, name)) is not None}
    found = {name: value for name, value in found.items() if not isinstance(value, TextFormat)}
    if len(found) > 1:
        raise Problem(f"{' and '.join(found)}: an answer can follow one constraint; give one of them")
    for name, value in found.items():
        try:
            return _quoting(_READERS[name](value), asked)
        except ParamError as error:
            raise Problem(f"{name}: {error}", param=name) from None
    return _quoting(None, asked)


def _quoting(constraint: Constraint | None, asked: Constraints) -> Constraint | None:
    if not asked.verbatim:
        return constraint
    if not isinstance(constraint, JsonSchema):
        raise Problem("verbatim: only a JSON Schema has strings and numbers to quote; give one", param="verbatim")
    return msgspec.structs.replace(constraint, verbatim=True)


def _response_format(value: ObjectFormat | SchemaFormat | TagFormat) -> Constraint:
    if isinstance(value, ObjectFormat):
        return JSON_OBJECT
    if isinstance(value, TagFormat):
        return _tags(value)
    if value.json_schema.schema_ is None:
        raise ParamError("json_schema has no schema")
    text = schema_text(value.json_schema.schema_)
    return JsonSchema(text, extra_keys="never" if value.json_schema.strict else "schema")


def _schema(value: str | Schema) -> JsonSchema:
    return JsonSchema(schema_text(value), extra_keys="schema")


def _grammar(value: str) -> Constraint:
    """EBNF as llama.cpp and xgrammar write it where it has `::=`, Lark else."""
    return GrammarText(value, "gbnf" if "::=" in value else "lark")


def _choices(value: list[str]) -> Constraint:
    return Choices(tuple(value))


def _structured(value: StructuredOutputs) -> Constraint:
    found = [name for name in _KINDS if getattr(value, name) is not None]
    if len(found) != 1:
        raise ParamError(f"give one of {', '.join(name.rstrip('_') for name in _KINDS)}")
    return _KINDS[found[0]](getattr(value, found[0]))


def _tags(value: str | TagFormat) -> StructuralTags:
    given = _tag_format(value) if isinstance(value, str) else value
    if (given.format is None) == (given.structures is None):
        raise ParamError("give structures and triggers, or a format")
    if given.format is None:
        tags = [Tag(one.begin, _schema(one.schema_), one.end) for one in given.structures or ()]
        return StructuralTags(tuple(tags), tuple(given.triggers or ()))
    tags = [Tag(one.begin, _content(one.content), one.end) for one in given.format.tags]
    return StructuralTags(
        tuple(tags),
        tuple(given.format.triggers),
        at_least_one=given.format.at_least_one,
        stop_after_first=given.format.stop_after_first,
    )


def _tag_format(text: str) -> TagFormat:
    try:
        return TagFormat.model_validate(msgspec.json.decode(text))
    except ValidationError as error:
        raise ParamError(place_of(error.errors()).message) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ParamError(f"not JSON: {error}") from None


def _content(content: AnyText | SchemaContent | RegexContent | GrammarContent) -> Constraint | None:
    match content:
        case SchemaContent():
            return _schema(content.json_schema)
        case RegexContent():
            return Regex(content.pattern)
        case GrammarContent():
            return _grammar(content.grammar)
        case AnyText():
            return None


def _object(_: bool) -> Constraint:
    return JSON_OBJECT


_Reader = Callable[[Any], Constraint]
_KINDS: dict[str, _Reader] = {
    "json_": _schema,
    "json_object": _object,
    "regex": Regex,
    "choice": _choices,
    "grammar": _grammar,
    "structural_tag": _tags,
}
_READERS: dict[str, _Reader] = {
    "response_format": _response_format,
    "json_schema": _schema,
    "regex": Regex,
    "ebnf": _grammar,
    "grammar": _grammar,
    "choice": _choices,
    "structural_tag": _tags,
    "guided_json": _schema,
    "guided_regex": Regex,
    "guided_choice": _choices,
    "guided_grammar": _grammar,
    "structured_outputs": _structured,
}
