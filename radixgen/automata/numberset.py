"""Sets of numbers that JSON Schema can speak of, closed under and, or and not; exact decimals throughout.

    parts    p0     p1      p2          a set is cut at its ends; between two ends it is one lattice (all, none,
    ─────────●──────○──────────►        integers, ...), and at each end it has the point or not
    ends     e0     e1

Equal sets are equal objects but for ends that lie between the members of a lattice (integers from 0.5 and from 1).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from math import inf, isinf, nextafter

from radixgen.automata.lattice import EVERYTHING, EXACT, NOTHING, Lattice, combine, multiples
from radixgen.errors import ConstraintError

MAX_MAGNITUDE = 350
MAX_DIGITS = 1_000

Number = Decimal | int | str


def exact(number: Number) -> Decimal:
    """A JSON number as a decimal without trailing zeros.

    Raises:
        ConstraintError: for one beyond 10**350, below 10**-350, or of more than 1,000 digits.
    """
    value = Decimal(number)
    if value and (abs(value.adjusted()) > MAX_MAGNITUDE or len(value.as_tuple().digits) > MAX_DIGITS):
        raise ConstraintError(f"the number {str(number)[:40]} is beyond 10**{MAX_MAGNITUDE} or has too many digits")
    return value.normalize(EXACT) or Decimal(0)


class NumberSet:
    """Numbers by value: 1, 1.0 and 1e0 are one. Immutable and hashable."""

    __slots__ = ("_hash", "ends", "parts", "points")

    def __init__(self, ends: tuple[Decimal, ...], points: tuple[bool, ...], parts: tuple[Lattice, ...]) -> None:
        """Between ends[i-1] and ends[i] lies parts[i]; points[i] says whether ends[i] is in. Must be reduced."""
        self.ends, self.points, self.parts = ends, points, parts
        self._hash = hash((ends, points, parts))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumberSet):
            return NotImplemented
        return self.ends == other.ends and self.points == other.points and self.parts == other.parts

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        shown = [str(self.parts[0])]
        for end, has_point, part in zip(self.ends, self.points, self.parts[1:], strict=True):
            shown += [f"{end}{'●' if has_point else '○'}", str(part)]
        return f"NumberSet({' '.join(shown)})"

    @staticmethod
    def all() -> NumberSet:
        return _ALL

    @staticmethod
    def none() -> NumberSet:
        return _NONE

    @staticmethod
    def integers() -> NumberSet:
        return _INTEGERS

    @staticmethod
    def at_least(number: Number) -> NumberSet:
        return NumberSet((exact(number),), (True,), (NOTHING, EVERYTHING))

    @staticmethod
    def above(number: Number) -> NumberSet:
        return NumberSet((exact(number),), (False,), (NOTHING, EVERYTHING))

    @staticmethod
    def at_most(number: Number) -> NumberSet:
        return NumberSet((exact(number),), (True,), (EVERYTHING, NOTHING))

    @staticmethod
    def below(number: Number) -> NumberSet:
        return NumberSet((exact(number),), (False,), (EVERYTHING, NOTHING))

    @staticmethod
    def multiples(number: Number) -> NumberSet:
        """The multiples of a number above 0."""
        modulus = exact(number)
        assert modulus > 0, "multipleOf is above 0"
        return NumberSet((), (), (multiples(modulus),))

    @staticmethod
    def equal_to(*numbers: Number) -> NumberSet:
        ends = tuple(sorted({exact(one) for one in numbers}))
        return NumberSet(ends, (True,) * len(ends), (NOTHING,) * (len(ends) + 1))

    def __and__(self, other: NumberSet) -> NumberSet:
        return _merge(self, other, lambda left, right: left and right)

    def __or__(self, other: NumberSet) -> NumberSet:
        return _merge(self, other, lambda left, right: left or right)

    def __invert__(self) -> NumberSet:
        return _merge(self, self, lambda left, _: not left)

    def mirrored(self) -> NumberSet:
        """The negatives of its members; whether a number is a multiple does not depend on its sign."""
        ends = tuple(end.copy_negate() if end else end for end in self.ends[::-1])
        return NumberSet(ends, self.points[::-1], self.parts[::-1])

    def contains(self, number: Number) -> bool:
        value = Decimal(number)
        at = bisect_left(self.ends, value)
        if at < len(self.ends) and self.ends[at] == value:
            return self.points[at]
        return self.parts[at].contains(value)

    @property
    def is_empty(self) -> bool:
        return self == _NONE

    @property
    def is_finite(self) -> bool:
        return not self.parts[0].cells and not self.parts[-1].cells and not any(part.has_others for part in self.parts)

    def values(self, limit: int) -> tuple[Decimal, ...] | None:
        """All members in order, or None when there are more than `limit`."""
        if not self.is_finite:
            return None
        found: list[Decimal] = []
        for value in self._members():
            found.append(value)
            if len(found) > limit:
                return None
        return tuple(found)

    def _members(self) -> Iterator[Decimal]:
        for at, (end, has_point) in enumerate(zip(self.ends, self.points, strict=True)):
            if has_point:
                yield end
            if at + 1 < len(self.ends):
                yield from _between(self.parts[at + 1], end, self.ends[at + 1])

    def as_doubles(self, digits: int) -> NumberSet:
        """Without the fractions that a reader of doubles would round onto an excluded end.

        `digits`: how many digits behind the point a number may have; gaps narrower than that stay.
        """
        ends: list[Decimal] = []
        points: list[bool] = []
        parts: list[Lattice] = [self.parts[0]]

        def cut(end: Decimal, part: Lattice, *, has_end: bool) -> None:
            ends.append(end)
            points.append(has_end)
            parts.append(part)

        for at, (end, has_end) in enumerate(zip(self.ends, self.points, strict=True)):
            part, rest = parts[-1], self.parts[at + 1]
            below = None if has_end else _neighbour(end, -inf, digits)
            if below is not None:
                if not ends or below > ends[-1]:
                    cut(below, part, has_end=part.contains(below))
                parts[-1] = _whole_part(part)
            cut(end, rest, has_end=has_end)
            above = None if has_end else _neighbour(end, inf, digits)
            if above is not None:
                parts[-1] = _whole_part(rest)
                if at + 1 == len(self.ends) or above < self.ends[at + 1]:
                    cut(above, rest, has_end=rest.contains(above))
        return _reduced(ends, points, parts)


_WHOLE = multiples(Decimal(1))


def _whole_part(part: Lattice) -> Lattice:
    return combine(part, _WHOLE, lambda left, right: left and right)


def _neighbour(end: Decimal, towards: float, digits: int) -> Decimal | None:
    """The next double beside `end`, rounded away from it to `digits`; None where that is no wider than one digit."""
    double = float(end)
    near = nextafter(double, towards)
    if isinf(double) or isinf(near):
        return None
    unit = Decimal(1).scaleb(-digits, EXACT)
    rounding = ROUND_FLOOR if towards < 0 else ROUND_CEILING
    found = Decimal(repr(near)).quantize(unit, rounding, EXACT).normalize(EXACT)
    return None if abs(EXACT.subtract(found, end)) <= unit else found or Decimal(0)


def _between(part: Lattice, low: Decimal, high: Decimal) -> Iterator[Decimal]:
    """The members of a lattice strictly between two numbers; `part` holds multiples only."""
    digits = max(-int(one.as_tuple().exponent) for one in (low, high, *part.moduli, Decimal(1)))
    grid = part.scaled(digits)
    value, last = int(low.scaleb(digits, EXACT)), int(high.scaleb(digits, EXACT)) - 1
    while (found := grid.first(value + 1, last, 1)) is not None:
        value = found
        yield Decimal(value).scaleb(-digits, EXACT).normalize(EXACT)


def _merge(left: NumberSet, right: NumberSet, keep: Callable[[bool, bool], bool]) -> NumberSet:
    ends = sorted({*left.ends, *right.ends})
    points: list[bool] = []
    parts = [combine(left.parts[0], right.parts[0], keep)]
    i = j = 0
    for end in ends:
        is_left, is_right = left.contains(end), right.contains(end)
        i += i < len(left.ends) and left.ends[i] == end
        j += j < len(right.ends) and right.ends[j] == end
        points.append(keep(is_left, is_right))
        parts.append(combine(left.parts[i], right.parts[j], keep))
    return _reduced(ends, points, parts)


def _reduced(ends: list[Decimal], points: list[bool], parts: list[Lattice]) -> NumberSet:
    """Without parts that have no member, and without ends where nothing changes."""
    for at, (low, high) in enumerate(pairwise(ends), start=1):
        part = parts[at]
        if part.moduli and not part.has_others and next(_between(part, low, high), None) is None:
            parts[at] = NOTHING
    kept = [at for at, end in enumerate(ends) if parts[at] != parts[at + 1] or points[at] != parts[at].contains(end)]
    return NumberSet(
        tuple(ends[at] for at in kept),
        tuple(points[at] for at in kept),
        (parts[0], *(parts[at + 1] for at in kept)),
    )


_ALL = NumberSet((), (), (EVERYTHING,))
_NONE = NumberSet((), (), (NOTHING,))
_INTEGERS = NumberSet((), (), (_WHOLE,))
