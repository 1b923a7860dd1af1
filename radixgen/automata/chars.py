"""A machine over code points: what the lifters turn into bytes.

`Derivatives` walks a regular expression. Its arcs lead to live states only: a plain node (no AND, no NOT) is live by
construction; any other is proved live by an A* search for a text, whose every state remembers the next character.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

from radixgen.automata import codepoints
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_derive import Deriver
from radixgen.automata.regex_nodes import MANY, Kind, Node
from radixgen.automata.shapes import Moves, Shape, led_by, moves
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError

MAX_SHORTEST = 20_000
SMALL_NEED = 64
MAX_EXPLORED = 64
MAX_PARTITIONS = 2_000
MAX_PARTS = 6


class CharMachine(Protocol):
    """Deterministic, over code points; every state is live."""

    @property
    def max_need(self) -> int:
        """Upper bound of the characters in any state's completion."""

    @property
    def work(self) -> Work | None:
        """Told of every row of the automaton that is made of it."""

    def start(self) -> Hashable: ...

    def moves(self, state: Hashable) -> Moves:
        """Where each code point leads."""

    def parts(self, state: Hashable) -> Sequence[Hashable]:
        """States whose texts together are those of `state`; itself alone where they would be no simpler."""

    def is_everything(self, state: Hashable) -> bool:
        """Whether every text may follow, and end."""

    def allows_all(self, state: Hashable) -> bool:
        """Whether after any text some text may follow that ends it."""

    def accepts(self, state: Hashable) -> bool: ...

    def completion(self, state: Hashable) -> str: ...


class AnyText:
    """Every text: one state, which accepts."""

    max_need = 0
    work = None

    def __init__(self) -> None:
        self._everything = moves((low, high, None) for low, high in codepoints.ANY)

    def start(self) -> Hashable:
        return None

    def moves(self, state: Hashable) -> Moves:
        return self._everything

    def parts(self, state: Hashable) -> Sequence[Hashable]:
        return (state,)

    def is_everything(self, state: Hashable) -> bool:
        return True

    def allows_all(self, state: Hashable) -> bool:
        return True

    def accepts(self, state: Hashable) -> bool:
        return True

    def completion(self, state: Hashable) -> str:
        return ""


class _Step(NamedTuple):
    char: str
    target: Node


class _Choice(NamedTuple):
    point: int
    target: Node


class Derivatives:
    """The live derivatives of one node."""

    def __init__(self, regexes: Regexes, node: Node) -> None:
        self._regexes, self._node, self.work = regexes, node, regexes.work
        self._deriver = Deriver(regexes)
        self._partitions: dict[int, Partition] = {}
        self._foreign: dict[int, bool] = {}
        self._live: dict[Node, Moves] = {}
        self._every: dict[Node, Moves] = {}
        self._steps: dict[Node, _Step] = {}
        self._dead: set[Node] = {regexes.empty}
        if node.min_len > MAX_SHORTEST:
            raise ConstraintError(f"pattern: no text is shorter than {node.min_len} characters; at most {MAX_SHORTEST}")

    @cached_property
    def max_need(self) -> int:
        """Looked for when first asked for: whoever only wants to know whether there is a text need not wait for it."""
        node = self._node
        if node.is_plain or node.need <= SMALL_NEED or node.max_len is not None:
            return node.need
        known = self._foreign_len(node)
        return self._explored_need(node.need) if known is None else known

    def start(self) -> Node:
        return self._node

    def is_empty(self) -> bool:
        """True when no text matches at all."""
        return not self.is_live(self._node)

    def accepts(self, state: Hashable) -> bool:
        assert isinstance(state, Node)
        return state.nullable

    def moves(self, state: Hashable) -> Moves:
        assert isinstance(state, Node)
        found = self._live.get(state)
        if found is None:
            every = self._moves(state)
            alive = [one if self.is_live(one) else None for one in every.targets]
            found = self._live[state] = every if None not in alive else led_by(every.shape, alive)
        return found

    def parts(self, state: Hashable) -> Sequence[Node]:
        """A pattern that may begin anywhere is, in its midst, itself again or what is left of a beginning."""
        assert isinstance(state, Node)
        if state.kind != Kind.ALT:
            return (state,)
        items = state.items
        if len(items) > MAX_PARTS:
            if self._node not in items:
                return (state,)
            items = (self._node, self._regexes.alt(item for item in items if item is not self._node))
        return [item for item in items if self.is_live(item)]

    def is_everything(self, state: Hashable) -> bool:
        return state is self._regexes.anything

    def allows_all(self, state: Hashable) -> bool:
        assert isinstance(state, Node)
        return self._regexes.is_gap(state) and self.is_live(state)

    def _moves(self, node: Node) -> Moves:
        """Where to every derivative but `empty`, dead ones too."""
        found = self._every.get(node)
        if found is None:
            derive, empty = self._deriver.derive, self._regexes.empty
            partition = self._partition(node.front)
            targets = [derive(node, true) for true in partition.truths]
            found = led_by(partition.shape, [None if one is empty else one for one in targets])
            self._every[node] = found
        return found

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
        return _is_surely_live(node) or node in self._steps or self._foreign_len(node) is not None or self._search(node)

    def _foreign_len(self, node: Node) -> int | None:
        """How many characters that none of the patterns knows end any text that has begun, of a node that only says
        what its texts are not, and their least length; None where there is no such character, or the node says more.

        Nearly all that schemas negate is of this kind: keys that no pattern lists.
        """
        low, classes = 1, 0
        for one in node.items if node.kind == Kind.AND else (node,):
            if one.kind == Kind.NOT and one.items[0].is_plain:
                classes |= one.items[0].classes
            elif one.kind == Kind.REPEAT and one.items[0] is self._regexes.any_char and one.high is None:
                low = max(low, one.low)
            else:
                return None
        return low if self._knows_foreign(classes) else None

    def _knows_foreign(self, classes: int) -> bool:
        """Whether some character is in none of the classes."""
        found = self._foreign.get(classes)
        if found is None:
            if classes < 0:
                return False
            every = [one.ranges for at, one in enumerate(self._regexes.classes) if classes >> at & 1]
            found = self._foreign[classes] = codepoints.union(*every) != codepoints.ANY
        return found

    def _explored_need(self, otherwise: int) -> int:
        """The longest completion of any state, when there are few enough to look at all of them."""
        if self.is_empty():
            return 0
        seen = {self._node}
        queue = [self._node]
        while queue and len(seen) <= MAX_EXPLORED:
            fresh = set(self.moves(queue.pop()).targets) - seen
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
        point, _ = min(self._choices(plain), key=lambda one: (one.target.min_len, codepoints.spelling_cost(one.point)))
        shape, targets = self._moves(node)
        index = shape.find(point)
        assert index is not None, "what an alternative takes, all take"
        step = self._steps[node] = _Step(chr(point), targets[index])
        return step

    def _choices(self, node: Node) -> list[_Choice]:
        shape, targets = self._moves(node)
        return list(map(_Choice, shape.plainest, targets))

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
            for point, target in sorted(self._choices(node), key=lambda one: codepoints.spelling_cost(one.point)):
                length = cost[node] + 1
                if target not in self._dead and length < cost.get(target, MANY):
                    cost[target], came[target] = length, (node, chr(point))
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


class Partition(NamedTuple):
    """All code points, cut so that no class of a front tells two of one piece apart."""

    shape: Shape
    truths: tuple[int, ...]
    """For each index of the shape the classes, one bit each, that hold its code points."""


def _partition(classes: list[Node], front: int) -> Partition:
    flips: dict[int, int] = {0: 0, 0xD800: 0, 0xE000: 0}
    while front:
        bit = front & -front
        front ^= bit
        for low, high in classes[bit.bit_length() - 1].ranges:
            flips[low] = flips.get(low, 0) ^ bit
            flips[high + 1] = flips.get(high + 1, 0) ^ bit
    ranges: list[tuple[int, int, int]] = []
    inside = 0
    for point, after in pairwise([*sorted(flips), codepoints.LAST + 1]):
        inside ^= flips[point]
        if point != 0xD800 and point <= codepoints.LAST:
            ranges.append((point, after - 1, inside))
    return Partition(*moves(ranges))
