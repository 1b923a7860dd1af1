"""A machine over code points: what the lifters turn into bytes.

`Derivatives` walks a regular expression. Its arcs lead to live states only: a plain node (no AND, no NOT) is live by
construction; any other is proved live by an A* search for a text, whose every state remembers the next character.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from radixgen.automata import codepoints
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_nodes import MANY, Kind, Node
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError

MAX_SHORTEST = 20_000
SMALL_NEED = 64
MAX_EXPLORED = 64
MAX_PARTITIONS = 2_000


class Arc(NamedTuple):
    """Code points low..high lead to target."""

    low: int
    high: int
    target: Any


class CharMachine(Protocol):
    """Deterministic, over code points; every state is live."""

    max_need: int
    """Upper bound of the characters in any state's completion."""

    @property
    def work(self) -> Work | None:
        """Told of every row of the automaton that is made of it."""

    def start(self) -> Hashable: ...

    def arcs(self, state: Hashable) -> tuple[Arc, ...]:
        """Sorted and disjoint."""

    def accepts(self, state: Hashable) -> bool: ...

    def completion(self, state: Hashable) -> str: ...


def _plainness(arc: Arc) -> int:
    return codepoints.spelling_cost(codepoints.plainest(arc.low, arc.high))


class _Step(NamedTuple):
    char: str
    target: Node


class Derivatives:
    """The live derivatives of one node."""

    def __init__(self, regexes: Regexes, node: Node) -> None:
        self._regexes, self._node, self.work = regexes, node, regexes.work
        self._deriver = Deriver(regexes)
        self._partitions: dict[int, Partition] = {}
        self._arcs: dict[Node, tuple[Arc, ...]] = {}
        self._all_arcs: dict[Node, tuple[Arc, ...]] = {}
        self._steps: dict[Node, _Step] = {}
        self._dead: set[Node] = {regexes.empty}
        if node.min_len > MAX_SHORTEST:
            raise ConstraintError(f"pattern: no text is shorter than {node.min_len} characters; at most {MAX_SHORTEST}")
        self.max_need = node.need if node.is_plain or node.need <= SMALL_NEED else self._explored_need(node.need)

    def start(self) -> Node:
        return self._node

    def is_empty(self) -> bool:
        """True when no text matches at all."""
        return not self.is_live(self._node)

    def accepts(self, state: Hashable) -> bool:
        assert isinstance(state, Node)
        return state.nullable

    def arcs(self, state: Hashable) -> tuple[Arc, ...]:
        assert isinstance(state, Node)
        found = self._arcs.get(state)
        if found is None:
            live = (arc for arc in self._moves(state) if self.is_live(arc.target))
            found = self._arcs[state] = tuple(live)
        return found

    def _moves(self, node: Node) -> tuple[Arc, ...]:
        """Arcs to every derivative but `empty`, dead ones too."""
        found = self._all_arcs.get(node)
        if found is None:
            found = self._all_arcs[node] = self._derive_all(node)
        return found

    def _derive_all(self, node: Node) -> tuple[Arc, ...]:
        derive, empty = self._deriver.derive, self._regexes.empty
        partition = self._partition(node.front)
        targets = [derive(node, true) for true in partition.truths]
        arcs: list[Arc] = []
        for low, high, truth in partition.pieces:
            target = targets[truth]
            if target is empty:
                continue
            if arcs and arcs[-1].target is target and arcs[-1].high + 1 == low:
                arcs[-1] = Arc(arcs[-1].low, high, target)
            else:
                arcs.append(Arc(low, high, target))
        return tuple(arcs)

    def _partition(self, front: int) -> Partition:
        found = self._partitions.get(front)
        if found is None:
            if len(self._partitions) >= MAX_PARTITIONS:
                self._partitions.clear()
            found = self._partitions[front] = _partition(self._regexes.classes, front)
        return found

    def is_live(self, node: Node) -> bool:
        if node in self._dead:
            return False
        return _is_surely_live(node) or node in self._steps or self._search(node)

    def _explored_need(self, otherwise: int) -> int:
        """The longest completion of any state, when there are few enough to look at all of them."""
        if self.is_empty():
            return 0
        seen = {self._node}
        queue = [self._node]
        while queue and len(seen) <= MAX_EXPLORED:
            fresh = {arc.target for arc in self.arcs(queue.pop())} - seen
            seen |= fresh
            queue += fresh
        return max(len(self.completion(node)) for node in seen) if len(seen) <= MAX_EXPLORED else otherwise

    def completion(self, state: Hashable) -> str:
        assert isinstance(state, Node)
        chars = []
        while not state.nullable:
            step = self._steps.get(state) or self._find_step(state)
            chars.append(step.char)
            state = step.target
        return "".join(chars)

    def _find_step(self, node: Node) -> _Step:
        if not _is_surely_live(node):
            self._search(node)
            return self._steps[node]
        # min_len is exact in what is plain, so some arc is one character nearer
        plain = min(_plain_items(node), key=lambda one: one.min_len)
        arc = min(self._moves(plain), key=lambda one: (one.target.min_len, _plainness(one)))
        point = codepoints.plainest(arc.low, arc.high)
        target = next(one.target for one in self._moves(node) if one.low <= point <= one.high)
        step = self._steps[node] = _Step(chr(point), target)
        return step

    def _search(self, start: Node) -> bool:
        """A* for a text, by min_len. Remembers a step for each state on the way, or that all it saw is dead.

        Raises:
            LimitError: when the effort allowed did not decide it.
        """
        cost = {start: 0}
        came: dict[Node, tuple[Node, str]] = {}
        heap = [(start.min_len, 0, start.serial, start)]
        done: set[Node] = set()
        while heap:
            node = heapq.heappop(heap)[3]
            if node in done:
                continue
            if _is_surely_live(node) or node in self._steps:
                self._remember(start, node, came)
                return True
            done.add(node)
            self.work.spend()
            for arc in sorted(self._moves(node), key=_plainness):
                target, length = arc.target, cost[node] + 1
                if target not in self._dead and length < cost.get(target, MANY):
                    cost[target], came[target] = length, (node, chr(codepoints.plainest(arc.low, arc.high)))
                    heapq.heappush(heap, (length + target.min_len, -length, target.serial, target))
        self._dead |= done
        return False

    def _remember(self, start: Node, node: Node, came: dict[Node, tuple[Node, str]]) -> None:
        while node is not start:
            before, char = came[node]
            self._steps[before] = _Step(char, node)
            node = before


def _is_surely_live(node: Node) -> bool:
    return node.nullable or any(_plain_items(node))


def _plain_items(node: Node) -> Iterator[Node]:
    if node.is_plain:
        yield node
    elif node.kind == Kind.ALT:
        for item in node.items:
            yield from _plain_items(item)


class Piece(NamedTuple):
    """Code points low..high are in the classes of truths[truth]."""

    low: int
    high: int
    truth: int


class Partition(NamedTuple):
    """All code points, cut so that no class of a front tells two of one piece apart."""

    pieces: tuple[Piece, ...]
    truths: tuple[int, ...]


def _partition(classes: list[Node], front: int) -> Partition:
    flips: dict[int, int] = {0: 0, 0xD800: 0, 0xE000: 0}
    while front:
        bit = front & -front
        front ^= bit
        for low, high in classes[bit.bit_length() - 1].ranges:
            flips[low] = flips.get(low, 0) ^ bit
            flips[high + 1] = flips.get(high + 1, 0) ^ bit
    pieces: list[Piece] = []
    truths: dict[int, int] = {}
    inside = 0
    for point, after in pairwise([*sorted(flips), codepoints.LAST + 1]):
        inside ^= flips[point]
        if point != 0xD800 and point <= codepoints.LAST:
            pieces.append(Piece(point, after - 1, truths.setdefault(inside, len(truths))))
    return Partition(tuple(pieces), tuple(truths))
