"""What a schema asks of a value of one kind, worked out once for each place and kind.

    kind         null, true, false        number        string        object, array
    meaning      bool                     NumberSet     TextSet       Formula of obligations

The kind of a JSON value shows in its first byte, so `type` and the keywords of other kinds are gone before anything is
combined; and because all four are closed under and, or and not, the applicators are written once, over an algebra.
What `unevaluatedProperties` and `unevaluatedItems` need to know travels beside the meaning as covers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from radixgen.automata import formats
from radixgen.automata.numberset import NumberSet
from radixgen.automata.work import Work
from radixgen.schema.algebras import Algebra, Booleans, Markable, Marked, Numbers, exactly_one
from radixgen.schema.atoms import (
    AtLeast,
    Constant,
    Cover,
    Has,
    ItemCover,
    Items,
    Mark,
    Members,
    same_value,
    unevaluated,
    unevaluated_items,
)
from radixgen.schema.formula import Formula, Formulas
from radixgen.schema.glance import Glance
from radixgen.schema.keywords import IN_PLACE
from radixgen.schema.kinds import has_kind, kind_of
from radixgen.schema.owed import Gathering, add_array, add_object
from radixgen.schema.reader import Location, SchemaReader
from radixgen.schema.texts import Texts, TextSet

_PATTERNS = frozenset(("pattern", "x-lark", "patternProperties"))
_APPLIED = IN_PLACE.union(("$ref", "$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems"))
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")

Job = Location | Constant | Mark


class Meaning(NamedTuple):
    value: Any
    """A bool, NumberSet, TextSet or Formula, by kind."""
    covers: tuple[Any, ...] = ()


class Meanings:
    """The meanings of one schema.

    Raises:
        SchemaError: for a pattern that cannot be read, naming its place.
    """

    def __init__(
        self,
        reader: SchemaReader,
        texts: Texts,
        work: Work,
        *,
        has_formats: bool,
        is_exact: bool,
        is_verbatim: bool = False,
    ) -> None:
        """has_formats: the formats that are known are asserted. is_exact: patterns as ECMA 262 reads them; else only
        what every validator finds. is_verbatim: all strings are quotes, and formats of quotes are asserted, too.

        Raises:
            SchemaError: for anything wrong in reach of the root.
        """
        self.reader, self.texts, self.formulas = reader, texts, Formulas(work)
        self._has_formats, self._is_exact, self._is_verbatim = has_formats, is_exact, is_verbatim
        self.glance = Glance(reader, self._shortest)
        self._work, self._numbers = work, Numbers(work)
        locations = reader.check(work)
        self.is_marking = reader.may_have("x-verbatim") and any(one.get("x-verbatim") is True for one in locations)
        self.is_covering = reader.may_have("unevaluated") and any(
            keyword in one for one in locations for keyword in _UNEVALUATED
        )
        for location in locations:
            if not isinstance(location.schema, bool) and not _PATTERNS.isdisjoint(location.schema):
                self._check_patterns(location)
        self._markings = {"number": Marked(self._numbers), "string": Marked(texts)} if self.is_marking else {}
        self._algebras = self._make_algebras()
        self._found: dict[tuple[Job, str], Meaning] = {}
        self._constants: dict[Hashable, Formula] = {}
        self._marked = self._mark_containers() if self.is_marking else {}

    def _mark_containers(self) -> dict[str, Formula]:
        """What is owed in a container all of whose values are to be quoted."""
        mark = self.formulas.job(Mark())
        everything = Members({}, (), mark, has_rest=False)
        return {"object": self.formulas.debt(everything), "array": self.formulas.debt(Items((), mark))}

    def _shortest(self, location: Location) -> int | None:
        """Characters of some string that satisfies the string keywords of a place; None where none is in sight."""
        name = location.get("format") if self._has_formats else None
        if name in formats.NAMES and not any(one in location for one in ("pattern", "minLength", "maxLength")):
            return self.texts.find_example(name)
        return self.texts.find_shortest(self.unmarked(self.of(location, "string").value, "string"))

    def _check_patterns(self, location: Location) -> None:
        """Read the patterns of a place, so that a wrong one is refused before anything is written."""
        if "pattern" in location:
            self.pattern(location.get("pattern"), location.keyword_pointer("pattern"))
        if "x-lark" in location:
            self.texts.grammar(location.get("x-lark"), location.keyword_pointer("x-lark"))
        for pattern in location.get("patternProperties") or {}:
            self.pattern(pattern, location.keyword_pointer("patternProperties"))

    def pattern(self, pattern: str, pointer: str) -> TextSet:
        return self.texts.pattern(pattern, pointer, is_exact=self._is_exact)

    def _make_algebras(self) -> dict[str, Algebra]:
        booleans = dict.fromkeys(("null", "true", "false"), Booleans())
        containers = dict.fromkeys(("array", "object"), self.formulas)
        return {**booleans, **containers, "number": self._numbers, "string": self.texts, **self._markings}

    def algebra(self, kind: str) -> Algebra:
        return self._algebras[kind]

    def formula(self, location: Location) -> Formula:
        """The job of satisfying a schema, as a formula."""
        if location.schema is True or location.schema == {}:
            return self.formulas.true
        return self.formulas.false if location.schema is False else self.formulas.job(location)

    def constant(self, value: Any) -> Formula:
        """The job of being equal to a value, as a formula."""
        key = same_value(value)
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.formulas.job(Constant((value,)))
        return found

    def any_of(self, constants: frozenset[Formula]) -> Formula:
        """The job of being equal to any of some constants, as a formula: one literal, however many there are."""
        if len(constants) == 1:
            return next(iter(constants))
        found = self._constants.get(constants)
        if found is None:
            values = tuple(one.atom.values[0] for one in sorted(constants, key=lambda one: one.serial))  # type: ignore[attr-defined]
            found = self._constants[constants] = self.formulas.job(Constant(values)) if values else self.formulas.false
        return found

    def of_formula(self, formula: Formula, kind: str) -> Any:
        """What a formula over jobs asks of a value of one kind."""
        algebra = self._algebras[kind]
        match formula.kind:
            case 0:
                return algebra.false
            case 1:
                return algebra.true
            case 2:
                value = self.of(formula.atom, kind).value  # type: ignore[arg-type]
                return value if formula.is_positive else algebra.invert(value)
            case 3:
                return algebra.both([self.of_formula(one, kind) for one in formula.items])
            case 4:
                return algebra.either([self.of_formula(one, kind) for one in formula.items])
        return exactly_one(algebra, [self.of_formula(one, kind) for one in formula.items])

    def holds(self, job: Formula, value: Any) -> bool:
        """Whether a value that is no container satisfies a job."""
        kind = kind_of(value)
        found = self.of(job.atom, kind).value  # type: ignore[arg-type]
        found = self.unmarked(found, kind)
        if kind == "string":
            return self.texts.contains(found, value)
        return bool(found.contains(value) if kind == "number" else found)

    def unmarked(self, value: Any, kind: str) -> Any:
        """A value, whether it is to be quoted or not."""
        return self._markings[kind].all_of(value) if isinstance(value, Markable) else value

    def of(self, job: Job, kind: str) -> Meaning:
        """What a job asks of a value of one kind."""
        found = self._found.get((job, kind))
        if found is None:
            self._work.spend()
            found = self._found[job, kind] = self._work_out(job, kind)
        return found

    def _work_out(self, job: Job, kind: str) -> Meaning:
        if isinstance(job, Constant):
            return Meaning(self._equal_to_any(job.values, kind))
        algebra = self._algebras[kind]
        if isinstance(job, Mark):
            return Meaning(self._quoted(algebra.true, kind))
        schema = job.schema
        if isinstance(schema, bool):
            return Meaning(algebra.true if schema else algebra.false)
        types = schema.get("type")
        if types is not None and not has_kind(types, kind):
            return Meaning(algebra.false)
        gathering = Gathering(job, kind, algebra, [], [])
        self._add_own(gathering)
        if not _APPLIED.isdisjoint(schema):
            self._add_applied(gathering)
        value = algebra.both(gathering.values) if len(gathering.values) != 1 else gathering.values[0]
        if schema.get("x-verbatim") is True:
            value = self._quoted(value, kind)
        return Meaning(value, tuple(gathering.covers))

    def _quoted(self, value: Any, kind: str) -> Any:
        """The value marked: a quote itself, or all inside it."""
        if kind in self._marked:
            return self.formulas.both([value, self._marked[kind]])
        return self._markings[kind].mark(value) if kind in self._markings else value

    def _add_own(self, gathering: Gathering) -> None:
        """The keywords of the kind itself, and enum and const."""
        schema = gathering.location.schema
        assert isinstance(schema, dict)
        match gathering.kind:
            case "number":
                gathering.values += [self._number(one) for one in _number_parts(schema)]
            case "string":
                self._add_string(gathering, schema)
            case "object":
                add_object(self, gathering, schema)
            case "array":
                add_array(self, gathering, schema)
        if "const" in schema:
            gathering.values.append(self._equal(schema["const"], gathering.kind))
        if "enum" in schema:
            gathering.values.append(self._equal_to_any(schema["enum"], gathering.kind))

    def _add_applied(self, gathering: Gathering) -> None:
        """Other schemas applied to the same value; what they cover counts as evaluated."""
        location, schema, algebra = gathering.location, gathering.location.schema, gathering.algebra
        assert isinstance(schema, dict)
        for target in self.reader.references(location):
            self._add(gathering, self.of(target, gathering.kind))
        for child in self.children(location, "allOf"):
            self._add(gathering, self.of(child, gathering.kind))
        for keyword, join in (("anyOf", algebra.either), ("oneOf", lambda values: exactly_one(algebra, values))):
            children = self.children(location, keyword)
            if children:
                found = [self.of(child, gathering.kind) for child in children]
                gathering.values.append(join([one.value for one in found]))
                for one in found:
                    self.cover(gathering, one, one.value)
        if "not" in schema:
            gathering.values.append(algebra.invert(self.of(self.reader.child(location, "not"), gathering.kind).value))
        if "if" in schema:
            self._add_condition(gathering, schema)
        self._add_unevaluated(gathering, schema)

    def _add(self, gathering: Gathering, meaning: Meaning) -> None:
        gathering.values.append(meaning.value)
        gathering.covers += meaning.covers

    def cover(self, gathering: Gathering, meaning: Meaning, condition: Any) -> None:
        """What a schema covers counts only if `condition` comes true."""
        for cover in meaning.covers:
            both = self.formulas.both([cover.condition, condition])
            if both is self.formulas.false:
                continue
            if isinstance(cover, Cover):
                gathering.covers.append(Cover(both, cover.members))
            else:
                gathering.covers.append(ItemCover(both, cover.end, cover.job))

    def _add_condition(self, gathering: Gathering, schema: dict[str, Any]) -> None:
        algebra, location = gathering.algebra, gathering.location
        condition = self.of(self.reader.child(location, "if"), gathering.kind)
        opposite = algebra.invert(condition.value)
        self.cover(gathering, condition, condition.value)
        branches = []
        for keyword, when in (("then", condition.value), ("else", opposite)):
            if keyword in schema:
                branch = self.of(self.reader.child(location, keyword), gathering.kind)
                branches.append(algebra.both([when, branch.value]))
                self.cover(gathering, branch, when)
            else:
                branches.append(when)
        gathering.values.append(algebra.either(branches))

    def children(self, location: Location, keyword: str) -> list[Location]:
        count = len(location.get(keyword) or ())
        return [self.reader.child(location, keyword, index) for index in range(count)]

    def _add_string(self, gathering: Gathering, schema: dict[str, Any]) -> None:
        low, high = schema.get("minLength", 0), schema.get("maxLength")
        if low or high is not None:
            gathering.values.append(self._text(self.texts.lengths(low, high)))
        if "pattern" in schema:
            pointer = gathering.location.keyword_pointer("pattern")
            gathering.values.append(self._text(self.pattern(schema["pattern"], pointer)))
        if "x-lark" in schema:
            pointer = gathering.location.keyword_pointer("x-lark")
            gathering.values.append(self._text(self.texts.grammar(schema["x-lark"], pointer)))
        if "format" in schema and self._has_formats:
            texts = self.texts.format(schema["format"])
            if texts is None and (self._is_verbatim or schema.get("x-verbatim") is True):
                texts = self.texts.shape(schema["format"])
            if texts is not None:
                gathering.values.append(self._text(texts))

    def _text(self, texts: Any) -> Any:
        return Markable(texts, self.texts.false) if self.is_marking else texts

    def _number(self, numbers: NumberSet) -> Any:
        return Markable(numbers, NumberSet.none()) if self.is_marking else numbers

    def _equal(self, value: Any, kind: str) -> Any:
        algebra = self._algebras[kind]
        if kind_of(value) != kind:
            return algebra.false
        match kind:
            case "string":
                return self._text(self.texts.words([value]))
            case "number":
                return self._number(NumberSet.equal_to(value))
            case "object":
                return self._equal_object(value)
            case "array":
                return self._equal_array(value)
        return algebra.true

    def _equal_to_any(self, values: Iterable[Any], kind: str) -> Any:
        algebra, fitting = self._algebras[kind], [value for value in values if kind_of(value) == kind]
        self._work.spend(1 + len(fitting))
        if kind == "string":
            return self._text(self.texts.words(fitting))
        if kind == "number":
            return self._number(NumberSet.equal_to(*fitting))
        return algebra.either([self._equal(value, kind) for value in fitting])

    def _equal_object(self, value: dict[str, Any]) -> Formula:
        formulas = self.formulas
        names = {name: self.constant(one) for name, one in value.items()}
        return formulas.both(
            [
                formulas.debt(Members(names, (), formulas.false, has_rest=True)),
                *(formulas.debt(Has(name)) for name in names),
            ]
        )

    def _equal_array(self, value: list[Any]) -> Formula:
        formulas = self.formulas
        items = formulas.debt(Items(tuple(self.constant(one) for one in value), formulas.false))
        return formulas.both([items, formulas.debt(AtLeast(len(value)))]) if value else items

    def _add_unevaluated(self, gathering: Gathering, schema: dict[str, Any]) -> None:
        formulas, keyword = self.formulas, "unevaluatedProperties" if gathering.kind == "object" else "unevaluatedItems"
        if gathering.kind not in ("object", "array") or keyword not in schema:
            return
        job = self.formula(self.reader.child(gathering.location, keyword))
        if gathering.kind == "object":
            gathering.values.append(unevaluated(formulas, gathering.covers, job))
            gathering.covers.append(Cover(formulas.true, None))
        else:
            gathering.values.append(unevaluated_items(formulas, gathering.covers, job))
            gathering.covers.append(ItemCover(formulas.true, None))


def _number_parts(schema: dict[str, Any]) -> list[NumberSet]:
    found = []
    types = schema.get("type")
    if types is not None and "integer" in types and "number" not in types:
        found.append(NumberSet.integers())
    for keyword, make in (
        ("minimum", NumberSet.at_least),
        ("exclusiveMinimum", NumberSet.above),
        ("maximum", NumberSet.at_most),
        ("exclusiveMaximum", NumberSet.below),
        ("multipleOf", NumberSet.multiples),
    ):
        if keyword in schema:
            found.append(make(schema[keyword]))
    return found
