"""Regular expressions as interned nodes, and their Brzozowski derivatives.

A node is a language; `derive(node, c)` is what may follow after c. Smart constructors keep nodes in a normal form
(flat, sorted, absorbed: `.*|x` is `.*`), so that the set of derivatives stays finite and small, and equal languages
are mostly equal nodes. Counted repetition stays a counter (`r{m,n}`), never m copies, so an unused `{1000}` is free.

Source: J. A. Brzozowski, Derivatives of Regular Expressions, 1964; S. Owens et al., Regular-expression derivatives
re-examined, 2009.

Invariant: without AND and NOT inside (`is_plain`), a node that is not `empty` has a text, and `min_len` is its length.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.errors import RegexError

MAX_WORK = 300_000
"""Derivatives looked at (see `Regexes.allow`): about a second, then a pattern is refused, not waited for."""
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


class Node:
    """One language. Compare by identity: a `Regexes` makes each node once."""

    __slots__ = (
        "front",
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
    min_len: int
    """No text of the language is shorter (in characters)."""
    max_len: int | None
    is_plain: bool
    front: frozenset[Node]
    """The CLASS nodes that the first character is tested against."""
    need: int
    """Upper bound of the shortest text of any derivative, in characters."""
    positions: int
    """Upper bound of the number of partial derivatives."""


class Regexes:
    """Makes nodes, each once, and derives them. Not shared between threads.

    Raises:
        RegexError: from any constructor, when more than `max_nodes` nodes would exist; from `derive`, when more work
            was done than `max_work` and what was allowed on top.
    """

    def __init__(self, max_nodes: int = 400_000, max_work: int = MAX_WORK) -> None:
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._derived: dict[tuple[Node, frozenset[Node]], Node] = {}
        self._max_nodes = max_nodes
        self._work_left = max_work
        self.empty = self._make(Kind.EMPTY)
        self.epsilon = self._make(Kind.EPSILON)
        self.any_char = self._make(Kind.CLASS, ranges=codepoints.ANY)
        self.anything = self._make(Kind.REPEAT, (self.any_char,), 0, None)

    def _make(
        self, kind: Kind, items: tuple[Node, ...] = (), low: int = 0, high: int | None = 0, ranges: Ranges = ()
    ) -> Node:
        key = (kind, items, low, high, ranges)
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= self._max_nodes:
                raise RegexError(f"the pattern needs more than {self._max_nodes} nodes; make it or its counts smaller")
            node = Node()
            node.kind, node.items, node.low, node.high, node.ranges = kind, items, low, high, ranges
            node.serial = len(self._nodes)
            _measure(node)
            self._nodes[key] = node
        return node

    def chars(self, ranges: Ranges) -> Node:
        ranges = codepoints.intersect(ranges, codepoints.ANY)
        return self._make(Kind.CLASS, ranges=ranges) if ranges else self.empty

    def text(self, text: str) -> Node:
        node = self.epsilon
        for char in reversed(text):
            node = self.concat(self.chars(((ord(char), ord(char)),)), node)
        return node

    def concat(self, left: Node, right: Node) -> Node:
        if left.kind == Kind.EMPTY or right.kind == Kind.EMPTY:
            return self.empty
        heads = []
        while left.kind == Kind.CONCAT:
            heads.append(left.items[0])
            left = left.items[1]
        heads.append(left)
        node = right
        for head in reversed(heads):
            node = self._cons(head, node)
        return node

    def _cons(self, head: Node, tail: Node) -> Node:
        if head.kind == Kind.EPSILON:
            return tail
        if tail.kind == Kind.EPSILON:
            return head
        first = tail.items[0] if tail.kind == Kind.CONCAT else tail
        if head is first and head is self.anything:
            return tail
        return self._make(Kind.CONCAT, (head, tail))

    def sequence(self, nodes: Iterable[Node]) -> Node:
        node = self.epsilon
        for one in reversed(tuple(nodes)):
            node = self.concat(one, node)
        return node

    def alt(self, nodes: Iterable[Node]) -> Node:
        flat = {one for node in nodes for one in (node.items if node.kind == Kind.ALT else (node,))}
        flat.discard(self.empty)
        if self.anything in flat:
            return self.anything
        classes = [node for node in flat if node.kind == Kind.CLASS]
        if len(classes) > 1:
            flat.difference_update(classes)
            flat.add(self.chars(codepoints.union(*(node.ranges for node in classes))))
        if self.epsilon in flat and any(node.nullable for node in flat if node is not self.epsilon):
            flat.discard(self.epsilon)
        if len(flat) <= 1:
            return next(iter(flat), self.empty)
        return self._make(Kind.ALT, tuple(sorted(flat, key=_serial)))

    def both(self, nodes: Iterable[Node]) -> Node:
        """The texts that all nodes accept."""
        flat = {one for node in nodes for one in (node.items if node.kind == Kind.AND else (node,))}
        flat.discard(self.anything)
        if self.empty in flat or any(node.kind == Kind.NOT and node.items[0] in flat for node in flat):
            return self.empty
        flat = self._join_lengths(flat)
        if len(flat) <= 1:
            return next(iter(flat), self.anything)
        shortest, longest = max(node.min_len for node in flat), min(_or_many(node.max_len) for node in flat)
        if shortest > longest:
            return self.empty
        if self.epsilon in flat:
            return self.epsilon if all(node.nullable for node in flat) else self.empty
        return self._make(Kind.AND, tuple(sorted(flat, key=_serial)))

    def _join_lengths(self, flat: set[Node]) -> set[Node]:
        lengths = [node for node in flat if node.kind == Kind.REPEAT and node.items[0] is self.any_char]
        if len(lengths) < 2:
            return flat
        low = max(node.low for node in lengths)
        highs = [node.high for node in lengths if node.high is not None]
        if highs and min(highs) < low:
            return {self.empty}
        return flat.difference(lengths) | {self.repeat(self.any_char, low, min(highs, default=None))}

    def invert(self, node: Node) -> Node:
        """The texts that `node` does not accept."""
        if node.kind == Kind.NOT:
            return node.items[0]
        if node is self.anything:
            return self.empty
        return self.anything if node is self.empty else self._make(Kind.NOT, (node,))

    def repeat(self, node: Node, low: int, high: int | None) -> Node:
        """`node{low,high}`; high None is no end."""
        if node.nullable:
            low = 0
        if high == 0 or node.kind == Kind.EPSILON or (node.kind == Kind.EMPTY and low == 0):
            return self.epsilon
        if node.kind == Kind.EMPTY:
            return self.empty
        if low == high == 1:
            return node
        if node.kind == Kind.REPEAT and node.low == 0 and node.high is None and (high is None or high >= 1):
            return node
        return self._make(Kind.REPEAT, (node,), low, high)

    def allow(self, work: int) -> None:
        """More work may be done: a walk that gets to new states earns some for each."""
        self._work_left += work

    def derive(self, node: Node, true: frozenset[Node]) -> Node:
        """What may follow a first character that the CLASS nodes in `true`, of all in `node.front`, contain."""
        self._work_left -= 1
        if self._work_left < 0:
            raise RegexError("the pattern takes too long to follow; make it simpler, or its nested counts smaller")
        key = (node, true & node.front)
        found = self._derived.get(key)
        if found is None:
            found = self._derived[key] = self._derive(node, key[1])
        return found

    def _derive(self, node: Node, true: frozenset[Node]) -> Node:
        match node.kind:
            case Kind.CLASS:
                return self.epsilon if node in true else self.empty
            case Kind.CONCAT:
                return self._derive_concat(node, true)
            case Kind.ALT:
                return self.alt(self.derive(item, true) for item in node.items)
            case Kind.AND:
                return self.both([self.derive(item, true) for item in node.items])
            case Kind.NOT:
                return self.invert(self.derive(node.items[0], true))
            case Kind.REPEAT:
                rest = self.repeat(node.items[0], max(node.low - 1, 0), None if node.high is None else node.high - 1)
                return self.concat(self.derive(node.items[0], true), rest)
        return self.empty

    def _derive_concat(self, node: Node, true: frozenset[Node]) -> Node:
        """A loop along the tail: a long run of optional heads must not become deep recursion."""
        found = []
        while node.kind == Kind.CONCAT:
            head, tail = node.items
            found.append(self.concat(self.derive(head, true), tail))
            if not head.nullable:
                return self.alt(found)
            node = tail
        found.append(self.derive(node, true))
        return self.alt(found)


def _serial(node: Node) -> int:
    return node.serial


def _or_many(length: int | None) -> int:
    return MANY if length is None else length


def _cap(value: int) -> int:
    return min(value, MANY)


def _measure(node: Node) -> None:
    """Fill what follows from kind and items alone."""
    items = node.items
    node.is_plain = node.kind not in (Kind.AND, Kind.NOT) and all(item.is_plain for item in items)
    node.front = frozenset().union(*(item.front for item in items)) if items else frozenset()
    match node.kind:
        case Kind.EMPTY | Kind.EPSILON:
            size = _Size(nullable=node.kind == Kind.EPSILON, min_len=0, max_len=0, need=0, positions=1)
        case Kind.CLASS:
            node.front = frozenset((node,))
            size = _Size(nullable=False, min_len=1, max_len=1, need=1, positions=2)
        case Kind.CONCAT:
            if not items[0].nullable:
                node.front = items[0].front
            size = _concat_size(*items)
        case Kind.ALT:
            size = _alt_size(items)
        case Kind.AND:
            size = _and_size(items)
        case Kind.NOT:
            is_nullable = not items[0].nullable
            size = _Size(nullable=is_nullable, min_len=int(not is_nullable), max_len=None, need=MANY, positions=MANY)
        case Kind.REPEAT:
            size = _repeat_size(items[0], node.low, node.high)
    node.nullable, node.min_len, node.max_len, node.need, node.positions = size


class _Size(NamedTuple):
    nullable: bool
    min_len: int
    max_len: int | None
    need: int
    positions: int


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
        need=min(product, _or_many(longest)),
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
