"""The nodes of regular expressions, and what is known of each from its kind and items alone.

Invariant: without AND, NOT and assertions inside (`is_plain`), a node that is not EMPTY has a text, and `min_len` is
its length. Everywhere else `min_len` is a lower and `max_len` an upper bound.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from radixgen.automata.codepoints import Ranges

MANY = 1 << 20
"""A length or count that stands for "no useful bound"."""


class Kind(IntEnum):
    EMPTY = 0
    EPSILON = 1
    CLASS = 2
    CONCAT = 3
    ALT = 4
    AND = 5
    NOT = 6
    REPEAT = 7
    AHEAD = 8
    """Matches nothing, where the rest of the text is one of items[0]'s (high 1: is none of them)."""
    BEHIND = 9
    """Matches nothing, where the text so far is one of items[0]'s (high 1: is none of them)."""
    PLACED = 10
    """items[0], with assertions inside, at a place in the text: the rests of its `behinds` are the other items.

    low 1: it accepts where the text ends here.
    """
    LATER = 11
    """Made, by `low`, when it is derived: a plain node with the first classes `items`, and with `high` as `min_len`."""


_NOT_PLAIN = frozenset((Kind.AND, Kind.NOT, Kind.AHEAD, Kind.BEHIND, Kind.PLACED))


class Node:
    """One language. Compare by identity: a `Regexes` makes each node once."""

    __slots__ = (
        "behinds",
        "classes",
        "derived",
        "front",
        "has_ahead",
        "high",
        "is_plain",
        "items",
        "kind",
        "low",
        "max_len",
        "min_len",
        "need",
        "nullable",
        "positions",
        "ranges",
        "serial",
    )

    kind: Kind
    items: tuple[Node, ...]
    low: int
    high: int | None
    """REPEAT counts; high None is no end."""
    ranges: Ranges
    serial: int
    nullable: bool
    """The empty text is in; around assertions: whatever they say."""
    min_len: int
    max_len: int | None
    is_plain: bool
    front: int
    """A bit for each CLASS node (its `low` says which) that the first character may be tested against."""
    classes: int
    """A bit for each CLASS node inside; -1 where some are not known yet."""
    behinds: frozenset[Node]
    """The languages that BEHIND nodes inside ask for."""
    has_ahead: bool
    need: int
    """Upper bound of the shortest text of any derivative, in characters."""
    positions: int
    """Upper bound of the number of partial derivatives."""
    derived: dict[object, Node]
    """The derivatives found so far."""

    @property
    def is_free(self) -> bool:
        """No assertion inside that depends on what stands around."""
        return not self.has_ahead and not self.behinds


class _Size(NamedTuple):
    nullable: bool
    min_len: int
    max_len: int | None
    need: int
    positions: int


def measure(node: Node) -> None:
    """Fill what follows from kind and items."""
    items = node.items
    node.derived = {}
    node.is_plain = node.kind not in _NOT_PLAIN
    node.is_plain = node.is_plain and all(item.is_plain for item in items)
    node.front = 0
    node.classes = 1 << node.low if node.kind == Kind.CLASS else -1 if node.kind == Kind.LATER else 0
    node.behinds = frozenset()
    node.has_ahead = node.kind == Kind.AHEAD
    for item in items:
        node.front |= item.front
        node.classes |= item.classes
        node.has_ahead |= item.has_ahead
        if item.behinds:
            node.behinds |= item.behinds
    node.nullable, node.min_len, node.max_len, node.need, node.positions = _size(node)


def _size(node: Node) -> _Size:
    items = node.items
    match node.kind:
        case Kind.CLASS:
            node.front = 1 << node.low
            return _Size(nullable=False, min_len=1, max_len=1, need=1, positions=2)
        case Kind.CONCAT:
            if items[0].is_free and not items[0].nullable:
                node.front = items[0].front
            return _concat_size(*items)
        case Kind.ALT:
            return _alt_size(items)
        case Kind.AND:
            return _and_size(items)
        case Kind.NOT:
            is_known, is_in = items[0].is_free, items[0].nullable
            return _Size(is_known and not is_in, int(is_known and is_in), max_len=None, need=MANY, positions=MANY)
        case Kind.REPEAT:
            return _repeat_size(items[0], node.low, node.high)
        case Kind.AHEAD | Kind.BEHIND:
            if node.kind == Kind.BEHIND:
                node.behinds |= {items[0]}
            return _Size(nullable=False, min_len=0, max_len=0, need=MANY, positions=MANY)
        case Kind.PLACED:
            node.behinds, node.has_ahead = frozenset(), False
            return _Size(bool(node.low), items[0].min_len, items[0].max_len, need=MANY, positions=MANY)
        case Kind.LATER:
            return _Size(nullable=False, min_len=node.high or 0, max_len=None, need=MANY, positions=MANY)
    return _Size(nullable=node.kind == Kind.EPSILON, min_len=0, max_len=0, need=0, positions=1)


def _cap(value: int) -> int:
    return min(value, MANY)


def _concat_size(head: Node, tail: Node) -> _Size:
    return _Size(
        nullable=head.nullable and tail.nullable,
        min_len=head.min_len + tail.min_len,
        max_len=None if head.max_len is None or tail.max_len is None else head.max_len + tail.max_len,
        need=_cap(max(head.need + tail.min_len, tail.need)),
        positions=_cap(head.positions + tail.positions),
    )


def _alt_size(items: tuple[Node, ...]) -> _Size:
    longest = [item.max_len for item in items if item.max_len is not None]
    return _Size(
        nullable=any(item.nullable for item in items),
        min_len=min(item.min_len for item in items),
        max_len=max(longest) if len(longest) == len(items) else None,
        need=max(item.need for item in items),
        positions=_cap(sum(item.positions for item in items)),
    )


def _and_size(items: tuple[Node, ...]) -> _Size:
    """The shortest text of a product is no longer than the longest text, nor than the product of the sizes."""
    product = 1
    for item in items:
        product = _cap(product * item.positions)
    longest = min((item.max_len for item in items if item.max_len is not None), default=None)
    return _Size(
        nullable=all(item.nullable for item in items),
        min_len=max(item.min_len for item in items),
        max_len=longest,
        need=min(product, MANY if longest is None else longest),
        positions=product,
    )


def _repeat_size(item: Node, low: int, high: int | None) -> _Size:
    return _Size(
        nullable=low == 0 or item.nullable,
        min_len=low * item.min_len,
        max_len=None if high is None or item.max_len is None else high * item.max_len,
        need=_cap(item.need + max(low - 1, 0) * item.min_len),
        positions=_cap(item.positions * (low + 1 if high is None else high)),
    )
