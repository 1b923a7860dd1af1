"""Members of objects and items of arrays: what each may be, and what is owed behind it.

rest  ──key──►  members: (node of the value, rest behind it), one for each guess; none where the key cannot come
rest  ──item──► the same
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from radixgen.automata.table import Automaton
from radixgen.automata.work import Work
from radixgen.schema.atoms import Has, Key, Members
from radixgen.schema.formula import Formula, Formulas, Kind, literals
from radixgen.schema.guesses import Guess, Guesser
from radixgen.schema.nodes import Node, Nodes
from radixgen.schema.reader import Location
from radixgen.schema.rests import ArrayRest, ObjectForm, ObjectRest, Plain, is_over
from radixgen.schema.scalars import spell_word
from radixgen.schema.texts import TextSet

NONE: frozenset[str] = frozenset()
MAX_CELLS = 256
MAX_VALUES = 32
"""Unlike items of so few possible values are told apart as they begin; of more, when they are over."""
MAX_FINITE = 1_000


class Member(NamedTuple):
    """One way to go on behind a key: what its value is, and what follows that."""

    node: Node
    rest: ObjectRest


class Element(NamedTuple):
    """One way to go on in an array: what the next item is, and what follows it."""

    node: Node
    rest: ArrayRest


class Cell(NamedTuple):
    """Unlisted names that are alike: the same patterns and `propertyNames` hold for all of them."""

    key: Key
    texts: TextSet


class Containers:
    """Events on the rests of one schema's nodes."""

    def __init__(self, nodes: Nodes, work: Work) -> None:
        self.nodes, self.work = nodes, work
        self._formulas, self._texts = nodes.meanings.formulas, nodes.meanings.texts
        self._non_ascii = nodes.options.non_ascii
        self._is_any_order = nodes.options.is_any_order
        self._guesser = Guesser(self._formulas, _Twins(self._formulas).representative, _Values(nodes), work)
        self._cells: dict[tuple[TextSet, ...], tuple[Cell, ...]] = {(): (Cell(Key(None), self._texts.true),)}
        self._keys: dict[str, Key] = {}
        self._spelled: dict[str, list[bytes]] = {}

    def plain(self, rest: ObjectRest | ArrayRest) -> Plain | None:
        return self.nodes.deriver.plain(rest.debt)

    def names_left(self, rest: ObjectRest) -> list[str]:
        """Names the schema speaks of that may come yet, in its order."""
        order = rest.form.order
        if self._is_any_order:
            return [name for at, name in enumerate(order) if not rest.at >> at & 1]
        return list(order[rest.at :])

    def key(self, name: str) -> Key:
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = Key(name)
        return found

    def spelled(self, name: str) -> list[bytes]:
        """The ways to write a name."""
        found = self._spelled.get(name)
        if found is None:
            found = self._spelled[name] = spell_word(name, self._non_ascii)
        return found

    def needed_name(self, rest: ObjectRest) -> str | None:
        """The first name in order that must come, if one shows."""
        names = [one.atom.name for one in literals(rest.debt) if isinstance(one.atom, Has) and one.is_positive]
        return min(names, key=rest.form.rank.__getitem__, default=None)

    def what_matters(self, rest: ObjectRest) -> frozenset[str] | None:
        """Names that may help to pay what is owed, required ones aside; None: any key may."""
        found: set[str] = set()
        for one in literals(rest.debt):
            atom = one.atom
            if is_over(one) or isinstance(atom, Has):
                continue
            if not isinstance(atom, Members) or atom.patterns or atom.has_rest:
                return None
            found |= atom.names.keys()
        return frozenset(found)

    def asked(self, plain: Plain, key: Key) -> Formula:
        """What the value of a key must be in a plain rest; FALSE where the key cannot come."""
        if key.name in plain.banned or (plain.tests and not all(key.is_in(one, self._texts) for one in plain.tests)):
            return self._formulas.false
        if len(plain.members) == 1:
            found = plain.members[0].asks(key, self._texts)
        else:
            found = [one for members in plain.members for one in members.asks(key, self._texts)]
        return found[0] if len(found) == 1 else self._formulas.both(found)

    def members(self, rest: ObjectRest, key: Key) -> tuple[Member, ...]:
        """The ways on behind a key, dead ones too. An unlisted key's own name is not noted in their `used`."""
        found = rest.members.get(key)
        if found is None:
            at = self._at_after(rest, key)
            form, node = rest.form, self.nodes.node
            found = rest.members[key] = tuple(
                Member(node(guess.value), form.rest(guess.rest, at, used=rest.used, is_sealed=rest.is_sealed))
                for guess in self._guesses(rest, key, self._gone(form, at, key))
            )
        return found

    def _guesses(self, rest: ObjectRest, key: Key, gone: frozenset[str]) -> list[Guess]:
        deriver, plain, false = self.nodes.deriver, self.plain(rest), self._formulas.false
        if plain is None:
            return self._guesser.guesses(deriver.after_key(rest.debt, key, gone))
        one = Guess(self.asked(plain, key), deriver.owed_after_key(rest.debt, key, gone))
        return [] if false in one else [one]

    def _at_after(self, rest: ObjectRest, key: Key) -> int:
        form = rest.form
        if self._is_any_order:
            return rest.at if key.name not in form.rank else rest.at | 1 << form.rank[key.name]
        return len(form.order) if key.name not in form.rank else form.rank[key.name] + 1

    def _gone(self, form: ObjectForm, at: int, key: Key) -> frozenset[str]:
        if self._is_any_order:
            return frozenset(name for rank, name in enumerate(form.order) if at >> rank & 1)
        found = form.gone.get(at)
        if found is None:
            found = form.gone[at] = frozenset(form.order[:at])
        return found

    def cells(self, rest: ObjectRest) -> tuple[Cell, ...]:
        """The unlisted names, cut by what the object's formulas ask of names."""
        tests = rest.form.tests
        found = self._cells.get(tests)
        if found is None:
            found = self._cells[tests] = tuple(self._make_cells(tests))
        return found

    def key_automaton(self, rest: ObjectRest, cell: Cell, taken: frozenset[str] = NONE) -> Automaton | None:
        """The names of a cell that the schema does not list and that were not written; None if there is none."""
        key, form, names = self.nodes.scalars.key, rest.form, rest.used | taken
        if names:
            return key(cell.texts, form.names | names, self._non_ascii)
        if cell not in form.others:
            form.others[cell] = key(cell.texts, form.names, self._non_ascii)
        found: Automaton | None = form.others[cell]
        return found

    def _make_cells(self, tests: tuple[TextSet, ...]) -> Iterator[Cell]:
        texts = self._texts
        parts: list[tuple[TextSet, frozenset[TextSet]]] = [(texts.true, frozenset())]
        for test in tests:
            opposite = texts.invert(test)
            split = [(texts.both([part, test]), holding | {test}) for part, holding in parts]
            split += [(texts.both([part, opposite]), holding) for part, holding in parts]
            parts = [one for one in split if not self._is_empty(one[0])][:MAX_CELLS]
            self.work.spend(len(split))
        return (Cell(Key(None, holding), part) for part, holding in parts)

    def _is_empty(self, part: TextSet) -> bool:
        if part.finite is not None:
            return not part.finite
        is_sure = part.node is not None and self._texts.find_shortest(part) is not None
        return not is_sure and self.nodes.scalars.string(part, self._non_ascii) is None

    def items(self, rest: ArrayRest) -> tuple[Element, ...]:
        """The ways on behind the next item, dead ones too; a rest that `is_pending` waits for the item's value."""
        if rest.members is None:
            mixed = self.nodes.deriver.after_item(rest.debt, rest.index)
            found: list[Element] = []
            for guess in self._guesser.guesses(mixed):
                after = rest.form.rest(guess.rest, rest.index + 1, is_sealed=rest.is_sealed)
                values = self.nodes.finite_values(guess.value, MAX_VALUES) if after.is_pending else None
                if values is None:
                    found.append(Element(self.nodes.node(guess.value), after))
                else:
                    found += [self._exactly(value, guess.value, after) for value in values]
            rest.members = tuple(found)
        return rest.members

    def _exactly(self, value: object, formula: Formula, after: ArrayRest) -> Element:
        """One of few values, so that what follows knows it at once."""
        constant = self.nodes.meanings.constant(value)
        return Element(self.nodes.node(self._formulas.both([constant, formula])), self.settled(after, value))

    def num_values(self, rest: ArrayRest) -> int:
        """Values left for the next item; -1 where there are many."""
        mixed = self.nodes.deriver.after_item(rest.debt, rest.index)
        found = [self.nodes.finite_values(guess.value, MAX_FINITE) for guess in self._guesser.guesses(mixed)]
        return -1 if None in found else sum(len(one or ()) for one in found)

    def settled(self, rest: ArrayRest, value: object) -> ArrayRest:
        """The rest behind an item whose value is now known."""
        if not rest.is_pending:
            return rest
        return self._settled(rest, frozenset((self.nodes.meanings.constant(value),)), is_sealed=rest.is_sealed)

    def sealed(self, rest: ArrayRest) -> ArrayRest:
        """The rest behind an item whose value is not known: unlike it, as far as that holds for any value."""
        return self._settled(rest, frozenset(), is_sealed=True)

    def _settled(self, rest: ArrayRest, constants: frozenset[Formula], *, is_sealed: bool) -> ArrayRest:
        return rest.form.rest(self.nodes.deriver.settled(rest.debt, constants), rest.index, is_sealed=is_sealed)

    def terms(self, debt: Formula) -> Iterator[Formula]:
        """Conjunctions that together say what a formula does; those that owe less come first."""
        waiting = [debt]
        while waiting:
            self.work.spend()
            one = waiting.pop()
            factors = literals(one)
            choice = next((factor for factor in factors if factor.kind != Kind.LITERAL), None)
            if choice is None:
                yield one
                continue
            others = [factor for factor in factors if factor is not choice]
            options = [self._formulas.both([option, *others]) for option in self._options(choice)]
            waiting += sorted((one for one in options if one is not self._formulas.false), key=_owed, reverse=True)

    def _options(self, choice: Formula) -> list[Formula]:
        if choice.kind == Kind.ONE:
            both, negate = self._formulas.both, self._formulas.invert
            return [both([one, *(negate(other) for other in choice.items if other is not one)]) for one in choice.items]
        return list(choice.items) if choice.kind == Kind.OR else []


def _owed(formula: Formula) -> int:
    return sum(one.is_positive and isinstance(one.atom, Has) for one in literals(formula))


class _Values:
    """See `guesses.Values`."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._found: dict[Formula, list[Any] | None] = {}
        self.is_dead = nodes.is_surely_dead
        self.constant = nodes.meanings.constant
        self.holds = nodes.meanings.holds

    def finite(self, formula: Formula) -> list[Any] | None:
        if formula not in self._found:
            self._found[formula] = self._nodes.finite_values(formula, MAX_VALUES)
        return self._found[formula]


class _Twins:
    """Finds jobs that mean the same: equal schemas of the same resource and dynamic scope."""

    def __init__(self, formulas: Formulas) -> None:
        self._formulas = formulas
        self._first: dict[object, Formula] = {}
        self._found: dict[Formula, Formula] = {}

    def representative(self, job: Formula) -> Formula:
        found = self._found.get(job)
        if found is None:
            location = job.atom
            if isinstance(location, Location):
                key = (id(location.resource), location.scope, _content(location.schema))
                found = self._found[job] = self._first.setdefault(key, job)
            else:
                found = self._found[job] = job
        return found


def _content(schema: object) -> object:
    """A hashable picture of a schema: equal only where it says the same."""
    if isinstance(schema, dict):
        return tuple((key, _content(value)) for key, value in schema.items() if key not in ("title", "description"))
    if isinstance(schema, list):
        return ("list", *(_content(one) for one in schema))
    return (type(schema), schema)
