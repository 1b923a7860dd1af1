"""Boolean combinations of "is a multiple of": which numbers they hold, by exact arithmetic.

A number's cell is the set of moduli that divide it. Cells are closed: what is a multiple of 4 and of 6 is one of 2, 3
and 12 as well, where these are moduli. So a combination is a set of closed cells, each a bit mask over the moduli:

    moduli (2, 3)     cell 00: neither    01: even, no multiple of 3    10: ...    11: multiples of 6
    "even, but not of 6" = {01}           integers = moduli (1,), {1}             no condition = moduli (), {0}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from math import lcm
from typing import NamedTuple

from radixgen.automata.work import over

MAX_MODULI = 6
MAX_TRIES = 64
"""Consecutive multiples looked at; of any 22, one is no multiple of any of 6 other numbers (Jacobsthal)."""

EXACT = Context(prec=4_000, Emin=-999_999, Emax=999_999)
"""Decimal arithmetic that never rounds what `numberset` lets in."""


class Grid(NamedTuple):
    """A lattice over integers: every value was multiplied by one power of ten."""

    divisors: tuple[int, ...]
    cells: frozenset[int]

    def contains(self, value: int) -> bool:
        return _mask(value % divisor == 0 for divisor in self.divisors) in self.cells

    def first(self, low: int, high: int, step: int) -> int | None:
        """The least member in low..high that is a multiple of `step`."""
        if not self.divisors:
            first = -(-low // step) * step
            return first if self.cells and first <= high else None
        return min(
            (one for cell in self.cells if (one := self._first(cell, low, high, step)) is not None), default=None
        )

    def _first(self, cell: int, low: int, high: int, step: int) -> int | None:
        inside = [one for bit, one in enumerate(self.divisors) if cell >> bit & 1]
        outside = [one for bit, one in enumerate(self.divisors) if not cell >> bit & 1]
        stride = lcm(step, *inside)
        if any(stride % one == 0 for one in outside):
            return None
        first = -(-low // stride) * stride
        tries = range(first, min(high, first + MAX_TRIES * stride) + 1, stride)
        return next((value for value in tries if all(value % one for one in outside)), None)


class Lattice(NamedTuple):
    """A Boolean combination in its smallest form: only moduli that matter."""

    moduli: tuple[Decimal, ...]
    cells: frozenset[int]

    def contains(self, value: Decimal) -> bool:
        return _mask(EXACT.remainder(value, one) == 0 for one in self.moduli) in self.cells

    @property
    def has_others(self) -> bool:
        """Whether numbers that are a multiple of nothing are in."""
        return 0 in self.cells

    def scaled(self, digits: int) -> Grid:
        """The same over values times 10**digits, which makes every modulus an integer."""
        return Grid(tuple(int(one.scaleb(digits, EXACT)) for one in self.moduli), self.cells)


NOTHING = Lattice((), frozenset())
EVERYTHING = Lattice((), frozenset((0,)))


def multiples(modulus: Decimal) -> Lattice:
    return Lattice((modulus,), frozenset((1,)))


def combine(left: Lattice, right: Lattice, keep: Callable[[bool, bool], bool]) -> Lattice:
    """The numbers for which `keep(is in left, is in right)`.

    Raises:
        LimitError: for more than MAX_MODULI different moduli.
    """
    if not left.moduli and not right.moduli:
        return EVERYTHING if keep(bool(left.cells), bool(right.cells)) else NOTHING
    moduli = tuple(sorted({*left.moduli, *right.moduli}))
    if len(moduli) > MAX_MODULI:
        raise over(f"joins more than {MAX_MODULI} different values of multipleOf in one number", "constraint_states")
    to_left, to_right = _projection(moduli, left.moduli), _projection(moduli, right.moduli)
    closed = _closed_cells(moduli)
    cells = {cell for cell in closed if keep(to_left(cell) in left.cells, to_right(cell) in right.cells)}
    return _reduced(moduli, cells, closed)


def _reduced(moduli: tuple[Decimal, ...], cells: set[int], closed: list[int]) -> Lattice:
    """Without the moduli on which no membership depends."""
    for one in moduli:
        others = tuple(other for other in moduli if other != one)
        project = _projection(moduli, others)
        inside = {project(cell) for cell in closed if cell in cells}
        outside = {project(cell) for cell in closed if cell not in cells}
        if not inside & outside:
            return _reduced(others, inside, sorted(inside | outside))
    return Lattice(moduli, frozenset(cells))


def _projection(moduli: tuple[Decimal, ...], onto: tuple[Decimal, ...]) -> Callable[[int], int]:
    bits = [moduli.index(one) for one in onto]
    return lambda cell: _mask(cell >> bit & 1 for bit in bits)


def _closed_cells(moduli: tuple[Decimal, ...]) -> list[int]:
    digits = max(0, *(-one.as_tuple().exponent for one in moduli))  # type: ignore[operator]
    whole = [int(one.scaleb(digits, EXACT)) for one in moduli]
    found = {0}
    for subset in range(1, 1 << len(whole)):
        common = lcm(*(one for bit, one in enumerate(whole) if subset >> bit & 1))
        found.add(_mask(common % one == 0 for one in whole))
    return sorted(found)


def _mask(bits: Iterable[object]) -> int:
    return sum(1 << place for place, bit in enumerate(bits) if bit)
