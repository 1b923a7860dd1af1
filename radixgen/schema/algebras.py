"""What the applicators need of a kind's meanings: and, or, not, exactly one. See `schema.meanings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import and_, or_
from typing import Any, NamedTuple, Protocol

from radixgen.automata.numberset import NumberSet
from radixgen.automata.work import Work
from radixgen.schema.formula import Formulas

UNITS_PER_SET = 32
"""Of work, for joining a set of numbers with others."""


class Algebra(Protocol):
    """Closed under and, or and not. Values are immutable."""

    true: Any
    false: Any

    def both(self, values: Iterable[Any]) -> Any: ...

    def either(self, values: Iterable[Any]) -> Any: ...

    def invert(self, value: Any) -> Any: ...


class Booleans:
    """Kinds of a single value."""

    true, false = True, False

    def both(self, values: Iterable[bool]) -> bool:
        return all(values)

    def either(self, values: Iterable[bool]) -> bool:
        return any(values)

    def invert(self, value: bool) -> bool:
        return not value


class Numbers:
    true, false = NumberSet.all(), NumberSet.none()

    def __init__(self, work: Work | None = None) -> None:
        """work: told of every set, which may be of several `multipleOf`."""
        self._work = work or Work()

    def both(self, values: Iterable[NumberSet]) -> NumberSet:
        return reduce(and_, self._counted(values), self.true)

    def either(self, values: Iterable[NumberSet]) -> NumberSet:
        return reduce(or_, self._counted(values), self.false)

    def _counted(self, values: Iterable[NumberSet]) -> Iterator[NumberSet]:
        for value in values:
            self._work.spend(UNITS_PER_SET + len(value.ends) // 2)
            yield value

    def invert(self, value: NumberSet) -> NumberSet:
        return ~value


class Markable(NamedTuple):
    """Values that may be anything in `free`, or quoted from the document if in `quoted`."""

    free: Any
    quoted: Any


class Marked:
    """An algebra whose values remember which of them are to be quotes (`x-verbatim`)."""

    def __init__(self, inner: Algebra) -> None:
        self._inner = inner
        self.true = Markable(inner.true, inner.false)
        self.false = Markable(inner.false, inner.false)

    def mark(self, value: Markable) -> Markable:
        return Markable(self._inner.false, self.all_of(value))

    def all_of(self, value: Markable) -> Any:
        return self._inner.either([value.free, value.quoted])

    def both(self, values: Iterable[Markable]) -> Markable:
        given = list(values)
        free = self._inner.both([one.free for one in given])
        if all(one.quoted is self._inner.false for one in given):
            return Markable(free, self._inner.false)
        everything = self._inner.both([self.all_of(one) for one in given])
        return Markable(free, self._inner.both([everything, self._inner.invert(free)]))

    def either(self, values: Iterable[Markable]) -> Markable:
        given = list(values)
        free = self._inner.either([one.free for one in given])
        return Markable(free, self._inner.either([one.quoted for one in given]))

    def invert(self, value: Markable) -> Markable:
        return Markable(self._inner.invert(self.all_of(value)), self._inner.false)


def exactly_one(algebra: Algebra, values: list[Any]) -> Any:
    """Exactly one of some values holds."""
    if isinstance(algebra, Formulas):
        return algebra.one(values)
    none, one = algebra.true, algebra.false
    for value in values:
        opposite = algebra.invert(value)
        one = algebra.either([algebra.both([one, opposite]), algebra.both([none, value])])
        none = algebra.both([none, opposite])
    return one
