"""Sets of stacks of forms: what may follow a terminal, in every reading of the text at once.

A set of stacks is a trie over them, from the top, every node made once, so equal sets are one object and stacks that
differ at the top share what is below (a binary decision diagram, with forms for bits):

    { T end,  T T end,  ")" T end }        top ── T ──► ( end | T ──► end )
                                               └ ")" ──► T ──► end

However many readings an ambiguous text has, its stacks are as many as their distinct beginnings.

Invariants: a star is never right below the same star (`x* x*` is `x*`); `cost` 0 exactly where all may be empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from radixgen.automata.work import Work
from radixgen.grammar.forms import Form, Kind
from radixgen.grammar.graphs import post_order

_MOST_MEMOS = 100_000
_STACKS_BYTES = 400
_BRANCH_BYTES = 160


class Stacks:
    """A set of stacks, not empty. Compare by identity."""

    __slots__ = ("best", "branches", "cost", "has_end", "opened", "serial")

    def __init__(self, branches: dict[Form, Stacks], serial: int, *, has_end: bool) -> None:
        self.branches, self.has_end, self.serial = branches, has_end, serial
        self.opened: object = None
        """The state that it opens to: machine.py's."""
        self.best: Form | None = None
        self.cost = 0
        """Of the cheapest stack; `best` is its top, None where that is the empty stack."""
        if not has_end:
            self.best = min(branches, key=lambda form: _sum(form, branches[form]))
            self.cost = _sum(self.best, branches[self.best])


def _sum(form: Form, below: Stacks) -> int:
    assert form.cost is not None, "a form without a text"
    return form.cost + below.cost


class _Pair(NamedTuple):
    left: Stacks
    right: Stacks


class StackTable:
    """Makes sets of stacks, each once."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._known: dict[tuple[bool, frozenset[tuple[Form, Stacks]]], Stacks] = {}
        self._unions: dict[_Pair, Stacks] = {}
        self._appended: dict[_Pair, Stacks] = {}
        self.end = self._make({}, has_end=True)

    def __len__(self) -> int:
        return len(self._known)

    def _make(self, branches: dict[Form, Stacks], *, has_end: bool) -> Stacks:
        key = (has_end, frozenset(branches.items()))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Stacks(branches, len(self._known), has_end=has_end)
            self._work.grow(_STACKS_BYTES + _BRANCH_BYTES * len(branches))
        return found

    def push(self, form: Form, below: Stacks) -> Stacks:
        """Every stack of `below` with `form` on top."""
        if form.kind == Kind.REPEAT and form.low == 0 and form.high is None and form in below.branches:
            others = {one: stacks for one, stacks in below.branches.items() if one is not form}
            twice = below.branches[form]
            below = self.union(twice, self._make(others, has_end=below.has_end)) if others or below.has_end else twice
        return self._make({form: below}, has_end=False)

    def union(self, left: Stacks, right: Stacks) -> Stacks:
        if left is right:
            return left
        root = _pair(left, right)
        if len(self._unions) > _MOST_MEMOS:
            self._unions.clear()
        for pair in post_order(root, _differing, self._unions.__contains__):
            self._work.spend()
            self._unions[pair] = self._join(pair)
        return self._unions[root]

    def _join(self, pair: _Pair) -> Stacks:
        branches = dict(pair.left.branches)
        for form, below in pair.right.branches.items():
            here = branches.get(form)
            branches[form] = below if here is None or here is below else self._unions[_pair(here, below)]
        return self._make(branches, has_end=pair.left.has_end or pair.right.has_end)

    def union_all(self, stacks: Iterable[Stacks]) -> Stacks | None:
        found: Stacks | None = None
        for one in stacks:
            found = one if found is None else self.union(found, one)
        return found

    def append(self, upper: Stacks, lower: Stacks) -> Stacks:
        """Every stack of `upper` on every stack of `lower`."""
        if upper is self.end or lower is self.end:
            return lower if upper is self.end else upper
        if len(upper.branches) == 1 and not upper.has_end:
            [(form, below)] = upper.branches.items()
            if below is self.end:
                return self.push(form, lower)
        root = _Pair(upper, lower)
        if len(self._appended) > _MOST_MEMOS:
            self._appended.clear()
        for pair in post_order(root, _uppers, self._appended.__contains__):
            self._work.spend()
            self._appended[pair] = self._put_on(pair)
        return self._appended[root]

    def _put_on(self, pair: _Pair) -> Stacks:
        upper, lower = pair
        found = [self.push(form, self._appended[_Pair(below, lower)]) for form, below in upper.branches.items()]
        joined = self.union_all([*found, lower] if upper.has_end else found)
        assert joined is not None, "a set of no stacks"
        return joined


def _pair(left: Stacks, right: Stacks) -> _Pair:
    return _Pair(left, right) if left.serial < right.serial else _Pair(right, left)


def _differing(pair: _Pair) -> Iterator[_Pair]:
    """What has to be joined below the tops that both have."""
    small, large = sorted(pair, key=lambda stacks: len(stacks.branches))
    for form, below in small.branches.items():
        other = large.branches.get(form)
        if other is not None and other is not below:
            yield _pair(below, other)


def _uppers(pair: _Pair) -> Iterator[_Pair]:
    return (_Pair(below, pair.right) for below in pair.left.branches.values())
