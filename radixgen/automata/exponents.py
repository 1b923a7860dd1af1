"""The JSON numbers of a `NumberSet`, exponents allowed.

    0  57  3.25 ──'e'──► exponent ──'+' '-'──► digits          at most 3 digits, zeros counted

A prefix of the mantissa may be shifted by any exponent, so what counts is the place of its first digit that is not
zero, how its digits compare with those of the set's ends, its trailing zeros, and remainders without them. What a
mantissa leaves to its exponent is a bit mask of the exponents that give a member.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable
from decimal import Decimal
from itertools import islice, pairwise
from typing import NamedTuple

from radixgen.automata.numberset import NumberSet
from radixgen.automata.numerals import MAX_DOUBLE, NumberAutomaton, Read, Window
from radixgen.automata.table import Row
from radixgen.automata.work import Work

LEAST, MOST = -340, 308
_DIGITS = 3
MAX_TRIED = 4
"""Exponents among which the shortest completion is looked for."""
_E = (ord("e"), ord("E"))


class _Digits(NamedTuple):
    """masks[k]: bit v is set when k more digits that say v make an exponent that is allowed."""

    masks: tuple[int, ...]


class _Exponent(NamedTuple):
    """Behind the `e`."""

    positive: _Digits
    negative: _Digits


class ExponentAutomaton(NumberAutomaton):
    """The members of a set that are finite as doubles, as JSON writes them; 5.0 and 50e-1 for 5 as well."""

    def __init__(self, numbers: NumberSet, work: Work | None = None) -> None:
        numbers &= NumberSet.at_least(-MAX_DOUBLE) & NumberSet.at_most(MAX_DOUBLE)
        self._end_digits = sorted({_significant(end) for end in numbers.ends if end})
        self._coefficients = sorted({int(_significant(one)) for part in numbers.parts for one in part.moduli})
        self._exponents: dict[Hashable, _Exponent | None] = {}
        super().__init__(numbers, work=work)
        self.growth += _DIGITS + 2

    def _num_more_digits(self) -> int:
        return -LEAST

    # ---- mantissas

    def _is_live(self, read: Read) -> bool:
        if read.phase in ("start", "sign"):
            return any(self._is_live(move.read) for move in self._moves(read))
        if read.phase == "zero" and self._is_live(read._replace(phase="point")):
            return True
        return super()._is_live(read) or any(
            self._shifted(read, exponent, self._finest(read)) is not None for exponent in self._candidates(read)
        )

    def _finest(self, read: Read) -> int:
        """How many digits may still come."""
        more = self._whole_digits - read.num_whole if read.phase == "whole" else 0
        return more + self._fraction_digits - read.num_fraction

    def _shifted(self, read: Read, exponent: int, num_digits: int) -> int | None:
        """The least member with so many digits behind a prefix, all shifted by an exponent."""
        self._effort.spend()
        last = self._scale_digits - read.num_fraction + exponent - num_digits
        if last < 0:
            return None
        scale = 10 ** (last + num_digits)
        window = Window(read.digits * scale, (read.digits + 1) * scale - 1)
        return self._member(read, window, 10**last)

    def _candidates(self, read: Read) -> list[int]:
        """Exponents of which one works if any does: between two ends all do, and of multiples all larger ones."""
        members = self._signs[read.is_negative].members
        size = len(str(max(read.digits, 1))) + self._scale_digits - read.num_fraction
        near = {len(str(end)) - size + step for end in members.ends for step in (-1, 0, 1) if end}
        found = sorted((one for one in near | {0} if LEAST <= one <= MOST), key=abs)
        return [*found, *range(MOST, LEAST, -1)] if members.divisors else found

    def _future(self, read: Read) -> tuple[Hashable, ...]:
        text = str(read.digits)
        if not read.digits:
            return ("zeros",)
        size = len(text) - read.num_fraction
        at = bisect_left(self._end_digits, text)
        if at < len(self._end_digits) and self._end_digits[at].startswith(text):
            return ("exactly", size, text)
        if at and self._end_digits[at - 1] == text.rstrip("0"):
            return ("exactly", size, text)
        if not self._coefficients:
            return (size, at)
        bare = text.rstrip("0")
        return (size, at, len(text) - len(bare), *(int(bare) % one for one in self._coefficients))

    def _are_digits_alike(self, read: Read, key: Hashable) -> bool:
        assert isinstance(key, tuple)
        return not self._coefficients and read.digits > 0 and "exactly" not in key

    # ---- exponents

    def _exponents_of(self, key: Hashable, read: Read) -> _Exponent | None:
        if key not in self._exponents:
            mask = self._allowed(read)
            positive, negative = _digits(mask >> -LEAST), _digits(_mirrored(mask))
            self._exponents[key] = _Exponent(positive, negative) if mask else None
        return self._exponents[key]

    def _allowed(self, read: Read) -> int:
        """Bit e - LEAST: whether the mantissa with the exponent e is a member."""
        members = self._signs[read.is_negative].members
        value = read.digits * 10 ** (self._scale_digits - read.num_fraction + LEAST)
        cuts = {0, MOST - LEAST + 1}
        if value:
            size = len(str(value))
            cuts |= {len(str(end)) - size + step for end in members.ends if end for step in (-1, 0, 1, 2)}
            cuts |= {_first_multiple(value, divisor) for divisor in members.divisors}
        found = 0
        places = sorted(cut for cut in cuts if 0 <= cut <= MOST - LEAST + 1)
        for cut, after in pairwise(places):
            if members.contains(value * 10**cut):
                found |= (1 << after) - (1 << cut)
        return found

    # ---- the automaton

    def _accepts(self, key: Hashable) -> bool:
        if isinstance(key, _Digits):
            return bool(key.masks[0])
        return not isinstance(key, _Exponent) and super()._accepts(key)

    def _fill(self, key: Hashable, row: Row) -> None:
        if isinstance(key, _Exponent):
            self._fill_digits(key.positive, row)
            for sign, digits in (("+", key.positive), ("-", key.negative)):
                if any(digits.masks):
                    row[ord(sign)] = self._state(digits)
        elif isinstance(key, _Digits):
            self._fill_digits(key, row)
        else:
            super()._fill(key, row)
            read = self._reads[key]
            after = self._exponents_of(key, read) if read.phase in ("zero", "whole", "fraction") else None
            if after is not None:
                row[list(_E)] = self._state(after)

    def _fill_digits(self, key: _Digits, row: Row) -> None:
        for digit in range(10):
            after = _Digits(tuple(mask >> digit * 10**k & (1 << 10**k) - 1 for k, mask in enumerate(key.masks[1:])))
            if any(after.masks):
                row[48 + digit] = self._state(after)

    def _complete(self, key: Hashable) -> bytes:
        if isinstance(key, _Exponent):
            signed = [(b"", key.positive), (b"-", key.negative)]
            return min((sign + _written(digits) for sign, digits in signed if any(digits.masks)), key=len)
        return _written(key) if isinstance(key, _Digits) else super()._complete(key)

    def _shortest(self, read: Read) -> bytes | None:
        plain = super()._shortest(read)
        if plain is not None and len(plain) <= _DIGITS:
            return plain
        if read.phase == "sign":
            found = [(move.byte, self._shortest(move.read)) for move in self._moves(read)]
            return min((bytes([byte]) + rest for byte, rest in found if rest is not None), key=len, default=None)
        shifted = self._shortest_shifted(read, self._finest(read) if plain is None else len(plain) - _DIGITS)
        return min((one for one in (plain, shifted) if one is not None), key=len, default=None)

    def _shortest_shifted(self, read: Read, most: int) -> bytes | None:
        """With an exponent, one of the first that do, and the fewest digits, at most `most`."""
        some = (one for one in self._candidates(read) if self._shifted(read, one, max(most, 0)) is not None)
        found: list[bytes] = []
        for exponent in islice(some, MAX_TRIED if most >= 0 else 0):
            for num_digits in range(int(read.phase == "point"), most + 1):
                num_whole = max(0, num_digits - (self._fraction_digits - read.num_fraction))
                value = self._shifted(read, exponent, num_digits)
                if value is not None and exponent - num_whole >= LEAST:
                    found.append(self._with_exponent(read, value, exponent, num_digits, num_whole))
                    break
        return min(found, key=len, default=None)

    def _with_exponent(self, read: Read, value: int, exponent: int, num_digits: int, num_whole: int) -> bytes:
        """num_whole of the digits still go before the point."""
        mantissa = value // 10 ** (self._scale_digits - read.num_fraction + exponent - num_digits)
        digits = f"{mantissa % 10**num_digits:0{num_digits}}" if num_digits else ""
        whole, fraction = digits[:num_whole], digits[num_whole:]
        point = "." if fraction and read.phase in ("zero", "whole") else ""
        return f"{whole}{point}{fraction}e{exponent - num_whole}".encode()


def _significant(value: Decimal) -> str:
    return "".join(map(str, value.as_tuple().digits)).rstrip("0")


def _first_multiple(value: int, divisor: int) -> int:
    """The least power of ten that makes a value a multiple; beyond all exponents when none does."""
    low, high = 0, MOST - LEAST + 1
    while low < high:
        middle = (low + high) // 2
        if value * 10**middle % divisor:
            low = middle + 1
        else:
            high = middle
    return low


def _mirrored(mask: int) -> int:
    """Bit n of the result: the exponent -n."""
    return int(f"{mask & (1 << -LEAST + 1) - 1:0{-LEAST + 1}b}"[::-1], 2)


def _digits(mask: int) -> _Digits:
    return _Digits((0, *(mask & (1 << 10**count) - 1 for count in range(1, _DIGITS + 1))))


def _written(key: _Digits) -> bytes:
    """The fewest digits that make an allowed exponent."""
    count = next(count for count, mask in enumerate(key.masks) if mask)
    mask = key.masks[count]
    return f"{(mask & -mask).bit_length() - 1:0{count}}".encode() if count else b""


def number_automaton(
    numbers: NumberSet, *, exponents: bool = False, plain_integers: bool = False, work: Work | None = None
) -> NumberAutomaton:
    """How a set is written: see `NumberAutomaton`; `exponents` allows them (and then integers as 5.0 too)."""
    if exponents:
        return ExponentAutomaton(numbers, work)
    return NumberAutomaton(numbers, plain_integers=plain_integers, work=work)
