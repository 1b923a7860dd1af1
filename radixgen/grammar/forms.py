"""Forms: the right sides of rules as interned values, so that what is still to be written is a stack of them.

    expr : term ("+" term)*      SEQ(CALL term, REPEAT(SEQ(LEAF "+", CALL term), 0, None))

Neighbours that are light regular expressions are one leaf from the start: `"{" ws` is one automaton, not two. A leaf
that is heavy (a free string) stays by itself, so that all grammars share what the vocabulary says about it.
Counted repetition stays a counter, as in automata.regex.

Invariant: a form is made once per `Forms` and compared by identity; SEQ leans to the right.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import IntEnum

from radixgen.automata.regex import Kind as RegexKind
from radixgen.automata.regex import Node, Regexes
from radixgen.automata.work import Work

LIGHT_POSITIONS = 128
LIGHT_CLASS = 128
"""Code points: a larger class makes a row that many tokens walk, which is better shared than copied."""
_FORM_BYTES = 300

Leaf = Node | Hashable
"""A regular expression, or what else becomes an automaton or machine by itself (see parts.py)."""


class Kind(IntEnum):
    EMPTY = 0
    EPSILON = 1
    LEAF = 2
    CALL = 3
    SEQ = 4
    ALT = 5
    REPEAT = 6


class Form:
    """One right side, or a part of one. See `Forms`."""

    __slots__ = ("best", "cost", "first", "high", "items", "kind", "leaf", "low", "name", "serial")

    kind: Kind
    items: tuple[Form, ...]
    low: int
    high: int | None
    leaf: Leaf
    name: str
    """CALL: the rule."""
    serial: int
    cost: int | None
    """Characters of its shortest text, roughly; 0 exactly where it may be empty; None: no text. See measure.py."""
    best: Form | None
    """ALT: the item with the shortest text."""
    first: object
    """What it may begin with: machine.py's."""

    @property
    def is_nullable(self) -> bool:
        return self.cost == 0


class Forms:
    """Makes forms, each once. Not thread-safe."""

    def __init__(self, regexes: Regexes, work: Work) -> None:
        self.regexes, self.work = regexes, work
        self.rules: dict[str, Form] = {}
        self._known: dict[tuple[object, ...], Form] = {}
        self._light: dict[Node, bool] = {}
        self.empty = self._make(Kind.EMPTY)
        self.epsilon = self._make(Kind.EPSILON)

    def _make(
        self,
        kind: Kind,
        items: tuple[Form, ...] = (),
        low: int = 0,
        high: int | None = 0,
        *,
        leaf: Leaf = None,
        name: str = "",
    ) -> Form:
        key = (kind, items, low, high, leaf, name)
        form = self._known.get(key)
        if form is None:
            form = Form()
            form.kind, form.items, form.low, form.high, form.leaf, form.name = kind, items, low, high, leaf, name
            form.serial, form.cost, form.best, form.first = len(self._known), None, None, None
            self._known[key] = form
            self.work.grow(_FORM_BYTES)
        return form

    def leaf(self, leaf: Leaf) -> Form:
        if isinstance(leaf, Node) and leaf.kind in (RegexKind.EMPTY, RegexKind.EPSILON):
            return self.empty if leaf.kind == RegexKind.EMPTY else self.epsilon
        return self._make(Kind.LEAF, leaf=leaf)

    def call(self, name: str) -> Form:
        return self._make(Kind.CALL, name=name)

    def seq(self, items: Iterable[Form]) -> Form:
        form = self.epsilon
        for item in reversed(tuple(items)):
            form = self._before(item, form)
        return form

    def _before(self, head: Form, tail: Form) -> Form:
        if self.empty in (head, tail):
            return self.empty
        heads = []
        while head.kind == Kind.SEQ:
            heads.append(head.items[0])
            head = head.items[1]
        for one in reversed([*heads, head]):
            tail = self._cons(one, tail)
        return tail

    def _cons(self, head: Form, tail: Form) -> Form:
        if head is self.epsilon or tail is self.epsilon:
            return tail if head is self.epsilon else head
        near, rest = tail.items if tail.kind == Kind.SEQ else (tail, self.epsilon)
        left, right = self._light_node(head), self._light_node(near)
        if left is not None and right is not None and left.positions + right.positions <= LIGHT_POSITIONS:
            return self._cons(self.leaf(self.regexes.concat(left, right)), rest)
        return self._make(Kind.SEQ, (head, tail))

    def alt(self, items: Iterable[Form]) -> Form:
        flat = dict.fromkeys(one for item in items for one in (item.items if item.kind == Kind.ALT else (item,)))
        flat.pop(self.empty, None)
        light = {one: node for one in flat if (node := self._light_node(one)) is not None}
        if len(light) > 1 and sum(node.positions for node in light.values()) <= LIGHT_POSITIONS:
            for one in light:
                del flat[one]
            flat[self.leaf(self.regexes.alt(light.values()))] = None
        if len(flat) <= 1:
            return next(iter(flat), self.empty)
        return self._make(Kind.ALT, tuple(sorted(flat, key=_serial)))

    def repeat(self, item: Form, low: int, high: int | None) -> Form:
        """`item{low,high}`; high None is no end."""
        if high == 0 or item is self.epsilon or (item is self.empty and low == 0):
            return self.epsilon
        if item is self.empty or low == high == 1:
            return item
        if item.kind == Kind.REPEAT and item.low == 0 and item.high in (None, 1):
            return self.repeat(item.items[0], 0, None if None in (high, item.high) else high)
        if low == 0 and high is None:
            item = self._without_runs(item)
        node = self._light_node(item)
        if node is not None and node.positions * max(low, high or 0, 1) <= LIGHT_POSITIONS:
            return self.leaf(self.regexes.repeat(node, low, high))
        return self._make(Kind.REPEAT, (item,), low, high)

    def _without_runs(self, item: Form) -> Form:
        """An item of a star, less alternatives that are runs of others: (x | x y? | y)* is (x | y)*."""
        if item.kind != Kind.ALT:
            return item
        single = {one for one in item.items if one.kind != Kind.SEQ}
        single |= {one.items[0] for one in single if one.kind == Kind.REPEAT and one.low <= 1}
        return self.alt([one for one in item.items if one.kind != Kind.SEQ or not self._is_run(one, single)])

    def _is_run(self, form: Form, single: set[Form]) -> bool:
        while form.kind == Kind.SEQ:
            if not self._is_single(form.items[0], single):
                return False
            form = form.items[1]
        return self._is_single(form, single)

    def _is_single(self, form: Form, single: set[Form]) -> bool:
        return form in single or (form.kind == Kind.REPEAT and form.items[0] in single)

    def star(self, item: Form) -> Form:
        return self.repeat(item, 0, None)

    def optional(self, item: Form) -> Form:
        return self.repeat(item, 0, 1)

    def _light_node(self, form: Form) -> Node | None:
        """The regular expression that a form is, if it is one that may be joined with its neighbours."""
        if form.kind != Kind.LEAF or not isinstance(form.leaf, Node):
            return None
        return form.leaf if self.is_light(form.leaf) else None

    def is_light(self, node: Node) -> bool:
        """Whether an expression is small, and no row of its automaton is one that most tokens walk."""
        if not node.is_plain or node.positions > LIGHT_POSITIONS:
            return False
        found = self._light.get(node)
        if found is None:
            if node.kind == RegexKind.CLASS:
                found = sum(high - low + 1 for low, high in node.ranges) <= LIGHT_CLASS
            else:
                found = all(map(self.is_light, node.items))
            self._light[node] = found
        return found


def _serial(form: Form) -> int:
    return form.serial
