"""The JSON numbers of a `NumberSet` as an automaton, in plain decimal notation.

    start ─'-'─► sign ─► zero ──'.'──► point ─► fraction      no leading zeros, digits capped
      └────────────────► whole ─'.'──────┘

A state stands for all prefixes that have the same futures: those whose completions fall, for every number of digits to
come, between the same ends of the set (else the prefix itself is the key: there are as many as the ends have digits),
and leave the same remainders. Whether anything can still be completed is arithmetic, never a search.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from decimal import Decimal
from math import gcd
from typing import NamedTuple

from radixgen.automata.machine import DEAD
from radixgen.automata.numberset import NumberSet
from radixgen.automata.pieces import Pieces
from radixgen.automata.table import Row, TableAutomaton
from radixgen.automata.work import Work

WHOLE_DIGITS = 20
"""Before the point, as a 64-bit integer has; more where the set's ends need them."""
FRACTION_DIGITS = 20
"""Behind it; a double written in full has 17 digits."""
MAX_EASY_DIGITS = 64
"""Ends with more digits than this lengthen numbers only when nothing shorter is in the set."""
MAX_DOUBLE = Decimal("1.7976931348623157e308")

_DOT, _MINUS, _ZERO = 46, 45, 48


class Read(NamedTuple):
    """A prefix: its digits as one number, and how many of them stand before and behind the point."""

    phase: str
    is_negative: bool = False
    digits: int = 0
    num_whole: int = 0
    num_fraction: int = 0


class Move(NamedTuple):
    byte: int
    read: Read


class Window(NamedTuple):
    """Values low..high, times 10**fraction digits: what completions with one number of digits may become."""

    low: int
    high: int


_START, _POSITIVE, _NEGATIVE = Read("start"), Read("sign"), Read("sign", True)


class _Sign(NamedTuple):
    """The set as one sign sees it; `fractions` are the members that need a point."""

    members: Pieces
    fractions: Pieces


class NumberAutomaton(TableAutomaton):
    """The members of a set, as JSON writes them without an exponent.

    plain_integers: where only integers can follow there is no point (5, never 5.0), and no "-0".
    """

    def __init__(self, numbers: NumberSet, *, plain_integers: bool = False, work: Work | None = None) -> None:
        self._is_plain = plain_integers
        self._effort = work or Work()
        self._reads: dict[Hashable, Read] = {}
        self._alive: dict[Hashable, bool] = {}
        self._set(numbers, num_whole_digits(numbers, MAX_EASY_DIGITS))
        if self.is_empty() and numbers.ends:
            finite = NumberSet.at_least(-MAX_DOUBLE) & NumberSet.at_most(MAX_DOUBLE)
            self._set(numbers & finite, num_whole_digits(numbers, MAX_DOUBLE.adjusted() + 1))
        super().__init__(self._key(_START), self._whole_digits + self._fraction_digits + 2, work)

    def _set(self, numbers: NumberSet, whole_digits: int) -> None:
        self._whole_digits = whole_digits
        self._fraction_digits = max(FRACTION_DIGITS, num_fraction_digits(numbers) + 1)
        self._scale_digits = self._fraction_digits + self._num_more_digits()
        self._unit = 10**self._scale_digits
        numbers = numbers.as_doubles(self._scale_digits)
        self._signs = [self._sign(numbers), self._sign(numbers.mirrored())]

    def _sign(self, numbers: NumberSet) -> _Sign:
        members = Pieces(numbers, self._scale_digits)
        if not self._is_plain:
            return _Sign(members, members)
        return _Sign(members, Pieces(numbers & ~NumberSet.integers(), self._scale_digits))

    def _num_more_digits(self) -> int:
        """By how much values are scaled beyond the digits behind the point."""
        return 0

    def is_empty(self) -> bool:
        """True when no member can be written."""
        return not self._is_live(_START)

    # ---- what a prefix may become

    def _windows(self, read: Read) -> Iterator[Window]:
        """One for each number of digits still to come before the point, fewest first."""
        if read.phase == "sign":
            yield Window(int(self._is_plain and read.is_negative), 10 * self._unit - 1)
            low, end, count = self._unit, 10 * self._unit, 1
        else:
            scale = 10 ** (self._scale_digits - read.num_fraction)
            low, end, count = read.digits * scale, (read.digits + 1) * scale, read.num_whole
            yield Window(low, end - 1)
        if read.phase in ("sign", "whole"):
            for _ in range(self._whole_digits - count):
                low, end = 10 * low, 10 * end
                yield Window(low, end - 1)

    def _is_live(self, read: Read) -> bool:
        if read.phase == "start":
            return self._is_live(_POSITIVE) or self._is_live(_NEGATIVE)
        return any(self._member(read, window) is not None for window in self._windows(read))

    def _member(self, read: Read, window: Window, step: int = 1) -> int | None:
        """The least member in a window that can still be written behind a prefix, and is a multiple of `step`."""
        self._effort.spend()
        sign = self._signs[read.is_negative]
        needs_fraction = self._is_plain and (read.phase == "point" or (read.is_negative and read.phase == "zero"))
        return (sign.fractions if needs_fraction else sign.members).first(*window, step)

    def _accepts_read(self, read: Read) -> bool:
        if read.phase not in ("zero", "whole", "fraction"):
            return False
        if self._is_plain and read.is_negative and read.phase == "zero":
            return False
        value = read.digits * 10 ** (self._scale_digits - read.num_fraction)
        return self._signs[read.is_negative].members.contains(value)

    # ---- states

    def _key(self, read: Read) -> Hashable:
        """Equal for prefixes with equal futures; one prefix of each is remembered."""
        phase = read.phase
        count = read.num_whole if phase == "whole" else read.num_fraction
        key = (phase, read.is_negative, count, *(() if phase in ("start", "sign") else self._future(read)))
        self._reads.setdefault(key, read)
        return key

    def _future(self, read: Read) -> tuple[Hashable, ...]:
        members = self._signs[read.is_negative].members
        places = []
        for low, high in self._windows(read):
            place = members.position(low)
            if place != members.position(high):
                return ("exactly", read.digits)
            places.append(place)
            if low > members.top:
                break
        return (*places, *(self._remainder(read, divisor) for divisor in members.divisors))

    def _remainder(self, read: Read, divisor: int) -> int:
        scale = 10 ** (self._scale_digits - read.num_fraction)
        if read.phase == "whole":
            return read.digits % (divisor // gcd(divisor, scale))
        rest = read.digits * scale % divisor
        return rest if rest == 0 or divisor - rest < scale else -1

    def _accepts(self, key: Hashable) -> bool:
        return self._accepts_read(self._reads[key])

    def _fill(self, key: Hashable, row: Row) -> None:
        read = self._reads[key]
        moves = self._moves(read)
        if len(moves) >= 10 and self._are_digits_alike(read, key):
            row[_ZERO : _ZERO + 10] = self._target(moves[0].read)
            moves = moves[10:]
        for byte, after in moves:
            row[byte] = self._target(after)

    def _are_digits_alike(self, read: Read, key: Hashable) -> bool:
        """All digits lead to one state when no end is near and no remainder counts them."""
        assert isinstance(key, tuple)
        if read.phase in ("start", "sign") or "exactly" in key:
            return False
        divisors = self._signs[read.is_negative].members.divisors
        return not divisors or (read.phase == "whole" and all(self._unit % divisor == 0 for divisor in divisors))

    def _target(self, read: Read) -> int:
        key = self._key(read)
        is_live = self._alive.get(key)
        if is_live is None:
            is_live = self._alive[key] = self._accepts_read(read) or self._is_live(read)
        return self._state(key) if is_live else DEAD

    def _moves(self, read: Read) -> list[Move]:
        """The bytes that the grammar allows and what they make of a prefix; digits first, from 0."""
        phase, is_negative, digits, num_whole, num_fraction = read
        if phase in ("start", "sign"):
            moves = [Move(_ZERO, Read("zero", is_negative, 0, 1))]
            moves += [Move(_ZERO + one, Read("whole", is_negative, one, 1)) for one in range(1, 10)]
            return [*moves, Move(_MINUS, _NEGATIVE)] if phase == "start" else moves
        point = [Move(_DOT, read._replace(phase="point"))] if phase in ("zero", "whole") else []
        if phase in ("point", "fraction"):
            after, is_full = ("fraction", num_whole, num_fraction + 1), num_fraction == self._fraction_digits
        else:
            after, is_full = ("whole", num_whole + 1, 0), phase == "zero" or num_whole == self._whole_digits
        if is_full:
            return point
        phase, num_whole, num_fraction = after
        tens = 10 * digits
        more = [Move(_ZERO + one, Read(phase, is_negative, tens + one, num_whole, num_fraction)) for one in range(10)]
        return more + point

    # ---- completion

    def _complete(self, key: Hashable) -> bytes:
        read = self._reads[key]
        if read.phase != "start":
            found = self._shortest(read)
        else:
            found = self._shortest(_POSITIVE)
            if found is None:
                negative = self._shortest(_NEGATIVE)
                found = None if negative is None else b"-" + negative
        assert found is not None, "a dead state exists"
        return found

    def _shortest(self, read: Read) -> bytes | None:
        """What is to be written behind a prefix; None where nothing completes it."""
        windows = list(self._windows(read))
        least = int(read.phase == "point")
        most = self._fraction_digits - read.num_fraction
        for total in range(least, len(windows) + most):
            for more in range(max(0, total - most), min(total - least, len(windows) - 1) + 1):
                num_fraction = read.num_fraction + total - more
                value = self._member(read, windows[more], 10 ** (self._scale_digits - num_fraction))
                if value is not None:
                    return self._rest(read, value, num_fraction)
        return None

    def _rest(self, read: Read, value: int, num_fraction: int) -> bytes:
        whole, fraction = divmod(value, self._unit)
        digits = f"{fraction:0{self._scale_digits}}"[:num_fraction]
        is_behind = read.phase in ("point", "fraction")
        text = f"{whole}.{digits}" if num_fraction or is_behind else str(whole)
        return text[read.num_whole + is_behind + read.num_fraction :].encode()


def num_fraction_digits(numbers: NumberSet) -> int:
    """The digits behind the point that ends and moduli need."""
    values = [*numbers.ends, *(one for part in numbers.parts for one in part.moduli)]
    return max((-int(one.as_tuple().exponent) for one in values), default=0)


def num_whole_digits(numbers: NumberSet, limit: int) -> int:
    """Digits before the point: one more than the ends have, of those within the limit."""
    lengths = [end.adjusted() + 1 for end in numbers.ends if end]
    return min(max([WHOLE_DIGITS, *(length + 1 for length in lengths if length <= limit)]), MAX_DOUBLE.adjusted() + 1)
