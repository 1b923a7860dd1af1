"""Boolean formulas, interned: equal ones are one object, and the plain laws of logic are applied as they are made.

    atoms  ──►  literal | AND | OR | ONE (exactly one of)         negation is pushed down to the literals

An atom is either a *job* ("the value of this member satisfies that schema": a schema at its place) or an obligation
that is still owed (see `schema.atoms`). A formula over jobs alone says what a value must be (`schema.nodes`); a formula
over obligations alone is what is left to be done in an object or array; in between, for the moment between a key and
its value, both are mixed (`schema.guesses`).

Invariant: AND and OR are flat, without repetition, without a literal beside its opposite.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from enum import IntEnum
from itertools import combinations

from radixgen.automata.work import Work

FORMULA_BYTES = 400


class Kind(IntEnum):
    FALSE = 0
    TRUE = 1
    LITERAL = 2
    AND = 3
    OR = 4
    ONE = 5


class Formula:
    """Compare by identity: a `Formulas` makes each once."""

    __slots__ = ("atom", "has_debts", "has_jobs", "is_positive", "items", "kind", "negation", "note", "serial")

    kind: Kind
    items: tuple[Formula, ...]
    atom: Hashable
    """Of a literal; None else."""
    is_positive: bool
    """Of a literal: False is the atom's negation."""
    has_jobs: bool
    has_debts: bool
    serial: int
    negation: Formula | None
    note: object
    """What `schema.objects` found out about the formula."""

    def __repr__(self) -> str:
        if self.kind == Kind.LITERAL:
            return ("" if self.is_positive else "!") + repr(self.atom)
        return f"{self.kind.name}{list(self.items)}" if self.items else self.kind.name


def literals(formula: Formula) -> tuple[Formula, ...]:
    """The conjuncts of a formula: itself unless it is an AND (TRUE has none)."""
    if formula.kind == Kind.AND:
        return formula.items
    return () if formula.kind == Kind.TRUE else (formula,)


class Formulas:
    """Makes formulas. One for each schema."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._made: dict[Hashable, Formula] = {}
        self.false = self._make(Kind.FALSE, ())
        self.true = self._make(Kind.TRUE, ())
        self.false.negation, self.true.negation = self.true, self.false

    def job(self, atom: Hashable) -> Formula:
        """The literal of a job."""
        return self._literal(atom, True, has_jobs=True, has_debts=False)

    def debt(self, atom: Hashable, *, has_jobs: bool = False) -> Formula:
        """The literal of an obligation; `has_jobs` where formulas inside the atom mention jobs."""
        return self._literal(atom, True, has_jobs=has_jobs, has_debts=True)

    def _literal(self, atom: Hashable, is_positive: bool, *, has_jobs: bool, has_debts: bool) -> Formula:
        key = (atom, is_positive)
        found = self._made.get(key)
        if found is None:
            found = self._new(Kind.LITERAL, ())
            found.atom, found.is_positive, found.has_jobs, found.has_debts = atom, is_positive, has_jobs, has_debts
            self._made[key] = found
            self._work.grow(FORMULA_BYTES)
        return found

    def _new(self, kind: Kind, items: tuple[Formula, ...]) -> Formula:
        made = Formula()
        made.kind, made.items, made.serial = kind, items, len(self._made)
        made.atom = made.negation = made.note = None
        made.is_positive = True
        return made

    def _make(self, kind: Kind, items: tuple[Formula, ...]) -> Formula:
        key = (kind, *(item.serial for item in items))
        found = self._made.get(key)
        if found is None:
            found = self._new(kind, items)
            found.has_jobs = any(item.has_jobs for item in items)
            found.has_debts = any(item.has_debts for item in items)
            self._made[key] = found
            self._work.grow(FORMULA_BYTES)
        return found

    def both(self, formulas: Iterable[Formula]) -> Formula:
        """All of them (none: TRUE)."""
        return self._join(Kind.AND, formulas, self.true, self.false)

    def either(self, formulas: Iterable[Formula]) -> Formula:
        """At least one of them (none: FALSE)."""
        return self._join(Kind.OR, formulas, self.false, self.true)

    def _join(self, kind: Kind, formulas: Iterable[Formula], neutral: Formula, final: Formula) -> Formula:
        flat: dict[Formula, None] = {}
        is_plain = True
        for one in formulas:
            if one is final:
                return final
            if one.kind == kind:
                flat.update(dict.fromkeys(one.items))
            elif one is not neutral:
                flat[one] = None
            is_plain = is_plain and one.kind == Kind.LITERAL
        if len(flat) < 2:
            return next(iter(flat), neutral)
        if not is_plain and self._simplify(kind, flat):
            return self._join(kind, list(flat), neutral, final)
        for one in flat:
            if one.negation in flat:
                return final
        return self._make(kind, tuple(sorted(flat, key=_serial)))

    def _simplify(self, kind: Kind, flat: dict[Formula, None]) -> bool:
        """Absorb and resolve: `a & (a | b)` is `a`, `a & (!a | b)` is `a & b`; likewise with OR. True if changed."""
        other = Kind.OR if kind == Kind.AND else Kind.AND
        changed = False
        for one in [one for one in flat if one.kind == other]:
            if any(item in flat for item in one.items):
                del flat[one]
                changed = True
                continue
            kept = [item for item in one.items if item.negation is None or item.negation not in flat]
            if len(kept) < len(one.items):
                del flat[one]
                flat[self._join(other, kept, *self._bounds(other))] = None
                changed = True
        return changed

    def _bounds(self, kind: Kind) -> tuple[Formula, Formula]:
        return (self.true, self.false) if kind == Kind.AND else (self.false, self.true)

    def one(self, formulas: Iterable[Formula]) -> Formula:
        """Exactly one of them (twice the same formula must be false)."""
        items = [one for one in formulas if one is not self.false]
        if self.true in items:
            items.remove(self.true)
            return self.both(self.invert(one) for one in items)
        if len(items) < 2:
            return items[0] if items else self.false
        if len(set(items)) < len(items):
            return self._one_with_twins(items)
        if len(items) == 2 and items[0].negation is items[1]:
            return self.true
        return self._make(Kind.ONE, tuple(sorted(items, key=_serial)))

    def _one_with_twins(self, items: list[Formula]) -> Formula:
        twins = {one for one in items if items.count(one) > 1}
        return self.both([*(self.invert(one) for one in twins), self.one([one for one in items if one not in twins])])

    def invert(self, formula: Formula) -> Formula:
        found = formula.negation
        if found is None:
            found = self._negate(formula)
            formula.negation, found.negation = found, formula
        return found

    def _negate(self, formula: Formula) -> Formula:
        match formula.kind:
            case Kind.LITERAL:
                return self._literal(
                    formula.atom, not formula.is_positive, has_jobs=formula.has_jobs, has_debts=formula.has_debts
                )
            case Kind.AND:
                return self.either([self.invert(one) for one in formula.items])
            case Kind.OR:
                return self.both([self.invert(one) for one in formula.items])
        two = [self.both(pair) for pair in combinations(formula.items, 2)]
        return self.either([self.both([self.invert(one) for one in formula.items]), *two])

    def rewrite(self, formula: Formula, literal: Callable[[Formula], Formula]) -> Formula:
        """The formula with every literal replaced; `literal` is asked for positive ones only."""
        match formula.kind:
            case Kind.LITERAL:
                return literal(formula) if formula.is_positive else self.invert(literal(self.invert(formula)))
            case Kind.AND:
                return self.both([self.rewrite(one, literal) for one in formula.items])
            case Kind.OR:
                return self.either([self.rewrite(one, literal) for one in formula.items])
            case Kind.ONE:
                return self.one([self.rewrite(one, literal) for one in formula.items])
        return formula


def _serial(formula: Formula) -> int:
    return formula.serial
