"""What a form may begin with: terminals, and the stacks of forms that each leaves behind.

    SEQ(a, b)    what a begins with, b put below its stacks; what b begins with as well where a may be empty

Worked out once for a form, whatever it stands on; since no form begins with itself (left.py), that ends.
"""

from __future__ import annotations

from radixgen.automata.work import Work
from radixgen.grammar.forms import Form, Forms, Kind, Leaf
from radixgen.grammar.graphs import post_order
from radixgen.grammar.stacks import Stacks, StackTable

First = dict[Leaf, Stacks]
"""terminal -> the stacks it leaves behind"""


class Firsts:
    """The firsts of one machine's forms."""

    def __init__(self, forms: Forms, stacks: StackTable, work: Work) -> None:
        self._forms, self._stacks, self._work = forms, stacks, work

    def find(self, form: Form) -> First:
        """The terminals that `form` may begin with."""
        if form.first is None:
            for one in post_order(form, self._left_items, lambda one: one.first is not None):
                self._work.spend()
                one.first = self._make_first(one)
        assert isinstance(form.first, dict)
        return form.first

    def _left_items(self, form: Form) -> tuple[Form, ...]:
        if form.kind == Kind.CALL:
            return (self._forms.rules[form.name],)
        return form.items[:1] if form.kind == Kind.SEQ and not form.items[0].is_nullable else form.items

    def _make_first(self, form: Form) -> First:
        match form.kind:
            case Kind.LEAF:
                return {form.leaf: self._stacks.end}
            case Kind.SEQ:
                head, tail = form.items
                found = self._on_top(head, tail)
                return self._joined([found, self._known_first(tail)]) if head.is_nullable else found
            case Kind.REPEAT:
                return self._on_top(form.items[0], self._once_more(form))
        return self._joined([self._known_first(item) for item in self._left_items(form)])

    def _known_first(self, form: Form) -> First:
        assert isinstance(form.first, dict)
        return form.first

    def _on_top(self, form: Form, below: Form) -> First:
        stacks = self._stacks.end if below is self._forms.epsilon else self._stacks.push(below, self._stacks.end)
        return {leaf: self._stacks.append(behind, stacks) for leaf, behind in self._known_first(form).items()}

    def _once_more(self, form: Form) -> Form:
        """What is left of a repetition after its first turn."""
        item, low = form.items[0], max(form.low - 1, 0)
        rest = self._forms.repeat(item, low, None if form.high is None else form.high - 1)
        if rest.cost is None:
            assert item.cost is not None
            rest.cost = item.cost * low
        return rest

    def _joined(self, parts: list[First]) -> First:
        found: First = {}
        for part in parts:
            self._work.spend()
            for leaf, stacks in part.items():
                here = found.get(leaf)
                found[leaf] = stacks if here is None else self._stacks.union(here, stacks)
        return found
