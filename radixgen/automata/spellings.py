"""How the characters of a shape are spelled, byte by byte: as UTF-8, or as hexadecimal digits of UTF-16 units.

A `Spelling` is a row of a table with its branches still without targets; pure functions of shapes, so each is worked
out once for all automata (within a bound).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.automata.codepoints import LAST
from radixgen.automata.shapes import Moves, Shape, moves

MAX_KEPT = 4_096
NOWHERE = -1


class Branch(NamedTuple):
    """num_left more bytes or digits, which the shape divides among the targets `picks` points at."""

    num_left: int
    shape: Shape
    picks: tuple[int, ...]


class Spelling(NamedTuple):
    row: npt.NDArray[np.int16]
    """[256] the branch that a byte leads to, or NOWHERE (the last entry of what `take` picks from)."""
    branches: tuple[Branch, ...]


class Pair(NamedTuple):
    """The second half of a surrogate pair: its ten bits are divided among the targets `picks` points at."""

    shape: Shape
    picks: tuple[int, ...]


class Units(NamedTuple):
    """UTF-16 units; each index of the shape leads to a target (its index) or to the second half of a pair."""

    shape: Shape
    made: tuple[int | Pair, ...]


_LEADS = ((0xC2, 0xDF, 1, 0x1F, 0x80), (0xE0, 0xEF, 2, 0x0F, 0x800), (0xF0, 0xF4, 3, 0x07, 0x10000))


class _Builder:
    def __init__(self) -> None:
        self._row = np.full(256, NOWHERE, np.int16)
        self._numbers: dict[Branch, int] = {}

    def put(self, byte: int, num_left: int, part: Moves) -> None:
        if part.targets:
            branch = Branch(num_left, part.shape, part.targets)
            self._row[byte] = self._numbers.setdefault(branch, len(self._numbers))

    def spelling(self) -> Spelling:
        return Spelling(self._row, tuple(self._numbers))


@lru_cache(MAX_KEPT)
def leads(shape: Shape) -> Spelling:
    """The first bytes of characters beyond ASCII."""
    built = _Builder()
    for first, last, num_left, bits, smallest in _LEADS:
        for lead in range(first, last + 1):
            base = (lead & bits) << (6 * num_left)
            built.put(lead, num_left, shape.cut(max(base, smallest), base + (1 << (6 * num_left)) - 1, base))
    return built.spelling()


@lru_cache(MAX_KEPT)
def continuation(num_bytes: int, shape: Shape) -> Spelling:
    """One of `num_bytes` bytes that add up to a number of the shape."""
    built = _Builder()
    size = 1 << (6 * (num_bytes - 1))
    for value in range(64):
        built.put(0x80 + value, num_bytes - 1, shape.cut(value * size, (value + 1) * size - 1, value * size))
    return built.spelling()


@lru_cache(MAX_KEPT)
def digit(num_digits: int, shape: Shape) -> Spelling:
    """One of `num_digits` hexadecimal digits that make a number of the shape."""
    built = _Builder()
    size = 1 << (4 * (num_digits - 1))
    for value, char in enumerate("0123456789abcdef"):
        part = shape.cut(value * size, (value + 1) * size - 1, value * size)
        built.put(ord(char), num_digits - 1, part)
        built.put(ord(char.upper()), num_digits - 1, part)
    return built.spelling()


@lru_cache(MAX_KEPT)
def units(shape: Shape) -> Units:
    """What the four digits behind `\\u` may say."""
    found: list[tuple[int, int, int | Pair]] = []
    found += [piece for piece in _absolute(shape, 0, 0xFFFF) if piece[1] < 0xD800]
    found += _pairs(_absolute(shape, 0x10000, LAST))
    found += [piece for piece in _absolute(shape, 0, 0xFFFF) if piece[0] > 0xDFFF]
    joined = moves(found)
    return Units(joined.shape, joined.targets)


def _absolute(shape: Shape, low: int, high: int) -> list[tuple[int, int, int]]:
    part = shape.cut(low, high)
    return [(first, last, part.targets[index]) for first, last, index in part.shape.pieces]


def _pairs(pieces: list[tuple[int, int, int]]) -> list[tuple[int, int, int | Pair]]:
    """High surrogates, each with its second half; a run of whole blocks in one piece."""
    blocks: dict[int, list[tuple[int, int, int]]] = {}
    found: list[tuple[int, int, int | Pair]] = []
    for low, high, index in pieces:
        first, last = (low - 0x10000) >> 10, (high - 0x10000) >> 10
        if low & 0x3FF or (first == last and high & 0x3FF != 0x3FF):
            blocks.setdefault(first, []).append((low & 0x3FF, high & 0x3FF if first == last else 0x3FF, index))
            first += 1
        if first <= last and high & 0x3FF != 0x3FF:
            blocks.setdefault(last, []).append((0, high & 0x3FF, index))
            last -= 1
        if first <= last:
            found.append((0xD800 + first, 0xD800 + last, _pair([(0, 0x3FF, index)])))
    found += [(0xD800 + block, 0xD800 + block, _pair(parts)) for block, parts in blocks.items()]
    return sorted(found, key=lambda piece: piece[0])


def _pair(parts: list[tuple[int, int, int]]) -> Pair:
    return Pair(*moves((0xDC00 + low, 0xDC00 + high, index) for low, high, index in parts))
