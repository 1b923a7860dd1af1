"""The drafts of JSON Schema, each read into the words of 2020-12, so that one engine enforces them all.

    {"$schema": draft 7, "items": [A, B], "additionalItems": C}   ──►   {"prefixItems": [A, B], "items": C}
    {"$schema": draft 4, "minimum": 3, "exclusiveMinimum": true}  ──►   {"exclusiveMinimum": 3}

What a draft does not know is an annotation there and is left out, so that nobody enforces it by mistake. A schema
without `$schema` is read as 2020-12. A `$schema` that is not listed here is refused by name: its words could mean
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from radixgen.errors import SchemaError
from radixgen.schema.keywords import BOOL, CHECKS, COUNT, ITEMS, Check, Misfit, Schema, name_of, shown, words

_DRAFT_4 = words(
    "type enum multipleOf minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern format items "
    "additionalItems minItems maxItems uniqueItems minProperties maxProperties required properties patternProperties "
    "additionalProperties dependencies allOf anyOf oneOf not definitions $ref $schema x-verbatim x-lark"
)
_DRAFT_6 = _DRAFT_4 | {"const", "contains", "propertyNames", "$id"}
_DRAFT_7 = _DRAFT_6 | {"if", "then", "else"}
_DRAFT_2019 = (_DRAFT_7 - {"dependencies"}) | words(
    "dependentRequired dependentSchemas minContains maxContains unevaluatedItems unevaluatedProperties $defs $anchor "
    "$recursiveRef $recursiveAnchor $vocabulary"
)
_DRAFT_2020 = (_DRAFT_2019 - {"additionalItems", "$recursiveRef", "$recursiveAnchor"}) | frozenset(
    ("prefixItems", "$dynamicRef", "$dynamicAnchor")
)
_ALL = _DRAFT_2020 | _DRAFT_2019 | _DRAFT_7
_NEEDS = {"then": "if", "else": "if", "minContains": "contains", "maxContains": "contains"}
_COUNTS = frozenset(keyword for keyword, check in CHECKS.items() if check is COUNT)


class Dialect(NamedTuple):
    """One draft: which keywords it has, and the few things that it reads in its own way."""

    name: str
    checks: Mapping[str, Check]
    """Its keywords, each with what its value must look like."""
    foreign: frozenset[str]
    """Keywords of other drafts, which say nothing in this one."""
    own: frozenset[str]
    """Keywords that it reads in its own way."""
    id_keyword: str = "$id"
    hides_siblings: bool = False
    """`$ref` is all that a schema with one says."""
    has_item_lists: bool = False
    has_boolean_bounds: bool = False
    is_integer_lexical: bool = False
    """1.0 is no integer."""
    contains_evaluates: bool = True
    """What `contains` finds counts as evaluated."""


def _dialect(name: str, keywords: frozenset[str], **rules: Any) -> Dialect:
    checks = {keyword: check for keyword, check in CHECKS.items() if keyword in keywords}
    own = set(_NEEDS)
    if rules.get("has_item_lists"):
        checks["items"] = ITEMS
        own |= {"items", "additionalItems", "dependencies"}
    if rules.get("hides_siblings"):
        own.add("$ref")
    if rules.get("has_boolean_bounds"):
        checks |= {"exclusiveMinimum": BOOL, "exclusiveMaximum": BOOL}
        own |= {"exclusiveMinimum", "exclusiveMaximum"}
    return Dialect(name, checks, _ALL - keywords, frozenset(own), **rules)


DRAFT_2020 = _dialect("2020-12", _DRAFT_2020)
_OLD: dict[str, Any] = {"has_item_lists": True, "hides_siblings": True}
_BY_URI: Mapping[str, Dialect] = {
    "json-schema.org/schema": DRAFT_2020,
    "json-schema.org/draft/2020-12/schema": DRAFT_2020,
    "json-schema.org/draft/2019-09/schema": _dialect(
        "2019-09", _DRAFT_2019, has_item_lists=True, contains_evaluates=False
    ),
    "json-schema.org/draft-07/schema": _dialect("draft 7", _DRAFT_7, **_OLD),
    "json-schema.org/draft-06/schema": _dialect("draft 6", _DRAFT_6, **_OLD),
    "json-schema.org/draft-04/schema": _dialect(
        "draft 4", _DRAFT_4, id_keyword="id", has_boolean_bounds=True, is_integer_lexical=True, **_OLD
    ),
}


def find_dialect(uri: str) -> Dialect | None:
    """The dialect that a `$schema` names; None for one that is not built in."""
    plain = uri.strip().removesuffix("#").removeprefix("https://").removeprefix("http://")
    return _BY_URI.get(plain.replace("hyper-schema", "schema"))


_VOCABULARY_KEYWORDS: Mapping[str, frozenset[str]] = {
    "applicator": words(
        "prefixItems items additionalItems contains additionalProperties properties patternProperties propertyNames "
        "dependentSchemas if then else allOf anyOf oneOf not unevaluatedItems unevaluatedProperties"
    ),
    "unevaluated": frozenset(("unevaluatedItems", "unevaluatedProperties")),
    "validation": words(
        "type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern "
        "maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required "
        "dependentRequired"
    ),
    "format": frozenset(("format",)),
    "format-annotation": frozenset(("format",)),
    "format-assertion": frozenset(("format",)),
}
_OTHER_VOCABULARIES = frozenset(("core", "meta-data", "content"))


def restrict(dialect: Dialect, vocabularies: Mapping[str, Any], pointer: str) -> Dialect:
    """The part of a dialect that a metaschema's `$vocabulary` names.

    Raises:
        SchemaError: when a vocabulary that must be understood is none of the standard's.
    """
    named: frozenset[str] = frozenset()
    for uri, is_required in vocabularies.items():
        base, _, name = uri.rpartition("/vocab/")
        is_standard = base.startswith("https://json-schema.org/draft/")
        if is_standard and name in _VOCABULARY_KEYWORDS:
            named |= _VOCABULARY_KEYWORDS[name]
        elif is_required and not (is_standard and name in _OTHER_VOCABULARIES):
            raise SchemaError(
                f"the vocabulary {uri!r} is not known, and must be", f"{pointer}/$vocabulary", "$vocabulary"
            )
    lost = frozenset().union(*_VOCABULARY_KEYWORDS.values()) - named
    checks = {keyword: check for keyword, check in dialect.checks.items() if keyword not in lost}
    return dialect._replace(checks=checks, foreign=dialect.foreign | lost)


class Reading(NamedTuple):
    """A schema in the words of 2020-12."""

    schema: Schema
    spelled: Mapping[str, str]
    """Keyword -> how the user's draft calls it, where that differs."""


def read(schema: Any, dialect: Dialect) -> Reading:
    """A schema read by its dialect; it is handed back as it is where that says the same.

    Raises:
        Misfit: for a keyword whose value is not what the draft wants.
    """
    if isinstance(schema, bool):
        return Reading(schema, {})
    if not isinstance(schema, dict):
        raise Misfit("", f"a schema is an object, true or false, not {name_of(schema)}")
    is_rewritten = not (dialect.foreign.isdisjoint(schema) and dialect.own.isdisjoint(schema))
    known = _known(schema, dialect) if is_rewritten else schema
    for keyword, value in known.items():
        check = dialect.checks.get(keyword)
        if check is not None and not check.fits(value):
            raise _misfit(keyword, value, check, dialect)
        is_rewritten |= isinstance(value, Decimal)
    return _rewritten(known, dialect) if is_rewritten else Reading(schema, {})


def _misfit(keyword: str, value: Any, check: Check, dialect: Dialect) -> Misfit:
    if keyword == "items" and isinstance(value, list):
        return Misfit(keyword, "'items' is a list, as in draft 7 (say so by $schema); use prefixItems")
    draft = "" if dialect is DRAFT_2020 else f" in {dialect.name}"
    return Misfit(keyword, f"{keyword!r} must be {check.expected}{draft}, not {shown(value)}")


def _known(schema: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The schema without what its dialect does not know or does not look at."""
    if dialect.hides_siblings and "$ref" in schema:
        return {keyword: schema[keyword] for keyword in ("$ref", "x-verbatim") if keyword in schema}
    return {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in dialect.foreign and _NEEDS.get(keyword, keyword) in schema
    }


def _rewritten(known: dict[str, Any], dialect: Dialect) -> Reading:
    found: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for keyword, value in known.items():
        if keyword == "items" and isinstance(value, list):
            found["prefixItems"], spelled["prefixItems"] = value, keyword
        elif keyword == "additionalItems":
            if isinstance(known.get("items"), list):
                found["items"], spelled["items"] = value, keyword
        elif keyword == "dependencies":
            found.update(_dependencies(value))
            spelled |= dict.fromkeys(("dependentRequired", "dependentSchemas"), keyword)
        elif keyword in _COUNTS:
            found[keyword] = int(value)
        else:
            found[keyword] = value
    for keyword in ("exclusiveMinimum", "exclusiveMaximum") if dialect.has_boolean_bounds else ():
        _replace_bound(found, keyword)
    return Reading(found, spelled)


def _dependencies(value: dict[str, Any]) -> dict[str, Any]:
    required = {name: one for name, one in value.items() if isinstance(one, list)}
    schemas = {name: one for name, one in value.items() if not isinstance(one, list)}
    both = {"dependentRequired": required, "dependentSchemas": schemas}
    return {keyword: one for keyword, one in both.items() if one}


def _replace_bound(found: dict[str, Any], keyword: str) -> None:
    plain = keyword.replace("exclusiveM", "m")
    if found.pop(keyword, False) is True and plain in found:
        found[keyword] = found.pop(plain)
