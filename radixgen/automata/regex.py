"""Regular expressions as interned nodes: one algebra, closed under concatenation, repetition, and, or, not.

Smart constructors keep nodes in a normal form (flat, sorted, absorbed: `.*|x` is `.*`), so that the set of derivatives
stays finite and small, and equal languages are mostly equal nodes. Counted repetition stays a counter (`r{m,n}`),
never m copies, so an unused `{1000}` is free. How nodes are derived: `regex_derive`.

Source: J. A. Brzozowski, Derivatives of Regular Expressions, 1964; S. Owens et al., Regular-expression derivatives
re-examined, 2009.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from radixgen.automata import codepoints
from radixgen.automata.codepoints import Ranges
from radixgen.automata.regex_nodes import MANY, Kind, Node, measure
from radixgen.automata.work import Work, over

MAX_NODES = 200_000
NODE_BYTES = 700
MAX_JOINED = 100
"""Characters at the start of alternatives that are joined."""


class Regexes:
    """Makes nodes, each once. Not shared between threads.

    Raises:
        LimitError: from any constructor, when more than `max_nodes` nodes would exist.
    """

    def __init__(self, work: Work | None = None, max_nodes: int = MAX_NODES) -> None:
        self.work = work or Work()
        self.classes: list[Node] = []
        """The CLASS nodes; each knows its place here as `low`."""
        self._nodes: dict[tuple[object, ...], Node] = {}
        self._later: list[Callable[[], Node]] = []
        self._max_nodes = max_nodes
        self.empty = self._make(Kind.EMPTY)
        self.epsilon = self._make(Kind.EPSILON)
        self.any_char = self.chars(codepoints.ANY)
        self.anything = self._make(Kind.REPEAT, (self.any_char,), 0, None)

    @property
    def num_nodes(self) -> int:
        return len(self._nodes)

    def _make(
        self, kind: Kind, items: tuple[Node, ...] = (), low: int = 0, high: int | None = 0, ranges: Ranges = ()
    ) -> Node:
        key = (kind, items, low, high, ranges)
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= self._max_nodes:
                raise over(f"has patterns of more than {self._max_nodes} nodes", "constraint_states")
            node = Node()
            node.kind, node.items, node.low, node.high, node.ranges = kind, items, low, high, ranges
            node.serial = len(self._nodes)
            if kind == Kind.CLASS:
                node.low = len(self.classes)
                self.classes.append(node)
            measure(node)
            self._nodes[key] = node
            self.work.grow(NODE_BYTES)
        return node

    # ---- texts and characters

    def chars(self, ranges: Ranges) -> Node:
        ranges = codepoints.intersect(ranges, codepoints.ANY)
        return self._make(Kind.CLASS, ranges=ranges) if ranges else self.empty

    def truth(self, point: int) -> int:
        """The classes that hold a code point, one bit each."""
        return sum(1 << at for at, node in enumerate(self.classes) if codepoints.contains(node.ranges, point))

    def text(self, text: str) -> Node:
        node = self.epsilon
        for char in reversed(text):
            node = self._cons(self.chars(((ord(char), ord(char)),)), node)
        return node

    def words(self, words: Iterable[str]) -> Node:
        """Exactly these texts, as a prefix tree: as cheap for a thousand as for ten."""
        path = ""
        levels: list[list[Node]] = [[]]
        for word in sorted(set(words)):
            self._close(path, levels, _num_common(path, word))
            levels += [[] for _ in range(len(word) + 1 - len(levels))]
            levels[-1].append(self.epsilon)
            path = word
        self._close(path, levels, 0)
        return self.alt(levels[0])

    def _close(self, path: str, levels: list[list[Node]], length: int) -> None:
        """Fold the branches of `path` that are deeper than `length` into their parents."""
        while len(levels) > length + 1:
            tail = self.alt(levels.pop())
            point = ord(path[len(levels) - 1])
            levels[-1].append(self.concat(self.chars(((point, point),)), tail))

    def lengths(self, low: int, high: int | None) -> Node:
        """Any text of low..high characters."""
        return self.empty if high is not None and high < low else self.repeat(self.any_char, low, high)

    # ---- one after the other

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
        if head.kind == Kind.AHEAD and head.items[0] is self.epsilon and not head.high and tail.is_free:
            return head if tail.nullable else self.empty  # the text ends here
        if self.is_gap(tail):
            if head is self.anything:
                return tail
            if head.kind == Kind.REPEAT and head.low != head.high and head.is_free:
                head = self.repeat(head.items[0], head.low, head.low)  # what is more of it, the gap takes too
                return self._cons(head, tail)
        return self._make(Kind.CONCAT, (head, tail))

    def is_gap(self, node: Node) -> bool:
        """Whether any text may come first: `.*` and what follows it."""
        return node is self.anything or (node.kind == Kind.CONCAT and node.items[0] is self.anything)

    def sequence(self, nodes: Iterable[Node]) -> Node:
        node = self.epsilon
        for one in reversed(tuple(nodes)):
            node = self.concat(one, node)
        return node

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
        if node.kind == Kind.REPEAT and node.low == 0 and node.high is None:
            return node
        return self._make(Kind.REPEAT, (node,), low, high)

    def later(self, make: Callable[[], Node], *, first: str, min_len: int, need: int) -> Node:
        """What `make` returns, called once somebody derives it: a plain node of that `min_len` and of at most that
        `need`, whose first character is told from others by being one of `first`."""
        node = self._make(Kind.LATER, tuple(map(self.text, first)), len(self._later), min_len)
        node.need = need
        self._later.append(make)
        return node

    def made(self, node: Node) -> Node:
        """The node that a LATER node stands for."""
        found = self._later[node.low]()
        self._later[node.low] = lambda: found
        return found

    # ---- or, and, not

    def alt(self, nodes: Iterable[Node]) -> Node:
        flat = {one for node in nodes for one in (node.items if node.kind == Kind.ALT else (node,))}
        flat.discard(self.empty)
        if self.anything in flat:
            return self.anything
        if len(flat) > 1:
            self._join_classes(flat)
            self._absorb_gaps(flat)
            if self.epsilon in flat and any(node.nullable for node in flat if node is not self.epsilon):
                flat.discard(self.epsilon)
        if len(flat) <= 1:
            return next(iter(flat), self.empty)
        return self._make(Kind.ALT, tuple(sorted(flat, key=_serial)))

    def _join_classes(self, flat: set[Node]) -> None:
        classes = [node for node in flat if node.kind == Kind.CLASS]
        if len(classes) > 1:
            flat.difference_update(classes)
            flat.add(self.chars(codepoints.union(*(node.ranges for node in classes))))

    def _absorb_gaps(self, flat: set[Node]) -> None:
        """`x{2}.*y` takes in `x{5}.*y`: of counts before one gap, only the least is needed."""
        least: dict[tuple[Node, Node], Node] = {}
        for node in tuple(flat):
            if node.kind != Kind.CONCAT or not self.is_gap(node.items[1]):
                continue
            head, tail = node.items
            is_counted = head.kind == Kind.REPEAT and head.is_free
            key = (head.items[0] if is_counted else head, tail)
            other = least.setdefault(key, node)
            if other is not node:
                longer = max(node, other, key=_min_len)
                least[key] = other if longer is node else node
                flat.discard(longer)
            if tail in flat:
                flat.discard(node)

    def choice(self, nodes: Iterable[Node], depth: int = 0) -> Node:
        """`alt` of many alternatives that a user wrote: what starts alike is joined, into a prefix tree."""
        tails: dict[Node, list[Node]] = {}
        others = []
        for node in nodes:
            head, tail = node.items if node.kind == Kind.CONCAT else (node, self.epsilon)
            if head.kind == Kind.CLASS and depth < MAX_JOINED:
                tails.setdefault(head, []).append(tail)
            else:
                others.append(node)
        for head, rest in tails.items():
            others.append(self.concat(head, self.choice(rest, depth + 1) if len(rest) > 1 else rest[0]))
        return self.alt(others)

    def both(self, nodes: Iterable[Node]) -> Node:
        """The texts that all nodes accept."""
        flat = {one for node in nodes for one in (node.items if node.kind == Kind.AND else (node,))}
        flat.discard(self.anything)
        if self.empty in flat or any(node.kind == Kind.NOT and node.items[0] in flat for node in flat):
            return self.empty
        flat = self._join_lengths(flat)
        if len(flat) <= 1:
            return next(iter(flat), self.anything)
        shortest = max(node.min_len for node in flat)
        if shortest > min(MANY if node.max_len is None else node.max_len for node in flat):
            return self.empty
        if self.epsilon in flat and all(node.is_free for node in flat):
            return self.epsilon if all(node.nullable for node in flat) else self.empty
        return self._make(Kind.AND, tuple(sorted(flat, key=_serial)))

    def _join_lengths(self, flat: set[Node]) -> set[Node]:
        lengths = [node for node in flat if node.kind == Kind.REPEAT and node.items[0] is self.any_char]
        if len(lengths) < 2:
            return flat
        low = max(node.low for node in lengths)
        high = min((node.high for node in lengths if node.high is not None), default=None)
        return flat.difference(lengths) | {self.lengths(low, high)}

    def invert(self, node: Node) -> Node:
        """The texts that `node` does not accept."""
        if node.kind == Kind.NOT:
            return node.items[0]
        if node is self.anything:
            return self.empty
        return self.anything if node is self.empty else self._make(Kind.NOT, (node,))

    # ---- assertions

    def ahead(self, rest: Node, *, is_negative: bool = False) -> Node:
        """Nothing, where the rest of the text, to its end, is (or is not) in `rest`."""
        rest = self._without_end(rest)
        if rest is self.anything or rest is self.empty:
            return self.epsilon if (rest is self.empty) == is_negative else self.empty
        return self._make(Kind.AHEAD, (rest,), 0, int(is_negative))

    def _without_end(self, node: Node) -> Node:
        """A node that reaches to the text's end need not say so."""
        if node.kind == Kind.AHEAD and node.items[0] is self.epsilon and not node.high:
            return self.epsilon
        if node.kind == Kind.CONCAT and not node.items[1].is_free:
            return self.concat(node.items[0], self._without_end(node.items[1]))
        return self.alt(map(self._without_end, node.items)) if node.kind == Kind.ALT else node

    def behind(self, before: Node, *, is_negative: bool = False) -> Node:
        """Nothing, where all the text before is (or is not) in `before`, which has no assertions."""
        assert before.is_free
        if before is self.anything or before is self.empty:
            return self.epsilon if (before is self.empty) == is_negative else self.empty
        return self._make(Kind.BEHIND, (before,), 0, int(is_negative))

    def placed(self, node: Node, rests: tuple[Node, ...], *, is_nullable: bool) -> Node:
        """A whole language of a node with assertions; see `regex_derive.Deriver.placed`."""
        return self._make(Kind.PLACED, (node, *rests), int(is_nullable))


def _num_common(left: str, right: str) -> int:
    pairs = zip(left, right, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(left), len(right)))


def _serial(node: Node) -> int:
    return node.serial


def _min_len(node: Node) -> int:
    return node.min_len
