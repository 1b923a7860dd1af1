r"""How characters are spelled in bytes, apart from where they lead: made once for all automata.

A `Shape` is what is left to be written of a character. Its moves lead to another shape, or to an end; ends are numbered
slots, and an automaton that uses the shape says which of its own states stand for the slots:

    é..ÿ to slot 0, all else beyond ASCII to slot 1

    leads   C3 ──► Shape(80..A8: slot 0, A9..BF: slot 1)      C2, C4..DF ──► Shape(80..BF: slot 0), its slot 0 is our 1
            E0 ──► Shape(A0..BF ──► Shape(80..BF: slot 0)) ...

Slots are counted anew in every shape, so that equal parts of different characters are one shape, whatever they lead to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

MOST_SHAPES = 4096


class Piece(NamedTuple):
    """Numbers low..high lead to slot `slots[0]`, or on to `shape`, whose slots are `slots`."""

    low: int
    high: int
    shape: Shape | None
    slots: tuple[int, ...]


class Move(NamedTuple):
    """Bytes first..last lead to slot `slots[0]`, or on to `shape`, whose slots are `slots`."""

    first: int
    last: int
    shape: Shape | None
    slots: tuple[int, ...]


class Shape:
    """Compared by identity: equal ones are the same."""

    __slots__ = ("moves", "paths")

    def __init__(self, moves: tuple[Move, ...]) -> None:
        self.moves = moves
        paths: dict[int, bytes] = {}
        for first, _, shape, slots in moves:
            for place, slot in enumerate(slots):
                path = bytes([first]) + (b"" if shape is None else shape.paths[place])
                if slot not in paths or len(path) < len(paths[slot]):
                    paths[slot] = path
        self.paths: list[bytes] = [paths[slot] for slot in range(len(paths))]
        """[slot] a shortest way there."""


Pieces = tuple[Piece, ...]
_LEADS = ((0xC2, 0xDF, 1, 0x1F, 0x80), (0xE0, 0xEF, 2, 0x0F, 0x800), (0xF0, 0xF4, 3, 0x07, 0x10000))


@lru_cache(MOST_SHAPES)
def utf8_leads(pieces: Pieces) -> tuple[Move, ...]:
    """The first bytes of characters beyond ASCII in UTF-8. pieces: code points, to slots."""
    moves = []
    for first, last, num_bytes, bits, smallest in _LEADS:
        size = 1 << 6 * num_bytes
        for lead in range(first, last + 1):
            base = (lead & bits) * size
            part, slots = _renumbered(_cut(pieces, max(base, smallest), base + size - 1, base))
            if part:
                moves.append(Move(lead, lead, _utf8_tail(num_bytes, part), slots))
    return tuple(_joined(moves))


@lru_cache(MOST_SHAPES)
def _utf8_tail(num_bytes: int, pieces: Pieces) -> Shape:
    """`num_bytes` continuation bytes that add up to one of the pieces."""
    size = 1 << 6 * (num_bytes - 1)
    moves = []
    for value in range(64):
        part, slots = _renumbered(_cut(pieces, value * size, (value + 1) * size - 1, value * size))
        if part:
            shape = _utf8_tail(num_bytes - 1, part) if num_bytes > 1 else None
            moves.append(Move(0x80 + value, 0x80 + value, shape, slots))
    return Shape(tuple(_joined(moves)))


@lru_cache(MOST_SHAPES)
def hex_escape(pieces: Pieces) -> Shape:
    r"""What follows `\u`; two escapes for characters beyond the first plane. pieces: code points, to slots."""
    plane0 = _cut(pieces, 0, 0xFFFF, 0)
    beyond, slots = _renumbered(_cut(pieces, 0x10000, 0x10FFFF, 0x10000))
    pairs = [one._replace(slots=tuple(slots[slot] for slot in one.slots)) for one in _high_surrogates(beyond)]
    return _hex(4, tuple(sorted([*plane0, *pairs], key=lambda one: one.low)))


@lru_cache(MOST_SHAPES)
def _hex(num_digits: int, pieces: Pieces) -> Shape:
    size = 1 << 4 * (num_digits - 1)
    moves = []
    for value, digit in enumerate("0123456789abcdef"):
        part, slots = _renumbered(_cut(pieces, value * size, (value + 1) * size - 1, value * size))
        if part:
            shape = _hex(num_digits - 1, part) if num_digits > 1 else part[0].shape
            moves += [Move(ord(one), ord(one), shape, slots) for one in sorted({digit, digit.upper()})]
    return Shape(tuple(_joined(sorted(moves, key=lambda one: one.first))))


@lru_cache(MOST_SHAPES)
def _high_surrogates(pieces: Pieces) -> tuple[Piece, ...]:
    r"""What the first halves of pairs lead to: `\u` and a second half. pieces: code points less 0x10000, to slots."""
    found: list[Piece] = []
    for block in range(0x400) if pieces else ():
        part, slots = _renumbered(_cut(pieces, block << 10, (block << 10) + 0x3FF, block << 10))
        if not part:
            continue
        low = tuple(one._replace(low=0xDC00 + one.low, high=0xDC00 + one.high) for one in part)
        found.append(Piece(0xD800 + block, 0xD800 + block, _low_surrogates(low), slots))
    return tuple(found)


@lru_cache(MOST_SHAPES)
def _low_surrogates(pieces: Pieces) -> Shape:
    shape = _hex(4, pieces)
    slots = tuple(range(len(shape.paths)))
    for byte in reversed(b"\\u"):
        shape = Shape((Move(byte, byte, shape, slots),))
    return shape


def _cut(pieces: Pieces, low: int, high: int, base: int) -> list[Piece]:
    """The part of pieces within low..high, counted from `base`."""
    return [
        Piece(max(one.low, low) - base, min(one.high, high) - base, one.shape, one.slots)
        for one in pieces
        if one.low <= high and one.high >= low
    ]


def _renumbered(pieces: list[Piece]) -> tuple[Pieces, tuple[int, ...]]:
    """The pieces with slots counted in order of their first use, and which slots those were; neighbours joined."""
    order: dict[int, int] = {}
    found: list[Piece] = []
    for low, high, shape, slots in pieces:
        new = tuple(order.setdefault(slot, len(order)) for slot in slots)
        if found and found[-1].high + 1 == low and found[-1][2:] == (shape, new):
            found[-1] = found[-1]._replace(high=high)
        else:
            found.append(Piece(low, high, shape, new))
    return tuple(found), tuple(order)


def _joined(moves: list[Move]) -> list[Move]:
    """Neighbours that lead to the same as one move."""
    found: list[Move] = []
    for move in moves:
        if found and found[-1].last + 1 == move.first and found[-1][2:] == move[2:]:
            found[-1] = found[-1]._replace(last=move.last)
        else:
            found.append(move)
    return found
