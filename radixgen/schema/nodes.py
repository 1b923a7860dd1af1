"""What a value may be: a formula over jobs, and the forms that it takes, one or a few for each kind.

    node (formula)  ──meanings──►  words | numbers | strings | object (an ObjectForm's first rest) | array

A node is looked at when a value begins, or when its cheapest text is asked for, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from radixgen.automata.lift import NonAscii
from radixgen.automata.numberset import NumberSet
from radixgen.automata.table import Automaton
from radixgen.errors import ConstraintError, LimitError, SchemaError
from radixgen.schema.algebras import Algebra, Markable, Numbers
from radixgen.schema.atoms import Members, Unevaluated
from radixgen.schema.formula import Formula, Kind, literals
from radixgen.schema.glance import MOST_BYTES
from radixgen.schema.kinds import find_kinds
from radixgen.schema.meanings import Meanings
from radixgen.schema.quotes import Quotes
from radixgen.schema.reader import Location
from radixgen.schema.rests import ArrayForm, ArrayRest, Deriver, ObjectForm, ObjectRest, Vertex, mentions
from radixgen.schema.scalars import Scalars
from radixgen.schema.spelling import Style
from radixgen.schema.texts import TextSet

NUMBERS = Numbers()
EMPTY_QUOTE = 1 << 21
"""What `""` for want of a quote weighs in a cost: more than all bytes of an answer, so that it counts first."""
SMALL = 1_000
INVENTED = 1 << 41
"""What a value that nobody quoted weighs: more than any number of empty quotes."""


class Options(NamedTuple):
    """What of a `JsonSchema` changes the nodes."""

    is_closed: bool
    """Objects that list properties and do not speak of others get no others."""
    is_plain: bool
    """Integers are written without a point."""
    is_any_order: bool
    is_verbatim: bool
    has_exponents: bool
    non_ascii: NonAscii
    style: Style


class ScalarForm:
    """`cost`: bytes of its shortest text, or a bound where the automaton is not made yet; and a weight, EMPTY_QUOTE or
    INVENTED, where a document holds nothing to quote (see `schema.quotes`)."""

    __slots__ = ("_automaton", "_make", "cost")

    def __init__(self, automaton: Automaton, weight: int = 0) -> None:
        self._automaton: Automaton | None = automaton
        self._make: Callable[[], Automaton | None] | None = None
        self.cost = len(automaton.completion(0)) + weight

    @classmethod
    def later(cls, make: Callable[[], Automaton | None], cost: int) -> ScalarForm:
        """A form that is live for sure, whose automaton is made when it is written."""
        form = cls.__new__(cls)
        form._automaton, form._make, form.cost = None, make, cost
        return form

    @property
    def automaton(self) -> Automaton:
        if self._automaton is None:
            assert self._make is not None
            self._automaton = self._make()
            assert self._automaton is not None, "a form that is live for sure has a text"
        return self._automaton


@dataclass(eq=False, slots=True)
class ContainerForm:
    """An object or an array; `rest` is what follows its opening."""

    rest: ObjectRest | ArrayRest


Form = ScalarForm | ContainerForm


class Node(Vertex):
    """Compare by identity: `Nodes` makes each once."""

    __slots__ = ("forms", "formula", "live")

    def __init__(self, formula: Formula) -> None:
        super().__init__()
        self.formula = formula
        self.forms: tuple[Form, ...] | None = None
        self.live: tuple[Form, ...] | None = None

    @property
    def pointer(self) -> str:
        atoms = [one.atom for one in literals(self.formula)]
        return next((atom.pointer for atom in atoms if isinstance(atom, Location)), "")


class Nodes:
    """The nodes of one schema; bound to a document, its strings and numbers quote that."""

    def __init__(self, meanings: Meanings, scalars: Scalars, options: Options, quotes: Quotes | None) -> None:
        self.meanings, self.scalars, self.options = meanings, scalars, options
        self.deriver = Deriver(meanings.formulas, meanings.texts, meanings.any_of)
        self._quotes = quotes
        self._nodes: dict[Formula, Node] = {}
        self._object_forms: dict[Formula, ObjectForm] = {}
        self._array_forms: dict[Formula, ArrayForm] = {}
        self.root = self.node(meanings.formula(meanings.reader.root))

    @property
    def is_bound(self) -> bool:
        return self._quotes is not None

    def node(self, formula: Formula) -> Node:
        found = self._nodes.get(formula)
        if found is None:
            found = self._nodes[formula] = Node(formula)
        return found

    def forms(self, node: Node) -> tuple[Form, ...]:
        """All forms of a node, dead ones too."""
        if node.forms is None:
            try:
                node.forms = tuple(self._forms(node.formula))
            except ConstraintError as error:
                if isinstance(error, SchemaError | LimitError):
                    raise
                raise SchemaError(str(error), node.pointer) from None
        return node.forms

    def is_surely_dead(self, formula: Formula) -> bool:
        """True only if no value can satisfy a formula, as far as that shows without a look inside containers."""
        if formula.kind in (Kind.TRUE, Kind.LITERAL):
            return False
        return not self.forms(self.node(formula))

    def finite_values(self, formula: Formula, limit: int) -> list[Any] | None:
        """All values that satisfy a formula, if they are few and no containers."""
        found: list[Any] = []
        for kind in find_kinds(self.meanings.reader, formula):
            value = self.meanings.of_formula(formula, kind)
            if isinstance(value, Markable):
                if value.quoted is not self.meanings.algebra(kind).false.quoted:
                    return None
                value = value.free
            match kind:
                case "null" | "true" | "false":
                    found += [{"null": None, "true": True, "false": False}[kind]] if value else []
                case "number":
                    numbers = value.values(limit)
                    if numbers is None:
                        return None
                    found += numbers
                case "string":
                    if value.finite is None:
                        return None
                    found += sorted(value.finite)
                case _:
                    if value.kind != Kind.FALSE:
                        return None
        return found if len(found) <= limit else None

    def _forms(self, formula: Formula) -> Iterator[Form]:
        words: list[bytes] = []
        found: list[Form] = []
        for kind in find_kinds(self.meanings.reader, formula):
            value = self.meanings.of_formula(formula, kind)
            match kind:
                case "null" | "true" | "false":
                    words += [kind.encode()] if value else []
                case "number":
                    found += self._number_forms(value)
                case "string":
                    found += self._string_forms(value, words)
                case "array":
                    found += self._array(value)
                case _:
                    found += self._object(value)
        if words:
            yield ScalarForm(self.scalars.words(tuple(words)))
        yield from found

    def _number_forms(self, value: Any) -> Iterator[Form]:
        style = self.options.has_exponents, self.options.is_plain
        for numbers, is_quoted in zip(self._parted(value, NUMBERS), (False, True), strict=True):
            if numbers.is_empty:
                continue
            if not is_quoted and any(numbers.contains(digit) for digit in range(10)):
                yield ScalarForm.later(partial(self.scalars.number, numbers, style), 1)
                continue
            plain = self.scalars.number(numbers, style)
            if plain is not None:
                yield self._quote(plain, numbers) if is_quoted and not _is_listed(numbers) else ScalarForm(plain)

    def _string_forms(self, value: Any, words: list[bytes]) -> Iterator[Form]:
        texts, non_ascii = self.meanings.texts, self.options.non_ascii
        for strings, is_quoted in zip(self._parted(value, texts), (False, True), strict=True):
            if strings.finite is not None:
                words += self.scalars.spellings(strings.finite, non_ascii)
                continue
            shortest = None if is_quoted else texts.find_shortest(strings)
            if shortest is not None and shortest <= SMALL:
                yield ScalarForm.later(partial(self.scalars.string, strings, non_ascii), 2 + MOST_BYTES * shortest)
                continue
            plain = self.scalars.string(strings, non_ascii)
            if plain is not None:
                yield self._quote(plain, strings) if is_quoted else ScalarForm(plain)

    def _parted(self, value: Any, algebra: Algebra) -> Markable:
        """What is free and what is to be quoted from the document, if there is one."""
        if not isinstance(value, Markable):
            value = Markable(value, algebra.false)
        if self._quotes is not None and not self.options.is_verbatim:
            return value
        whole = value.free if value.quoted is algebra.false else algebra.either(value)
        return Markable(whole, algebra.false) if self._quotes is None else Markable(algebra.false, whole)

    def _quote(self, plain: Automaton, rule: TextSet | NumberSet) -> Form:
        assert self._quotes is not None
        automaton = self._quotes.find_automaton(plain, rule)
        if automaton is not None:
            return ScalarForm(automaton)
        if plain.accepts(b'""'):
            return ScalarForm(self.scalars.words((b'""',)), EMPTY_QUOTE)
        return ScalarForm(plain, INVENTED)

    def _array(self, debt: Formula) -> Iterator[Form]:
        if debt.kind != Kind.FALSE:
            form = self._array_forms.get(debt)
            if form is None:
                form = self._array_forms[debt] = ArrayForm(debt)
            yield ContainerForm(form.rest(debt, 0))

    def _object(self, debt: Formula) -> Iterator[Form]:
        if debt.kind != Kind.FALSE:
            form = self._object_forms.get(debt)
            if form is None:
                form = self._object_forms[debt] = ObjectForm(self._narrowed(debt))
            yield ContainerForm(form.rest(form.debt, 0, is_first=True))

    def _narrowed(self, debt: Formula) -> Formula:
        """With `is_closed`: no other keys where the schema lists some and does not speak of others."""
        if not self.options.is_closed:
            return debt
        formulas = self.meanings.formulas
        if debt.kind == Kind.OR:
            return formulas.either([self._narrowed(one) for one in debt.items])
        if debt.kind == Kind.ONE:
            return formulas.both([debt, formulas.either([self._narrowed(one) for one in debt.items])])
        atoms = list(mentions(debt))
        listed = [atom for atom in atoms if isinstance(atom, Members)]
        if not any(atom.names for atom in listed) or any(_speaks_of_others(atom) for atom in atoms):
            return debt
        names = dict.fromkeys(ObjectForm(debt).order, formulas.true)
        return formulas.both([debt, formulas.debt(Members(names, (), formulas.false, has_rest=True))])


def _is_listed(numbers: NumberSet) -> bool:
    """An enum's numbers are the schema's own words: no quotes."""
    return not any(part.cells for part in numbers.parts)


def _speaks_of_others(atom: object) -> bool:
    return isinstance(atom, Unevaluated) or (isinstance(atom, Members) and (atom.has_rest or bool(atom.patterns)))
