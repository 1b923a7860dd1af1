"""How code points are divided among the next states of a character machine, apart from what these states are.

    `[a-z]|é` anywhere:   shape  0..60:0  61..7a:1  7b..e8:0  e9:1  ea..10ffff:0        targets (same again, found)

Many states share one shape, and everything that depends on it alone (its spelling in bytes, see `spellings`) is worked
out once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from radixgen.automata import codepoints


class Piece(NamedTuple):
    """Code points low..high lead to the target of this number."""

    low: int
    high: int
    target: int


class Shape:
    """Disjoint pieces in order, none that its neighbour could join; indexes numbered as they first appear."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self.pieces = pieces
        self._hash = hash(pieces)
        self._relabelled: dict[tuple[int, ...], Moves] = {}

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Shape) and self.pieces == other.pieces)

    @cached_property
    def plainest(self) -> tuple[int, ...]:
        """For each index the code point that reads best."""
        best: dict[int, int] = {}
        for low, high, index in self.pieces:
            point = codepoints.plainest(low, high)
            if index not in best or codepoints.spelling_cost(point) < codepoints.spelling_cost(best[index]):
                best[index] = point
        return tuple(best[index] for index in range(len(best)))

    def find(self, point: int) -> int | None:
        """The index of the piece that holds a code point."""
        at = bisect_right(self.pieces, (point, codepoints.LAST + 1)) - 1
        return self.pieces[at].target if at >= 0 and point <= self.pieces[at].high else None

    def cut(self, low: int, high: int, base: int = 0) -> Moves:
        """What lies in low..high, counted from `base`; its targets are indexes of this shape."""
        at = max(bisect_right(self.pieces, (low, codepoints.LAST + 1)) - 1, 0)
        found = []
        for piece in self.pieces[at:]:
            if piece.low > high:
                break
            if piece.high >= low:
                found.append((max(piece.low, low) - base, min(piece.high, high) - base, piece.target))
        return moves(found)

    def relabel(self, labels: tuple[int, ...]) -> Moves:
        """Pieces of equal labels joined, those of label -1 left out; its targets are the labels."""
        found = self._relabelled.get(labels)
        if found is None:
            kept = ((low, high, labels[index]) for low, high, index in self.pieces if labels[index] >= 0)
            found = self._relabelled[labels] = moves(kept)
        return found


class Moves(NamedTuple):
    """A shape and where its indexes lead."""

    shape: Shape
    targets: tuple[Any, ...]


def moves(ranges: Iterable[tuple[int, int, Any]]) -> Moves:
    """The shape of ranges in order, each with its target."""
    pieces: list[Piece] = []
    indexes: dict[Any, int] = {}
    for low, high, target in ranges:
        index = indexes.setdefault(target, len(indexes))
        if pieces and pieces[-1].target == index and pieces[-1].high + 1 == low:
            pieces[-1] = Piece(pieces[-1].low, high, index)
        else:
            pieces.append(Piece(low, high, index))
    return Moves(Shape(tuple(pieces)), tuple(indexes))


def led_by(shape: Shape, targets: Sequence[Any]) -> Moves:
    """A shape whose indexes lead to `targets`, of which some may be the same, and None is nowhere."""
    numbers: dict[Any, int] = {}
    labels = tuple(-1 if one is None else numbers.setdefault(one, len(numbers)) for one in targets)
    if labels == tuple(range(len(targets))):
        return Moves(shape, tuple(targets))
    joined, left = shape.relabel(labels)
    known = tuple(numbers)
    return Moves(joined, tuple(known[label] for label in left))
