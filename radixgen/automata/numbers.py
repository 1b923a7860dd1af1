"""JSON numbers within exact bounds, compared digit by digit.

    start ─'-'─► sign ─► zero ──'.'──► dot ─► fraction      no exponents, no leading zeros, digits capped
      └────────────────► integer ─'.'─┘

A state knows the phase, how many digits of it were read, and how what was read compares with the lower and the upper
bound of the magnitude (below, same so far, above). Numbers only grow, so the graph has no cycle and liveness is a
memoised look ahead. Bounds are decimal text, never floats: 0.1 is a tenth.
"""

from __future__ import annotations

from collections.abc import Hashable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

from radixgen.automata.table import Row, TableAutomaton
from radixgen.errors import ConstraintError

INTEGER_DIGITS = 16
FRACTION_DIGITS = 10
MAX_BOUND_DIGITS = 200

Phase = Literal["start", "sign", "zero", "integer", "dot", "fraction"]


class Interval(NamedTuple):
    """What a number may be. A bound of None is none; `is_open` leaves the bound itself out."""

    is_integer: bool = False
    low: Decimal | None = None
    is_low_open: bool = False
    high: Decimal | None = None
    is_high_open: bool = False

    def contains(self, value: Decimal) -> bool:
        if self.is_integer and value != value.to_integral_value():
            return False
        if self.low is not None and (value < self.low or (self.is_low_open and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.is_high_open and value == self.high))


class _Bound(NamedTuple):
    """A magnitude to compare with, as digits; `integer` has no leading zeros, `fraction` no trailing ones."""

    integer: str
    fraction: str
    is_open: bool


class _Range(NamedTuple):
    low: _Bound
    high: _Bound | None


class _Read(NamedTuple):
    """What was read. `low` and `high`: -1 below the bound, 0 the same so far, 1 above (as the digits read stand)."""

    phase: Phase
    is_negative: bool = False
    num_digits: int = 0
    low: int = 0
    high: int = 0


_START = _Read("start")


def _bound(value: Decimal, is_open: bool) -> _Bound:
    if value.adjusted() > MAX_BOUND_DIGITS or value.as_tuple().exponent < -MAX_BOUND_DIGITS:  # type: ignore[operator]
        raise ConstraintError(f"the bound {value} has more than {MAX_BOUND_DIGITS} digits")
    integer, _, fraction = format(abs(value), "f").partition(".")
    return _Bound(integer.lstrip("0") or "0", fraction.rstrip("0"), is_open)


def _whole(interval: Interval) -> Interval:
    """An integer interval with closed integer bounds."""
    low, high = interval.low, interval.high
    if low is not None:
        floor = low.to_integral_value(ROUND_CEILING)
        low = floor + 1 if interval.is_low_open and floor == low else floor
    if high is not None:
        ceiling = high.to_integral_value(ROUND_FLOOR)
        high = ceiling - 1 if interval.is_high_open and ceiling == high else ceiling
    return Interval(True, low, False, high, False)


class NumberAutomaton(TableAutomaton):
    """The numbers of an interval in plain decimal notation.

    At most 16 digits before the point and 10 after it, or as many as the bounds need. An integer is written without a
    point; "-0" only as a number that may be 0.

    Raises:
        ConstraintError: for a bound of more than 200 digits.
    """

    def __init__(self, interval: Interval) -> None:
        if interval.is_integer:
            interval = _whole(interval)
        self._is_integer = interval.is_integer
        self._ranges = {False: _positive(interval), True: _negative(interval)}
        bounds = [one for pair in self._ranges.values() if pair for one in pair if one]
        self._integer_digits = max([INTEGER_DIGITS, *(len(one.integer) + 1 for one in bounds)])
        self._fraction_digits = max([FRACTION_DIGITS, *(len(one.fraction) + 1 for one in bounds)])
        self._best: dict[_Read, bytes | None] = {}
        super().__init__(_START, self._integer_digits + self._fraction_digits + 2)

    def is_empty(self) -> bool:
        """True when no number lies in the interval."""
        return self._shortest(_START) is None

    def _accepts(self, key: Hashable) -> bool:
        assert isinstance(key, _Read)
        if key.phase not in ("zero", "integer", "fraction"):
            return False
        pair = self._ranges[key.is_negative]
        assert pair is not None
        low = self._compare(key, key.low, pair.low)
        if low < 0 or (low == 0 and pair.low.is_open):
            return False
        high = self._compare(key, key.high, pair.high) if pair.high else -1
        return high < 0 or (high == 0 and pair.high is not None and not pair.high.is_open)

    def _compare(self, key: _Read, so_far: int, bound: _Bound) -> int:
        """The number read, ended here, against a bound."""
        if key.phase != "fraction":
            so_far = _with_length(so_far, key.num_digits, bound)
        is_short = bool(bound.fraction[key.num_digits if key.phase == "fraction" else 0 :])
        return -1 if so_far == 0 and is_short else so_far

    def _moves(self, key: _Read) -> list[tuple[str, _Read]]:
        """The characters that the grammar allows, and where they lead; dead states too."""
        if key.phase in ("start", "sign"):
            moves = [("0", self._digit(key, "zero", "0"))] + [(d, self._digit(key, "integer", d)) for d in "123456789"]
            moves = [move for move in moves if self._ranges[key.is_negative]]
            has_sign = key.phase == "start" and self._ranges[True]
            return [*moves, ("-", _Read("sign", True))] if has_sign else moves
        if key.phase in ("dot", "fraction"):
            return [
                (d, self._digit(key, "fraction", d)) for d in "0123456789" if key.num_digits < self._fraction_digits
            ]
        moves = [] if self._is_integer else [(".", self._dot(key))]
        if key.phase == "integer" and key.num_digits < self._integer_digits:
            moves += [(d, self._digit(key, "integer", d)) for d in "0123456789"]
        return moves

    def _digit(self, key: _Read, phase: Phase, digit: str) -> _Read:
        pair = self._ranges[key.is_negative]
        if pair is None:
            return key
        low = _next_digit(key.low, pair.low, phase, key.num_digits, digit)
        high = _next_digit(key.high, pair.high, phase, key.num_digits, digit) if pair.high else -1
        return _Read(phase, key.is_negative, key.num_digits + 1, low, high)

    def _dot(self, key: _Read) -> _Read:
        pair = self._ranges[key.is_negative]
        assert pair is not None
        high = _with_length(key.high, key.num_digits, pair.high) if pair.high else -1
        return _Read("dot", key.is_negative, 0, _with_length(key.low, key.num_digits, pair.low), high)

    def _shortest(self, key: _Read) -> bytes | None:
        if key not in self._best:
            self._best[key] = b"" if self._accepts(key) else self._look_ahead(key)
        return self._best[key]

    def _look_ahead(self, key: _Read) -> bytes | None:
        found = [(char, self._shortest(target)) for char, target in self._moves(key)]
        return min((char.encode() + rest for char, rest in found if rest is not None), key=len, default=None)

    def _fill(self, key: Hashable, row: Row) -> None:
        assert isinstance(key, _Read)
        for char, target in self._moves(key):
            if self._shortest(target) is not None:
                row[ord(char)] = self._state(target)

    def _complete(self, key: Hashable) -> bytes:
        assert isinstance(key, _Read)
        found = self._shortest(key)
        assert found is not None, "a dead state exists"
        return found


def _next_digit(so_far: int, bound: _Bound, phase: Phase, place: int, digit: str) -> int:
    if so_far != 0:
        return so_far
    digits = bound.fraction if phase == "fraction" else bound.integer
    if place >= len(digits):
        # past the bound's digits: its integer part is outgrown, its fraction goes on in zeros
        return 1 if phase != "fraction" or digit != "0" else 0
    return (digit > digits[place]) - (digit < digits[place])


def _with_length(so_far: int, count: int, bound: _Bound) -> int:
    """An integer part of `count` digits against the bound's: the longer one is larger."""
    if count != len(bound.integer):
        return -1 if count < len(bound.integer) else 1
    return so_far


def _positive(interval: Interval) -> _Range | None:
    zero = Decimal(0)
    if interval.high is not None and interval.high < 0:
        return None
    is_inside = interval.low is not None and interval.low >= 0
    low = _bound(interval.low, interval.is_low_open) if is_inside and interval.low is not None else _bound(zero, False)
    return _Range(low, None if interval.high is None else _bound(interval.high, interval.is_high_open))


def _negative(interval: Interval) -> _Range | None:
    """The magnitudes of what a minus sign may stand before; -0 is no integer's spelling."""
    zero = Decimal(0)
    if interval.low is not None and interval.low > 0:
        return None
    is_inside = interval.high is not None and (interval.high < 0 or (interval.high == 0 and interval.is_high_open))
    low = (
        _bound(-interval.high, interval.is_high_open)
        if is_inside and interval.high is not None
        else _bound(zero, False)
    )
    if interval.is_integer and low.integer == "0":
        low = _Bound("1", "", False)
    return _Range(low, None if interval.low is None else _bound(-interval.low, interval.is_low_open))
