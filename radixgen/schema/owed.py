"""What the keywords of objects and arrays owe, as formulas: the part of `schema.meanings` for containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from radixgen.schema.algebras import Algebra
from radixgen.schema.atoms import AtLeast, Contains, Cover, Has, ItemCover, Items, Members, Names, Unique
from radixgen.schema.formula import Formula, Formulas
from radixgen.schema.reader import Location

if TYPE_CHECKING:
    from radixgen.schema.meanings import Meanings


@dataclass(slots=True)
class Gathering:
    """Conjuncts of one place on their way to its meaning."""

    location: Location
    kind: str
    algebra: Algebra
    values: list[Any]
    covers: list[Any]


def add_object(meanings: Meanings, gathering: Gathering, schema: dict[str, Any]) -> None:
    formulas, location, values = meanings.formulas, gathering.location, gathering.values
    if "properties" in schema or "patternProperties" in schema or "additionalProperties" in schema:
        members = _members(meanings, location, schema)
        values.append(formulas.debt(members))
        if meanings.is_covering:
            gathering.covers.append(Cover(formulas.true, None if members.has_rest else members))
    values += [formulas.debt(Has(name)) for name in schema.get("required") or ()]
    values += _counted(formulas, schema.get("minProperties", 0), schema.get("maxProperties"))
    if "propertyNames" in schema:
        texts = meanings.of(meanings.reader.child(location, "propertyNames"), "string").value
        values.append(formulas.debt(Names(meanings.unmarked(texts, "string"))))
    for name, needed in (schema.get("dependentRequired") or {}).items():
        has_all = formulas.both([formulas.debt(Has(one)) for one in needed])
        values.append(formulas.either([formulas.invert(formulas.debt(Has(name))), has_all]))
    for name in schema.get("dependentSchemas") or {}:
        has = formulas.debt(Has(name))
        meaning = meanings.of(meanings.reader.child(location, "dependentSchemas", name), "object")
        values.append(formulas.either([formulas.invert(has), meaning.value]))
        meanings.cover(gathering, meaning, has)


def _members(meanings: Meanings, location: Location, schema: dict[str, Any]) -> Members:
    child = meanings.reader.child
    names = {name: meanings.formula(child(location, "properties", name)) for name in schema.get("properties") or {}}
    pointer = f"{location.pointer}/patternProperties" if "patternProperties" in schema else ""
    patterns = [
        (meanings.pattern(pattern, pointer), meanings.formula(child(location, "patternProperties", pattern)))
        for pattern in schema.get("patternProperties") or {}
    ]
    has_rest = "additionalProperties" in schema
    rest = meanings.formula(child(location, "additionalProperties")) if has_rest else meanings.formulas.true
    return Members(names, tuple(patterns), rest, has_rest=has_rest)


def _counted(formulas: Formulas, low: int, high: int | None) -> list[Formula]:
    found = [formulas.debt(AtLeast(low))] if low else []
    return found if high is None else [*found, formulas.invert(formulas.debt(AtLeast(high + 1)))]


def add_array(meanings: Meanings, gathering: Gathering, schema: dict[str, Any]) -> None:
    formulas, location, values = meanings.formulas, gathering.location, gathering.values
    if "prefixItems" in schema or "items" in schema:
        prefix = tuple(meanings.formula(one) for one in meanings.children(location, "prefixItems"))
        rest = meanings.formula(meanings.reader.child(location, "items")) if "items" in schema else formulas.true
        values.append(formulas.debt(Items(prefix, rest)))
        end = None if "items" in schema else len(prefix)
        gathering.covers.append(ItemCover(formulas.true, end))
    values += _counted(formulas, schema.get("minItems", 0), schema.get("maxItems"))
    if schema.get("uniqueItems") is True:
        values.append(formulas.debt(Unique(frozenset())))
    if "contains" in schema:
        _add_contains(meanings, gathering, schema)


def _add_contains(meanings: Meanings, gathering: Gathering, schema: dict[str, Any]) -> None:
    formulas, values = meanings.formulas, gathering.values
    job = meanings.formula(meanings.reader.child(gathering.location, "contains"))
    low, high = schema.get("minContains", 1), schema.get("maxContains")
    if low:
        values.append(formulas.debt(Contains(job, low)))
    if high is not None:
        values.append(formulas.invert(formulas.debt(Contains(job, high + 1))))
    if gathering.location.contains_evaluates:
        gathering.covers.append(ItemCover(formulas.true, 0, job))
