"""A formula that mixes jobs for the next value with what is owed after it, as guesses: what to ask of which.

    (a & X) | (b & Y)     ──►   value a, then X     or    value b, then Y

A configuration follows each guess, so nothing waits for a verdict: every guess *must* come true. Guesses with the same
rest join their jobs, those with the same jobs their rests; nearly always one guess is left.

Nothing is expanded that is not mixed: a job formula of any shape stays whole (the value's node takes it as it is), and
so does what is owed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from radixgen.automata.work import Work
from radixgen.errors import LimitError
from radixgen.schema.atoms import Cover, ItemCover, Unevaluated, UnevaluatedItems, unevaluated, unevaluated_items
from radixgen.schema.formula import Formula, Formulas, Kind, literals

MAX_GUESSES = 5_000


class Guess(NamedTuple):
    """`value`: a formula over jobs, for the member's or item's value; `rest`: over obligations, for what follows."""

    value: Formula
    rest: Formula


class Values(Protocol):
    """What a guesser asks about formulas over jobs."""

    def is_dead(self, formula: Formula) -> bool:
        """True only if no value can satisfy it."""

    def finite(self, formula: Formula) -> list[Any] | None:
        """All values that satisfy it, if they are few and no containers."""

    def holds(self, job: Formula, value: Any) -> bool:
        """Whether such a value satisfies a job."""

    def constant(self, value: Any) -> Formula:
        """The job of being equal to a value."""


class Guesser:
    """Splits mixed formulas of one schema."""

    def __init__(
        self,
        formulas: Formulas,
        representative: Callable[[Formula], Formula],
        values: Values,
        work: Work,
    ) -> None:
        """representative: one job for all that mean the same."""
        self._formulas, self._representative, self._values, self._work = formulas, representative, values, work
        self._found: dict[Formula, list[Guess]] = {}

    def guesses(self, formula: Formula) -> list[Guess]:
        """All ways for a formula to come true; none if it cannot.

        Raises:
            LimitError: when there are too many.
        """
        found = self._found.get(formula)
        if found is None:
            found = self._found[formula] = self._guess(formula)
        return found

    def _guess(self, formula: Formula) -> list[Guess]:
        if formula is self._formulas.false:
            return []
        if not any(one.has_jobs and one.has_debts for one in literals(formula)):
            return [self._parted(literals(formula))]
        found: dict[Guess, None] = {}
        for guess in self._split(self._formulas.rewrite(formula, self._canonical)):
            found[guess] = None
            if len(found) > MAX_GUESSES:
                raise LimitError(
                    f"a value has over {MAX_GUESSES} readings; make the branches of anyOf, oneOf and if differ early",
                    "constraint_states",
                )
        return self._joined(found)

    def _canonical(self, literal: Formula) -> Formula:
        return literal if literal.has_debts else self._representative(literal)

    def _parted(self, factors: tuple[Formula, ...]) -> Guess:
        both = self._formulas.both
        return Guess(both([one for one in factors if one.has_jobs]), both([one for one in factors if not one.has_jobs]))

    def _split(self, formula: Formula) -> Iterator[Guess]:
        waiting = [formula]
        while waiting:
            self._work.spend()
            factors = literals(waiting.pop())
            mixed = [one for one in factors if one.has_jobs and one.has_debts]
            plain = [one for one in factors if not (one.has_jobs and one.has_debts)]
            value = self._formulas.both([one for one in plain if one.has_jobs])
            if value is self._formulas.false or self._formulas.false in factors or self._values.is_dead(value):
                continue
            if not mixed:
                yield self._parted(factors)
                continue
            values = self._values.finite(value) if value is not self._formulas.true else None
            if values is not None:
                yield from self._by_values(self._formulas.both(factors), values)
                continue
            first = min(mixed, key=_num_options)
            others = [one for one in factors if one is not first]
            for option in reversed(self._options(first, value)):
                waiting.append(self._formulas.both([option, *others]))

    def _by_values(self, formula: Formula, values: list[Any]) -> Iterator[Guess]:
        """Of few values, each decides all jobs."""
        formulas = self._formulas
        by_rest: dict[Formula, list[Formula]] = {}
        for value in values:

            def decided(one: Formula, value: Any = value) -> Formula:
                if one.has_debts:
                    return self._inside(one, decided)
                return formulas.true if self._values.holds(one, value) else formulas.false

            rest = formulas.rewrite(formula, decided)
            if rest is not formulas.false:
                by_rest.setdefault(rest, []).append(self._values.constant(value))
        for rest, constants in by_rest.items():
            yield Guess(formulas.either(constants), rest)

    def _options(self, mixed: Formula, value: Formula) -> list[Formula]:
        """Formulas that together say what `mixed` does, each closer to being parted."""
        common = frozenset.intersection(*(frozenset(literals(one)) for one in mixed.items)) if mixed.items else ()
        if common:
            return [self._factored(mixed, frozenset(common))]
        if mixed.kind == Kind.OR:
            return list(mixed.items)
        if mixed.kind == Kind.ONE:
            return [self._only(one, mixed.items) for one in mixed.items]
        return self._cases(mixed)

    def _factored(self, mixed: Formula, common: frozenset[Formula]) -> Formula:
        """`(a & x) | (a & y)` is `a & (x | y)`, and likewise with exactly one: what all branches ask is no choice."""
        formulas = self._formulas
        rests = [formulas.both([one for one in literals(item) if one not in common]) for item in mixed.items]
        return formulas.both([*common, formulas.either(rests) if mixed.kind == Kind.OR else formulas.one(rests)])

    def _only(self, chosen: Formula, items: tuple[Formula, ...]) -> Formula:
        """`chosen` and none of the others; those that ask for another value are false already."""
        formulas = self._formulas
        value = self._asked(chosen)
        others = [one for one in items if one is not chosen]
        self._work.spend(len(others))
        if value is not formulas.true:
            others = [one for one in others if not self._values.is_dead(formulas.both([value, self._asked(one)]))]
        return formulas.both([chosen, *(formulas.invert(one) for one in others)])

    def _asked(self, formula: Formula) -> Formula:
        """The jobs that a formula needs in any case."""
        return self._formulas.both([one for one in literals(formula) if not one.has_debts])

    def _cases(self, literal: Formula) -> list[Formula]:
        """An obligation with a job inside its conditions: the job true, and the job false or not asked for."""
        both, negate = self._formulas.both, self._formulas.invert
        inside = list(_jobs_inside(literal))
        job = inside[0].negation if not inside[0].is_positive and inside[0].negation is not None else inside[0]
        if_true, if_false = self._given(literal, job, value=True), self._given(literal, job, value=False)
        if literal.is_positive and job.negation not in inside:
            return [both([job, if_true]), if_false]
        return [both([job, if_true]), both([negate(job), if_false])]

    def _given(self, literal: Formula, job: Formula, *, value: bool) -> Formula:
        formulas = self._formulas
        known = formulas.true if value else formulas.false

        def replaced(one: Formula) -> Formula:
            if one is job:
                return known
            return self._inside(one, replaced)

        return formulas.rewrite(literal, replaced)

    def _inside(self, literal: Formula, replaced: Callable[[Formula], Formula]) -> Formula:
        """The literal with the conditions inside its atom rewritten."""
        atom, rewrite = literal.atom, self._formulas.rewrite
        if not (literal.has_jobs and isinstance(atom, Unevaluated | UnevaluatedItems)):
            return literal
        if isinstance(atom, Unevaluated):
            covers = [Cover(rewrite(one.condition, replaced), one.members) for one in atom.covers]
            return unevaluated(self._formulas, covers, atom.job)
        found = [ItemCover(rewrite(one.condition, replaced), one.end, one.job) for one in atom.covers]
        return unevaluated_items(self._formulas, found, atom.job)

    def _joined(self, guesses: dict[Guess, None]) -> list[Guess]:
        either = self._formulas.either
        by_rest: dict[Formula, list[Formula]] = {}
        for value, rest in guesses:
            by_rest.setdefault(rest, []).append(value)
        by_value: dict[Formula, list[Formula]] = {}
        for rest, values in by_rest.items():
            by_value.setdefault(either(values), []).append(rest)
        return [Guess(value, either(rests)) for value, rests in by_value.items()]


def _num_options(formula: Formula) -> int:
    return len(formula.items) if formula.items else 2


def _jobs_inside(formula: Formula) -> Iterator[Formula]:
    """The literals of the jobs in a formula, those inside conditions too."""
    if not formula.has_jobs:
        return
    if formula.kind != Kind.LITERAL:
        for one in formula.items:
            yield from _jobs_inside(one)
    elif isinstance(formula.atom, Unevaluated | UnevaluatedItems):
        for cover in formula.atom.covers:
            yield from _jobs_inside(cover.condition)
    else:
        yield formula
